//! Which pictures a rung leaves out when the machine cannot follow (sans-IO).
//!
//! Contract. Tell [`Pressure::observe`] how long each picture waited between its arrival and its coding. A rung whose
//! pictures wait longer than its tolerance codes every second one only, then every fourth, eighth, sixteenth; in the
//! slots between it repeats the one before, which costs a fraction. One step up per half second of waiting, one step
//! down per [`EASE`] without; a step up soon after a step down doubles the next ease, so that a machine at its limit
//! does not swing.
//!
//! Tolerances differ by rung, the last one's being the smallest: it gives way first, and what it frees may spare the
//! others. A cell keeps its number of slots and its IDR picture whatever happens, and sound is not concerned.

use std::time::Duration;

use crate::media::{MediaTime, Slot};

/// The highest level: one picture in sixteen.
const MOST: u32 = 4;
/// Between two steps up.
const STEP: Duration = Duration::from_millis(500);
/// Without waiting, before a step down.
const EASE: Duration = Duration::from_secs(10);
/// The longest ease.
const LONGEST_EASE: Duration = Duration::from_secs(320);
/// The tolerance of the last rung, and how much more each one before it has.
const TOLERANCE: Duration = Duration::from_millis(200);

/// One rung's state.
#[derive(Clone, Debug)]
pub(super) struct Pressure {
    tolerance: Duration,
    level: u32,
    /// When the level last changed, or a picture waited too long.
    since: MediaTime,
    ease: Duration,
    eased_at: Option<MediaTime>,
}

impl Pressure {
    /// For rung `index` of `rungs`.
    pub(super) fn new(index: usize, rungs: usize) -> Self {
        let before_last = rungs.saturating_sub(index + 1) as u32;
        Self {
            tolerance: TOLERANCE * (before_last + 1),
            level: 0,
            since: MediaTime::from_nanos(i64::MIN / 2),
            ease: EASE,
            eased_at: None,
        }
    }

    /// A picture has waited for so long.
    pub(super) fn observe(&mut self, waited: Duration, now: MediaTime) {
        let since = now.saturating_since(self.since);
        if waited > self.tolerance {
            if since >= STEP && self.level < MOST {
                let relapse = self.eased_at.is_some_and(|at| now.saturating_since(at) < 2 * EASE);
                self.ease = if relapse { (self.ease * 2).min(LONGEST_EASE) } else { self.ease };
                self.level += 1;
                self.since = now;
            } else if self.level == MOST {
                self.since = now;
            }
        } else if self.level > 0 && since >= self.ease {
            self.level -= 1;
            self.since = now;
            self.eased_at = Some(now);
        }
    }

    /// Whether the picture for `slot` is left out.
    pub(super) const fn leaves_out(&self, slot: Slot) -> bool {
        slot.0.rem_euclid(1 << self.level) != 0
    }

    /// 0 = every picture is coded, *n* = one in 2ⁿ.
    pub(super) const fn level(&self) -> u32 {
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MediaTime {
        MediaTime::from_millis(1_800_000_000_000 + ms)
    }

    const LATE: Duration = Duration::from_millis(300);
    const PROMPT: Duration = Duration::from_millis(20);

    #[test]
    fn the_last_rung_gives_way_first() {
        let [mut first, mut last] = [Pressure::new(0, 2), Pressure::new(1, 2)];
        for ms in (0..2000).step_by(66) {
            first.observe(LATE, at(ms));
            last.observe(LATE, at(ms));
        }
        assert_eq!((first.level(), last.level()), (0, 4));
        assert_eq!((0..32).filter(|&slot| !last.leaves_out(Slot(slot))).count(), 2);
        assert!((0..32).all(|slot| !first.leaves_out(Slot(slot))));
    }

    #[test]
    fn it_comes_back_by_itself_and_more_slowly_after_a_relapse() {
        let mut pressure = Pressure::new(0, 1);
        pressure.observe(LATE, at(0));
        assert_eq!(pressure.level(), 1);
        pressure.observe(PROMPT, at(9_900));
        assert_eq!(pressure.level(), 1);
        pressure.observe(PROMPT, at(10_000));
        assert_eq!(pressure.level(), 0);
        pressure.observe(LATE, at(11_000));
        pressure.observe(PROMPT, at(21_500));
        assert_eq!(pressure.level(), 1, "a relapse: the ease is twice as long");
        pressure.observe(PROMPT, at(31_000));
        assert_eq!(pressure.level(), 0);
    }
}
