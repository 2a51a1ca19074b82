//! The least rate at which a peer must take what it asked for (sans-IO): time is an argument, and so is what a socket says is
//! [outstanding](super::outstanding).
//!
//! A peer that takes nothing, or a byte now and then, would hold an answer for ever, and a thousand of those hold all places.
//! So while a socket is full, what is taken is measured; who takes less than [`LEAST`] in the long run is let go.
//!
//! A socket has room again when a good part of its buffer is free, which for such a peer may be in hours. So who has had
//! no room for [`WHILE`] is looked at: how much is outstanding then, and how much a while later?

use std::io;
use std::time::{Duration, Instant};

/// Bytes a second: an eighth of the slowest rung, sound alone.
pub(super) const LEAST: u64 = 1024;
/// Nobody is judged earlier.
pub(super) const WHILE: Duration = Duration::from_secs(30);

/// What a peer takes while its socket is full.
///
/// What is written when there is room again may be the little that was left of a piece. So a peer is judged when its socket
/// is full anew: only then is all the room counted that it made.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when it is full, if it is.
    full: Option<Instant>,
    /// How long it was full, and what was written since it first was.
    waited: Duration,
    taken: u64,
    /// What was outstanding when it was looked at, if it was.
    seen: Option<u64>,
}

impl Pace {
    /// Nothing more could be written. An error ends the connection.
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

    /// When it is to be looked at, if it stays full.
    pub(super) fn due(&self) -> Option<Instant> {
        self.full.map(|since| since + WHILE)
    }

    /// It was full all the time until it was due. An error ends the connection.
    pub(super) fn look(&mut self, now: Instant, outstanding: u64) -> io::Result<()> {
        let anew = Self { full: Some(now), seen: Some(outstanding), ..Self::default() };
        let Self { full, waited, taken, seen } = std::mem::replace(self, anew);
        let waited = waited + full.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        seen.map_or(Ok(()), |seen| judge((seen + taken).saturating_sub(outstanding), waited))
    }

    /// So much was written.
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
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes too little at a time"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `bytes` every `every`, for `total`; the outcome and when it came.
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
        // A large buffer is said to have room once a third of it is free: rarely, and much at a time.
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

    /// A socket full of a megabyte, of which so much is taken a second: after how many looks is its peer let go?
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
