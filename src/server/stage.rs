//! Stages: supervised tasks that end together.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, error, info_span, warn};

use amphi_runtime::tasks::{Tasks, Until};

pub(super) struct Stage {
    name: &'static str,
    /// The source, channel or push whose tasks they are.
    of: Option<String>,
    list: Tasks,
    pub(super) end: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// The name of a supervised task, and whether viewers need it.
pub(super) struct TaskSpec {
    name: String,
    needed: bool,
    span: Span,
}

impl TaskSpec {
    /// A task with a span of its own.
    pub(super) fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { span: info_span!(parent: None, "task", name = %name), name, needed: false }
    }

    /// The task `part` of the source, channel or push called `name`; it logs in that one's span.
    pub(super) fn of(part: &str, name: &str, span: Span) -> Self {
        Self { name: format!("{part} {name}"), needed: false, span }
    }

    /// Marks it as needed: without it viewers get nothing, and `/readyz` says so.
    pub(super) fn needed(self) -> Self {
        Self { needed: true, ..self }
    }
}

impl Stage {
    pub(super) fn new(name: &'static str, list: &Tasks) -> Self {
        Self { name, of: None, list: list.clone(), end: CancellationToken::new(), tasks: Vec::new() }
    }

    /// The same with the name of whose tasks they are.
    pub(super) fn of(self, name: &str) -> Self {
        Self { of: Some(name.to_owned()), ..self }
    }

    /// Runs `work` on `state` until the stage ends, and again if it panics or ends early.
    pub(super) fn supervise<S, W>(&mut self, job: TaskSpec, state: S, work: W)
    where
        S: Send + 'static,
        W: for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()> + Send + 'static,
    {
        self.supervise_mending(job, state, work, |_, _| {});
    }

    /// As [`Stage::supervise`]; before each new run `mend` repairs the state, and is told why the last one ended.
    pub(super) fn supervise_mending<S, W>(
        &mut self,
        job: TaskSpec,
        state: S,
        work: W,
        mend: impl FnMut(&mut S, &str) + Send + 'static,
    ) where
        S: Send + 'static,
        W: for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()> + Send + 'static,
    {
        let until = Until::Cancelled(self.end.clone());
        self.run(job, until, state, work, mend);
    }

    /// As [`Stage::supervise`] for work that ends by itself, when its last handle is dropped.
    pub(super) fn supervise_until_done<S, W>(&mut self, job: TaskSpec, state: S, work: W)
    where
        S: Send + 'static,
        W: for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()> + Send + 'static,
    {
        self.run(job, Until::Done, state, work, |_, _| {});
    }

    fn run<S, W>(
        &mut self,
        TaskSpec { name, needed, span }: TaskSpec,
        until: Until,
        state: S,
        work: W,
        mend: impl FnMut(&mut S, &str) + Send + 'static,
    ) where
        S: Send + 'static,
        W: for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()> + Send + 'static,
    {
        let task = self.list.begin(name, needed);
        self.tasks.push(tokio::spawn(task.supervise(state, until, work, mend).instrument(span)));
    }

    pub(super) async fn end(self, patience: Duration) {
        let of = self.of.as_deref();
        self.end.cancel();
        let all = async {
            for task in self.tasks {
                if let Err(error) = task.await {
                    error!(stage = self.name, of, %error, "a task did not end well");
                }
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            warn!(stage = self.name, of, "not ended in time; not waited for any longer");
        }
        debug!(stage = self.name, of, "ended");
    }
}

/// How long the end of the server may take; what takes longer is not waited for.
const ENDING: Duration = Duration::from_millis(4500);
/// How long each stage may take of it.
pub(super) const STAGE_PATIENCE: Duration = Duration::from_millis(2500);
/// The part of it that is reserved for the matrix, which writes its state last.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The time that is left for the end of the server.
pub(super) struct ShutdownBudget(Instant);

impl ShutdownBudget {
    pub(super) fn new() -> Self {
        Self(Instant::now() + ENDING)
    }

    pub(super) fn of_stage(&self) -> Duration {
        STAGE_PATIENCE.min((self.0 - LAST_WORDS).saturating_duration_since(Instant::now()))
    }

    pub(super) fn of_the_last(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stages_that_do_not_end_are_left_behind_within_five_seconds() {
        let begun = Instant::now();
        let patience = ShutdownBudget::new();
        let tasks = Tasks::new(std::sync::Arc::new(amphi_media::clock::MachineClock));
        for name in ["listeners", "sources", "channels", "ladders"] {
            let mut stage = Stage::new(name, &tasks);
            stage.supervise_until_done(TaskSpec::new(name), (), |()| Box::pin(std::future::pending()));
            stage.end(patience.of_stage()).await;
        }
        // The matrix, which does end, still has its time.
        let mut matrix = Stage::new("matrix", &tasks);
        let (written, seen) = tokio::sync::oneshot::channel();
        let end = matrix.end.clone();
        matrix.supervise(TaskSpec::new("matrix"), Some(written), move |written| {
            let end = end.clone();
            Box::pin(async move {
                end.cancelled().await;
                tokio::time::sleep(Duration::from_millis(400)).await;
                let _ = written.take().map(|written| written.send(()));
            })
        });
        matrix.end(patience.of_the_last()).await;
        assert_eq!(seen.await, Ok(()));
        // On a clock that is moved by hand.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
