//! Coded frames by their number on the lattice, until they are taken.
//!
//! Frames come in ascending order from the source's path and leave by [`AudioHistory::take`], which fills gaps with
//! silence. Each comes with the distance from its number's time to its own. Where that and the picture's distance would add
//! up to more than [`APART_NANOS`], one frame is left out or repeated, so that sound and picture slip together.
//! What does *not* belong here: how a frame gets its number.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::AudioCounts;
use super::av_sync::AvSync;
use amphi_media::{AAC_FRAME_SAMPLES, AudioFormat, MediaTime, SampleEntry, Timescale, TrackCell};

/// Seconds of sound kept for a reader that does not take it.
const KEPT_SECONDS: u32 = 10;
/// How far sound may stand from its picture: under the 45 ms that viewers begin to notice (ITU-R BT.1359-1), and 3 ms
/// under the 40 ms that are promised, since a smoothed error lags.
const APART_NANOS: i64 = 37_000_000;
/// A picture that is shown nearer than this to its own time is not slipping.
const AT_REST_NANOS: i64 = 5_000_000;
/// Frames by which sound may run ahead of or behind its numbers.
const MOST_LEAD: i64 = 8;

#[derive(Debug)]
struct CodedFrame {
    number: i64,
    /// By how much its number's time is before its own, in nanoseconds.
    early: i64,
    data: Bytes,
}

/// The frames that were put and not taken yet.
#[derive(Debug)]
pub(super) struct AudioHistory {
    /// In ascending order of their numbers.
    frames: VecDeque<CodedFrame>,
    /// The one handed out last.
    last: Option<(i64, Bytes)>,
    /// Frames by which sound is handed out before its number says (negative: after).
    lead: i64,
    scale: Timescale,
    /// What stands for a frame that never came.
    silence: Bytes,
    /// Frames before this one were taken, and never are again.
    floor: i64,
    /// Frames before this one have come, or will not come.
    covered: Option<i64>,
    /// Frames in a second, rounded up.
    second: i64,
    capacity: usize,
}

impl AudioHistory {
    /// Empty, for frames of `format`.
    pub(super) fn new(format: AudioFormat, silence: Bytes) -> Self {
        let second = format.sample_rate.div_ceil(AAC_FRAME_SAMPLES);
        Self {
            frames: VecDeque::new(),
            last: None,
            lead: 0,
            scale: Timescale(format.sample_rate),
            silence,
            floor: i64::MIN,
            covered: None,
            second: i64::from(second),
            capacity: (second * KEPT_SECONDS) as usize,
        }
    }

    /// The first frame not known yet; `None` before the first anchor.
    pub(super) fn covered_until(&self) -> Option<i64> {
        self.covered.map(|covered| covered - self.lead.max(0))
    }

    /// What stands for a frame that cannot be used.
    pub(super) fn silence(&self) -> Bytes {
        self.silence.clone()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// The next frame to come is `n`. Frames left out before it are silence. If the source goes back by more
    /// than a second, what it sent before is no longer valid: frames from `n` on that were not taken are dropped.
    /// With a smaller step back, frames that are here already stay.
    pub(super) fn anchor(&mut self, n: i64, counts: &mut AudioCounts) {
        match self.covered {
            Some(covered) if n >= covered.saturating_sub(self.second) => self.covered = Some(covered.max(n)),
            _ => {
                let kept = self.frames.partition_point(|frame| frame.number < n);
                counts.dropped += (self.frames.len() - kept) as u64;
                self.frames.truncate(kept);
                self.covered = Some(n);
            }
        }
    }

    /// Puts frame `n`, whose own time is `early` nanoseconds after its number's. A frame that is here already or was taken
    /// is dropped and counted.
    pub(super) fn put(&mut self, n: i64, early: i64, data: Bytes, counts: &mut AudioCounts) {
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
        self.frames.push_back(CodedFrame { number: n, early, data });
    }

    /// The frames of `range` as a cell, beside the pictures that `av_sync` has seen; those that are not here are silence.
    /// Everything before `range.end` is forgotten.
    pub(super) fn take(
        &mut self,
        range: Range<i64>,
        av_sync: &AvSync,
        counts: &mut AudioCounts,
    ) -> TrackCell {
        let mut data = BytesMut::new();
        let mut samples = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
        for n in range.clone() {
            self.keep_to_picture(n, range.end, av_sync, counts);
            let wanted = n + self.lead;
            while self.frames.front().is_some_and(|frame| frame.number < wanted) {
                self.frames.pop_front();
            }
            let frame = match (self.frames.front(), &self.last) {
                (Some(frame), _) if frame.number == wanted => frame.data.clone(),
                (_, Some((number, data))) if *number == wanted => data.clone(),
                _ => {
                    counts.silent += 1;
                    self.silence.clone()
                }
            };
            self.last = Some((wanted, frame.clone()));
            data.extend_from_slice(&frame);
            samples.push(SampleEntry { size: frame.len() as u32, duration: AAC_FRAME_SAMPLES, sync: true });
        }
        let next = range.end + self.lead;
        self.frames.drain(..self.frames.partition_point(|frame| frame.number < next));
        self.floor = self.floor.max(next);
        TrackCell {
            start: range.start * i64::from(AAC_FRAME_SAMPLES),
            data: data.freeze(),
            samples: Arc::from(samples),
        }
    }

    /// Before frame `n` is handed out: leaves one frame out or lets one be repeated, if sound and picture would be too far
    /// apart otherwise. When the picture is on its slots again, so is the sound.
    fn keep_to_picture(&mut self, n: i64, end: i64, av_sync: &AvSync, counts: &mut AudioCounts) {
        let samples = i64::from(AAC_FRAME_SAMPLES);
        let picture = av_sync.early(MediaTime::from_ticks(n * samples, self.scale));
        let wanted = n + self.lead;
        let Some(sound) = self.find(wanted).map(|frame| frame.early) else { return };
        let length = MediaTime::from_ticks(samples, self.scale).as_nanos();
        let late = picture.saturating_sub(sound).saturating_sub(self.lead * length);
        let at_rest = self.lead != 0 && picture.abs() < AT_REST_NANOS;
        let limit = if at_rest { length * 3 / 4 } else { APART_NANOS };
        // What is left out here must not become silence at the end.
        let enough = self.covered.is_some_and(|covered| covered > end + self.lead);
        if late > limit && enough && self.lead < MOST_LEAD && self.find(wanted + 1).is_some() {
            self.lead += 1;
            counts.dropped += 1;
        } else if late < -limit
            && self.lead > -MOST_LEAD
            && self.last.as_ref().is_some_and(|(number, _)| *number == wanted - 1)
        {
            self.lead -= 1;
            counts.repeated += 1;
        }
    }

    fn find(&self, n: i64) -> Option<&CodedFrame> {
        let index = self.frames.partition_point(|frame| frame.number < n);
        self.frames.get(index).filter(|frame| frame.number == n)
    }
}
