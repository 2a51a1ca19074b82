//! The conductor: makes the matrix true. It wakes sources that are wanted, runs one ladder per connected
//! source, and tells each channel where its cells come from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock::{Clock, Leap};
use crate::config::{Secret, Transport};
use crate::feed::Publisher;
use crate::ladder::{LadderNews, LadderSpec, LiveLadder, WaitingLoop};
use crate::matrix::{MatrixHandle, MatrixView, SourceStatus};
use crate::source::{Inlet, SourceGauges};

use super::channel_task::Connection;
use super::estate::Inventory;
use super::rehearser::Holds;
use super::watchman::{LadderState, Ladders};

/// Coded cells that a channel's task may be behind.
const NEWS_QUEUE: usize = 256;
/// Between two looks at the ladders' health.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// A source as the conductor sees it.
#[derive(Clone)]
pub(super) struct SourceEntry {
    pub(super) feed: Publisher,
    pub(super) keep_open: bool,
    pub(super) wanted: watch::Sender<bool>,
    pub(super) status: watch::Receiver<SourceStatus>,
    pub(super) gauges: Arc<SourceGauges>,
    /// Where it is pulled from, and how; for a glance at it while it is idle.
    pub(super) url: Secret,
    pub(super) transport: Transport,
    /// Where publishers come in; `None` for a source that is pulled.
    pub(super) inlet: Option<GuardedInlet>,
}

/// An inlet and the key to it.
#[derive(Clone)]
pub(super) struct GuardedInlet {
    pub(super) inlet: Arc<Inlet>,
    pub(super) key: Secret,
}

/// A channel as the conductor sees it.
#[derive(Clone)]
pub(super) struct ChannelEntry {
    pub(super) spec: Arc<LadderSpec>,
    pub(super) waiting: Arc<WaitingLoop>,
    pub(super) connection: watch::Sender<Option<Connection>>,
}

/// A ladder that runs, and where its cells go.
struct RunningLadder {
    ladder: LiveLadder,
    spec: Arc<LadderSpec>,
    connection: Connection,
}

/// Which ladder: channels that show the same source through the same ladder with the same patience share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LadderKey {
    pub(super) source: String,
    pub(super) ladder: String,
    pub(super) patience: Duration,
}

/// See the module's text.
pub(super) struct Conductor {
    pub(super) inventory: watch::Receiver<Arc<Inventory>>,
    pub(super) matrix: MatrixHandle,
    pub(super) running: Ladders,
    /// Sources that are looked at although no channel wants them.
    pub(super) holds: Holds,
    pub(super) clock: Arc<dyn Clock>,
}

impl Conductor {
    /// Works until `end`, then stops the ladders.
    pub(super) async fn run(mut self, end: CancellationToken) {
        let mut views = self.matrix.watch();
        let mut held = self.holds.watch();
        let mut ladders = BTreeMap::<LadderKey, RunningLadder>::new();
        let mut leap = Leap::default();
        loop {
            let view = views.borrow_and_update().clone();
            let inventory = self.inventory.borrow_and_update().clone();
            bury(&mut ladders);
            if leap.has_come(&*self.clock) {
                // They are in the middle of cells that are long over.
                tokio::spawn(stop(std::mem::take(&mut ladders).into_values().collect()));
            }
            self.apply(&inventory, &view, &mut ladders);
            tokio::select! {
                () = end.cancelled() => break,
                changed = views.changed() => if changed.is_err() { break },
                changed = self.inventory.changed() => if changed.is_err() { break },
                changed = held.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(LOOK_AFTER) => {}
            }
        }
        let running: Vec<RunningLadder> = ladders.into_values().collect();
        stop(running).await;
    }

    fn apply(
        &self,
        inventory: &Inventory,
        view: &MatrixView,
        ladders: &mut BTreeMap<LadderKey, RunningLadder>,
    ) {
        for (name, source) in &inventory.sources {
            let wanted = source.keep_open || view.wanted(name) || self.holds.contains(name);
            source.wanted.send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
        }
        let mut needed = BTreeSet::new();
        for (name, channel) in &inventory.channels {
            let desired = view.channel(name).and_then(|channel| channel.desired.source.as_deref());
            let connection = desired.and_then(|source| {
                let LadderSpec { name, patience, .. } = &*channel.spec;
                let key = LadderKey { source: source.to_owned(), ladder: name.clone(), patience: *patience };
                let entry = inventory.sources.get(source)?;
                let connection = self.ladder(&key, entry, channel, ladders)?;
                needed.insert(key);
                Some(connection)
            });
            channel.connection.send_if_modified(|now| {
                let same = match (&*now, &connection) {
                    (Some(one), Some(two)) => one.is(two),
                    (None, None) => true,
                    _ => false,
                };
                if !same {
                    *now = connection;
                }
                !same
            });
        }
        self.running.keep(|key| needed.contains(key) || !ladders.contains_key(key) && wanted(view, key));
        let idle: Vec<_> = ladders.keys().filter(|key| !needed.contains(*key)).cloned().collect();
        let idle: Vec<_> = idle.iter().filter_map(|key| ladders.remove(key)).collect();
        if !idle.is_empty() {
            tokio::spawn(stop(idle));
        }
    }

    /// The running ladder of this key, started if need be. A ladder that cannot start is said loudly; the
    /// channel stays on its waiting loop.
    fn ladder(
        &self,
        key: &LadderKey,
        source: &SourceEntry,
        channel: &ChannelEntry,
        ladders: &mut BTreeMap<LadderKey, RunningLadder>,
    ) -> Option<Connection> {
        // Another specification under the same name: the ladder was changed by a reload.
        if let Some(running) = ladders.get(key).filter(|running| running.spec == channel.spec) {
            return Some(running.connection.clone());
        }
        let news = broadcast::Sender::new(NEWS_QUEUE);
        let sink = {
            let news = news.clone();
            move |made: LadderNews| {
                // No receiver: the channel has just been disconnected.
                let _ = news.send(made);
            }
        };
        let started = LiveLadder::start(
            &key.source,
            &channel.spec,
            channel.waiting.tracks(),
            source.feed.subscribe(),
            Arc::clone(&self.clock),
            sink,
        );
        match started {
            Ok(ladder) => {
                let connection =
                    Connection { source: key.source.clone(), news, status: source.status.clone() };
                self.running.set(key, LadderState::Runs(Arc::clone(ladder.meter())));
                let spec = Arc::clone(&channel.spec);
                let before = ladders
                    .insert(key.clone(), RunningLadder { ladder, spec, connection: connection.clone() });
                if let Some(before) = before {
                    tokio::spawn(stop(vec![before]));
                }
                Some(connection)
            }
            Err(error) => {
                error!(source = key.source, ladder = key.ladder, %error, "the ladder does not start");
                self.running.set(key, LadderState::Fails(error.to_string()));
                None
            }
        }
    }
}

/// Some channel should show the source, whose ladder may have failed.
fn wanted(view: &MatrixView, key: &LadderKey) -> bool {
    view.wanted(&key.source)
}

/// Forgets ladders that a panic has ended, so that they are started again.
fn bury(ladders: &mut BTreeMap<LadderKey, RunningLadder>) {
    ladders.retain(|key, running| {
        let ended = running.ladder.has_ended();
        if ended {
            error!(
                source = key.source,
                ladder = key.ladder,
                "the ladder has ended by itself and is started again"
            );
        }
        !ended
    });
}

/// Ends ladders without holding up the runtime.
async fn stop(ladders: Vec<RunningLadder>) {
    let joined = tokio::task::spawn_blocking(move || {
        for running in ladders {
            running.ladder.join();
        }
    });
    if joined.await.is_err() {
        error!("a ladder could not be ended");
    }
}
