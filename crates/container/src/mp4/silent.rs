//! Silence where there are pictures, or other sound, but a track has no sound yet or no more: players stand still where one
//! of two buffers is empty. Sans-IO.
//!
//! The samples of silence are not in the file. All are the same frame, and last as long as a frame of the track does; where
//! its timescale cannot say that exactly, the track gets a finer one.

use bytes::Bytes;

use super::ticks::{UNNOTICED_MS, rescale};
use super::track::MovieTrack;

/// Most frames of silence, before and after: two days at 48 kHz.
const FRAMES_MAX: i64 = 8_000_000;

/// A coded frame of silence that the decoder of a track takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentFrame {
    /// Its bytes.
    pub bytes: Bytes,
    /// Samples of each channel in it.
    pub samples: u32,
    /// Samples per second.
    pub sample_rate: u32,
}

impl MovieTrack {
    /// Whether its sound begins noticeably later than presentation time zero, so that [`Self::begin_with`] helps.
    pub fn begins_late(&self) -> bool {
        self.can_be_filled()
            && self.begin == 0
            && self.shown_at(0) > rescale(UNNOTICED_MS, 1000, self.timescale)
    }

    /// Whether its sound ends noticeably before presentation time `until`, in nanoseconds, so that [`Self::end_with`] helps.
    pub fn ends_before(&self, until: i64) -> bool {
        self.can_be_filled()
            && self.ticks(until) - self.shown_until() > rescale(UNNOTICED_MS, 1000, self.timescale)
    }

    fn can_be_filled(&self) -> bool {
        !self.is_video() && self.samples.all_sync() && !self.samples.has_compositions()
    }

    /// Repeats `frame` from presentation time zero to where its sound begins.
    pub fn begin_with(&mut self, frame: &SilentFrame) {
        let Some(lasts) = self.ticks_of(frame) else { return };
        let Some(count) = frames(self.shown_at(0), lasts) else { return };
        self.samples.put_silence_before(count, frame.bytes.len() as u32, lasts);
        self.origin += i64::from(count) * i64::from(lasts);
        (self.begin, self.end) = (0, self.end + count);
        self.silence = frame.bytes.clone();
    }

    /// Repeats `frame` from where its sound ends to presentation time `until`, in nanoseconds.
    pub fn end_with(&mut self, frame: &SilentFrame, until: i64) {
        let Some(lasts) = self.ticks_of(frame) else { return };
        let Some(count) = frames(self.ticks(until) - self.shown_until(), lasts) else { return };
        self.samples.put_silence_after(self.end, count, frame.bytes.len() as u32, lasts);
        self.end = self.samples.count();
        self.silence = frame.bytes.clone();
    }

    /// How long the frame lasts, in ticks of the track, which are made finer if need be. `None` if they cannot be.
    fn ticks_of(&mut self, frame: &SilentFrame) -> Option<u32> {
        let ticks = |timescale: u32| u64::from(frame.samples) * u64::from(timescale);
        let rate = u64::from(frame.sample_rate).max(1);
        let factor = u32::try_from(rate / common_divisor(ticks(self.timescale), rate)).ok()?;
        let timescale = self.timescale.checked_mul(factor)?;
        let lasts = u32::try_from(ticks(timescale) / rate).ok().filter(|lasts| *lasts > 0)?;
        if factor > 1 {
            self.samples.scale(factor);
            self.origin = self.origin.saturating_mul(factor.into());
            self.timescale = timescale;
        }
        Some(lasts)
    }
}

/// How many whole frames fit into so many ticks; `None` if there are none, or too many.
fn frames(ticks: i64, lasts: u32) -> Option<u32> {
    let count = ticks / i64::from(lasts.max(1));
    u32::try_from(count).ok().filter(|_| (1..=FRAMES_MAX).contains(&count))
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests;
