//! What a running server is asked to do by signals and by its file: to end, or to read its configuration again.
//!
//! SIGINT and SIGTERM ask for an orderly end, a second one ends at once. SIGHUP asks for a reload, and so does the
//! configuration's file when it changes: it is looked at every two seconds, which works on every file system.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// The time between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// End in order.
    End,
    /// Read the configuration again.
    Reload,
}

/// Listens for signals, and looks at a file.
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
    file: PathBuf,
    stamp: Option<FileState>,
    /// A change that was seen once: an editor may still be writing.
    settling: Option<FileState>,
    /// A reload was asked for while the server was starting.
    missed: bool,
}

/// The time of a file's last change, and its length.
type FileState = (SystemTime, u64);

fn stamp(file: &Path) -> Option<FileState> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Signals {
    /// Listens from now on; `file` is the configuration's.
    pub(super) fn new(file: &Path) -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            stamp: stamp(file),
            file: file.to_owned(),
            settling: None,
            missed: false,
        })
    }

    /// Waits for a signal to end. A reload that is asked for meanwhile is kept for [`Signals::next`].
    pub(super) async fn end(&mut self) {
        while self.heard().await != Signal::End {
            self.missed = true;
        }
    }

    /// Waits for the next request.
    pub(super) async fn next(&mut self) -> Signal {
        if std::mem::take(&mut self.missed) {
            return Signal::Reload;
        }
        self.heard().await
    }

    /// Notes that the file is being read for another reason: its present state is not a change any more.
    pub(super) fn seen(&mut self) {
        self.stamp = stamp(&self.file);
        self.settling = None;
    }

    async fn heard(&mut self) -> Signal {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return ending("SIGINT"),
                _ = self.terminate.recv() => return ending("SIGTERM"),
                _ = self.hang_up.recv() => {
                    info!(signal = "SIGHUP", "reading the configuration again");
                    self.stamp = stamp(&self.file);
                    return Signal::Reload;
                }
                () = tokio::time::sleep(LOOK_EVERY) => if self.has_changed() {
                    info!(file = %self.file.display(), "the configuration has changed");
                    return Signal::Reload;
                },
            }
        }
    }

    /// Whether the file differs from the one that was read, and was the same at the last look.
    fn has_changed(&mut self) -> bool {
        let now = stamp(&self.file).filter(|now| Some(*now) != self.stamp);
        let settled = now.is_some() && now == self.settling;
        self.settling = now;
        if settled {
            self.stamp = now;
        }
        settled
    }
}

fn ending(name: &str) -> Signal {
    info!(signal = name, "ending in order; a second signal ends at once");
    end_at_once_next_time();
    Signal::End
}

/// SIGINT and SIGTERM alone.
pub(super) struct EndSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl EndSignals {
    /// Listens from now on, so that a signal that comes while the server starts is not lost.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(super) async fn next(&mut self) {
        let name = tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        };
        ending(name);
    }
}

fn end_at_once_next_time() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        warn!("ended at once by a second signal");
        amphi_runtime::log::flush(amphi_runtime::log::LAST_LINES);
        std::process::exit(1);
    });
}
