//! The lattice of pictures: whatever a source sends becomes exactly one picture per slot (sans-IO).
//!
//! Contract. [`Lattice::push`] each decoded picture in presentation order and call [`Lattice::flow`] for
//! every access unit that arrived, decodable or not. Then, and whenever [`Lattice::wake_at`] has come, call
//! [`Lattice::poll`] until it returns `None`. It hands out slots without a hole from the first slot of a cell
//! to the last slot of a cell:
//!
//! * a run begins at the first whole cell after the first picture;
//! * a slot takes the newest picture that is not later than it; a surplus picture is dropped, an empty slot
//!   repeats the picture before it, at the latest `patience` after the slot's time;
//! * a cell that was begun is always finished, by repeating;
//! * the next cell is begun only while media flows: an access unit came within `patience` and one
//!   second, and it could be decoded within [`HOLD_LIMIT`]. Otherwise the run ends and the next picture
//!   begins another;
//! * a lattice that is more than two cells late (an overloaded machine) ends the run too, and starts afresh.

use std::collections::VecDeque;
use std::time::Duration;

use amphi_media::{Grid, MediaTime, Slot};

/// How long one picture is held while access units flow that cannot be decoded (a GOP of 10 s after a loss).
pub const HOLD_LIMIT: Duration = Duration::from_secs(12);

/// Pictures that may wait for their slot; if there are more, the source's time stamps are wrong.
const QUEUE_LIMIT: usize = 128;

/// One filled slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled<P> {
    /// The slot that is filled.
    pub slot: Slot,
    /// The picture that stands in it.
    pub picture: P,
    /// Whether it is the same picture as in the slot before.
    pub repeated: bool,
    /// Whether the slot is the first of a cell.
    pub begins_cell: bool,
}

/// Fills the slots of one rung; the contract is in the module's text.
#[derive(Debug)]
pub struct Lattice<P> {
    grid: Grid,
    fps: u32,
    patience: Duration,
    /// Pictures for slots to come, in order.
    queue: VecDeque<(Slot, P)>,
    /// The newest picture whose slot has come, and whether it was shown already.
    held: Option<(P, bool)>,
    /// The slot to fill next; `None` between runs.
    next: Option<Slot>,
    last_flow: MediaTime,
    last_picture: MediaTime,
}

impl<P: Clone> Lattice<P> {
    /// An empty lattice of `fps` pictures per second.
    pub fn new(grid: Grid, fps: u32, patience: Duration) -> Self {
        let never = MediaTime::from_nanos(i64::MIN / 2);
        Self {
            grid,
            fps,
            patience,
            queue: VecDeque::new(),
            held: None,
            next: None,
            last_flow: never,
            last_picture: never,
        }
    }

    /// An access unit of the picture track arrived.
    pub fn flow(&mut self, now: MediaTime) {
        self.last_flow = self.last_flow.max(now);
    }

    /// A decoded picture, to be shown at `pts`.
    pub fn push(&mut self, pts: MediaTime, picture: P, now: MediaTime) {
        self.flow(now);
        self.last_picture = self.last_picture.max(now);
        let slot = Slot::nearest(pts, self.fps);
        let next = *self.next.get_or_insert_with(|| first_slot_from(self.grid, slot, self.fps));
        if slot < next {
            // Late, or before the run: it can only be held.
            self.held = Some((picture, false));
            return;
        }
        while self.queue.back().is_some_and(|(queued, _)| *queued >= slot) {
            self.queue.pop_back();
        }
        if self.queue.len() == QUEUE_LIMIT {
            self.queue.pop_front();
        }
        self.queue.push_back((slot, picture));
    }

    /// The next slot that can be filled by now.
    pub fn poll(&mut self, now: MediaTime) -> Option<Filled<P>> {
        let slot = self.next?;
        while self.queue.front().is_some_and(|(queued, _)| *queued < slot) {
            self.take_front();
        }
        let arrived = self.queue.front().map(|(queued, _)| *queued);
        let fresh = arrived == Some(slot);
        if fresh {
            self.take_front();
        }
        let due = arrived.is_some() || now >= self.deadline(slot);
        let begins_cell = self.grid.first_slot(self.grid.cell_of_slot(slot, self.fps), self.fps) == slot;
        if begins_cell && due && !self.may_begin(slot, arrived.is_some(), now) {
            self.end_run();
            return None;
        }
        if !due {
            return None;
        }
        let (picture, shown) = self.held.as_mut()?;
        let repeated = std::mem::replace(shown, true);
        self.next = Some(slot.next());
        Some(Filled { slot, picture: picture.clone(), repeated, begins_cell })
    }

    /// When [`Lattice::poll`] may fill a slot even if nothing is pushed; `None` between runs.
    pub fn wake_at(&self) -> Option<MediaTime> {
        self.next.map(|slot| self.deadline(slot))
    }

    fn take_front(&mut self) {
        if let Some((_, picture)) = self.queue.pop_front() {
            self.held = Some((picture, false));
        }
    }

    fn deadline(&self, slot: Slot) -> MediaTime {
        slot.time(self.fps) + self.patience
    }

    fn may_begin(&self, slot: Slot, picture_there: bool, now: MediaTime) -> bool {
        let late = now.saturating_since(slot.time(self.fps)) > 2 * self.grid.duration();
        let flows = now.saturating_since(self.last_flow) < self.patience + Duration::from_secs(1)
            && now.saturating_since(self.last_picture) < HOLD_LIMIT;
        !late && self.held.is_some() && (picture_there || flows)
    }

    fn end_run(&mut self) {
        self.next = None;
        self.queue.clear();
        self.held = None;
    }
}

/// The first slot, from `slot` on, that begins a cell.
fn first_slot_from(grid: Grid, slot: Slot, fps: u32) -> Slot {
    let k = grid.cell_of_slot(slot, fps);
    let first = grid.first_slot(k, fps);
    if first == slot { first } else { grid.first_slot(k.next(), fps) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRID: Grid = Grid::new(2000);
    const PATIENCE: Duration = Duration::from_millis(500);
    const START: i64 = 1_800_000_000_000;

    fn at(ms: i64) -> MediaTime {
        MediaTime::from_millis(START + ms)
    }

    /// Pictures at the given times, each arriving 20 ms later; polls every 10 ms until `until`.
    fn run(fps: u32, pictures: &[i64], until: i64) -> Vec<Filled<i64>> {
        let mut lattice = Lattice::new(GRID, fps, PATIENCE);
        let mut pictures = pictures.iter().copied().peekable();
        let mut filled = Vec::new();
        for now in (0..until).step_by(10) {
            while let Some(pts) = pictures.next_if(|pts| pts + 20 <= now) {
                lattice.push(at(pts), pts, at(now));
            }
            filled.extend(std::iter::from_fn(|| lattice.poll(at(now))));
        }
        filled
    }

    fn lattice_of(from: i64, to: i64, fps: i64) -> Vec<i64> {
        (from * fps / 1000..to * fps / 1000).map(|i| i * 1000 / fps).collect()
    }

    fn assert_whole_cells(filled: &[Filled<i64>], fps: u32) {
        let per_cell = GRID.slots_per_cell(fps) as usize;
        assert_eq!(filled.len() % per_cell, 0, "every cell is whole");
        for cell in filled.chunks(per_cell) {
            assert!(cell[0].begins_cell);
            for (one, two) in cell.iter().zip(&cell[1..]) {
                assert_eq!(two.slot, one.slot.next());
                assert!(!two.begins_cell);
            }
        }
    }

    #[test]
    fn a_regular_source_fills_every_slot_once() {
        let filled = run(15, &lattice_of(700, 8000, 15), 8000);
        assert_eq!(filled[0].slot.time(15), at(2000));
        assert!(filled.iter().skip(1).all(|slot| !slot.repeated));
        let shown: Vec<_> = filled.iter().map(|slot| slot.picture).collect();
        assert_eq!(shown, lattice_of(2000, 2000 + 1000 * shown.len() as i64 / 15 + 1, 15)[..shown.len()]);
    }

    #[test]
    fn thirty_become_fifteen_by_dropping_and_ten_by_repeating() {
        let halved = run(15, &lattice_of(0, 6000, 30), 5900);
        assert!(halved.iter().skip(1).all(|slot| !slot.repeated));
        let filled = run(15, &lattice_of(0, 6000, 10), 6000);
        let repeated = filled.iter().filter(|slot| slot.repeated).count();
        assert!((25..=35).contains(&repeated), "a third of 90 slots, got {repeated}");
    }

    #[test]
    fn a_cell_that_was_begun_is_finished_and_the_next_is_not_begun() {
        let filled = run(15, &lattice_of(0, 2700, 15), 9000);
        assert_whole_cells(&filled, 15);
        assert_eq!(filled.len(), 60);
        assert!(filled[45].repeated);
    }

    #[test]
    fn a_source_that_returns_begins_a_new_run() {
        let mut pictures = lattice_of(0, 2700, 15);
        pictures.extend(lattice_of(9100, 13_000, 15));
        let filled = run(15, &pictures, 15_500);
        assert_whole_cells(&filled, 15);
        assert_eq!(filled[60].slot.time(15), at(10_000));
    }

    #[test]
    fn undecodable_flow_holds_the_picture() {
        let mut lattice = Lattice::new(GRID, 15, PATIENCE);
        lattice.push(at(0), 0, at(10));
        let mut filled = 0;
        for now in (0..8000).step_by(50) {
            lattice.flow(at(now));
            filled += std::iter::from_fn(|| lattice.poll(at(now))).count();
        }
        assert!(filled >= 3 * 30, "three cells are held, got {filled} slots");
    }

    #[test]
    fn who_is_much_too_late_starts_afresh() {
        let mut lattice = Lattice::new(GRID, 15, PATIENCE);
        lattice.push(at(0), 0, at(10));
        for now in [10, 20_000] {
            lattice.flow(at(now));
            while lattice.poll(at(now)).is_some() {}
        }
        lattice.push(at(20_100), 1, at(20_120));
        assert_eq!(lattice.poll(at(20_120)), None);
        assert_eq!(lattice.wake_at(), Some(at(22_000) + PATIENCE));
    }

    proptest! {
        #[test]
        fn whatever_arrives_cells_are_whole_and_slots_rise(
            steps in prop::collection::vec((0..400_i64, -300..300_i64), 1..200),
            fps in prop::sample::select(vec![15_u32, 25, 30]),
        ) {
            let mut lattice = Lattice::new(GRID, fps, PATIENCE);
            let (mut now, mut filled) = (0, Vec::new());
            for (step, jitter) in steps {
                now += step;
                lattice.push(at(now + jitter), now, at(now));
                filled.extend(std::iter::from_fn(|| lattice.poll(at(now))));
            }
            for late in (0..6000).step_by(20) {
                filled.extend(std::iter::from_fn(|| lattice.poll(at(now + late))));
            }
            assert_whole_cells(&filled, fps);
            for pair in filled.windows(2) {
                prop_assert!(pair[0].slot < pair[1].slot);
                prop_assert!(pair[0].picture <= pair[1].picture, "pictures never go back");
            }
        }
    }
}
