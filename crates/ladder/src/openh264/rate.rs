//! Holding the bitrate over many seconds, where OpenH264 holds it over eight pictures.
//!
//! OpenH264 carries what it overspent into its next eight pictures, but forgets what it saved: still slides
//! between costly IDR pictures end 9 to 16 % below the target, hard ones up to 10 % above it. [`BitBudget`]
//! keeps the account and says, at each IDR picture, what target OpenH264 should be told.

/// Seconds of the target that the account remembers, either way. What a still slide saved is spent on what
/// comes after it, but no more than this.
const MEMORY_S: i64 = 2;
/// How far the target that OpenH264 is told may differ from the true one, in percent.
const REACH_PERCENT: i64 = 20;

/// The account of one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitBudget {
    target_bps: i64,
    fps: i64,
    /// Bits saved (positive) or overspent.
    saved: i64,
}

impl BitBudget {
    pub(super) fn new(target_bps: u32, fps: u32) -> Self {
        Self { target_bps: target_bps.into(), fps: fps.max(1).into(), saved: 0 }
    }

    /// Enters one coded picture.
    pub(super) fn spend(&mut self, bytes: usize) {
        let limit = MEMORY_S * self.target_bps;
        self.saved = (self.saved + self.target_bps / self.fps - 8 * bytes as i64).clamp(-limit, limit);
    }

    /// The target to tell OpenH264 now, bits per second: what is left of the account spread over
    /// `MEMORY_S`.
    pub(super) fn told_bps(&self) -> i64 {
        let reach = self.target_bps * REACH_PERCENT / 100;
        self.target_bps + (self.saved / MEMORY_S).clamp(-reach, reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn savings_and_debts_move_the_target_within_its_reach() {
        let mut budget = BitBudget::new(750_000, 15);
        assert_eq!(budget.told_bps(), 750_000);
        (0..30).for_each(|_| budget.spend(6250));
        assert_eq!(budget.told_bps(), 750_000, "spent to the bit");
        (0..3).for_each(|_| budget.spend(0));
        assert_eq!(budget.told_bps(), 825_000);
        (0..900).for_each(|_| budget.spend(0));
        assert_eq!(budget.told_bps(), 900_000);
        (0..30).for_each(|_| budget.spend(2 * 6250));
        assert_eq!(budget.told_bps(), 750_000, "the memory is two seconds deep");
        (0..900).for_each(|_| budget.spend(1_000_000));
        assert_eq!(budget.told_bps(), 600_000);
    }
}
