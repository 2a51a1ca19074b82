//! What all players together have counted so far.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use amphi_media::Lock;
use serde::Serialize;
use tokio::time::Instant;

use super::fault::ExchangeError;
use super::histogram::{Counts, SharedHistogram};

/// The state of all players at one second of the test.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Second {
    /// Seconds since the start of the test.
    pub at_s: f64,
    /// How many players are playing.
    pub players: u64,
    /// Throughput of bodies and media since the second before, in Mbit/s.
    pub mbit_per_s: f64,
    /// Stalls of all players so far.
    pub stalls: u64,
    /// Errors of all players so far.
    pub errors: u64,
    /// Median latency of playlists since the second before.
    pub playlist_p50_ms: f64,
    /// Latency of playlists since the second before that 99 of 100 do not exceed.
    pub playlist_p99_ms: f64,
    /// Median latency of segments since the second before.
    pub segment_p50_ms: f64,
    /// Latency of segments since the second before that 99 of 100 do not exceed.
    pub segment_p99_ms: f64,
}

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} players, {:.0} Mbit/s, {} stalls, {} errors, segment p50 {:.1} ms, p99 {:.1} ms",
            self.players, self.mbit_per_s, self.stalls, self.errors, self.segment_p50_ms, self.segment_p99_ms
        )
    }
}

#[derive(Debug, Default)]
pub(super) struct LoadTally {
    pub(super) playlists: SharedHistogram,
    pub(super) segments: SharedHistogram,
    /// From the player's start, or its seek, to its first media.
    pub(super) starts: SharedHistogram,
    /// From the end of a segment's own time to its arrival; of RTMP's pictures, see [`LoadTally::came`].
    pub(super) lateness: SharedHistogram,
    earliest: Earliest,
    /// From the end of the last listed segment's own time to the playlist's arrival.
    pub(super) staleness: SharedHistogram,
    pub(super) players: AtomicI64,
    pub(super) bytes: AtomicU64,
    /// Duration of the media of all players together, in milliseconds.
    pub(super) media_ms: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) stalled_us: AtomicU64,
    pub(super) stalled_players: AtomicU64,
    pub(super) seeks: AtomicU64,
    pub(super) switches: AtomicU64,
    errors: Lock<BTreeMap<(&'static str, ExchangeError), u64>>,
    shown: Lock<LastLook>,
}

/// How early media has come relative to its time stamps.
#[derive(Debug, Default)]
struct Earliest {
    /// When the first picture came.
    base: OnceLock<Instant>,
    /// The least of arrival (from `base`) minus time stamp, in microseconds; zero or less.
    us: AtomicI64,
}

/// The counts at the second before.
#[derive(Debug, Default)]
struct LastLook {
    at: Duration,
    bytes: u64,
    playlists: Counts,
    segments: Counts,
}

impl LoadTally {
    pub(super) fn error(&self, what: &'static str, error: ExchangeError) {
        *self.errors.lock().entry((what, error)).or_default() += 1;
    }

    /// A picture with this time stamp has come. Its lateness is relative to the earliest one of all players so far: all
    /// connections are taken to have the same time stamps.
    pub(super) fn came(&self, now: Instant, timestamp_ms: u32) {
        let since = now.saturating_duration_since(*self.earliest.base.get_or_init(|| now));
        let behind = since.as_micros() as i64 - i64::from(timestamp_ms) * 1000;
        let earliest = self.earliest.us.fetch_min(behind, Ordering::Relaxed).min(behind);
        self.lateness.add(Duration::from_micros(behind.saturating_sub(earliest).max(0) as u64));
    }

    pub(super) fn stall(&self, stalled: Duration) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
        self.stalled_us.fetch_add(stalled.as_micros() as u64, Ordering::Relaxed);
    }

    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        let errors = self.errors.lock().clone();
        errors.into_iter().map(|((what, error), count)| (format!("{what}: {error}"), count)).collect()
    }

    /// The state `at` this time, with rate and latencies since the last call.
    pub(super) fn second(&self, at: Duration) -> Second {
        let now = LastLook {
            at,
            bytes: self.bytes.load(Ordering::Relaxed),
            playlists: self.playlists.counts(),
            segments: self.segments.counts(),
        };
        let ms = |of: &Counts, quantile| of.quantile(quantile).as_secs_f64() * 1e3;
        let mut before = self.shown.lock();
        let (playlists, segments) =
            (now.playlists.since(&before.playlists), now.segments.since(&before.segments));
        let span = at.saturating_sub(before.at).as_secs_f64().max(1e-3);
        let second = Second {
            at_s: at.as_secs_f64(),
            players: self.players.load(Ordering::Relaxed).max(0) as u64,
            mbit_per_s: (now.bytes - before.bytes) as f64 * 8e-6 / span,
            stalls: self.stalls.load(Ordering::Relaxed),
            errors: self.errors.lock().values().sum(),
            playlist_p50_ms: ms(&playlists, 0.5),
            playlist_p99_ms: ms(&playlists, 0.99),
            segment_p50_ms: ms(&segments, 0.5),
            segment_p99_ms: ms(&segments, 0.99),
        };
        *before = now;
        second
    }
}
