//! Counters without contention: what stages count about themselves, for the metrics and the console.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::{Lock, MediaTime};

/// A number that only grows, e.g. lost frames.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `amount` more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The sum since the start.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, e.g. viewers.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value set last.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The smallest value since it was last taken.
#[derive(Debug)]
pub struct Lowest(AtomicU64);

impl Default for Lowest {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Lowest {
    /// Takes one more value into account.
    pub fn observe(&self, value: u64) {
        self.0.fetch_min(value, Ordering::Relaxed);
    }

    /// The smallest value since the last call; `None` if there was none. Only one reader may call it.
    pub fn take(&self) -> Option<u64> {
        Some(self.0.swap(u64::MAX, Ordering::Relaxed)).filter(|value| *value != u64::MAX)
    }
}

/// A histogram of durations. The upper bounds of its buckets double, from a microsecond to half a minute.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; Self::BUCKETS],
    nanos: Counter,
}

impl Histogram {
    /// Number of buckets; the last one has no upper bound.
    pub const BUCKETS: usize = 26;

    /// Counts one duration.
    pub fn add(&self, took: Duration) {
        let us = took.as_micros().min(u128::from(u32::MAX)) as u32;
        let place = (u32::BITS - us.leading_zeros()) as usize;
        if let Some(bucket) = self.buckets.get(place.min(Self::BUCKETS - 1)) {
            bucket.increment();
        }
        self.nanos.add(took.as_nanos() as u64);
    }

    /// Sum of all durations in seconds.
    pub fn sum_s(&self) -> f64 {
        self.nanos.get() as f64 * 1e-9
    }

    /// The upper bound of each bucket in seconds (exclusive), and how many durations fell into it.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        self.buckets.iter().enumerate().map(|(place, count)| {
            let end = if place + 1 == Self::BUCKETS { f64::MAX } else { (1_u64 << place) as f64 * 1e-6 };
            (end, count.get())
        })
    }
}

/// Since when a condition holds, if it does.
#[derive(Debug, Default)]
pub struct Since(AtomicI64);

impl Since {
    /// Says whether the condition holds at `now`. The first moment of a run of `true` is kept.
    pub fn observe(&self, holds: bool, now: MediaTime) {
        if !holds {
            self.0.store(0, Ordering::Relaxed);
        } else if self.0.load(Ordering::Relaxed) == 0 {
            self.0.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    /// Since when the condition holds; `None` while it does not.
    pub fn get(&self) -> Option<MediaTime> {
        Some(self.0.load(Ordering::Relaxed)).filter(|nanos| *nanos != 0).map(MediaTime::from_nanos)
    }
}

/// Why something does not work, in words for operators; empty while it works.
#[derive(Debug, Default)]
pub struct Note(Lock<Option<Arc<str>>>);

impl Note {
    /// Sets the reason. Setting the same reason again costs no allocation.
    pub fn set(&self, reason: &str) {
        let mut said = self.0.lock();
        if said.as_deref() != Some(reason) {
            *said = Some(reason.into());
        }
    }

    /// It works again: removes the reason.
    pub fn clear(&self) {
        *self.0.lock() = None;
    }

    /// The reason set last; `None` if it works.
    pub fn get(&self) -> Option<Arc<str>> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_its_bucket() {
        let histogram = Histogram::default();
        let us = [0, 1, 3, 4, 1000, 40_000_000, 3_600_000_000];
        for us in us {
            histogram.add(Duration::from_micros(us));
        }
        let filled: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled.iter().map(|(_, count)| count).sum::<u64>(), 7);
        let ends: Vec<_> = filled.iter().map(|(end, _)| (end * 1e6).round().min(1e15)).collect();
        assert_eq!(ends, [1.0, 2.0, 4.0, 8.0, 1024.0, 1e15]);
        assert!((histogram.sum_s() - 3_640.001_008).abs() < 1e-9);
    }

    #[test]
    fn the_lowest_value_is_told_once() {
        let lowest = Lowest::default();
        assert_eq!(lowest.take(), None);
        for value in [700, 300, 900] {
            lowest.observe(value);
        }
        assert_eq!((lowest.take(), lowest.take()), (Some(300), None));
    }
}
