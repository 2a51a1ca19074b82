//! The one door to the wall clock.
//!
//! Cores take time as an argument; shells ask a [`Clock`]. [`SystemClock`] never steps and never goes back:
//! it follows the machine's clock by at most 1 ms per second, so that a correction by NTP does not tear a
//! cell. [`ManualClock`] is moved by hand in tests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::media::MediaTime;

/// Says what time it is.
pub trait Clock: Send + Sync + 'static {
    /// Unix time now; never earlier than an answer before.
    fn now(&self) -> MediaTime;
}

/// The machine's clock, smoothed.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    steering: Mutex<Steering>,
}

#[derive(Debug)]
struct Steering {
    /// Unix time minus time since `started`, in nanoseconds.
    offset: i64,
    /// When the offset was last brought nearer, as time since `started`.
    steered_at: Duration,
}

/// How fast the offset follows the machine's clock: 1 ms per second.
const SLEW_NANOS_PER_SECOND: i64 = 1_000_000;

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            steering: Mutex::new(Steering { offset: unix_nanos(), steered_at: Duration::ZERO }),
        }
    }
}

fn unix_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

impl Clock for SystemClock {
    fn now(&self) -> MediaTime {
        let elapsed = self.started.elapsed();
        let mut steering = self.steering.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = elapsed.saturating_sub(steering.steered_at);
        if due >= Duration::from_secs(1) {
            steering.offset = steer(steering.offset, unix_nanos() - elapsed.as_nanos() as i64, due);
            steering.steered_at = elapsed;
        }
        MediaTime::from_nanos(steering.offset + elapsed.as_nanos() as i64)
    }
}

fn steer(offset: i64, wanted: i64, due: Duration) -> i64 {
    let reach = SLEW_NANOS_PER_SECOND * due.as_secs().max(1) as i64;
    offset + (wanted - offset).clamp(-reach, reach)
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that says `now` until it is moved.
    pub const fn at(now: MediaTime) -> Self {
        Self(AtomicI64::new(now.as_nanos()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as i64, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> MediaTime {
        MediaTime::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stepped_machine_clock_is_followed_slowly() {
        let hour = 3_600_000_000_000;
        assert_eq!(steer(0, -hour, Duration::from_secs(1)), -SLEW_NANOS_PER_SECOND);
        assert_eq!(steer(0, hour, Duration::from_secs(10)), 10 * SLEW_NANOS_PER_SECOND);
        assert_eq!(steer(0, 5, Duration::from_secs(1)), 5);
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let clock = SystemClock::default();
        let mut before = clock.now();
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= before);
            before = now;
        }
    }
}
