//! Computes costly answers (posters, cut segments) on a few threads of low priority, fed by a bounded queue.
//!
//! The threads that serve live viewers never compute such an answer, and neither do tokio's blocking threads, on which
//! ladders are joined and state is saved. A caller that waits for an answer holds a oneshot channel and no thread.
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | threads | half the processors, one to four, at nice 10: what is live comes first | jobs wait |
//! | jobs, waiting and running | 256 in all, 32 of one address | [`Refused::Busy`]: ask again in a second |
//! | a job that panics | concerns its own caller | [`Refused::Panicked`]; the thread goes on |
//! | a job whose caller has gone | is not started | |
//!
//! What does *not* belong here: anything that waits for storage or a peer. It would block one of few threads.

mod queue;

use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, MutexGuard};
use std::time::{Duration, Instant};

use amphi_media::Lock;
use tokio::sync::oneshot;
use tracing::{Span, error, warn};

use amphi_media::meter::Counter;
use queue::Queue;

/// The address that a job counts for, or `None` for jobs that count only towards the total.
type Asker = Option<IpAddr>;

/// Jobs at once, waiting and running. At 1 to 50 ms each the last one waits for seconds, and players do not wait longer.
const PLACES: usize = 256;
/// Jobs of one address: more than any page asks for, and few enough to leave room for others.
const PER_ADDRESS: usize = 32;
/// Gets about a tenth of the CPU time of a thread of normal priority when both want it.
const NICE: i32 = 10;
/// The least time between two log lines about refusals.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many jobs wait or run, in all or for this address.
    #[error("too many answers are being made at this moment; ask again in a second")]
    Busy,
    /// The job panicked: a bug of ours.
    #[error("the answer could not be made: a fault of this server")]
    Panicked,
}

/// The jobs of a workshop at this moment, and its counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Jobs that wait for a thread now.
    pub waiting: usize,
    /// Jobs that are running now.
    pub running: usize,
    /// Jobs finished since start, those included that panicked or were not wanted any more.
    pub done: u64,
    /// Jobs refused with [`Refused::Busy`] since start.
    pub refused: u64,
    /// Jobs that panicked since start.
    pub panicked: u64,
}

/// Bounds of a workshop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkshopLimits {
    /// The most threads; they are started when there is work.
    pub threads: usize,
    /// The most jobs, waiting and running.
    pub places: usize,
    /// The most of these for one address.
    pub per_address: usize,
}

impl Default for WorkshopLimits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads: (processors / 2).clamp(1, 4), places: PLACES, per_address: PER_ADDRESS }
    }
}

/// Handle of a workshop. Clones share everything; the threads end when the last one is dropped.
#[derive(Clone, Default)]
pub struct Workshop(Arc<WorkshopHandle>);

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Workshop").field(&self.load()).finish()
    }
}

/// Shared by all handles. When it is dropped, the threads end.
struct WorkshopHandle(Arc<Room>);

impl Default for WorkshopHandle {
    fn default() -> Self {
        Self(Arc::new(Room::new(WorkshopLimits::default())))
    }
}

impl Drop for WorkshopHandle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

/// Shared by the threads and the handle.
struct Room {
    plan: WorkshopLimits,
    state: Lock<RoomState>,
    work: Condvar,
    done: Counter,
    refused: Counter,
    panicked: Counter,
}

struct RoomState {
    queue: Queue<IpAddr, Box<dyn Runnable>>,
    threads: usize,
    idle: usize,
    closed: bool,
    /// When a refusal was last logged.
    said: Option<Instant>,
    /// Refusals since then.
    unsaid: u64,
}

/// A job.
trait Runnable: Send {
    /// Whether the caller still waits for the result.
    fn is_wanted(&self) -> bool;
    /// Whose lines these are.
    fn span(&self) -> Span;
    fn run(self: Box<Self>);
}

struct WorkWithResult<F, T> {
    work: F,
    result: oneshot::Sender<T>,
    span: Span,
}

impl<T: Send, F: FnOnce() -> T + Send> Runnable for WorkWithResult<F, T> {
    fn is_wanted(&self) -> bool {
        !self.result.is_closed()
    }

    fn span(&self) -> Span {
        self.span.clone()
    }

    fn run(self: Box<Self>) {
        let Self { work, result, .. } = *self;
        // The caller may have gone: then nobody wants the result.
        let _ = result.send(work());
    }
}

impl Workshop {
    /// A workshop without threads; they are started when there is work.
    pub fn new(plan: WorkshopLimits) -> Self {
        Self(Arc::new(WorkshopHandle(Arc::new(Room::new(plan)))))
    }

    /// Runs `work` on one of the threads and returns its result. `asker` is the address that the job counts for; `None`
    /// counts towards the total only. Cancel safe: a job that has not started by then is skipped.
    pub async fn run<T: Send + 'static>(
        &self,
        asker: Option<IpAddr>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let (result, waiting) = oneshot::channel();
        let span = Span::current();
        self.0.0.put(asker, Box::new(WorkWithResult { work, result, span }))?;
        // A job that panicked leaves no result.
        waiting.await.map_err(|_| Refused::Panicked)
    }

    /// The jobs at this moment, and the counters since start.
    pub fn load(&self) -> Load {
        let Room { done, refused, panicked, .. } = &*self.0.0;
        let (waiting, running) = self.0.0.lock().queue.counts();
        Load { waiting, running, done: done.get(), refused: refused.get(), panicked: panicked.get() }
    }
}

impl Room {
    fn new(plan: WorkshopLimits) -> Self {
        let queue = Queue::new(plan.places, plan.per_address);
        let state = RoomState { queue, threads: 0, idle: 0, closed: false, said: None, unsaid: 0 };
        let (done, refused, panicked) = (Counter::default(), Counter::default(), Counter::default());
        Self { plan, state: Lock::new(state), work: Condvar::new(), done, refused, panicked }
    }

    fn lock(&self) -> MutexGuard<'_, RoomState> {
        self.state.lock()
    }

    fn put(self: &Arc<Self>, asker: Asker, job: Box<dyn Runnable>) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.queue.push(asker, job).is_err() {
            self.refused.increment();
            state.unsaid += 1;
            if state.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
                let count = std::mem::take(&mut state.unsaid);
                state.said = Some(Instant::now());
                drop(state);
                warn!(count, asker = ?asker, "costly answers are refused: too many are waiting");
            }
            return Err(Refused::Busy);
        }
        let (waits, _) = state.queue.counts();
        if state.idle < waits && state.threads < self.plan.threads {
            let (room, name) = (Arc::clone(self), format!("workshop-{}", state.threads));
            match std::thread::Builder::new().name(name).spawn(move || room.serve()) {
                Ok(_) => state.threads += 1,
                // The running threads go on; if there are none, the next job tries to start one again.
                Err(error) => {
                    warn!(%error, threads = state.threads, "a thread for costly answers cannot be started");
                }
            }
        }
        self.work.notify_one();
        Ok(())
    }

    /// The body of a thread: runs jobs until the workshop is dropped.
    fn serve(&self) {
        // On Linux this sets the calling thread's nice value alone (setpriority(2), "C library/kernel differences"). If it is
        // refused, the thread runs with the usual priority.
        let own = rustix::process::getpriority_process(None).unwrap_or(0);
        if let Err(error) = rustix::process::setpriority_process(None, (own + NICE).min(19)) {
            warn!(%error, "a thread for costly answers keeps its usual priority");
        }
        while let Some((asker, job)) = self.next() {
            let span = job.span();
            let _named = span.enter();
            if job.is_wanted() && catch_unwind(AssertUnwindSafe(|| job.run())).is_err() {
                self.panicked.increment();
                error!(asker = ?asker, "a costly answer could not be made: its computation panicked");
            }
            self.done.increment();
            self.lock().queue.done(asker);
        }
    }

    fn next(&self) -> Option<(Asker, Box<dyn Runnable>)> {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.queue.take() {
                return Some(next);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = Lock::wait(&self.work, state);
            state.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use super::*;

    const ASKER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));

    fn workshop(threads: usize) -> Workshop {
        Workshop::new(WorkshopLimits { threads, places: 6, per_address: 3 })
    }

    /// Keeps one thread busy until the sender is dropped.
    async fn busy(workshop: &Workshop) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let at = workshop.clone();
        tokio::spawn(async move {
            let work = move || {
                let _ = begun.send(());
                let _ = held.recv();
            };
            at.run(None, work).await
        });
        has_begun.await.expect("it runs");
        release
    }

    #[tokio::test]
    async fn results_come_back_from_threads_of_its_own() {
        let workshop = workshop(2);
        let name = workshop.run(ASKER, || std::thread::current().name().map(str::to_owned)).await;
        assert!(name.expect("done").expect("named").starts_with("workshop-"));
        let nice = || rustix::process::getpriority_process(None).expect("known");
        let here = nice();
        assert_eq!(workshop.run(None, nice).await, Ok((here + NICE).min(19)));
        assert_eq!(nice(), here, "nobody else's priority has changed");
    }

    #[tokio::test]
    async fn who_asks_beyond_the_bounds_is_told_at_once() {
        let workshop = workshop(1);
        let release = busy(&workshop).await;
        let ask = |asker, number: u32| {
            let workshop = workshop.clone();
            tokio::spawn(async move { workshop.run(asker, move || number).await })
        };
        let waiting: Vec<_> = (0..3).map(|number| ask(ASKER, number)).collect();
        while workshop.load().waiting < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(workshop.run(ASKER, || 9).await, Err(Refused::Busy), "its share is taken");
        let other: Vec<_> = (0..2).map(|number| ask(None, number)).collect();
        while workshop.load().waiting < 5 {
            tokio::task::yield_now().await;
        }
        assert_eq!(workshop.run(None, || 9).await, Err(Refused::Busy), "all are taken");
        assert_eq!(workshop.load().refused, 2);
        drop(release);
        for (number, result) in (0..3).zip(waiting).chain((0..2).zip(other)) {
            assert_eq!(result.await.expect("it ends"), Ok(number));
        }
        assert_eq!(workshop.run(ASKER, || 9).await, Ok(9));
    }

    #[tokio::test]
    async fn a_panic_is_its_askers_and_the_thread_goes_on() {
        let workshop = workshop(1);
        for number in 0..20 {
            let odd = workshop.run(ASKER, move || assert!(number % 2 == 0, "a fault of ours")).await;
            assert_eq!(odd, if number % 2 == 0 { Ok(()) } else { Err(Refused::Panicked) });
        }
        // The thread counts the job after it has sent the answer.
        workshop.run(None, || ()).await.expect("it goes on");
        assert_eq!(workshop.load().panicked, 10);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let workshop = workshop(1);
        let release = busy(&workshop).await;
        let (sender, seen) = mpsc::channel();
        let left = Box::pin(workshop.run(ASKER, move || sender.send(()).is_ok()));
        assert!(futures_util::poll!(left).is_pending(), "it waits, and then its asker leaves");
        drop(release);
        workshop.run(ASKER, || ()).await.expect("done");
        assert!(seen.recv().is_err(), "it was dropped unseen");
    }

    #[tokio::test]
    async fn threads_end_with_the_last_handle() {
        let workshop = workshop(2);
        let room = Arc::downgrade(&workshop.0.0);
        workshop.run(None, || ()).await.expect("done");
        drop(workshop);
        while room.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    }
}
