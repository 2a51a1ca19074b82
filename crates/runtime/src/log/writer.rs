//! The thread that writes, and what whoever logs hands its lines to.

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

/// After a write that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at what was left out.
const LOOK: Duration = Duration::from_secs(5);

/// The one log of this process.
static QUEUE: Lock<LineQueue> = Lock::new(LineQueue::new());
/// Somebody writes.
static STARTED: AtomicBool = AtomicBool::new(false);
/// A line has come, or one is done with.
static CHANGED: Condvar = Condvar::new();

fn queue() -> MutexGuard<'static, LineQueue> {
    QUEUE.lock()
}

/// Lines of the log that nobody will ever read, since start.
pub fn dropped() -> u64 {
    queue().dropped()
}

/// Waits until every line is written, at most for so long.
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

/// Says something on stderr as it is, behind the lines before it.
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
    // Of its own, without the lock of `std::io::stderr`: whoever else prints there does not wait for a reader.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || Scribe::new(stderr, format).for_ever())?;
    STARTED.store(true, Ordering::Relaxed);
    Ok(Lines(format))
}

/// Where `tracing_subscriber` puts its lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines(Format);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for Lines {
    /// Takes a whole line, always.
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

/// Writes lines, one after the other; what cannot be written is given up.
struct Scribe<W> {
    out: W,
    format: Format,
    /// Half a line stands there.
    torn: bool,
}

impl<W: Write> Scribe<W> {
    const fn new(out: W, format: Format) -> Self {
        Self { out, format, torn: false }
    }

    /// Goes on with the next line after a fault of ours: nobody would see it, and nothing after it.
    fn for_ever(mut self) {
        while std::panic::catch_unwind(AssertUnwindSafe(|| self.run())).is_err() {
            queue().give_up();
            CHANGED.notify_all();
            // Where it was has been said.
            tracing::error!("the thread that writes the log has fallen, and goes on with the next line");
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

    /// Writes a line, behind the end of one that was torn.
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
                // A terminal or pipe that somebody else has made so.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Says that lines are missing before this one.
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

    /// A disk with little room.
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
