//! Counting without contention: what the stages count about themselves, read by metrics and the console.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::media::MediaTime;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `amount` more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
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
    /// One more value.
    pub fn observe(&self, value: u64) {
        self.0.fetch_min(value, Ordering::Relaxed);
    }

    /// The smallest value since the last call; `None` where there was none. For one reader alone.
    pub fn take(&self) -> Option<u64> {
        Some(self.0.swap(u64::MAX, Ordering::Relaxed)).filter(|value| *value != u64::MAX)
    }
}

/// Since when something holds, or that it does not.
#[derive(Debug, Default)]
pub struct Since(AtomicI64);

impl Since {
    /// It holds (`true`) or not; the first moment of a row of `true` is kept.
    pub fn observe(&self, holds: bool, now: MediaTime) {
        if !holds {
            self.0.store(0, Ordering::Relaxed);
        } else if self.0.load(Ordering::Relaxed) == 0 {
            self.0.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    /// Since when it holds; `None` while it does not.
    pub fn get(&self) -> Option<MediaTime> {
        Some(self.0.load(Ordering::Relaxed)).filter(|nanos| *nanos != 0).map(MediaTime::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
