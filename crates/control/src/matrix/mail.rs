//! The mailbox of reports to the matrix: the latest of each source and channel.
//!
//! Reports come from threads and tasks that handle media, so posting neither waits nor fails. A report
//! that was not read yet is replaced by the next one of the same name: the mailbox holds at most one for each,
//! and the latest one is never lost, which a full queue could not promise.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use amphi_media::{ChannelName, Lock, SourceName};
use tokio::sync::Notify;

use super::status::{OnAir, SourceOutcome, SourceStatus};

#[derive(Debug, Default)]
pub(super) struct Mail {
    reports: Lock<Reports>,
    posted: Notify,
}

/// The content of the mailbox.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// By name of the source, as are `outcomes`.
    pub(super) sources: BTreeMap<SourceName, SourceStatus>,
    pub(super) outcomes: BTreeMap<SourceName, SourceOutcome>,
    /// By name of the channel.
    pub(super) channels: BTreeMap<ChannelName, OnAir>,
}

impl Mail {
    pub(super) fn source_status(&self, source: &SourceName, status: SourceStatus) {
        self.lock().sources.insert(source.clone(), status);
        self.posted.notify_one();
    }

    pub(super) fn source_outcome(&self, source: &SourceName, outcome: SourceOutcome) {
        self.lock().outcomes.insert(source.clone(), outcome);
        self.posted.notify_one();
    }

    pub(super) fn on_air(&self, channel: &ChannelName, on_air: OnAir) {
        self.lock().channels.insert(channel.clone(), on_air);
        self.posted.notify_one();
    }

    /// Waits until something was posted since the last call, then empties the mailbox. Cancel safe: nothing is lost when
    /// the future is dropped.
    pub(super) async fn collect(&self) -> Reports {
        self.posted.notified().await;
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock()
    }
}
