//! The least rate at which a peer must read what it asked for (sans-IO): time is an argument, and so is how many bytes of a
//! socket are [outstanding](super::outstanding).
//!
//! A peer that reads nothing, or a byte now and then, would hold an answer for ever, and a thousand of them would hold all
//! places. So while a socket is full, the rate is measured, and a peer that takes less than [`LEAST`] is disconnected.
//!
//! A socket becomes writable again only when a good part of its buffer is free, which for a slow peer may take hours. So a
//! socket that was full for [`WHILE`] is checked: how many bytes are outstanding now, and how many another [`WHILE`] later?

use std::io;
use std::time::{Duration, Instant};

/// Bytes a second: an eighth of the slowest rung, sound alone.
pub(super) const LEAST: u64 = 1024;
/// The least time over which the rate is measured.
pub(super) const WHILE: Duration = Duration::from_secs(30);

/// Measures what a peer takes while its socket is full.
///
/// When there is room again, the rest of a piece that is written may be small. So the rate is computed when the socket is
/// full the next time: only then has all the free room been used.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when the socket is full; `None` if it is not.
    full: Option<Instant>,
    /// How long it was full in this measurement.
    waited: Duration,
    /// Bytes written in this measurement.
    taken: u64,
    /// Bytes outstanding at the last [`Pace::look`].
    seen: Option<u64>,
}

impl Pace {
    /// Nothing more could be written. An error: the peer is too slow.
    pub(super) fn full(&mut self, now: Instant) -> io::Result<()> {
        if self.full.is_some() {
            return Ok(());
        }
        self.full = Some(now);
        if self.waited < WHILE {
            return Ok(());
        }
        let Self { waited, taken, .. } = std::mem::replace(self, Self { full: Some(now), ..Self::default() });
        judge(taken, waited)
    }

    /// When [`Pace::look`] is to be called, if the socket stays full.
    pub(super) fn due(&self) -> Option<Instant> {
        self.full.map(|since| since + WHILE)
    }

    /// The socket was full until [`Pace::due`]. An error: the peer is too slow.
    pub(super) fn look(&mut self, now: Instant, outstanding: u64) -> io::Result<()> {
        let anew = Self { full: Some(now), seen: Some(outstanding), ..Self::default() };
        let Self { full, waited, taken, seen } = std::mem::replace(self, anew);
        let waited = waited + full.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        seen.map_or(Ok(()), |seen| judge((seen + taken).saturating_sub(outstanding), waited))
    }

    pub(super) fn wrote(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.full.take() {
            self.waited += now().saturating_duration_since(since);
        }
        if !self.waited.is_zero() || self.seen.is_some() {
            self.taken += bytes as u64;
        }
    }
}

fn judge(taken: u64, waited: Duration) -> io::Result<()> {
    if taken < LEAST * waited.as_secs() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads too slowly"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that takes `bytes` every `every`, for `total`: whether it is kept, and when that was decided.
    fn drip(bytes: usize, every: Duration, total: Duration) -> (bool, Duration) {
        let begun = Instant::now();
        let (mut pace, mut at) = (Pace::default(), Duration::ZERO);
        while at < total {
            if pace.full(begun + at).is_err() {
                return (false, at);
            }
            at += every;
            pace.wrote(bytes, || begun + at);
        }
        (true, at)
    }

    #[test]
    fn who_drips_is_let_go_after_a_while() {
        assert_eq!(drip(1, Duration::from_secs(1), Duration::from_secs(600)), (false, WHILE));
        assert_eq!(drip(500, Duration::from_secs(1), Duration::from_secs(600)), (false, WHILE));
    }

    #[test]
    fn who_is_only_slow_is_not() {
        let hour = Duration::from_secs(3600);
        assert!(drip(4096, Duration::from_secs(1), hour).0);
        // A large buffer counts as writable once a third of it is free: rarely, and with much room.
        assert!(drip(1_400_000, Duration::from_secs(170), hour).0);
    }

    #[test]
    fn a_pause_between_two_answers_is_not_slowness() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        pace.full(begun).expect("just begun");
        pace.wrote(10, || begun + Duration::from_secs(1));
        // Ten minutes later, a new answer.
        let later = begun + Duration::from_secs(600);
        pace.wrote(10, || later);
        pace.full(later).expect("too early to say");
        pace.wrote(10, || later + Duration::from_secs(1));
        pace.full(later + Duration::from_secs(1)).expect("too early to say");
    }

    /// After how many looks a peer is disconnected that takes `bytes_per_second` from a socket full of a megabyte.
    fn looks(bytes_per_second: u64, most: u64) -> Option<u64> {
        let begun = Instant::now();
        let mut pace = Pace::default();
        pace.full(begun).expect("just begun");
        (1..=most).find(|look| {
            let at = pace.due().expect("it is full");
            assert_eq!(at, begun + Duration::from_secs(30 * look));
            pace.look(at, 1_000_000 - 30 * look * bytes_per_second).is_err()
        })
    }

    #[test]
    fn who_makes_no_room_for_a_while_is_looked_at() {
        assert_eq!(looks(0, 10), Some(2));
        assert_eq!(looks(1000, 10), Some(2));
        assert_eq!(looks(1025, 10), None);
        assert_eq!(looks(8000, 4), None);
    }

    #[test]
    fn what_is_written_between_two_looks_was_taken() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        let after = |seconds| begun + Duration::from_secs(seconds);
        pace.full(begun).expect("just begun");
        pace.look(after(30), 900_000).expect("the first look");
        pace.wrote(300_000, || after(40));
        pace.full(after(40)).expect("too early to say");
        assert_eq!(pace.due(), Some(after(70)));
        pace.look(after(70), 1_100_000).expect("100 kB in 40 s");
        pace.wrote(10_000, || after(80));
        pace.full(after(80)).expect("too early to say");
        pace.look(after(110), 1_110_000).expect_err("nothing in 40 s");
    }

    #[test]
    fn what_was_left_of_a_piece_is_not_all_that_is_taken() {
        let begun = Instant::now();
        let mut pace = Pace::default();
        for wait in 0..10 {
            let at = begun + Duration::from_secs(40 * wait);
            pace.full(at).expect("a megabyte in 40 s");
            pace.wrote(100, || at + Duration::from_secs(40));
            pace.wrote(1_000_000, || at + Duration::from_secs(40));
        }
    }
}
