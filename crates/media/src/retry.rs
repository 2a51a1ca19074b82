//! When something that failed is tried again: at once the first time, then after waits that double up to a bound. Sans-IO;
//! time is an argument.

use std::time::{Duration, Instant};

/// See the module's text.
#[derive(Debug)]
pub struct Retry {
    first: Duration,
    longest: Duration,
    /// What was waited last, and until when, since it fails.
    failing: Option<(Duration, Instant)>,
}

impl Retry {
    /// Waits `first` after the first failure, and never longer than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failing: None }
    }

    /// It has failed, perhaps again.
    pub fn failed(&mut self, now: Instant) {
        let wait = self.failing.map_or(self.first, |(wait, _)| (wait * 2).min(self.longest));
        self.failing = Some((wait, now + wait));
    }

    /// It has worked; `true` if it had failed before.
    pub fn worked(&mut self) -> bool {
        self.failing.take().is_some()
    }

    /// How long until it is to be tried again; `None` where nothing has failed.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        self.failing.map(|(_, until)| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew_when_it_has_worked() {
        let (mut retry, mut now) =
            (Retry::new(Duration::from_secs(1), Duration::from_secs(5)), Instant::now());
        assert_eq!((retry.wait(now), retry.worked()), (None, false));
        for seconds in [1, 2, 4, 5, 5] {
            retry.failed(now);
            assert_eq!(retry.wait(now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(retry.wait(now), Some(Duration::ZERO));
        }
        assert!(retry.worked());
        retry.failed(now);
        assert_eq!(retry.wait(now), Some(Duration::from_secs(1)));
    }
}
