//! What all players have noticed so far.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::fault::ExchangeError;
use super::histogram::{Counts, Histogram};
use super::report::Second;

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) playlists: Histogram,
    pub(super) segments: Histogram,
    /// To the first media, from the player's start.
    pub(super) starts: Histogram,
    /// From the end of a segment's own time to its arrival.
    pub(super) lateness: Histogram,
    /// From the end of the last listed segment's own time to the playlist's arrival.
    pub(super) staleness: Histogram,
    pub(super) players: AtomicI64,
    pub(super) bytes: AtomicU64,
    /// Of all players together.
    pub(super) media_ms: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) stalled_us: AtomicU64,
    pub(super) stalled_players: AtomicU64,
    pub(super) seeks: AtomicU64,
    pub(super) switches: AtomicU64,
    errors: Mutex<BTreeMap<(&'static str, ExchangeError), u64>>,
    shown: Mutex<Shown>,
}

/// What was there at the last look.
#[derive(Debug, Default)]
struct Shown {
    at: Duration,
    bytes: u64,
    playlists: Counts,
    segments: Counts,
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

    /// The state `at`, and rate and latencies since the last look.
    pub(super) fn second(&self, at: Duration) -> Second {
        let now = Shown {
            at,
            bytes: self.bytes.load(Ordering::Relaxed),
            playlists: self.playlists.counts(),
            segments: self.segments.counts(),
        };
        let ms = |of: &Counts, quantile| of.quantile(quantile).as_secs_f64() * 1e3;
        let Ok(mut before) = self.shown.lock() else { return Second::default() };
        let (playlists, segments) =
            (now.playlists.since(&before.playlists), now.segments.since(&before.segments));
        let span = at.saturating_sub(before.at).as_secs_f64().max(1e-3);
        let second = Second {
            at_s: at.as_secs_f64(),
            players: self.players.load(Ordering::Relaxed).max(0) as u64,
            mbit_per_s: (now.bytes - before.bytes) as f64 * 8e-6 / span,
            stalls: self.stalls.load(Ordering::Relaxed),
            errors: self.errors.lock().map_or(0, |errors| errors.values().sum()),
            playlist_p50_ms: ms(&playlists, 0.5),
            playlist_p99_ms: ms(&playlists, 0.99),
            segment_p50_ms: ms(&segments, 0.5),
            segment_p99_ms: ms(&segments, 0.99),
        };
        *before = now;
        second
    }
}
