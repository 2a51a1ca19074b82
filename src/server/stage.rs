//! Stages: tasks that end together, each supervised.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, error, info_span, warn};

use crate::tasks::{Tasks, Until};

/// Tasks that end together.
pub(super) struct Stage {
    name: &'static str,
    list: Tasks,
    pub(super) end: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

/// What a supervised task is called, and what depends on it.
pub(super) struct Job {
    name: String,
    needed: bool,
    span: Span,
}

impl Job {
    /// A task of this name.
    pub(super) fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { span: info_span!(parent: None, "task", name = %name), name, needed: false }
    }

    /// The task `part` of what is called `name`; its lines stand under the latter.
    pub(super) fn of(part: &str, name: &str, span: Span) -> Self {
        Self { name: format!("{part} {name}"), needed: false, span }
    }

    /// Viewers miss it at once.
    pub(super) fn needed(self) -> Self {
        Self { needed: true, ..self }
    }
}

impl Stage {
    pub(super) fn new(name: &'static str, list: &Tasks) -> Self {
        Self { name, list: list.clone(), end: CancellationToken::new(), tasks: Vec::new() }
    }

    /// Runs `work` on `state` until the stage ends, and again if it breaks off.
    pub(super) fn supervise<S, W>(&mut self, job: Job, state: S, work: W)
    where
        S: Send + 'static,
        W: for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()> + Send + 'static,
    {
        self.supervise_mending(job, state, work, |_, _| {});
    }

    /// As [`Stage::supervise`]; `mend` puts the state right before each new run, and hears why the last one broke off.
    pub(super) fn supervise_mending<S, W>(
        &mut self,
        job: Job,
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

    /// As [`Stage::supervise`] for work that ends when nobody has any for it.
    pub(super) fn supervise_until_done<S, W>(&mut self, job: Job, state: S, work: W)
    where
        S: Send + 'static,
        W: for<'a> FnMut(&'a mut S) -> BoxFuture<'a, ()> + Send + 'static,
    {
        self.run(job, Until::Done, state, work, |_, _| {});
    }

    fn run<S, W>(
        &mut self,
        Job { name, needed, span }: Job,
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
        self.end.cancel();
        let all = async {
            for task in self.tasks {
                if let Err(error) = task.await {
                    error!(stage = self.name, %error, "a task did not end well");
                }
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            warn!(stage = self.name, "not ended in time; left behind");
        }
        debug!(stage = self.name, "ended");
    }
}
