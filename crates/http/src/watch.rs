//! Decides when an idle or slow HTTP/2 connection is closed. With HTTP/2's streams, neither the time between two requests
//! nor a full socket tells whether the peer is still there and takes what it asked for.
//!
//! [`Watch`] holds the counts of a connection's requests, answers and written bytes; [`Keeper`] (sans-IO, time is an
//! argument) looks at them now and then:
//! * without a request in progress, the next one must come within the idle time, whatever else is sent: PING, SETTINGS and
//!   WINDOW_UPDATE do not count;
//! * a peer that has closed its window or does not read from its socket while data is ready must take a kilobyte a second.
//!   An answer that waits for us, such as a stream of events, is not the peer's fault.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::pace::{LEAST, WHILE};

/// Counts of one connection.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) is_h2: AtomicBool,
    requests: AtomicU64,
    /// Answers in progress.
    open: AtomicUsize,
    /// Those of them that wait for the peer.
    owed: AtomicUsize,
    /// Bytes that wait in hyper's queues.
    queued: AtomicUsize,
    /// Bytes handed to the socket.
    written: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) requests: u64,
    pub(super) is_busy: bool,
    pub(super) is_owed: bool,
    pub(super) written: u64,
}

impl Watch {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn began(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub(super) fn owe(&self, owed: bool) {
        if owed {
            self.owed.fetch_add(1, Relaxed);
        } else {
            self.owed.fetch_sub(1, Relaxed);
        }
    }

    pub(super) fn queue(&self, bytes: usize) {
        self.queued.fetch_add(bytes, Relaxed);
    }

    pub(super) fn dequeue(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Relaxed);
    }

    /// Whether any request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    pub(super) fn seen(&self) -> Seen {
        let is_owed = self.owed.load(Relaxed) > 0 || self.queued.load(Relaxed) > 0;
        Seen {
            requests: self.requests.load(Relaxed),
            is_busy: self.open.load(Relaxed) > 0,
            is_owed,
            written: self.written.load(Relaxed),
        }
    }
}

/// What to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    /// It is idle: close it with GOAWAY (RFC 9113 §6.8).
    Idle,
    /// The peer reads too slowly: drop the connection.
    Slow,
}

/// Decides when a connection is closed. Call [`Keeper::look`] every [`Keeper::every`].
#[derive(Debug)]
pub(super) struct Keeper {
    idle: Duration,
    /// The number of requests at the last look.
    requests: u64,
    /// When a request was last in progress.
    active: Instant,
    /// Since when some answer has waited for the peer, and the bytes written until then.
    owed: Option<(Instant, u64)>,
}

impl Keeper {
    pub(super) const fn new(idle: Duration, now: Instant) -> Self {
        Self { idle, requests: 0, active: now, owed: None }
    }

    /// The time between two looks.
    pub(super) fn every(&self) -> Duration {
        (self.idle / 3).clamp(Duration::from_millis(10), Duration::from_secs(10))
    }

    pub(super) fn look(&mut self, seen: Seen, now: Instant) -> Fate {
        if seen.is_busy || seen.requests != self.requests {
            (self.requests, self.active) = (seen.requests, now);
        }
        if !seen.is_owed {
            self.owed = None;
        } else if let Some((since, written)) = self.owed {
            let waited = now.saturating_duration_since(since);
            if waited >= WHILE {
                if seen.written - written < LEAST * waited.as_secs() {
                    return Fate::Slow;
                }
                self.owed = Some((now, seen.written));
            }
        } else {
            self.owed = Some((now, seen.written));
        }
        let is_idle = !seen.is_owed && now.saturating_duration_since(self.active) >= self.idle;
        if is_idle { Fate::Idle } else { Fate::Stays }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    /// The fate of a connection that is looked at every ten seconds, and when it is decided.
    fn fate(seen: impl Fn(u64) -> Seen) -> Option<(Fate, u64)> {
        let begun = Instant::now();
        let mut keeper = Keeper::new(IDLE, begun);
        (1..100).map(|look| look * 10).find_map(|second| {
            let fate = keeper.look(seen(second), begun + Duration::from_secs(second));
            (fate != Fate::Stays).then_some((fate, second))
        })
    }

    #[test]
    fn without_requests_it_is_idle_whatever_else_is_sent() {
        let pings = |second| Seen { requests: 1, written: 17 * second, ..Seen::default() };
        assert_eq!(fate(pings), Some((Fate::Idle, 40)));
        assert_eq!(fate(|_| Seen::default()), Some((Fate::Idle, 30)));
    }

    #[test]
    fn requests_and_answers_that_wait_for_us_keep_it() {
        assert_eq!(fate(|second| Seen { requests: second / 20, ..Seen::default() }), None);
        let events = |second| Seen { requests: 1, is_busy: true, written: second, ..Seen::default() };
        assert_eq!(fate(events), None, "a stream of events says little");
    }

    #[test]
    fn who_does_not_take_what_it_asked_for_is_cut() {
        let closed = |_| Seen { requests: 1, is_busy: true, is_owed: true, written: 0 };
        assert_eq!(fate(closed), Some((Fate::Slow, 40)));
        let drips = |second| Seen { written: 900 * second, ..closed(second) };
        assert_eq!(fate(drips), Some((Fate::Slow, 40)));
        let asks = |second| Seen { requests: second, ..closed(second) };
        assert_eq!(fate(asks), Some((Fate::Slow, 40)), "asking for more is not taking");
        let slow = |second| Seen { written: 1100 * second, ..closed(second) };
        assert_eq!(fate(slow), None);
        let now_and_then = |second| Seen { is_owed: second % 30 != 0, ..closed(second) };
        assert_eq!(fate(now_and_then), None, "it has taken all");
    }
}
