//! One channel's task: splicer and airing, fed by events and driven by the clock. The cells that the splicer decides become
//! segments of the published window, and go to RTSP players and pushes; the steps of the airing go to RTMP players.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connection::LadderConnection;
use crate::channel::{
    Airing, AiringOptions, AiringStep, CellChoice, Decision, SampleOrigin, Splicer, SplicerOptions, Why,
};
use crate::delivery::Air;
use crate::store::{PublishedRung, WindowWriter};
use amphi_container::fmp4;
use amphi_control::matrix::{MatrixHandle, OnAir, SourceState, SourceStatus};
use amphi_ladder::{LadderNews, WaitingLoop};
use amphi_media::clock::Clocks;
use amphi_media::{CellBatch, CellIndex, ChannelName, CodedCell, Grid, Segment, SourceName};

/// Everything that a channel's task needs.
pub(super) struct ChannelTask {
    pub(super) name: ChannelName,
    pub(super) options: SplicerOptions,
    /// The waiting loop, painted anew when its notice changes.
    pub(super) waiting: watch::Receiver<Arc<WaitingLoop>>,
    pub(super) window: WindowWriter,
    pub(super) air: Air,
    pub(super) connection: watch::Receiver<Option<LadderConnection>>,
    pub(super) matrix: MatrixHandle,
    pub(super) clocks: Clocks,
    /// How often the connection changed.
    pub(super) runs: u64,
    /// The newest cell of the published window.
    pub(super) published: Option<CellIndex>,
    /// The newest cell sent to RTMP players.
    pub(super) aired: Option<CellIndex>,
    /// When the task last panicked.
    pub(super) fell_at: Option<Instant>,
}

/// The state of a channel's task. A run that panics leaves it to the next one.
pub(super) struct ChannelTaskState {
    splicer: Splicer,
    airing: Airing,
    live: Option<Live>,
    /// The source before, as long as its live cell is on air.
    former: Option<Live>,
    /// The waiting loop that fills the open cell; another one may have been painted since.
    shown: Arc<WaitingLoop>,
    told: Option<Why>,
    /// The cell that is being published.
    publishing: Option<Decision>,
}

/// A task that panics twice within so long starts without its state.
const TWICE: Duration = Duration::from_secs(10);

/// The live side of a channel: what the connected source sends.
struct Live {
    news: broadcast::Receiver<LadderNews>,
    status: watch::Receiver<SourceStatus>,
    source: SourceName,
    /// Names the source and this run of its ladder: batches of two runs are not one stream.
    run: Arc<str>,
}

enum ChannelEvent {
    Connection,
    Batch(Arc<CellBatch>),
    Cell(Arc<CodedCell>),
    Missed(u64),
    Status,
    LadderEnded,
    /// A batch of the source before, whose live cell is being finished.
    FormerBatch(Arc<CellBatch>),
    FormerEnded,
    Time,
    End,
}

impl ChannelTask {
    /// Works until `end`. After a panic it goes on where it was: the cell that it was working on becomes a waiting
    /// cell, and the next one is what it would have been.
    pub(super) async fn run(&mut self, state: &mut Option<ChannelTaskState>, end: CancellationToken) {
        let ChannelTaskState { splicer, airing, live, former, shown, told, publishing } =
            state.get_or_insert_with(|| self.begin());
        if let Some(decision) = publishing.take().filter(|decision| self.published != Some(decision.k)) {
            self.publish(&Decision { choice: CellChoice::Waiting, swapped: true, ..decision });
        }
        loop {
            while let Some(step) = airing.poll(self.clocks.media.now()) {
                if step.begins {
                    *shown = Arc::clone(&self.waiting.borrow());
                }
                self.aired = Some(step.k);
                self.air(&step, shown);
            }
            former.take_if(|former| airing.on_air() != Some(&*former.run));
            while let Some(decision) = splicer.poll(self.clocks.media.now()) {
                *publishing = Some(decision.clone());
                self.publish(&decision);
                *publishing = None;
                if decision.swapped || *told != Some(decision.why) {
                    *told = Some(decision.why);
                    self.tell(&decision, splicer.on_air(), live.as_ref());
                }
            }
            let wait = splicer.wake_at().min(airing.wake_at()).saturating_since(self.clocks.media.now());
            match self.event(live.as_mut(), former.as_mut(), wait, &end).await {
                ChannelEvent::Connection => {
                    let before = std::mem::replace(live, self.connect(splicer, airing));
                    // A source that is still on air is not replaced by one that never was.
                    *former = former.take().or(before);
                }
                ChannelEvent::Batch(batch) => {
                    if let Some(live) = &*live {
                        airing.batch(&live.run, batch);
                    }
                }
                ChannelEvent::Cell(cell) => {
                    if let Some(live) = &*live {
                        splicer.live_cell(&live.source, cell);
                    }
                }
                ChannelEvent::Missed(count) => {
                    warn!(
                        channel = self.name.as_str(),
                        count, "pictures missed: the channel's task was late"
                    );
                }
                ChannelEvent::Status => {
                    let up = live.as_mut().is_some_and(|live| is_up(&live.status.borrow_and_update()));
                    splicer.source_up(up);
                }
                ChannelEvent::LadderEnded => {
                    if let Some(live) = live.take() {
                        airing.gone(&live.run);
                    }
                    splicer.source_up(false);
                }
                ChannelEvent::FormerBatch(batch) => {
                    if let Some(former) = &*former {
                        airing.batch(&former.run, batch);
                    }
                }
                ChannelEvent::FormerEnded => {
                    if let Some(former) = former.take() {
                        airing.gone(&former.run);
                    }
                }
                ChannelEvent::Time => {}
                ChannelEvent::End => return,
            }
        }
    }

    /// Notes that a run has panicked.
    pub(super) fn fell(&mut self, state: &mut Option<ChannelTaskState>) {
        let again = self.fell_at.is_some_and(|at| at.elapsed() < TWICE);
        self.fell_at = Some(Instant::now());
        if again {
            // The state itself may be what makes it panic.
            *state = None;
        }
    }

    /// Fresh state, for the cell after the last one that viewers have. At first it begins a window of cells in the past, so
    /// that the playlist is full at once.
    fn begin(&mut self) -> ChannelTaskState {
        let current = self.options.grid.cell_at(self.clocks.media.now());
        let history = CellIndex(current.0 - self.options.window as i64);
        let first = self.published.map_or(history, CellIndex::next);
        let mut splicer = Splicer::new(self.options, first);
        let mut airing = Airing::new(self.airing_options(), self.aired.map_or(current, CellIndex::next));
        let live = self.connect(&mut splicer, &mut airing);
        let shown = Arc::clone(&self.waiting.borrow());
        ChannelTaskState { splicer, airing, live, former: None, shown, told: None, publishing: None }
    }

    fn airing_options(&self) -> AiringOptions {
        let waiting = self.waiting.borrow();
        let tracks = waiting.tracks();
        AiringOptions {
            grid: self.options.grid,
            fps: tracks.iter().filter_map(|track| track.video.as_ref()).map(|video| video.fps).collect(),
            sample_rate: tracks.first().map_or(48_000, |track| track.audio.format.sample_rate),
            // A ladder begins a cell at half the deadline at the latest.
            patience: self.options.deadline * 3 / 4,
            deadline: self.options.deadline,
            hold: self.options.hold,
        }
    }

    /// Sends samples to RTMP players.
    fn air(&mut self, step: &AiringStep, waiting: &WaitingLoop) {
        let samples = match &step.what {
            SampleOrigin::Live(batch) => batch.samples.clone(),
            SampleOrigin::Waiting(runs) => waiting.cell(step.k).run(runs),
            SampleOrigin::Frozen { runs, since_sync } => waiting.frozen(step.k, runs, since_sync),
        };
        let samples = if step.joins { waiting.joined(&samples) } else { samples };
        self.air.batch(samples, step.begins);
    }

    /// Takes over the connection that the conductor last gave.
    fn connect(&mut self, splicer: &mut Splicer, airing: &mut Airing) -> Option<Live> {
        let connection = self.connection.borrow_and_update().clone();
        splicer.connect(connection.as_ref().map(|connection| &connection.source));
        self.runs += 1;
        let mut live = connection.map(|connection| Live {
            news: connection.news.subscribe(),
            status: connection.status,
            run: Arc::from(format!("{} {}", connection.source, self.runs)),
            source: connection.source,
        });
        airing.connect(live.as_ref().map(|live| &*live.run));
        splicer.source_up(live.as_mut().is_some_and(|live| is_up(&live.status.borrow_and_update())));
        live
    }

    async fn event(
        &mut self,
        live: Option<&mut Live>,
        former: Option<&mut Live>,
        wait: Duration,
        end: &CancellationToken,
    ) -> ChannelEvent {
        let from_live = async {
            let Some(live) = live else { return std::future::pending().await };
            tokio::select! {
                made = live.news.recv() => match made {
                    Ok(LadderNews::Batch(batch)) => ChannelEvent::Batch(batch),
                    Ok(LadderNews::Cell(cell)) => ChannelEvent::Cell(cell),
                    Err(broadcast::error::RecvError::Lagged(count)) => ChannelEvent::Missed(count),
                    Err(broadcast::error::RecvError::Closed) => ChannelEvent::LadderEnded,
                },
                changed = live.status.changed() => if changed.is_ok() { ChannelEvent::Status } else { ChannelEvent::LadderEnded },
            }
        };
        let from_former = async {
            let Some(former) = former else { return std::future::pending().await };
            loop {
                match former.news.recv().await {
                    Ok(LadderNews::Batch(batch)) => return ChannelEvent::FormerBatch(batch),
                    Ok(LadderNews::Cell(_)) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return ChannelEvent::FormerEnded,
                }
            }
        };
        tokio::select! {
            () = end.cancelled() => ChannelEvent::End,
            changed = self.connection.changed() => if changed.is_ok() { ChannelEvent::Connection } else { ChannelEvent::End },
            event = from_live => event,
            event = from_former => event,
            () = tokio::time::sleep(wait) => ChannelEvent::Time,
        }
    }

    fn publish(&mut self, decision: &Decision) {
        let waiting = Arc::clone(&self.waiting.borrow());
        let mut cell = match &decision.choice {
            CellChoice::Live(cell) => Arc::clone(cell),
            CellChoice::Waiting => Arc::new(waiting.cell(decision.k)),
        };
        if decision.swapped {
            cell = Arc::new(waiting.joined(&cell));
        }
        let segments = self.window.rungs().map(|rung| segment(rung, &cell)).collect();
        if let Err(error) = self.window.push(decision.k, segments) {
            warn!(channel = self.name.as_str(), k = %decision.k, %error, "cell not published");
        }
        self.published = Some(decision.k);
        self.air.push(cell);
    }

    fn tell(&self, decision: &Decision, on_air: Option<&SourceName>, live: Option<&Live>) {
        let source = live.map_or("the source", |live| live.source.as_str());
        let reason = match decision.why {
            Why::Live => format!("{source} is connected and delivers"),
            Why::NotConnected => "no source is connected".to_owned(),
            Why::SourceDown => live.map_or_else(
                || "the ladder has ended".to_owned(),
                |live| down_because(source, &live.status.borrow()),
            ),
            Why::CellMissed => format!("{source} is up, its pictures did not come in time"),
            Why::Damped => format!("{source} was lost a moment ago and is given time to settle"),
        };
        if decision.swapped {
            info!(channel = self.name.as_str(), k = %decision.k, on_air = on_air.map_or("waiting loop", SourceName::as_str), reason, "swap");
        }
        let since = self.clocks.to_wall(self.options.grid.start(decision.k));
        self.matrix.on_air(&self.name, OnAir { source: on_air.cloned(), reason, since });
    }
}

fn is_up(status: &SourceStatus) -> bool {
    status.state == SourceState::Live
}

fn down_because(source: &str, status: &SourceStatus) -> String {
    let state = match status.state {
        SourceState::Idle => "is idle",
        SourceState::Connecting => "is being connected",
        SourceState::Live | SourceState::Undecodable => "has just come up",
        SourceState::Stalled => "has stalled",
        SourceState::Refused => "refuses us",
        SourceState::BackingOff => "is down and will be tried again",
    };
    let colon = if status.reason.is_empty() { "" } else { ": " };
    format!("{source} {state}{colon}{}", status.reason)
}

fn segment(rung: &PublishedRung, cell: &CodedCell) -> Segment {
    let index = rung.tracks().video_index.filter(|_| rung.picture().is_some());
    let video = index.and_then(|index| cell.video.get(index));
    fmp4::segment(cell.k, video, rung.sound().map(|_| &cell.audio))
}

/// The splicer's options from the configuration of a channel.
pub(super) fn options(channel: &amphi_config::Channel, grid: Grid, window: usize) -> SplicerOptions {
    SplicerOptions {
        grid,
        deadline: Duration::from_millis(u64::from(channel.live_deadline_ms)),
        hold: Duration::from_millis(u64::from(channel.hold_ms)),
        window,
    }
}
