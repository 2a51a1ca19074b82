//! From rungs to cells: a cell is whole when every picture rung and the sound have finished it (sans-IO).
//!
//! Contract. Hand in each rung's [`TrackCell`] with [`Assembler::picture`]; ask [`Assembler::whole`] after
//! each. Cells come out in rising order. A cell that a later one overtook is dropped: one of its rungs did
//! not keep up, and a viewer must never find a rung missing.

use std::collections::BTreeMap;

use amphi_media::{CellIndex, TrackCell};

/// Cells under construction: more than a ladder can lag before it starts afresh.
const OPEN_LIMIT: usize = 8;

/// Collects the cells of all picture rungs; the contract is in the module's text.
#[derive(Debug)]
pub struct Assembler {
    rungs: usize,
    open: BTreeMap<CellIndex, Vec<Option<TrackCell>>>,
    dropped: u64,
}

impl Assembler {
    /// Expects cells of `rungs` picture rungs, which are numbered from 0.
    pub const fn new(rungs: usize) -> Self {
        Self { rungs, open: BTreeMap::new(), dropped: 0 }
    }

    /// Rung number `rung` has finished its cell `k`.
    pub fn picture(&mut self, k: CellIndex, rung: usize, cell: TrackCell) {
        let tracks = self.open.entry(k).or_insert_with(|| vec![None; self.rungs]);
        if let Some(place) = tracks.get_mut(rung) {
            *place = Some(cell);
        }
        while self.open.len() > OPEN_LIMIT {
            self.open.pop_first();
            self.dropped += 1;
        }
    }

    /// The oldest cell whose pictures are whole and for whose sound `sound_is_there` says yes.
    pub fn whole(
        &mut self,
        sound_is_there: impl FnOnce(CellIndex) -> bool,
    ) -> Option<(CellIndex, Vec<TrackCell>)> {
        let k = *self.open.iter().find(|(_, tracks)| tracks.iter().all(Option::is_some))?.0;
        if !sound_is_there(k) {
            return None;
        }
        let later = self.open.split_off(&k.next());
        let mut ready = std::mem::replace(&mut self.open, later);
        let tracks = ready.remove(&k)?;
        self.dropped += ready.len() as u64;
        Some((k, tracks.into_iter().flatten().collect()))
    }

    /// How many cells were dropped before they were whole.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;

    fn cell(start: i64) -> TrackCell {
        TrackCell { start, data: Bytes::new(), samples: Arc::new([]) }
    }

    #[test]
    fn a_cell_waits_for_all_its_rungs_and_its_sound() {
        let mut assembler = Assembler::new(2);
        assembler.picture(CellIndex(7), 0, cell(70));
        assert_eq!(assembler.whole(|_| true), None);
        assembler.picture(CellIndex(7), 1, cell(71));
        assert_eq!(assembler.whole(|_| false), None);
        assert_eq!(assembler.whole(|_| true), Some((CellIndex(7), vec![cell(70), cell(71)])));
        assert_eq!(assembler.whole(|_| true), None);
    }

    #[test]
    fn a_cell_that_lacks_a_rung_is_dropped_once_a_later_one_is_whole() {
        let mut assembler = Assembler::new(2);
        assembler.picture(CellIndex(7), 0, cell(70));
        assembler.picture(CellIndex(8), 0, cell(80));
        assembler.picture(CellIndex(8), 1, cell(81));
        assert_eq!(assembler.whole(|_| true).map(|(k, _)| k), Some(CellIndex(8)));
        assembler.picture(CellIndex(7), 1, cell(71));
        assert_eq!(assembler.dropped(), 1);
    }
}
