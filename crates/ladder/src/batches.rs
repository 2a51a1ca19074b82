//! From rungs' pictures to batches: what goes out of a cell while it is being filled (sans-IO).
//!
//! Contract. Hand in each coded picture with [`Batches::picture`], in order within its rung; then call [`Batches::next`]
//! until it returns `None`, and again with every new picture and at least every [`MERGED`]. Batches come cell by cell:
//! all of cell *k* before the first of *k + 1*. The first batch of a cell has a picture of every rung; later ones go out
//! as soon as every rung has one, or [`MERGED`] after the first rung had one. Sound goes along as far as it is there.
//!
//! A cell whose rung has gone on to the next one without finishing it is given up: it gives no more batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use amphi_media::{CellBatch, CellIndex, CodedCell, Grid, MediaTime, SampleEntry, TrackCell};

/// How long a picture waits for those of the other rungs.
const MERGED: Duration = Duration::from_millis(25);
/// Cells under construction at most; then the oldest is given up.
const OPEN_LIMIT: usize = 8;

#[derive(Debug)]
pub(super) struct Batches {
    /// Pictures in a cell of each rung.
    slots: Vec<usize>,
    open: BTreeMap<CellIndex, Filling>,
}

#[derive(Debug)]
struct Filling {
    rungs: Vec<Pictures>,
    begun: bool,
    /// When the first of the pictures that wait for a batch came.
    since: Option<MediaTime>,
}

/// One rung's pictures that were not in a batch yet.
#[derive(Clone, Debug, Default)]
struct Pictures {
    start: i64,
    data: BytesMut,
    samples: Vec<SampleEntry>,
    /// How many of the cell have come, those in earlier batches included.
    count: usize,
}

impl Batches {
    pub(super) fn new(grid: Grid, fps: impl IntoIterator<Item = u32>) -> Self {
        let slots = fps.into_iter().map(|fps| grid.slots_per_cell(fps) as usize).collect();
        Self { slots, open: BTreeMap::new() }
    }

    /// One coded picture of rung number `rung`, which belongs to cell `k`.
    pub(super) fn picture(&mut self, k: CellIndex, rung: usize, picture: &TrackCell, now: MediaTime) {
        let slots = &self.slots;
        self.open.retain(|&open, filling| {
            let count = filling.rungs.get(rung).map_or(0, |pictures| pictures.count);
            open >= k || slots.get(rung).is_none_or(|&slots| count == slots)
        });
        let rungs = self.slots.len();
        let filling = self.open.entry(k).or_insert_with(|| Filling {
            rungs: vec![Pictures::default(); rungs],
            begun: false,
            since: None,
        });
        if let Some(pictures) = filling.rungs.get_mut(rung) {
            if pictures.samples.is_empty() {
                pictures.start = picture.start;
            }
            pictures.data.extend_from_slice(&picture.data);
            pictures.samples.extend_from_slice(&picture.samples);
            pictures.count += picture.samples.len();
        }
        filling.since.get_or_insert(now);
        if self.open.len() > OPEN_LIMIT {
            self.open.pop_first();
        }
    }

    /// Whether more batches of this cell may come.
    pub(super) fn is_open(&self, k: CellIndex) -> bool {
        self.open.contains_key(&k)
    }

    /// The next batch. `sound` gives the sound of a cell that is there and was not given before, and whether that is
    /// all of it; it is told whether the cell's pictures are whole.
    pub(super) fn next(
        &mut self,
        now: MediaTime,
        sound: impl FnOnce(CellIndex, bool) -> (TrackCell, bool),
    ) -> Option<CellBatch> {
        let (&k, filling) = self.open.iter_mut().next()?;
        let whole = filling.rungs.iter().zip(&self.slots).all(|(pictures, &slots)| pictures.count == slots);
        let every = filling.rungs.iter().all(|pictures| !pictures.samples.is_empty());
        let waited = filling.since.is_some_and(|since| now.saturating_since(since) >= MERGED);
        if !(every || whole || waited && filling.begun) {
            return None;
        }
        let (audio, sound_is_whole) = sound(k, whole);
        if filling.since.is_none() && audio.samples.is_empty() {
            return None;
        }
        let video = filling.rungs.iter_mut().map(Pictures::take).collect();
        let first = !std::mem::replace(&mut filling.begun, true);
        filling.since = None;
        if whole && sound_is_whole {
            self.open.remove(&k);
        }
        Some(CellBatch { samples: CodedCell { k, video, audio }, first })
    }
}

impl Pictures {
    fn take(&mut self) -> TrackCell {
        let samples: Arc<[SampleEntry]> = std::mem::take(&mut self.samples).into();
        TrackCell { start: self.start, data: std::mem::take(&mut self.data).freeze(), samples }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const GRID: Grid = Grid::new(2000);
    const K: CellIndex = CellIndex(900_000_000);

    fn at(ms: i64) -> MediaTime {
        GRID.start(K).offset_nanos(ms * 1_000_000)
    }

    fn picture(n: i64) -> TrackCell {
        let entry = SampleEntry { size: 1, duration: 6000, sync: n == 0 };
        TrackCell { start: n * 6000, data: Bytes::from(vec![n as u8]), samples: Arc::new([entry]) }
    }

    fn no_sound(_: CellIndex, whole: bool) -> (TrackCell, bool) {
        (TrackCell { start: 0, data: Bytes::new(), samples: Arc::new([]) }, whole)
    }

    fn counts(batch: &CellBatch) -> Vec<usize> {
        batch.samples.video.iter().map(|track| track.samples.len()).collect()
    }

    #[test]
    fn a_batch_waits_for_every_rung_but_not_for_long() {
        let mut batches = Batches::new(GRID, [15, 15]);
        batches.picture(K, 0, &picture(0), at(0));
        assert!(batches.next(at(100), no_sound).is_none(), "the first one has all rungs");
        batches.picture(K, 1, &picture(0), at(100));
        let first = batches.next(at(100), no_sound).expect("a batch");
        assert!(first.first && counts(&first) == [1, 1]);
        batches.picture(K, 0, &picture(1), at(120));
        assert!(batches.next(at(144), no_sound).is_none());
        let second = batches.next(at(145), no_sound).expect("a batch");
        assert!(!second.first && counts(&second) == [1, 0]);
        assert_eq!(second.samples.video[0], picture(1));
        assert!(batches.next(at(200), no_sound).is_none(), "nothing new");
    }

    #[test]
    fn cells_come_one_after_the_other_and_make_up_the_whole() {
        let mut batches = Batches::new(GRID, [15, 15]);
        let mut seen = [Vec::new(), Vec::new()];
        let mut cells = Vec::new();
        for n in 0..70 {
            let (ms, cell, slot) = (n * 67, CellIndex(K.0 + n / 30), n % 30);
            batches.picture(cell, 0, &picture(slot), at(ms));
            if n >= 3 {
                batches.picture(CellIndex(K.0 + (n - 3) / 30), 1, &picture((n - 3) % 30), at(ms));
            }
            while let Some(batch) = batches.next(at(ms + 30), no_sound) {
                cells.push((batch.samples.k.0 - K.0, batch.first));
                for (seen, track) in seen.iter_mut().zip(&batch.samples.video) {
                    seen.extend(track.data.iter().copied());
                }
            }
        }
        assert!(cells.is_sorted_by_key(|&(k, first)| (k, !first)), "{cells:?}");
        assert_eq!(seen[1], (0..67).map(|n| n % 30).collect::<Vec<u8>>());
        assert_eq!(seen[0][..67], (0..67).map(|n| n % 30).collect::<Vec<u8>>()[..]);
    }

    #[test]
    fn a_cell_that_a_rung_did_not_finish_is_given_up() {
        let mut batches = Batches::new(GRID, [15]);
        batches.picture(K, 0, &picture(0), at(0));
        assert!(batches.next(at(0), no_sound).is_some());
        batches.picture(K, 0, &picture(1), at(0));
        batches.picture(K.next(), 0, &picture(0), at(70));
        let next = batches.next(at(70), no_sound).expect("a batch");
        assert!(next.first && next.samples.k == K.next());
    }

    #[test]
    fn sound_that_comes_late_ends_the_cell() {
        let mut batches = Batches::new(GRID, [15]);
        for n in 0..30 {
            batches.picture(K, 0, &picture(n), at(0));
        }
        let empty = TrackCell { start: 0, data: Bytes::new(), samples: Arc::new([]) };
        assert!(batches.next(at(0), |_, _| (empty.clone(), false)).is_some());
        assert!(
            batches
                .next(at(20), |_, whole| {
                    assert!(whole);
                    (empty.clone(), false)
                })
                .is_none()
        );
        let last = batches.next(at(40), |_, _| (picture(0), true)).expect("the sound");
        assert_eq!(last.samples.audio.samples.len(), 1);
        assert!(batches.next(at(60), |_, _| panic!("the cell is closed")).is_none());
    }
}
