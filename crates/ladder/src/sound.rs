//! The sound of the cells that are being filled: taken from its lane as it comes, kept until its cell is whole (sans-IO).
//!
//! Contract. [`SoundLane::push`] units as they come. [`SoundLane::take`] gives the part of a cell's sound that is there and was
//! not given before; ask for cells in rising order. Frames that have not come are awaited for `patience`, but not while no
//! sound flows: then they are silence. When all of a cell was taken, [`SoundLane::cell`] gives it once more in one piece.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bytes::BytesMut;

use super::audio::{AudioError, AudioLane, Level};
use super::spec::LadderSpec;
use amphi_media::{AAC_FRAME_SAMPLES, CellIndex, Grid, MediaTime, SourceFrame, Timescale, TrackCell};

/// Cells whose sound is kept: as many as can be under construction.
const KEPT: usize = 8;

#[derive(Debug)]
pub(super) struct SoundLane {
    grid: Grid,
    rate: u32,
    patience: Duration,
    lane: AudioLane,
    /// When a unit came last.
    last: Option<MediaTime>,
    /// The first frame that was not taken.
    next: i64,
    taken: BTreeMap<CellIndex, Vec<TrackCell>>,
}

impl SoundLane {
    pub(super) fn new(spec: &LadderSpec) -> Result<Self, AudioError> {
        let fps = spec.pictures.first().map_or(1, |rung| rung.fps);
        Ok(Self {
            grid: spec.grid,
            rate: spec.audio.format.sample_rate,
            patience: spec.patience,
            lane: AudioLane::new(spec.audio)?.beside(fps),
            last: None,
            next: i64::MIN,
            taken: BTreeMap::new(),
        })
    }

    /// Takes one access unit, which came `now`.
    pub(super) fn push(&mut self, unit: &SourceFrame, now: MediaTime) -> Result<(), AudioError> {
        self.last = Some(now);
        self.lane.push(unit)
    }

    /// How loud the last unit was; `None` where it could not be decoded.
    pub(super) const fn level(&self) -> Option<Level> {
        self.lane.level()
    }

    /// A picture of the same source, to be shown at `pts`; in presentation order.
    pub(super) fn see(&mut self, pts: MediaTime) {
        self.lane.see(pts);
    }

    /// The part of cell `k` that is there and was not taken, and whether nothing of it is left. `pictures_are_whole`: the
    /// cell waits for nothing but its sound.
    pub(super) fn take(
        &mut self,
        k: CellIndex,
        pictures_are_whole: bool,
        now: MediaTime,
    ) -> (TrackCell, bool) {
        let frames = self.grid.audio_frames(k, self.rate);
        let from = self.next.clamp(frames.start, frames.end);
        let until = self.known_until(pictures_are_whole, &frames, now).clamp(from, frames.end);
        let track = self.lane.take(from..until);
        self.next = self.next.max(until);
        if !track.samples.is_empty() {
            self.taken.entry(k).or_default().push(track.clone());
            while self.taken.len() > KEPT {
                self.taken.pop_first();
            }
        }
        (track, until == frames.end)
    }

    /// Whether all of cell `k` was taken.
    pub(super) fn is_whole(&self, k: CellIndex) -> bool {
        self.next >= self.grid.audio_frames(k, self.rate).end
    }

    /// All the sound of cell `k`; what was not taken yet is taken now. Earlier cells are forgotten.
    pub(super) fn cell(&mut self, k: CellIndex) -> TrackCell {
        let frames = self.grid.audio_frames(k, self.rate);
        let later = self.taken.split_off(&k.next());
        let mut pieces = std::mem::replace(&mut self.taken, later).remove(&k).unwrap_or_default();
        let have: usize = pieces.iter().map(|piece| piece.samples.len()).sum();
        let missing = (frames.start + have as i64).min(frames.end)..frames.end;
        if !missing.is_empty() {
            self.next = self.next.max(missing.end);
            pieces.push(self.lane.take(missing));
        }
        joined(frames.start, &pieces)
    }

    /// The first frame that is still awaited.
    fn known_until(&self, pictures_are_whole: bool, frames: &Range<i64>, now: MediaTime) -> i64 {
        let started =
            |at: MediaTime| at.to_ticks(Timescale(self.rate)).div_euclid(i64::from(AAC_FRAME_SAMPLES));
        let flows = self.last.is_some_and(|at| now.saturating_since(at) < self.patience);
        if flows {
            let patience = -(self.patience.as_nanos() as i64);
            // One more than is taken, in case that one is left out.
            self.lane
                .covered_until()
                .map_or(i64::MIN, |covered| covered - 1)
                .max(started(now.offset_nanos(patience)))
        } else if pictures_are_whole {
            frames.end
        } else {
            started(now)
        }
    }
}

/// Joins pieces to one track that begins with frame `first`.
fn joined(first: i64, pieces: &[TrackCell]) -> TrackCell {
    let start = first * i64::from(AAC_FRAME_SAMPLES);
    if let [piece] = pieces {
        return TrackCell { start, ..piece.clone() };
    }
    let mut data = BytesMut::with_capacity(pieces.iter().map(|piece| piece.data.len()).sum());
    for piece in pieces {
        data.extend_from_slice(&piece.data);
    }
    let samples = pieces.iter().flat_map(|piece| piece.samples.iter().copied()).collect();
    TrackCell { start, data: data.freeze(), samples }
}
