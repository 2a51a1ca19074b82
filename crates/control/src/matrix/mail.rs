//! Reports on their way to the matrix: the latest of each source and channel.
//!
//! Reporters are threads and tasks with media in their hands, so posting neither waits nor fails. A report
//! that was not read yet is replaced by the next one of the same name: the box holds at most one for each,
//! and the last word is never lost, which a full queue could not promise.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use amphi_media::Lock;
use tokio::sync::Notify;

use super::status::{OnAir, SourceOutcome, SourceStatus};

/// The box.
#[derive(Debug, Default)]
pub(super) struct Mail {
    reports: Lock<Reports>,
    posted: Notify,
}

/// What was in it.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// By the source's name.
    pub(super) sources: BTreeMap<String, SourceStatus>,
    /// By the source's name.
    pub(super) outcomes: BTreeMap<String, SourceOutcome>,
    /// By the channel's name.
    pub(super) channels: BTreeMap<String, OnAir>,
}

impl Mail {
    pub(super) fn source_status(&self, source: &str, status: SourceStatus) {
        self.lock().sources.insert(source.to_owned(), status);
        self.posted.notify_one();
    }

    pub(super) fn source_outcome(&self, source: &str, outcome: SourceOutcome) {
        self.lock().outcomes.insert(source.to_owned(), outcome);
        self.posted.notify_one();
    }

    pub(super) fn on_air(&self, channel: &str, on_air: OnAir) {
        self.lock().channels.insert(channel.to_owned(), on_air);
        self.posted.notify_one();
    }

    /// Waits until something was posted since the last time, then empties the box. Nothing is lost when the
    /// wait is given up.
    pub(super) async fn collect(&self) -> Reports {
        self.posted.notified().await;
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock()
    }
}
