//! The pause before a failed task is restarted. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// A run of at least this length resets the pauses.
const CALM: Duration = Duration::from_secs(60);

/// No pause after the first failure; then 100 ms, doubled at each failure, 10 s at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pauses {
    falls: u32,
}

impl Pauses {
    /// The pause after a failed run that lasted for `run`.
    pub fn after(&mut self, run: Duration) -> Duration {
        if run >= CALM {
            self.falls = 0;
        }
        let pause = match self.falls {
            0 => Duration::ZERO,
            falls => FIRST.saturating_mul(1 << (falls - 1).min(10)).min(LONGEST),
        };
        self.falls = self.falls.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_ten_seconds_and_is_forgotten_after_a_calm_minute() {
        let mut pauses = Pauses::default();
        let ms: Vec<_> = (0..10).map(|_| pauses.after(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(ms, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(pauses.after(CALM), Duration::ZERO);
        let mut pauses = Pauses { falls: u32::MAX };
        assert_eq!(pauses.after(Duration::ZERO), LONGEST);
    }
}
