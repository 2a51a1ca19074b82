//! Which sample is due when: a clip looped on the wall clock (sans-IO).

use std::sync::Arc;

use bytes::Bytes;

use amphi_container::clip::{ClipSample, ClipTrack};
use amphi_media::{MediaTime, Timescale, TrackFormat};

/// One track's place in the endless loop.
#[derive(Clone, Debug)]
pub(super) struct Playout {
    track: ClipTrack,
    /// Duration of the loop in seconds.
    seconds: i64,
    /// Begin of the current loop, in seconds since the epoch.
    base: i64,
    index: usize,
    /// Added to every RTP time stamp.
    origin: u32,
    /// The one picture that is sent in place of all.
    held: Option<Bytes>,
}

#[derive(Clone, Debug)]
pub(super) struct DueSample {
    /// Its RTP time stamp.
    pub(super) timestamp: u32,
    pub(super) data: Bytes,
    pub(super) format: Arc<TrackFormat>,
}

/// Whole seconds that a track's loop lasts.
fn loop_seconds(track: &ClipTrack) -> i64 {
    let ticks: i64 = track.samples.iter().map(|sample| i64::from(sample.duration)).sum();
    let rate = i64::from(track.timescale.0);
    // Sound may have a frame more than the picture that it goes with.
    ((ticks + rate / 2) / rate).max(1)
}

impl Playout {
    /// A playout that begins with the first sample that is due at `now` or later.
    pub(super) fn new(track: &ClipTrack, now: MediaTime, origin: u32) -> Self {
        let seconds = loop_seconds(track);
        let base = now.as_nanos().div_euclid(1_000_000_000).div_euclid(seconds) * seconds;
        let mut playout = Self { track: track.clone(), seconds, base, index: 0, origin, held: None };
        while playout.sample().is_some_and(|_| playout.due_at() < now) {
            playout.advance();
        }
        playout
    }

    /// What is added to every RTP time stamp.
    pub(super) const fn origin(&self) -> u32 {
        self.origin
    }

    /// Makes all further time stamps `seconds` later.
    pub(super) fn shift(&mut self, seconds: i64) {
        self.origin = self.origin.wrapping_add((seconds * i64::from(self.rate().0)) as u32);
    }

    /// Makes `timestamp` stand for the wall-clock time `now`.
    pub(super) fn set_timestamp(&mut self, now: MediaTime, timestamp: u32) {
        self.origin = timestamp.wrapping_sub(now.to_ticks(self.rate()) as u32);
    }

    /// Makes every picture from now on the newest IDR picture.
    pub(super) fn stand_still(&mut self) {
        let before = self.track.samples.iter().take(self.index + 1);
        self.held = before.rev().find(|sample| sample.sync).map(|sample| sample.data.clone());
    }

    /// When the next sample is due.
    pub(super) fn due_at(&self) -> MediaTime {
        self.sample().map_or(MediaTime::from_nanos(i64::MAX), |sample| self.wall(sample.dts))
    }

    /// Takes the next sample.
    pub(super) fn take(&mut self) -> Option<DueSample> {
        let sample = self.sample()?.clone();
        let data = self.held.clone().unwrap_or(sample.data);
        let due =
            DueSample { timestamp: self.timestamp(sample.pts), data, format: Arc::clone(&self.track.format) };
        self.advance();
        Some(due)
    }

    /// The RTP time stamp of a wall-clock time, for sender reports (RFC 3550 §6.4.1).
    pub(super) fn timestamp_at(&self, now: MediaTime) -> u32 {
        (now.to_ticks(self.rate()) as u32).wrapping_add(self.origin)
    }

    fn rate(&self) -> Timescale {
        self.track.format.timescale()
    }

    fn timestamp(&self, pts: i64) -> u32 {
        self.timestamp_at(self.wall(pts))
    }

    fn wall(&self, ticks: i64) -> MediaTime {
        MediaTime::from_ticks(self.base * i64::from(self.track.timescale.0) + ticks, self.track.timescale)
    }

    fn sample(&self) -> Option<&ClipSample> {
        self.track.samples.get(self.index)
    }

    /// Priming before the loop's beginning and sound after its end are left out: the loops before and after have them.
    fn advance(&mut self) {
        let end = self.seconds * i64::from(self.track.timescale.0);
        loop {
            self.index += 1;
            match self.sample() {
                Some(sample) if sample.pts < 0 => {}
                Some(sample) if sample.pts < end => return,
                _ => {
                    self.base += self.seconds;
                    self.index = 0;
                    if self.sample().is_none_or(|sample| sample.pts >= 0) {
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_container::clip::Clip;

    fn clip(name: &str) -> Clip {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
        Clip::parse(&std::fs::read(path).expect("a fixture").into()).expect("a sound file")
    }

    #[test]
    fn the_loop_is_locked_to_the_clock_and_has_no_hole() {
        let clip = clip("hall_c.mp4");
        assert_eq!(clip.video.as_ref().map(loop_seconds), Some(20));
        assert_eq!(clip.audio.as_ref().map(loop_seconds), Some(20));
        let start = MediaTime::from_millis(1_800_000_013_000);
        let mut video = Playout::new(clip.video.as_ref().expect("pictures"), start, 5);
        assert_eq!(video.due_at(), start);
        let mut before = video.take().expect("endless");
        for _ in 0..1000 {
            let due = video.take().expect("endless");
            assert_eq!(due.timestamp.wrapping_sub(before.timestamp), 6000);
            before = due;
        }
        let mut audio = Playout::new(clip.audio.as_ref().expect("speech"), start, 5);
        let mut before = audio.take().expect("endless");
        for _ in 0..3000 {
            let due = audio.take().expect("endless");
            let step = due.timestamp.wrapping_sub(before.timestamp);
            assert!((1..=1024).contains(&step), "a seam shifts sound by less than a frame, got {step}");
            before = due;
        }
    }
}
