//! Tasks and threads that live as long as the server, or as long as what they serve: none ends unseen.
//!
//! A [`Task`] is one place on the [`Tasks`] list, by name. Whoever runs something for long takes it and has it
//! [`Task::supervise`]d: a panic or an end that nobody asked for is caught, logged with the task's name, counted and shown,
//! and the work begins again after a pause ([`Pauses`]). The state that the work needs is owned *outside* of it and lent
//! to each run, so it survives. Threads, which cannot be begun again where they stand, say [`Task::lies`] and are
//! started anew by whoever started them; the list remembers them by their name.
//!
//! [`Tasks::strike`] ends a task by name, as a panic of its own would: for tests. Nothing but the demo calls it.
//!
//! What does *not* belong here: what a task does, and what its end means to others.

mod pauses;
mod roll;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use amphi_media::Lock;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub use pauses::Pauses;
pub use roll::{TaskFall, TaskState, TaskView};

use crate::log;
use amphi_media::clock::WallClock;
use roll::{Moment, Roll};

/// A task that viewers need is missed when it has been down for so long.
pub const MISSED_AFTER: Duration = Duration::from_secs(3);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(100);

/// All tasks of a server. Clones share the list.
#[derive(Clone)]
pub struct Tasks(Arc<TaskListState>);

struct TaskListState {
    clock: Arc<dyn WallClock>,
    roll: Lock<Roll<Arc<TestBreak>>>,
    /// How many have fallen.
    falls: watch::Sender<u64>,
}

/// By which a task is ended in tests.
#[derive(Debug, Default)]
struct TestBreak {
    struck: AtomicBool,
    knock: Notify,
}

/// One task's place on the list, until it is dropped.
#[derive(Debug)]
pub struct Task {
    tasks: Tasks,
    name: Arc<str>,
    door: Arc<TestBreak>,
    /// It has fallen, and whoever started it starts it anew.
    lies: bool,
}

/// What the end of a task's work means.
#[derive(Clone, Debug)]
pub enum Until {
    /// It may end when this is cancelled; else it begins again.
    Cancelled(CancellationToken),
    /// It ends when it has nothing left to do.
    Done,
}

impl Tasks {
    /// An empty list.
    pub fn new(clock: Arc<dyn WallClock>) -> Self {
        Self(Arc::new(TaskListState { clock, roll: Lock::default(), falls: watch::Sender::default() }))
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.0.clock.now(), steady: Instant::now().into_std() }
    }

    /// A place for a task of this name. `needed`: viewers miss it at once. Several of one name share a place.
    pub fn begin(&self, name: impl Into<Arc<str>>, needed: bool) -> Task {
        let name = name.into();
        let now = self.moment();
        let (door, came_back) = self.roll().begin(&name, needed, now);
        if came_back {
            info!(task = &*name, "the task runs again");
        }
        Task { tasks: self.clone(), name, door, lies: false }
    }

    /// All tasks, by name.
    pub fn all(&self) -> Vec<TaskView> {
        self.roll().all()
    }

    /// How often each task has begun again, those that run no more included.
    pub fn restarts(&self) -> Vec<(Arc<str>, u64)> {
        self.roll().restarts()
    }

    /// Tasks that viewers need and that have been down for so long, with why.
    pub fn missing(&self, patience: Duration) -> Vec<TaskFall> {
        let now = self.moment();
        self.roll().missing(patience, now)
    }

    /// Tasks that have fallen of late, each with a sentence.
    pub fn fallen(&self) -> Vec<TaskFall> {
        let now = self.moment();
        self.roll().fallen(now)
    }

    /// Changes whenever a task falls.
    pub fn falls(&self) -> watch::Receiver<u64> {
        self.0.falls.subscribe()
    }

    /// Nobody starts those anew that lie and whose names begin so.
    pub fn give_up(&self, prefix: &str) {
        self.roll().give_up(prefix);
    }

    /// Ends a task by a panic, for tests; `false` where there is none of that name.
    pub fn strike(&self, name: &str) -> bool {
        let Some(door) = self.roll().door(name) else { return false };
        door.struck.store(true, Ordering::Release);
        door.knock.notify_one();
        true
    }

    fn roll(&self) -> MutexGuard<'_, Roll<Arc<TestBreak>>> {
        self.0.roll.lock()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tasks")
    }
}

impl Task {
    /// Runs `work` on `state`, again and again, until its end. `mend` is told why a run ended, before the next one: there
    /// the state is put right, and others are told.
    pub async fn supervise<S, W>(
        self,
        mut state: S,
        until: Until,
        mut work: W,
        mut mend: impl FnMut(&mut S, &str),
    ) where
        W: for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()>,
    {
        let mut pauses = Pauses::default();
        loop {
            let begun = Instant::now();
            let ended = self.attempt(async { work(&mut state).await }).await;
            let is_asked = match &until {
                Until::Cancelled(end) => end.is_cancelled(),
                Until::Done => ended.is_ok(),
            };
            if is_asked {
                return;
            }
            let why = ended.err().unwrap_or_else(|| "it ended by itself".to_owned());
            let pause = pauses.after(begun.elapsed());
            self.fell(&why, pause);
            if std::panic::catch_unwind(AssertUnwindSafe(|| mend(&mut state, &why))).is_err() {
                error!(task = &*self.name, "what the task leaves could not be put right");
            }
            match &until {
                Until::Cancelled(end) => tokio::select! {
                    () = end.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                },
                Until::Done => tokio::time::sleep(pause).await,
            }
            self.back();
        }
    }

    /// Runs `work` once; a panic in it is what it gives.
    pub async fn attempt<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        let work = async {
            tokio::select! {
                biased;
                never = self.struck() => never,
                done = work => done,
            }
        };
        AssertUnwindSafe(work).catch_unwind().await.map_err(|payload| log::why(&*payload))
    }

    /// After an attempt that has failed: it is said and counted, and the next one may begin.
    pub async fn again(&self, why: &str) {
        self.fell(why, AGAIN);
        tokio::time::sleep(AGAIN).await;
        self.back();
    }

    /// It has fallen, and what it was to do has gone to others.
    pub fn gives_back(self, why: &str) {
        self.fell(why, Duration::ZERO);
        self.tasks.roll().back(&self.name, self.tasks.moment());
    }

    /// Runs the body of a thread. After a panic the task lies until it is begun again under its name.
    pub fn thread(mut self, body: impl FnOnce(&Self)) {
        if let Err(payload) = std::panic::catch_unwind(AssertUnwindSafe(|| body(&self))) {
            self.lies(&log::why(&*payload));
        }
    }

    /// It has fallen, and whoever started it starts it anew.
    pub fn lies(&mut self, why: &str) {
        self.lies = true;
        self.fell(why, Duration::ZERO);
    }

    /// A thread comes by: here it is ended by [`Tasks::strike`].
    pub fn pass(&self) {
        if self.door.struck.load(Ordering::Relaxed) && self.door.struck.swap(false, Ordering::AcqRel) {
            struck();
        }
    }

    async fn struck<T>(&self) -> T {
        while !self.door.struck.swap(false, Ordering::AcqRel) {
            self.door.knock.notified().await;
        }
        struck()
    }

    fn fell(&self, why: &str, pause: Duration) {
        let again_in_ms = pause.as_millis() as u64;
        error!(task = &*self.name, why, again_in_ms, "a task has ended and is started again");
        let now = self.tasks.moment();
        self.tasks.roll().fell(&self.name, why, now);
        self.tasks.0.falls.send_modify(|falls| *falls += 1);
    }

    fn back(&self) {
        let now = self.tasks.moment();
        self.tasks.roll().back(&self.name, now);
        info!(task = &*self.name, "the task runs again");
    }
}

/// As a fault of the task's own would.
fn struck() -> ! {
    panic!("it was told to panic")
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.lies {
            self.tasks.roll().end(&self.name);
        }
    }
}

#[cfg(test)]
mod tests;
