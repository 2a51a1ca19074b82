//! When pictures are really shown, so that sound can be kept beside them.
//!
//! A picture is shown at its slot's time, so up to half a slot before or after its own: 33 ms at 15 pictures per second.
//! While the source's time slips from one slot to the next, that error grows to half a slot, and turns into its opposite
//! where a picture is dropped or shown twice. Sound that keeps its own time then stands that far from its picture, and
//! whole frames add three quarters of a frame. So the code that hands out sound asks here how early its picture is shown.

use std::collections::VecDeque;

use amphi_media::{MediaTime, Slot};

/// Seconds of pictures that are remembered: as long as sound is kept.
const KEPT_SECONDS: usize = 10;

/// How early the pictures of the last seconds are shown.
#[derive(Debug)]
pub(super) struct AvSync {
    fps: u32,
    /// In ascending order of slots, each with the nanoseconds from the slot's time to the picture's.
    slots: VecDeque<(Slot, i64)>,
}

impl AvSync {
    /// Pictures on a lattice of `fps` slots per second.
    pub(super) const fn new(fps: u32) -> Self {
        Self { fps, slots: VecDeque::new() }
    }

    /// A picture that is to be shown at `pts`. A slot is filled as soon as it can be, so its first picture is shown.
    pub(super) fn see(&mut self, pts: MediaTime) {
        let slot = Slot::nearest(pts, self.fps);
        while self.slots.back().is_some_and(|(last, _)| *last > slot) {
            self.slots.pop_back();
        }
        if self.slots.back().is_some_and(|(last, _)| *last == slot) {
            return;
        }
        if self.slots.len() >= KEPT_SECONDS * self.fps as usize {
            self.slots.pop_front();
        }
        self.slots.push_back((slot, pts.nanos_since(slot.time(self.fps))));
    }

    /// How many nanoseconds before its own time the picture at `at` is shown; 0 if there is none.
    pub(super) fn early(&self, at: MediaTime) -> i64 {
        let slot = Slot::nearest(at, self.fps);
        let after = self.slots.partition_point(|(seen, _)| *seen <= slot);
        after.checked_sub(1).and_then(|index| self.slots.get(index)).map_or(0, |(_, early)| *early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_shows_its_first_picture_until_there_is_another() {
        let mut av_sync = AvSync::new(10);
        let at = |ms: i64| MediaTime::from_millis(1_800_000_000_000 + ms);
        assert_eq!(av_sync.early(at(0)), 0);
        for ms in [10, 70, 120, 530] {
            av_sync.see(at(ms));
        }
        let early = |ms| av_sync.early(at(ms)) / 1_000_000;
        assert_eq!(
            [early(-100), early(0), early(100), early(200), early(449), early(500)],
            [0, 10, -30, -30, -30, 30]
        );
        for ms in 0..100_000 {
            av_sync.see(at(10 * ms));
        }
        assert_eq!(av_sync.slots.len(), 100);
    }
}
