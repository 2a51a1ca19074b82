//! The least rate at which a peer must take what it asked for. Sans-IO; time is an argument.
//!
//! `TCP_USER_TIMEOUT` ends a connection whose peer takes nothing. One that takes a byte now and then would hold an answer
//! for ever, and a thousand of those hold all places. So while a socket is full, what is taken is measured; who takes less
//! than [`LEAST`] in the long run is let go.

use std::io;
use std::time::{Duration, Instant};

/// Bytes a second: an eighth of the slowest rung, sound alone.
const LEAST: u64 = 1024;
/// Nobody is judged earlier.
const WHILE: Duration = Duration::from_secs(30);

/// What a peer takes while its socket is full.
///
/// A socket has room again when a good part of its buffer is free, and what is written then may be the little that was
/// left of a piece. So a peer is judged when its socket is full anew: only then is all the room counted that it made.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when it is full, if it is.
    full: Option<Instant>,
    /// How long it was full, and what was written since it first was.
    waited: Duration,
    taken: u64,
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
        if taken < LEAST * waited.as_secs() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes too little at a time"));
        }
        Ok(())
    }

    /// So much was written.
    pub(super) fn wrote(&mut self, bytes: usize, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.full.take() {
            self.waited += now().saturating_duration_since(since);
        }
        if !self.waited.is_zero() {
            self.taken += bytes as u64;
        }
    }
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
