//! Coded frames by their number on the lattice, waiting to be taken.
//!
//! Frames come in ascending order from the source's path and leave by [`Shelf::take`], whose gaps are
//! silence. What is *not* here: how a frame comes by its number.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::AudioCounts;
use crate::media::{AAC_FRAME_SAMPLES, AudioFormat, SampleEntry, TrackCell};

/// Seconds of sound kept for a reader that does not take it.
const KEPT_SECONDS: u32 = 10;

/// Frames by number.
#[derive(Debug)]
pub(super) struct Shelf {
    /// Numbers ascend.
    frames: VecDeque<(i64, Bytes)>,
    /// What stands for a frame that never came.
    silence: Bytes,
    /// Frames below were taken, and never are again.
    floor: i64,
    /// Frames below have come or never will.
    covered: Option<i64>,
    /// Frames in a second, rounded up.
    second: i64,
    capacity: usize,
}

impl Shelf {
    /// Empty, for frames of `format`.
    pub(super) fn new(format: AudioFormat, silence: Bytes) -> Self {
        let second = format.sample_rate.div_ceil(AAC_FRAME_SAMPLES);
        Self {
            frames: VecDeque::new(),
            silence,
            floor: i64::MIN,
            covered: None,
            second: i64::from(second),
            capacity: (second * KEPT_SECONDS) as usize,
        }
    }

    /// The first frame not known yet; `None` before the first anchor.
    pub(super) const fn covered_until(&self) -> Option<i64> {
        self.covered
    }

    /// Frames waiting.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// The next frame to come is `n`. Frames left out before it are silence. A source that goes back by more
    /// than a second has disowned what it said before: frames from `n` on that nobody took are forgotten.
    /// With a smaller step back, frames that are here already stay.
    pub(super) fn anchor(&mut self, n: i64, counts: &mut AudioCounts) {
        match self.covered {
            Some(covered) if n >= covered.saturating_sub(self.second) => self.covered = Some(covered.max(n)),
            _ => {
                let kept = self.frames.partition_point(|&(number, _)| number < n);
                counts.dropped += (self.frames.len() - kept) as u64;
                self.frames.truncate(kept);
                self.covered = Some(n);
            }
        }
    }

    /// Puts frame `n`. A frame that is here already or was taken is dropped and counted.
    pub(super) fn put(&mut self, n: i64, frame: Bytes, counts: &mut AudioCounts) {
        if self.covered.is_some_and(|covered| n < covered) {
            counts.late += 1;
            return;
        }
        self.covered = Some(n.saturating_add(1));
        if n < self.floor {
            counts.late += 1;
            return;
        }
        if self.frames.len() == self.capacity {
            self.frames.pop_front();
            counts.overflowed += 1;
        }
        self.frames.push_back((n, frame));
    }

    /// The frames of `range` as a cell; those that are not here are silence. Everything before `range.end`
    /// is forgotten.
    pub(super) fn take(&mut self, range: Range<i64>, counts: &mut AudioCounts) -> TrackCell {
        let mut data = BytesMut::new();
        let mut samples = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
        for n in range.clone() {
            while self.frames.front().is_some_and(|&(number, _)| number < n) {
                self.frames.pop_front();
            }
            let frame = match self.frames.front() {
                Some(&(number, ref frame)) if number == n => frame,
                _ => {
                    counts.silent += 1;
                    &self.silence
                }
            };
            data.extend_from_slice(frame);
            samples.push(SampleEntry { size: frame.len() as u32, duration: AAC_FRAME_SAMPLES, sync: true });
        }
        self.frames.drain(..self.frames.partition_point(|&(number, _)| number < range.end));
        self.floor = self.floor.max(range.end);
        TrackCell {
            start: range.start * i64::from(AAC_FRAME_SAMPLES),
            data: data.freeze(),
            samples: Arc::from(samples),
        }
    }
}
