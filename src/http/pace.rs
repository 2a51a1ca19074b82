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
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when it is full.
    since: Option<Instant>,
    taken: u64,
    is_full: bool,
}

impl Pace {
    /// Nothing more could be written.
    pub(super) fn full(&mut self, now: Instant) {
        self.is_full = true;
        self.since.get_or_insert(now);
    }

    /// So much was written. An error ends the connection.
    pub(super) fn wrote(&mut self, bytes: usize, now: impl FnOnce() -> Instant) -> io::Result<()> {
        if !std::mem::take(&mut self.is_full) {
            // There was room: whatever was asked for before has been taken.
            *self = Self::default();
            return Ok(());
        }
        self.taken += bytes as u64;
        let Some(since) = self.since else { return Ok(()) };
        let took = now().saturating_duration_since(since);
        if took >= WHILE {
            if self.taken < LEAST * took.as_secs() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes too little at a time"));
            }
            *self = Self::default();
        }
        Ok(())
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
            pace.full(begun + at);
            at += every;
            if pace.wrote(bytes, || begun + at).is_err() {
                return (false, at);
            }
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
        pace.full(begun);
        pace.wrote(10, || begun + Duration::from_secs(1)).expect("too early to say");
        // Ten minutes later, a new answer.
        let later = begun + Duration::from_secs(600);
        pace.wrote(10, || later).expect("there was room");
        pace.full(later);
        pace.wrote(10, || later + Duration::from_secs(1)).expect("too early to say");
    }
}
