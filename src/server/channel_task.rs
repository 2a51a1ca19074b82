//! One channel's task: the splicer fed by events and driven by the clock, its decisions wrapped and shelved.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::channel::{Choice, Decision, Splicer, SplicerOptions, Why};
use crate::clock::Clock;
use crate::delivery::Air;
use crate::ladder::WaitingLoop;
use crate::matrix::{MatrixHandle, OnAir, SourceState, SourceStatus};
use crate::media::{CellIndex, CodedCell, Grid, Segment};
use crate::package;
use crate::store::{Rung, ShelfWriter};

/// The source that a channel is to show, as the conductor hands it over.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) source: String,
    pub(super) cells: broadcast::Sender<Arc<CodedCell>>,
    pub(super) status: watch::Receiver<SourceStatus>,
}

impl Connection {
    /// The same source through the same ladder run.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.source == other.source && self.cells.same_channel(&other.cells)
    }
}

/// Everything that a channel's task needs.
pub(super) struct ChannelTask {
    pub(super) name: String,
    pub(super) options: SplicerOptions,
    /// The waiting loop as it is now.
    pub(super) waiting: watch::Receiver<Arc<WaitingLoop>>,
    pub(super) shelf: ShelfWriter,
    pub(super) air: Air,
    pub(super) connection: watch::Receiver<Option<Connection>>,
    pub(super) matrix: MatrixHandle,
    pub(super) clock: Arc<dyn Clock>,
}

/// The live side of a channel: what the connected source sends.
struct Live {
    cells: broadcast::Receiver<Arc<CodedCell>>,
    status: watch::Receiver<SourceStatus>,
    source: String,
}

enum Event {
    Connection,
    Cell(Arc<CodedCell>),
    Missed(u64),
    Status,
    LadderEnded,
    Time,
    End,
}

impl ChannelTask {
    /// Works until `end`.
    pub(super) async fn run(mut self, end: CancellationToken) {
        let grid = self.options.grid;
        let first = CellIndex(grid.cell_at(self.clock.now()).0 - self.options.window as i64);
        let mut splicer = Splicer::new(self.options, first);
        let mut live = self.connect(&mut splicer);
        let mut told: Option<Why> = None;
        loop {
            while let Some(decision) = splicer.poll(self.clock.now()) {
                self.shelve(&decision);
                if decision.swapped || told != Some(decision.why) {
                    told = Some(decision.why);
                    self.tell(&decision, splicer.on_air(), live.as_ref());
                }
            }
            let wait = splicer.wake_at().saturating_since(self.clock.now());
            match self.event(live.as_mut(), wait, &end).await {
                Event::Connection => live = self.connect(&mut splicer),
                Event::Cell(cell) => {
                    if let Some(live) = &live {
                        splicer.live_cell(&live.source, cell);
                    }
                }
                Event::Missed(count) => {
                    warn!(channel = self.name, count, "cells missed: the channel's task was late");
                }
                Event::Status => {
                    let up = live.as_mut().is_some_and(|live| is_up(&live.status.borrow_and_update()));
                    splicer.source_up(up);
                }
                Event::LadderEnded => {
                    live = None;
                    splicer.source_up(false);
                }
                Event::Time => {}
                Event::End => return,
            }
        }
    }

    /// Takes over what the conductor last said.
    fn connect(&mut self, splicer: &mut Splicer) -> Option<Live> {
        let connection = self.connection.borrow_and_update().clone();
        splicer.connect(connection.as_ref().map(|connection| connection.source.as_str()));
        let mut live = connection.map(|connection| Live {
            cells: connection.cells.subscribe(),
            status: connection.status,
            source: connection.source,
        });
        splicer.source_up(live.as_mut().is_some_and(|live| is_up(&live.status.borrow_and_update())));
        live
    }

    async fn event(&mut self, live: Option<&mut Live>, wait: Duration, end: &CancellationToken) -> Event {
        let from_live = async {
            let Some(live) = live else { return std::future::pending().await };
            tokio::select! {
                cell = live.cells.recv() => match cell {
                    Ok(cell) => Event::Cell(cell),
                    Err(broadcast::error::RecvError::Lagged(count)) => Event::Missed(count),
                    Err(broadcast::error::RecvError::Closed) => Event::LadderEnded,
                },
                changed = live.status.changed() => if changed.is_ok() { Event::Status } else { Event::LadderEnded },
            }
        };
        tokio::select! {
            () = end.cancelled() => Event::End,
            changed = self.connection.changed() => if changed.is_ok() { Event::Connection } else { Event::End },
            event = from_live => event,
            () = tokio::time::sleep(wait) => Event::Time,
        }
    }

    fn shelve(&mut self, decision: &Decision) {
        let waiting = Arc::clone(&self.waiting.borrow());
        let mut cell = match &decision.choice {
            Choice::Live(cell) => Arc::clone(cell),
            Choice::Waiting => Arc::new(waiting.cell(decision.k)),
        };
        if decision.swapped {
            cell = Arc::new(waiting.joined(&cell));
        }
        let segments = self.shelf.rungs().map(|rung| segment(rung, &cell)).collect();
        if let Err(error) = self.shelf.push(decision.k, segments) {
            warn!(channel = self.name, k = %decision.k, %error, "cell not published");
        }
        self.air.push(cell);
    }

    fn tell(&self, decision: &Decision, on_air: Option<&str>, live: Option<&Live>) {
        let source = live.map_or("the source", |live| live.source.as_str());
        let reason = match decision.why {
            Why::Live => format!("{source} is connected and delivers"),
            Why::NotConnected => "no source is connected".to_owned(),
            Why::SourceDown => live.map_or_else(
                || "the ladder has ended".to_owned(),
                |live| down_because(source, &live.status.borrow()),
            ),
            Why::CellMissed => format!("{source} is up, its pictures did not come in time"),
            Why::Held => format!("{source} was lost a moment ago and is given time to settle"),
        };
        if decision.swapped {
            info!(channel = self.name, k = %decision.k, on_air = on_air.unwrap_or("waiting loop"), reason, "swap");
        }
        self.matrix.on_air(
            &self.name,
            OnAir { source: on_air.map(str::to_owned), reason, since: self.options.grid.start(decision.k) },
        );
    }
}

fn is_up(status: &SourceStatus) -> bool {
    status.state == SourceState::Live
}

fn down_because(source: &str, status: &SourceStatus) -> String {
    let state = match status.state {
        SourceState::Idle => "is idle",
        SourceState::Connecting => "is being connected",
        SourceState::Live => "has just come up",
        SourceState::Stalled => "has stalled",
        SourceState::Refused => "refuses us",
        SourceState::BackingOff => "is down and will be tried again",
    };
    let colon = if status.reason.is_empty() { "" } else { ": " };
    format!("{source} {state}{colon}{}", status.reason)
}

fn segment(rung: &Rung, cell: &CodedCell) -> Segment {
    let index = rung.tracks().video_index.filter(|_| rung.picture().is_some());
    let video = index.and_then(|index| cell.video.get(index));
    package::segment(cell.k, video, rung.sound().map(|_| &cell.audio))
}

/// The options of a channel from its configuration.
pub(super) fn options(channel: &crate::config::Channel, grid: Grid, window: usize) -> SplicerOptions {
    SplicerOptions {
        grid,
        deadline: Duration::from_millis(u64::from(channel.live_deadline_ms)),
        hold: Duration::from_millis(u64::from(channel.hold_ms)),
        window,
    }
}
