//! The conductor: carries out what the matrix says. It wakes sources that are wanted, runs one ladder per connected
//! source, and tells each channel where its cells come from.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info_span, warn};

use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use super::stopping::Stopping;
use amphi_control::matrix::{MatrixHandle, MatrixView};
use amphi_ladder::{LadderNews, LadderSpec, LiveLadder, openh264};
use amphi_media::clock::{Clock, Leap};
use amphi_runtime::log;
use amphi_runtime::tasks::{Pauses, Tasks};

use super::connection::LadderConnection;
use super::holds::Holds;
use super::inventory::{ChannelEntry, Inventory, SourceEntry};
use super::ladders::{LadderKey, LadderState, Ladders};

/// Batches and cells that may wait for a channel's task; beyond that the oldest are dropped.
const NEWS_QUEUE: usize = 256;
/// How often the ladders are looked at.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// A running ladder, and the connection that channels get its cells from.
struct RunningLadder {
    ladder: LiveLadder,
    spec: Arc<LadderSpec>,
    connection: LadderConnection,
    since: Instant,
}

/// Starts the conductor's task. Its ladders end with its stage.
pub(super) fn spawn(shared: &ServerContext, stage: &mut Stage) {
    warn_without_assembler();
    let conductor = Conductor {
        inventory: shared.inventory.clone(),
        matrix: shared.matrix.clone(),
        running: shared.ladders.clone(),
        holds: shared.holds.clone(),
        tasks: shared.tasks.clone(),
        ladders: RunningLadders::default(),
        clock: Arc::clone(&shared.clocks.media),
    };
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("conductor").needed(), conductor, move |it| Box::pin(it.run(end.clone())));
}

struct Conductor {
    inventory: watch::Receiver<Arc<Inventory>>,
    matrix: MatrixHandle,
    running: Ladders,
    /// Sources that are looked at although no channel wants them.
    holds: Holds,
    tasks: Tasks,
    ladders: RunningLadders,
    clock: Arc<dyn Clock>,
}

/// The running ladders, and how long those that panicked rest. A run of the conductor that panics leaves them to the next
/// one.
#[derive(Default)]
struct RunningLadders {
    all: BTreeMap<LadderKey, RunningLadder>,
    rests: BTreeMap<LadderKey, Rest>,
    stopping: Stopping,
}

struct Rest {
    pauses: Pauses,
    until: Instant,
}

impl Conductor {
    /// Works until `end`, then stops the ladders.
    async fn run(&mut self, end: CancellationToken) {
        let mut views = self.matrix.watch();
        let mut held = self.holds.watch();
        let mut falls = self.tasks.falls();
        let mut leap = Leap::default();
        loop {
            let view = views.borrow_and_update().clone();
            let inventory = self.inventory.borrow_and_update().clone();
            self.ladders.bury();
            if leap.has_come(&*self.clock) {
                // After a leap of media time the ladders are in the middle of cells that are long over.
                self.ladders.stop_all();
            }
            self.apply(&inventory, &view);
            tokio::select! {
                () = end.cancelled() => break,
                changed = views.changed() => if changed.is_err() { break },
                changed = self.inventory.changed() => if changed.is_err() { break },
                changed = held.changed() => if changed.is_err() { break },
                _ = falls.changed() => {}
                () = tokio::time::sleep(LOOK_AFTER) => {}
            }
        }
        self.ladders.stop_all();
        // Waits also for those that were being stopped already.
        self.ladders.stopping.ended().await;
    }

    fn apply(&mut self, inventory: &Inventory, view: &MatrixView) {
        for (name, source) in &inventory.sources {
            let wanted = source.keep_open || view.wanted(name) || self.holds.contains(name);
            source.wanted.send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
        }
        let mut needed = BTreeSet::new();
        for (name, channel) in &inventory.channels {
            let desired = view.channel(name).and_then(|channel| channel.desired.source.as_ref());
            let connection = desired.and_then(|source| {
                let LadderSpec { name, patience, .. } = &*channel.spec;
                let key = LadderKey { source: source.clone(), ladder: name.clone(), patience: *patience };
                let entry = inventory.sources.get(source)?;
                let connection = self.ladder(&key, entry, channel)?;
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
        let RunningLadders { all: ladders, rests, stopping } = &mut self.ladders;
        self.running
            .keep(|key| needed.contains(key) || !ladders.contains_key(key) && view.wanted(&key.source));
        rests.retain(|key, _| {
            let may_come = needed.contains(key) || view.wanted(&key.source);
            if !may_come {
                self.tasks.give_up(&format!("ladder {} ", key.source));
            }
            may_come
        });
        let idle: Vec<_> = ladders.keys().filter(|key| !needed.contains(*key)).cloned().collect();
        for key in idle {
            if let Some(idle) = ladders.remove(&key) {
                stop(stopping, &key, idle);
            }
        }
    }

    /// The connection to the running ladder of this key, which is started if need be. If it cannot start, that is logged as an
    /// error, and the channel stays on its waiting loop.
    fn ladder(
        &mut self,
        key: &LadderKey,
        source: &SourceEntry,
        channel: &ChannelEntry,
    ) -> Option<LadderConnection> {
        let RunningLadders { all: ladders, rests, stopping } = &mut self.ladders;
        // If the specification differs, a reload has changed the ladder.
        if let Some(running) = ladders.get(key).filter(|running| running.spec == channel.spec) {
            return Some(running.connection.clone());
        }
        if rests.get(key).is_some_and(|rest| Instant::now() < rest.until) {
            return None;
        }
        let news = broadcast::Sender::new(NEWS_QUEUE);
        let sink = {
            let news = news.clone();
            move |made: LadderNews| {
                // It fails if there is no receiver, because the channel has just been disconnected.
                let _ = news.send(made);
            }
        };
        let start = || {
            let (input, clock) = (source.feed.subscribe(), Arc::clone(&self.clock));
            let tracks = channel.waiting.tracks();
            LiveLadder::start_among(&self.tasks, &key.source, &channel.spec, tracks, input, clock, sink)
        };
        // A panic in one hall's ladder must not disturb the others.
        let started = match std::panic::catch_unwind(AssertUnwindSafe(start)) {
            Ok(started) => started.map_err(|error| error.to_string()),
            Err(panic) => {
                let why = log::why(&*panic);
                rest(rests, key, Duration::ZERO);
                Err(format!("internal error: {why}"))
            }
        };
        match started {
            Ok(ladder) => {
                let connection =
                    LadderConnection { source: key.source.clone(), news, status: source.status.clone() };
                self.running.set(key, LadderState::Runs(Arc::clone(ladder.meter())));
                let spec = Arc::clone(&channel.spec);
                let before = ladders.insert(
                    key.clone(),
                    RunningLadder { ladder, spec, connection: connection.clone(), since: Instant::now() },
                );
                if let Some(before) = before {
                    stop(stopping, key, before);
                }
                Some(connection)
            }
            Err(error) => {
                error!(source = key.source.as_str(), ladder = key.ladder, error, "the ladder does not start");
                self.running.set(key, LadderState::Fails(error));
                None
            }
        }
    }
}

impl RunningLadders {
    fn stop_all(&mut self) {
        while let Some((key, running)) = self.all.pop_first() {
            stop(&mut self.stopping, &key, running);
        }
    }

    /// Removes ladders that have ended by a panic, so that they are started again.
    fn bury(&mut self) {
        let Self { all, rests, stopping } = self;
        stopping.reap();
        all.retain(|key, running| {
            let ended = running.ladder.has_ended();
            if ended {
                let pause = rest(rests, key, running.since.elapsed());
                let again_in_ms = pause.as_millis() as u64;
                let (source, ladder) = (key.source.as_str(), &key.ladder);
                error!(source, ladder, again_in_ms, "the ladder has ended by itself and is started again");
            }
            !ended
        });
    }
}

/// Ends a ladder without blocking the runtime.
fn stop(stopping: &mut Stopping, key: &LadderKey, running: RunningLadder) {
    let span = info_span!(parent: None, "source", name = %key.source, ladder = key.ladder);
    stopping.begin(span, move || running.ladder.join());
}

/// Notes that a ladder has ended after running for `run`; returns how long it rests before it is started again.
fn rest(rests: &mut BTreeMap<LadderKey, Rest>, key: &LadderKey, run: Duration) -> Duration {
    let now = Instant::now();
    let rest = rests.entry(key.clone()).or_insert_with(|| Rest { pauses: Pauses::default(), until: now });
    let pause = rest.pauses.after(run);
    rest.until = now + pause;
    pause
}

/// Warns that a build without assembler needs more CPU.
fn warn_without_assembler() {
    if !openh264::ASSEMBLER {
        warn!(
            "built without nasm: decoding costs 1.2 to 1.5 times the CPU, encoding 2.1 to 2.5 times; install nasm, run \
             cargo clean -p openh264-sys2 and build again"
        );
    }
}
