//! The thread that writes the log, and the [`Lines`] through which `tracing_subscriber` hands lines to it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, MutexGuard};
use std::time::{Duration, Instant};

use amphi_media::Lock;
use tracing_subscriber::fmt::MakeWriter;

use super::queue::LineQueue;
use super::{Format, line};

/// The pause after a write that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// The time between two reports of lines that [`super::may_say`] left out.
const LOOK: Duration = Duration::from_secs(5);

/// The one log of this process.
static QUEUE: Lock<LineQueue> = Lock::new(LineQueue::new());
/// The writing thread was started.
static STARTED: AtomicBool = AtomicBool::new(false);
/// Notified when a line was queued, and when one was written.
static CHANGED: Condvar = Condvar::new();

fn queue() -> MutexGuard<'static, LineQueue> {
    QUEUE.lock()
}

/// Lines that were dropped since start: the queue was full, or they could not be written.
pub fn dropped() -> u64 {
    queue().dropped()
}

/// Blocks until every line is written, at most for `patience`.
pub fn flush(patience: Duration) {
    let end = Instant::now() + patience;
    let mut queue = queue();
    while !queue.is_idle() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        queue = Lock::wait_timeout(&CHANGED, queue, left);
    }
}

/// Writes `text` and a newline to stderr as it is, after the lines queued before it.
pub fn plain(text: &str) {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(b'\n');
    if !STARTED.load(Ordering::Relaxed) {
        // Where even that fails, nobody can be told.
        let _ = io::stderr().write_all(&bytes);
        return;
    }
    queue().push(bytes);
    CHANGED.notify_all();
}

/// Starts the thread that writes to stderr.
pub(super) fn start(format: Format) -> io::Result<Lines> {
    // A descriptor of its own, without the lock of `std::io::stderr`: others who print there must not wait for this thread.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || Scribe::new(stderr, format).for_ever())?;
    STARTED.store(true, Ordering::Relaxed);
    Ok(Lines(format))
}

/// The writer that `tracing_subscriber` gets: puts lines into the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines(Format);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for Lines {
    /// Always takes the whole line.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = match self.0 {
            Format::Json => line::json(bytes),
            Format::Text { ansi } => line::text(bytes, ansi),
        };
        queue().push(line);
        CHANGED.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines one after the other; drops those that cannot be written.
struct Scribe<W> {
    out: W,
    format: Format,
    /// The last line was written in part only.
    torn: bool,
}

impl<W: Write> Scribe<W> {
    const fn new(out: W, format: Format) -> Self {
        Self { out, format, torn: false }
    }

    /// Goes on with the next line after a panic: otherwise neither the panic nor anything after it would be logged.
    fn for_ever(mut self) {
        while std::panic::catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            queue().give_up();
            CHANGED.notify_all();
            // The hook has logged where it was.
            tracing::error!("the thread that writes the log has panicked, and goes on with the next line");
            std::thread::sleep(PAUSE);
        }
    }

    fn run(&mut self) {
        let mut looked = Instant::now();
        loop {
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                super::say_what_was_left_out();
            }
            let next = {
                let mut queue = queue();
                let next = queue.pop();
                if next.is_none() {
                    let _ = CHANGED.wait_timeout(queue, LOOK);
                }
                next
            };
            let Some(line) = next else { continue };
            let written = self.line(&line);
            let mut queue = queue();
            queue.done += 1;
            if written.is_err() {
                queue.lost(1);
            }
            let unsaid = if written.is_ok() { queue.take_unsaid() } else { 0 };
            drop(queue);
            CHANGED.notify_all();
            if unsaid > 0 && self.line(&notice(self.format, unsaid)).is_err() {
                self::queue().unsay(unsaid);
            }
            if written.is_err() {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Writes a line; first ends the line before it, if that was written in part only.
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.all(b"\n")?;
            self.torn = false;
        }
        self.all(line)
    }

    fn all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    self.torn = !bytes.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process may have made the terminal or pipe non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The line that says how many lines are missing before it.
fn notice(format: Format, count: u64) -> Vec<u8> {
    let at = jiff::Timestamp::now();
    let message = format!("{count} lines were dropped: the log could not be written, or was not read");
    match format {
        Format::Text { .. } => format!("{at}  WARN amphi::log: {message}\n"),
        Format::Json => {
            let fields = serde_json::json!({ "message": message, "dropped": count });
            let line =
                serde_json::json!({ "timestamp": at.to_string(), "level": "WARN", "fields": fields, "target": "amphi::log" });
            format!("{line}\n")
        }
    }
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that takes a limited number of bytes.
    struct Disk {
        room: usize,
        kept: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            self.kept.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_torn_by_a_full_disk_spoils_no_other() {
        let mut scribe = Scribe::new(Disk { room: 6, kept: Vec::new() }, Format::Json);
        assert!(scribe.line(b"one\n").is_ok());
        assert!(scribe.line(b"two\n").is_err());
        assert!(scribe.line(b"three\n").is_err());
        scribe.out.room = 100;
        assert!(scribe.line(b"four\n").is_ok());
        assert_eq!(String::from_utf8_lossy(&scribe.out.kept), "one\ntw\nfour\n");
    }

    #[test]
    fn what_is_missing_is_said_in_the_form_of_the_log() {
        let line: serde_json::Value = serde_json::from_slice(&notice(Format::Json, 7)).expect("JSON");
        assert_eq!((&line["fields"]["dropped"], &line["level"]), (&7.into(), &"WARN".into()));
        let line = String::from_utf8(notice(Format::Text { ansi: false }, 7)).expect("UTF-8");
        assert!(line.contains("WARN amphi::log: 7 lines were dropped") && line.ends_with('\n'));
    }
}
