//! Supervision of tasks and threads that live as long as the server, or as long as what they serve. None ends unnoticed.
//!
//! A [`Task`] is an entry in the list [`Tasks`], by name. Long-running work takes one and runs under [`Task::supervise`]:
//! a panic, or an end that nobody asked for, is logged with the task's name, counted and shown, and the work is restarted
//! after a pause ([`Pauses`]). The state that the work needs is owned *outside* of it and lent to each run, so it survives a
//! panic. A thread cannot be restarted in place: it calls [`Task::lies`], and its owner starts a new one; the list
//! recognizes it by its name.
//!
//! [`Tasks::strike`] makes a task panic, by name: for tests. Only the demo can call it.
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

/// How long a needed task may be down before the server counts as unhealthy.
pub const MISSED_AFTER: Duration = Duration::from_secs(3);
/// The pause of [`Task::again`].
const AGAIN: Duration = Duration::from_millis(100);

/// All tasks of a server. Clones share the list.
#[derive(Clone)]
pub struct Tasks(Arc<TaskListState>);

struct TaskListState {
    clock: Arc<dyn WallClock>,
    roll: Lock<Roll<Arc<TestBreak>>>,
    /// The number of failures since start.
    falls: watch::Sender<u64>,
}

/// The signal by which [`Tasks::strike`] ends a task.
#[derive(Debug, Default)]
struct TestBreak {
    struck: AtomicBool,
    knock: Notify,
}

/// One running task in the list; dropping this is its normal end.
#[derive(Debug)]
pub struct Task {
    tasks: Tasks,
    name: Arc<str>,
    door: Arc<TestBreak>,
    /// It has failed, and its owner starts a new one: the entry stays.
    lies: bool,
}

/// When the end of a task's work is a normal end, and not a failure.
#[derive(Clone, Debug)]
pub enum Until {
    /// Only once this is cancelled; otherwise the work is restarted.
    Cancelled(CancellationToken),
    /// Always, except by a panic.
    Done,
}

impl Tasks {
    /// An empty list; `clock` tells when tasks fail and restart.
    pub fn new(clock: Arc<dyn WallClock>) -> Self {
        Self(Arc::new(TaskListState { clock, roll: Lock::default(), falls: watch::Sender::default() }))
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.0.clock.now(), steady: Instant::now().into_std() }
    }

    /// Adds a task of this name. `needed`: viewers are affected at once when it is down. Several of one name share an entry.
    pub fn begin(&self, name: impl Into<Arc<str>>, needed: bool) -> Task {
        let name = name.into();
        let now = self.moment();
        let (door, came_back) = self.roll().begin(&name, needed, now);
        if came_back {
            info!(task = &*name, "the task runs again");
        }
        Task { tasks: self.clone(), name, door, lies: false }
    }

    /// All tasks that run or wait for a restart, sorted by name.
    pub fn all(&self) -> Vec<TaskView> {
        self.roll().all()
    }

    /// How often each task was restarted, those that no longer run included.
    pub fn restarts(&self) -> Vec<(Arc<str>, u64)> {
        self.roll().restarts()
    }

    /// Needed tasks that have been down for at least `patience`.
    pub fn missing(&self, patience: Duration) -> Vec<TaskFall> {
        let now = self.moment();
        self.roll().missing(patience, now)
    }

    /// Tasks that are down, or have failed within the last five minutes.
    pub fn fallen(&self) -> Vec<TaskFall> {
        let now = self.moment();
        self.roll().fallen(now)
    }

    /// The number of failures since start; changes whenever a task fails.
    pub fn falls(&self) -> watch::Receiver<u64> {
        self.0.falls.subscribe()
    }

    /// Failed threads whose names begin with `prefix` will not be started again: they no longer count as down.
    pub fn give_up(&self, prefix: &str) {
        self.roll().give_up(prefix);
    }

    /// Makes a task panic, for tests; `false` if none of that name is running.
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
    /// Runs `work` on `state`, and restarts it until it ends as `until` says. After each failed run, `mend` is called with
    /// the reason: it repairs the state and informs others before the next run.
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
                error!(task = &*self.name, "the state of a failed task could not be repaired");
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

    /// Runs `work` once. If it panics, the error is the panic's message and place.
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

    /// After an [`attempt`](Self::attempt) that failed: logs and counts it, and waits 100 ms before the next one may begin.
    pub async fn again(&self, why: &str) {
        self.fell(why, AGAIN);
        tokio::time::sleep(AGAIN).await;
        self.back();
    }

    /// The task has failed, and others take over its work: counts as a restart.
    pub fn gives_back(self, why: &str) {
        self.fell(why, Duration::ZERO);
        self.tasks.roll().back(&self.name, self.tasks.moment());
    }

    /// Runs the body of a thread. After a panic the task is down until [`Tasks::begin`] is called with its name again.
    pub fn thread(mut self, body: impl FnOnce(&Self)) {
        if let Err(payload) = std::panic::catch_unwind(AssertUnwindSafe(|| body(&self))) {
            self.lies(&log::why(&*payload));
        }
    }

    /// The thread has failed, and its owner will start a new one: the task stays down until then.
    pub fn lies(&mut self, why: &str) {
        self.lies = true;
        self.fell(why, Duration::ZERO);
    }

    /// A thread calls this in its loop: [`Tasks::strike`] takes effect here.
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

/// The panic of [`Tasks::strike`].
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
