//! Where pictures should be: the slots of a lattice, and how far a mapped picture is from its place.
//!
//! What does not belong here: which picture wins a slot (the ladder decides).

use super::Nanos;
use amphi_media::{MediaTime, Slot};

const SECOND: Nanos = 1_000_000_000;

/// The most places in a slot. Sources with more pictures per slot are placed as if they had this many.
const MOST_PER_SLOT: u32 = 8;

/// The lattice of `fps` slots per second, seen by a source that sends `per_slot` pictures per slot.
///
/// One picture per slot belongs on the slot's time, its centre. Two belong a quarter slot before and after
/// it, so that neither is on the border to the next slot, where a microsecond decides. In general the
/// places are the points of a lattice `per_slot` times as fine, moved by half a step where that number is
/// even.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotLattice {
    fps: u32,
    per_slot: u32,
}

impl SlotLattice {
    pub(super) fn new(fps: u32) -> Self {
        Self { fps: fps.max(1), per_slot: 1 }
    }

    /// Learns the source's picture rate from the time between two pictures.
    pub(super) fn set_interval(&mut self, interval: Nanos) {
        let slot = SECOND / Nanos::from(self.fps);
        let per_slot = (slot + interval / 2).checked_div(interval).unwrap_or(1);
        self.per_slot = (per_slot.max(1) as u32).min(MOST_PER_SLOT);
    }

    /// The distance between two places.
    pub(super) fn step(self) -> Nanos {
        SECOND / Nanos::from(self.fps * self.per_slot)
    }

    /// How far after (positive) or before the nearest place `time` is; at most half a step.
    pub(super) fn error(self, time: Nanos) -> Nanos {
        let fine = self.fps * self.per_slot;
        let shift = if self.per_slot.is_multiple_of(2) { self.step() / 2 } else { 0 };
        let time = MediaTime::from_nanos((time - shift).clamp(0, Nanos::from(i64::MAX)) as i64);
        Nanos::from(time.nanos_since(Slot::nearest(time, fine).time(fine)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    #[test]
    fn one_picture_per_slot_belongs_on_its_time() {
        let lattice = SlotLattice::new(25);
        assert_eq!(lattice.error(1_000_000 * SECOND + 40 * MS), 0);
        assert_eq!(lattice.error(1_000_000 * SECOND + 43 * MS), 3 * MS);
        assert_eq!(lattice.error(1_000_000 * SECOND - 3 * MS), -3 * MS);
    }

    #[test]
    fn two_pictures_per_slot_stand_beside_its_time() {
        let mut lattice = SlotLattice::new(25);
        lattice.set_interval(20 * MS);
        assert_eq!(lattice.error(1_000_000 * SECOND + 10 * MS), 0);
        assert_eq!(lattice.error(1_000_000 * SECOND + 31 * MS), MS);
    }

    #[test]
    fn an_absurd_interval_is_survived() {
        let mut lattice = SlotLattice::new(15);
        for interval in [0, 1, -5, i128::from(i64::MAX)] {
            lattice.set_interval(interval);
            assert!(lattice.step() > 0);
        }
    }
}
