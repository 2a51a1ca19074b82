//! What all players have noticed so far.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::connection::ExchangeError;
use super::histogram::Histogram;
use super::report::Second;

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) playlists: Histogram,
    pub(super) segments: Histogram,
    /// To the first segment, from the player's start.
    pub(super) starts: Histogram,
    /// From the end of a segment's own time to its arrival.
    pub(super) lateness: Histogram,
    pub(super) players: AtomicI64,
    pub(super) bytes: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) stalled_us: AtomicU64,
    pub(super) stalled_players: AtomicU64,
    pub(super) seeks: AtomicU64,
    errors: Mutex<BTreeMap<(&'static str, ExchangeError), u64>>,
    shown: Mutex<(u64, Duration)>,
}

impl Tally {
    pub(super) fn error(&self, what: &'static str, error: ExchangeError) {
        if let Ok(mut errors) = self.errors.lock() {
            *errors.entry((what, error)).or_default() += 1;
        }
    }

    pub(super) fn stall(&self, stalled: Duration) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
        self.stalled_us.fetch_add(stalled.as_micros() as u64, Ordering::Relaxed);
    }

    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        let errors = self.errors.lock().map(|errors| errors.clone()).unwrap_or_default();
        errors.into_iter().map(|((what, error), count)| (format!("{what}: {error}"), count)).collect()
    }

    /// The state `at`, and the rate since the last look.
    pub(super) fn second(&self, at: Duration) -> Second {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let before = self.shown.lock().map(|mut shown| std::mem::replace(&mut *shown, (bytes, at)));
        let (bytes_before, at_before) = before.unwrap_or_default();
        let span = at.saturating_sub(at_before).as_secs_f64().max(1e-3);
        Second {
            at_s: at.as_secs_f64(),
            players: self.players.load(Ordering::Relaxed).max(0) as u64,
            mbit_per_s: (bytes - bytes_before) as f64 * 8e-6 / span,
            stalls: self.stalls.load(Ordering::Relaxed),
            errors: self.errors().values().sum(),
            segment_p50_ms: self.segments.quantile(0.5).as_secs_f64() * 1e3,
            segment_p99_ms: self.segments.quantile(0.99).as_secs_f64() * 1e3,
        }
    }
}
