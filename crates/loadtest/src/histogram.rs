//! Counts latencies in buckets: 32 for each doubling, so a value is known to within about two percent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets per doubling.
const STEPS: u32 = 32;
/// Doublings of a microsecond: the last bucket ends at 36 minutes.
const DOUBLINGS: u32 = 31;

/// Counts that many tasks add to.
#[derive(Debug)]
pub(super) struct SharedHistogram(Vec<AtomicU64>);

/// Counts at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Vec<u64>);

impl Default for SharedHistogram {
    fn default() -> Self {
        Self((0..=STEPS * DOUBLINGS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl SharedHistogram {
    pub(super) fn add(&self, value: Duration) {
        let us = value.as_micros().max(1) as f64;
        let place = ((us.log2() * f64::from(STEPS)) as usize).min(self.0.len() - 1);
        if let Some(bucket) = self.0.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts(self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect())
    }
}

impl Counts {
    pub(super) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The counts since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before = earlier.0.iter().copied().chain(std::iter::repeat(0));
        Self(self.0.iter().zip(before).map(|(now, before)| now.saturating_sub(before)).collect())
    }

    /// The value that a share `of` (0 to 1) of all values does not exceed, rounded up to its bucket's end.
    pub(super) fn quantile(&self, of: f64) -> Duration {
        let wanted = ((self.count() as f64 * of).ceil() as u64).max(1);
        let mut seen = 0;
        for (place, bucket) in self.0.iter().enumerate() {
            seen += bucket;
            if seen >= wanted {
                let us = ((place + 1) as f64 / f64::from(STEPS)).exp2();
                return Duration::from_nanos((us * 1000.0) as u64);
            }
        }
        Duration::ZERO
    }
}
