//! The handle that records, and the task that writes.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Entry;
use super::file::{FILE_BYTES, Files};

/// Entries in memory.
pub const KEPT: usize = 1000;
/// Entries that may wait to be written.
const QUEUE: usize = 1024;

/// Records entries. Clones record into the same log.
#[derive(Clone, Debug)]
pub struct AuditLog {
    kept: Arc<Mutex<VecDeque<Entry>>>,
    queue: mpsc::Sender<Entry>,
}

/// The log in `directory`, with what was recorded before, and the task that writes it, which ends when the last handle is
/// dropped. Call within a tokio runtime; reads the files before it returns.
pub fn open(directory: &Path) -> (AuditLog, JoinHandle<()>) {
    let (log, mut writer) = prepare(directory);
    (log, tokio::spawn(async move { writer.run().await }))
}

/// [`open`] for whoever runs the writer, which is to be run again if it has broken off.
pub fn prepare(directory: &Path) -> (AuditLog, Writer) {
    let files = Arc::new(Files::new(directory, FILE_BYTES));
    let before = files.load();
    let latest = before.len().saturating_sub(KEPT);
    let kept = Arc::new(Mutex::new(before.into_iter().skip(latest).collect()));
    let (queue, entries) = mpsc::channel(QUEUE);
    (AuditLog { kept, queue }, Writer { files, entries, waiting: Vec::new() })
}

/// Writes what is recorded.
#[derive(Debug)]
pub struct Writer {
    files: Arc<Files>,
    entries: mpsc::Receiver<Entry>,
    waiting: Vec<Entry>,
}

impl Writer {
    /// Writes until the last handle is dropped.
    pub async fn run(&mut self) {
        while !self.waiting.is_empty() || self.entries.recv_many(&mut self.waiting, QUEUE).await > 0 {
            let (files, batch) = (Arc::clone(&self.files), std::mem::take(&mut self.waiting));
            let written = tokio::task::spawn_blocking(move || files.append(&batch)).await;
            if let Err(error) = written.unwrap_or_else(|panic| Err(panic.into())) {
                tracing::error!(%error, "the audit log cannot be written");
            }
        }
    }
}

impl AuditLog {
    /// A log that keeps nothing on disk.
    pub fn in_memory() -> Self {
        Self { kept: Arc::default(), queue: mpsc::channel(1).0 }
    }

    /// Records an entry.
    pub fn record(&self, entry: Entry) {
        let (who, what) = (&entry.who, entry.what);
        tracing::info!(
            who,
            ?what,
            channel = entry.channel,
            source = entry.source,
            refused = entry.refused,
            "audit"
        );
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(entry.clone()) {
            tracing::warn!("an entry of the audit log is in memory alone: too many wait to be written");
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(entry);
        while kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// The last `limit` entries, newest first.
    pub fn latest(&self, limit: usize) -> Vec<Entry> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;
    use crate::media::MediaTime;

    fn entry(number: i64) -> Entry {
        Entry::new(MediaTime::from_millis(1_795_000_000_000 + number), "schedule", Action::Connect)
    }

    #[tokio::test]
    async fn what_was_recorded_outlives_a_restart() {
        let home = tempfile::tempdir().expect("a directory");
        let (log, writing) = open(home.path());
        for number in 0..1500 {
            log.record(entry(number));
            if number % 500 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(log.latest(2), [entry(1499), entry(1498)]);
        assert_eq!(log.latest(usize::MAX).len(), KEPT);
        drop(log);
        writing.await.expect("it ends with its handles");
        let (again, _) = open(home.path());
        assert!(again.latest(1)[0].at >= entry(1000).at, "what fitted into the queue is there");
        again.record(entry(2000));
        assert_eq!(again.latest(1), [entry(2000)]);
    }
}
