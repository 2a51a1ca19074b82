//! Which pictures a rung leaves out when the machine cannot follow (sans-IO).
//!
//! Contract. Tell [`Pressure::observe`] how long each picture waited between its arrival and its coding. A rung whose
//! pictures wait longer than its tolerance codes every second one only, then every fourth, eighth, sixteenth; in the
//! slots between it repeats the one before, which costs a fraction. One step up per half second of waiting, one step
//! down per [`EASE`] without; a step up soon after a step down doubles the next ease, so that a machine at its limit
//! does not swing.
//!
//! The last rung of the ladder gives way first, and the CPU that it frees may be enough for the others. When pictures of a
//! rung wait too long, the rungs after it give way as if theirs did; it gives way itself only when those cannot give way
//! any further. Tolerances differ by rung, too: the last one's is the smallest. A cell keeps its number of slots and its
//! IDR picture whatever happens, and sound is not affected.

use std::time::Duration;

use amphi_media::{MediaTime, Slot};

/// The highest level: one picture in sixteen is coded.
pub(super) const MOST: u32 = 4;
/// The shortest time between two steps up.
pub(super) const STEP: Duration = Duration::from_millis(500);
/// How long no picture may have waited too long before a step down.
const EASE: Duration = Duration::from_secs(10);
const LONGEST_EASE: Duration = Duration::from_secs(320);
/// The tolerance of the last rung, and how much more each one before it has.
const TOLERANCE: Duration = Duration::from_millis(200);

/// What a rung is told about the others of its ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Others {
    /// Pictures of a rung before it wait too long.
    pub before_waits: bool,
    /// All rungs after it leave out what they can.
    pub behind_is_spent: bool,
}

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

    /// Whether a picture that waited for so long waited too long.
    pub(super) fn is_too_long(&self, waited: Duration) -> bool {
        waited > self.tolerance
    }

    /// A picture of this rung has waited for so long; `others` is the state of the ladder's other rungs.
    pub(super) fn observe(&mut self, waited: Duration, others: Others, now: MediaTime) {
        let since = now.saturating_since(self.since);
        if self.is_too_long(waited) || others.before_waits {
            if !others.behind_is_spent {
                return;
            }
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

    /// 0: every picture is coded. *n*: one picture in 2ⁿ is.
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

    const ALONE: Others = Others { before_waits: false, behind_is_spent: true };

    /// Levels of three rungs whose pictures wait for so long, as they go from `from` to `to`, once for each picture.
    fn go(rungs: &mut [Pressure; 3], waits: [Duration; 3], from: i64, to: i64) -> Vec<[u32; 3]> {
        let mut levels = Vec::new();
        for ms in (from..to).step_by(66) {
            for index in 0..3 {
                let others = Others {
                    before_waits: (0..index).any(|before| rungs[before].is_too_long(waits[before])),
                    behind_is_spent: rungs[index + 1..].iter().all(|behind| behind.level() == MOST),
                };
                rungs[index].observe(waits[index], others, at(ms));
            }
            levels.push([0, 1, 2].map(|index| rungs[index].level()));
        }
        levels
    }

    #[test]
    fn the_last_rung_gives_way_first_whoever_waits() {
        for waits in [[3, 3, 3], [3, 0, 0], [0, 3, 0], [3, 3, 0], [0, 0, 3]] {
            let mut rungs = [0, 1, 2].map(|index| Pressure::new(index, 3));
            let waits = waits.map(|times| LATE * times);
            let levels = go(&mut rungs, waits, 0, 10_000);
            for [first, middle, last] in &levels {
                assert!(*first == 0 || *middle == MOST, "{levels:?}");
                assert!(*middle == 0 || *last == MOST, "{levels:?}");
            }
            // A rung that keeps pace gives way to those before it.
            assert!(levels.last().is_some_and(|last| last[2] == MOST), "{levels:?}");
        }
        let mut rungs = [0, 1, 2].map(|index| Pressure::new(index, 3));
        let levels = go(&mut rungs, [PROMPT, PROMPT, LATE], 0, 10_000);
        assert_eq!(levels.last(), Some(&[0, 0, MOST]), "one that waits alone gives way alone");
        assert_eq!((0..32).filter(|&slot| !rungs[2].leaves_out(Slot(slot))).count(), 2);
        assert!((0..32).all(|slot| !rungs[0].leaves_out(Slot(slot))));
    }

    #[test]
    fn all_come_back_when_nobody_waits_any_more() {
        let mut rungs = [0, 1, 2].map(|index| Pressure::new(index, 3));
        let levels = go(&mut rungs, [LATE * 3; 3], 0, 10_000);
        assert_eq!(levels.last(), Some(&[MOST; 3]));
        let levels = go(&mut rungs, [PROMPT; 3], 10_000, 60_000);
        assert_eq!(levels.last(), Some(&[0; 3]), "{levels:?}");
    }

    #[test]
    fn it_comes_back_by_itself_and_more_slowly_after_a_relapse() {
        let mut pressure = Pressure::new(0, 1);
        pressure.observe(LATE, ALONE, at(0));
        assert_eq!(pressure.level(), 1);
        pressure.observe(PROMPT, ALONE, at(9_900));
        assert_eq!(pressure.level(), 1);
        pressure.observe(PROMPT, ALONE, at(10_000));
        assert_eq!(pressure.level(), 0);
        pressure.observe(LATE, ALONE, at(11_000));
        pressure.observe(PROMPT, ALONE, at(21_500));
        assert_eq!(pressure.level(), 1, "a relapse: the ease is twice as long");
        pressure.observe(PROMPT, ALONE, at(31_000));
        assert_eq!(pressure.level(), 0);
    }
}
