//! The source's own access units on the lattice, byte for byte.
//!
//! The caller has decoded each unit before. Players stop at one that does not decode (Chromium: `PIPELINE_ERROR_DECODE`), so
//! a damaged one comes as `None`, and silence takes its place. Its neighbours stay as they are: access units of AAC-LC
//! are decoded each by itself, and overlap by half; what overlaps silence fades in or out within a frame.
//!
//! Units get consecutive numbers. The smoothed error between their time stamps and their places is corrected
//! by repeating or dropping one unit; holes become silence.

use bytes::Bytes;

use super::follower::{Follower, TimestampStep};
use super::history::AudioHistory;
use super::{AudioCounts, is_jump};
use amphi_media::{AAC_FRAME_SAMPLES, MediaTime, Timescale};

/// Frames of smoothed error that are corrected by a whole frame. Above one half, so that a corrected error is not
/// corrected back; below one, so that a single lost unit is noticed.
const MENDED: f64 = 0.75;
/// Units that may stand in for lost ones by being repeated (43 ms at 48 kHz); a longer hole is silence.
const LONGEST_REPEAT: i64 = 2;

/// The row of units from a path's beginning on.
#[derive(Debug)]
pub(super) struct PassThrough {
    scale: Timescale,
    follower: Follower,
    /// The number of the next unit.
    next: i64,
    /// The unit before, for repetition; empty if that was damaged.
    last: Bytes,
}

impl PassThrough {
    /// Begins a row: the unit heard at `pts` gets the nearest number.
    pub(super) fn new(sample_rate: u32, pts: MediaTime) -> Self {
        let scale = Timescale(sample_rate);
        let samples = i64::from(AAC_FRAME_SAMPLES);
        let next = (pts.to_ticks(scale) + samples / 2).div_euclid(samples);
        Self { scale, follower: Follower::new(), next, last: Bytes::new() }
    }

    /// The number of the next unit.
    pub(super) const fn next(&self) -> i64 {
        self.next
    }

    /// Whether a unit at `pts` is too far from the next place to belong to this row.
    pub(super) const fn is_jump(&self, pts: MediaTime) -> bool {
        is_jump(pts, MediaTime::from_ticks(self.next * AAC_FRAME_SAMPLES as i64, self.scale))
    }

    /// Puts the unit heard at `pts` into `history`, or silence in its place.
    pub(super) fn push(
        &mut self,
        pts: MediaTime,
        unit: Option<&Bytes>,
        history: &mut AudioHistory,
        counts: &mut AudioCounts,
    ) {
        let samples = i64::from(AAC_FRAME_SAMPLES);
        let distance = (pts.to_ticks(self.scale) - self.next * samples) as f64 / samples as f64;
        match self.follower.observe(distance) {
            TimestampStep::Hole(length) => self.skip(length.round() as i64, history, counts),
            TimestampStep::Overlap(_) => {
                counts.dropped += 1;
                return;
            }
            TimestampStep::Steady if !self.follower.settled() => {}
            TimestampStep::Steady if self.follower.error() > MENDED => {
                self.skip(1, history, counts);
                self.follower.shift(1.0);
            }
            TimestampStep::Steady if self.follower.error() < -MENDED => {
                self.follower.shift(-1.0);
                counts.dropped += 1;
                return;
            }
            TimestampStep::Steady => {}
        }
        let data = unit.cloned().unwrap_or_else(|| history.silence());
        history.put(self.next, self.early(), data, counts);
        self.next += 1;
        self.last = unit.cloned().unwrap_or_default();
    }

    /// How much later than the next place the next unit's time is, smoothed, in nanoseconds.
    fn early(&self) -> i64 {
        let frame = MediaTime::from_ticks(i64::from(AAC_FRAME_SAMPLES), self.scale).as_nanos();
        (self.follower.error() * frame as f64) as i64
    }

    /// Leaves out `count` places, or fills them if they are few.
    fn skip(&mut self, count: i64, history: &mut AudioHistory, counts: &mut AudioCounts) {
        if count <= LONGEST_REPEAT && !self.last.is_empty() {
            let early = self.early();
            for n in self.next..self.next + count {
                history.put(n, early, self.last.clone(), counts);
                counts.repeated += 1;
            }
        }
        self.next += count;
    }
}
