//! [`AuditLog`], the handle that records entries, and [`Writer`], the task that writes them to the files.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use amphi_media::Lock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Entry;
use super::file::{FILE_BYTES, Files};
use amphi_media::meter::Note;
use amphi_media::retry::Retry;

/// The number of latest entries in memory.
pub const KEPT: usize = 1000;
/// Entries that may wait to be written.
const QUEUE: usize = 1024;
/// The first wait after a write that failed; it doubles up to [`RARELY`].
const TRY_AGAIN: Duration = Duration::from_secs(1);
const RARELY: Duration = Duration::from_secs(60);

/// Records entries. Clones share the log.
#[derive(Clone, Debug)]
pub struct AuditLog {
    kept: Arc<Lock<VecDeque<Entry>>>,
    queue: mpsc::Sender<Entry>,
    unsaved: Arc<Note>,
}

/// Opens the log in `directory` with its latest entries. The writer is run until the last handle is dropped, and again after a
/// panic. Reads the files before it returns.
pub fn prepare(directory: &Path) -> (AuditLog, AuditWriter) {
    let files = Arc::new(Files::new(directory, FILE_BYTES));
    let before = files.load();
    let latest = before.len().saturating_sub(KEPT);
    let kept = Arc::new(Lock::new(before.into_iter().skip(latest).collect()));
    let (queue, entries) = mpsc::channel(QUEUE);
    let unsaved = Arc::<Note>::default();
    let log = AuditLog { kept, queue, unsaved: Arc::clone(&unsaved) };
    let retry = Retry::new(TRY_AGAIN, RARELY);
    (log, AuditWriter { files, entries, waiting: VecDeque::new(), writing: None, retry, unsaved })
}

/// Entries that are written together.
type EntryBatch = Arc<VecDeque<Entry>>;

/// Writes recorded entries to the files.
#[derive(Debug)]
pub struct AuditWriter {
    files: Arc<Files>,
    entries: mpsc::Receiver<Entry>,
    waiting: VecDeque<Entry>,
    /// The batch that is being written; kept here so that it survives a panic of [`Writer::run`].
    writing: Option<(EntryBatch, JoinHandle<io::Result<()>>)>,
    retry: Retry,
    unsaved: Arc<Note>,
}

impl AuditWriter {
    /// Writes until the last handle is dropped. A write that fails is repeated.
    pub async fn run(&mut self) {
        let mut more = Vec::new();
        // Entries that an earlier run has left.
        if self.writing.is_some() || !self.waiting.is_empty() {
            self.write().await;
        }
        loop {
            let again = self.retry.wait(now());
            let came = tokio::select! {
                came = self.entries.recv_many(&mut more, QUEUE) => came,
                () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => usize::MAX,
            };
            self.waiting.extend(more.drain(..));
            while self.waiting.len() > KEPT {
                self.waiting.pop_front();
            }
            // At the end, one last attempt is made without waiting.
            let is_due = self.retry.wait(now()).is_none_or(|wait| wait.is_zero()) || came == 0;
            if is_due && !self.waiting.is_empty() {
                self.write().await;
            }
            if came == 0 {
                return;
            }
        }
    }

    async fn write(&mut self) {
        let (files, waiting) = (Arc::clone(&self.files), &mut self.waiting);
        let (_, writing) = self.writing.get_or_insert_with(|| {
            let batch = Arc::new(std::mem::take(waiting));
            let written = Arc::clone(&batch);
            (batch, tokio::task::spawn_blocking(move || files.append(&*written)))
        });
        let written = writing.await.unwrap_or_else(|panic| Err(panic.into()));
        let Some((batch, _)) = self.writing.take() else { return };
        match written {
            Ok(()) if self.retry.worked() => {
                self.unsaved.clear();
                tracing::info!("the audit log is written again");
            }
            Ok(()) => {}
            Err(error) => {
                let later = std::mem::take(&mut self.waiting);
                self.waiting = batch.iter().cloned().chain(later).collect();
                if self.retry.wait(now()).is_none() {
                    tracing::error!(%error, "the audit log cannot be written; trying again until it can");
                }
                self.retry.failed(now());
                self.unsaved.set(&format!(
                    "the audit log cannot be written, its last {KEPT} entries are in memory only: {error}"
                ));
            }
        }
    }
}

/// The time of tokio's clock, which tests can move.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl AuditLog {
    /// A log without files: the latest entries are kept in memory.
    pub fn in_memory() -> Self {
        Self { kept: Arc::default(), queue: mpsc::channel(1).0, unsaved: Arc::default() }
    }

    /// Records an entry, also as a line of the server's log. Never waits and never fails.
    pub fn record(&self, entry: Entry) {
        let (who, what) = (&entry.who, entry.what);
        tracing::info!(
            who,
            ?what,
            channel = entry.channel.as_deref(),
            source = entry.source.as_deref(),
            refused = entry.refused,
            "audit"
        );
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(entry.clone()) {
            tracing::warn!("an entry of the audit log is kept in memory only: too many wait to be written");
        }
        let mut kept = self.kept.lock();
        kept.push_back(entry);
        while kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// Set while the log cannot be written: a sentence with the reason.
    pub fn unsaved(&self) -> Arc<Note> {
        Arc::clone(&self.unsaved)
    }

    /// The last `limit` entries, newest first.
    pub fn latest(&self, limit: usize) -> Vec<Entry> {
        let kept = self.kept.lock();
        kept.iter().rev().take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Action;
    use super::*;
    use amphi_media::MediaTime;

    fn open(directory: &Path) -> (AuditLog, JoinHandle<()>) {
        let (log, mut writer) = prepare(directory);
        (log, tokio::spawn(async move { writer.run().await }))
    }

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

    #[tokio::test]
    async fn what_a_broken_run_was_writing_is_written_once() {
        let home = tempfile::tempdir().expect("a directory");
        let (log, mut writer) = prepare(home.path());
        log.record(entry(0));
        let broken = tokio::time::timeout(Duration::ZERO, writer.run()).await;
        assert!(broken.is_err(), "it broke off, mostly while it wrote");
        log.record(entry(1));
        drop(log);
        writer.run().await;
        assert_eq!(Files::new(home.path(), FILE_BYTES).load(), [entry(0), entry(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_written_is_written_when_it_can_be() {
        let home = tempfile::tempdir().expect("a directory");
        let place = home.path().join("state");
        std::fs::write(&place, "a file where the directory should be").expect("written");
        let (log, writing) = open(&place);
        for number in 0..3 {
            log.record(entry(number));
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
        assert!(log.unsaved().get().is_some());
        std::fs::remove_file(&place).expect("removed");
        while log.unsaved().get().is_some() {
            tokio::time::sleep(RARELY).await;
        }
        let read = || Files::new(&place, FILE_BYTES).load();
        assert_eq!(read(), [entry(0), entry(1), entry(2)]);
        std::fs::remove_dir_all(&place).expect("removed");
        std::fs::write(&place, "again").expect("written");
        log.record(entry(3));
        tokio::time::sleep(Duration::from_secs(1)).await;
        std::fs::remove_file(&place).expect("removed");
        drop(log);
        writing.await.expect("it ends with its handles");
        assert_eq!(read(), [entry(3)], "the last try is at the end");
    }
}
