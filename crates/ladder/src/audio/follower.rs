//! Tells a hole from jitter: how far a source's time stamps are from where its samples were put.
//!
//! A [`Follower`] is shown, for every access unit, how much later its time stamp is than the place that
//! comes next, in frames of 1024 samples of the source. It answers whether the unit follows the one before
//! ([`TimestampStep::Steady`]), whether sound is missing in between or is sent again, and keeps the smoothed error
//! that is left. It knows nothing of sound, lattices or rates; the caller moves the place and says so with
//! [`Follower::shift`].

/// Units over which errors are averaged: 0.7 s at 48 kHz. Jitter of ±20 ms is then an error of ±1.5 ms.
const WINDOW: u32 = 32;
/// A deviation above this many mean deviations is not jitter; uniform jitter never exceeds two.
const OUTLIER: f64 = 4.0;
/// Without jitter, one lost unit (a deviation of 1) is a hole at once.
const LEAST_LIMIT: f64 = 0.75;
/// With any jitter, three lost units are a hole at once.
const GREATEST_LIMIT: f64 = 2.5;

/// The smoothed distance between time stamps and samples.
#[derive(Debug)]
pub(super) struct Follower {
    error: f64,
    spread: f64,
    seen: u32,
}

/// What one time stamp says. Lengths are in frames of the source, and positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TimestampStep {
    /// It follows the unit before.
    Steady,
    /// So much sound is missing before it.
    Hole(f64),
    /// So much of its sound was there before.
    Overlap(f64),
}

impl Follower {
    /// A follower that has seen nothing: at first only deviations that cannot be jitter are taken for holes.
    pub(super) const fn new() -> Self {
        Self { error: 0.0, spread: GREATEST_LIMIT / OUTLIER, seen: 0 }
    }

    /// Takes the distance from the next place to a unit's time stamp, in frames.
    pub(super) fn observe(&mut self, distance: f64) -> TimestampStep {
        let deviation = distance - self.error;
        let limit = (OUTLIER * self.spread).clamp(LEAST_LIMIT, GREATEST_LIMIT);
        if deviation.abs() < GREATEST_LIMIT {
            self.spread += (deviation.abs() - self.spread) / f64::from(WINDOW);
        }
        if deviation > limit {
            return TimestampStep::Hole(deviation);
        }
        if deviation < -limit {
            return TimestampStep::Overlap(-deviation);
        }
        self.seen = (self.seen + 1).min(WINDOW);
        self.error += deviation / f64::from(self.seen);
        TimestampStep::Steady
    }

    /// By how many frames time stamps are later than places, smoothed.
    pub(super) const fn error(&self) -> f64 {
        self.error
    }

    /// Whether the error is an average of a whole window.
    pub(super) const fn settled(&self) -> bool {
        self.seen >= WINDOW
    }

    /// The next place was moved later by `frames` for another reason than the units put there.
    pub(super) fn shift(&mut self, frames: f64) {
        self.error -= frames;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_unit_is_a_hole_at_once_when_there_is_no_jitter() {
        let mut follower = Follower::new();
        for _ in 0..100 {
            assert_eq!(follower.observe(0.3), TimestampStep::Steady);
        }
        let TimestampStep::Hole(length) = follower.observe(1.3) else { panic!("one unit is missing") };
        assert!((length - 1.0).abs() < 1e-6, "{length}");
        let TimestampStep::Overlap(length) = follower.observe(-1.7) else { panic!("two units come again") };
        assert!((length - 2.0).abs() < 1e-6, "{length}");
        assert!((follower.error() - 0.3).abs() < 1e-6, "holes leave the error alone");
    }

    #[test]
    fn jitter_is_no_hole() {
        let mut follower = Follower::new();
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..10_000 {
            assert_eq!(follower.observe(random.f64() * 1.88 - 0.94), TimestampStep::Steady);
        }
        assert!(follower.error().abs() < 0.4, "{}", follower.error());
    }

    #[test]
    fn a_moved_place_is_not_mistaken_for_an_error() {
        let mut follower = Follower::new();
        for _ in 0..100 {
            follower.observe(0.9);
        }
        follower.shift(1.0);
        assert!((follower.error() + 0.1).abs() < 1e-6);
        assert_eq!(follower.observe(-0.1), TimestampStep::Steady);
    }
}
