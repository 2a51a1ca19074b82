//! A recording sample by sample, from anywhere: for protocols that send frames. Sans-IO.
//!
//! Contract. [`Playhead::new`] stands at the sync sample at or before a moment; [`Playhead::take`] says where the samples
//! of about the next second are in the file, until there are no more.

use std::sync::Arc;

use super::names::Kind;
use super::recording::Recording;
use super::{Layout, Track};
use crate::media::TrackFormat;
use bytes::Bytes;

/// How much is read at once, in nanoseconds of decode time.
const WHILE: i64 = 1_000_000_000;
/// And in bytes, from which on a passage is cut short.
const BYTES: u64 = 4 << 20;

/// See the module's text.
#[derive(Debug)]
pub struct Playhead {
    recording: Arc<Recording>,
    heads: Vec<Head>,
    /// Presentation time of the beginning, in nanoseconds.
    start: i64,
    /// Presentation time of the end, in nanoseconds.
    until: i64,
    /// The earliest decode time at the beginning, in nanoseconds.
    zero: i64,
}

#[derive(Debug)]
struct Head {
    kind: Kind,
    /// The number by which the caller knows the track.
    track: usize,
    next: u32,
    /// Presentation time of the beginning, in ticks.
    start: i64,
}

/// One sample of a passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassageSample {
    /// The caller's number of its track.
    pub track: usize,
    /// When it is to be decoded, in nanoseconds from the beginning.
    pub at: i64,
    /// When it is shown, in ticks of its track from the beginning; maybe a little before it.
    pub shown: i64,
    /// How long it lasts, in nanoseconds.
    pub duration: i64,
    /// Decoding can start here.
    pub sync: bool,
    /// Bytes.
    pub len: u32,
}

/// The samples of a while.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Where they stand.
    pub layout: Layout,
    /// Them, in the order of `layout`.
    pub samples: Vec<PassageSample>,
}

impl Recording {
    /// The tracks that protocols of frames can carry: H.264 and AAC-LC.
    pub fn formats(&self) -> Vec<(Kind, TrackFormat)> {
        let video = self.movie.video.iter().map(|track| (Kind::Picture, track));
        let audio = self.movie.audio.iter().enumerate().map(|(index, track)| (Kind::Sound(index), track));
        let coded = |(kind, track): (Kind, &Track)| Some((kind, track.coding.format()?));
        video.filter_map(coded).chain(audio.filter_map(coded).take(1)).collect()
    }
}

impl Playhead {
    /// Stands at the sync sample at or before `from` (presentation time in nanoseconds), for these tracks of the
    /// recording, each with the caller's number. `None` where nothing begins before the end.
    pub fn new(
        recording: Arc<Recording>,
        tracks: &[(usize, Kind)],
        from: i64,
        until: Option<i64>,
    ) -> Option<Self> {
        let duration = recording.movie.duration_nanos();
        let until = until.unwrap_or(i64::MAX).min(duration);
        if from >= until {
            return None;
        }
        let picture = tracks.iter().any(|(_, kind)| *kind == Kind::Picture);
        let start = match recording.movie.video.as_ref().filter(|_| picture) {
            Some(video) => video.nanos(video.shown_at(sync_before(video, from))),
            None => from,
        }
        .max(0);
        let mut heads = Vec::new();
        for &(track, kind) in tracks {
            let Some(it) = track_of(&recording, kind) else { continue };
            let next = if it.is_video() { sync_before(it, from) } else { heard_at(it, start) };
            // The picture's own ticks are exact.
            let start = if it.is_video() { it.shown_at(next).max(0) } else { it.ticks(start) };
            heads.push(Head { kind, track, next, start });
        }
        let decoded = |head: &Head| decode_nanos(track_of(&recording, head.kind)?, head.next);
        let zero = heads.iter().filter_map(decoded).min()?;
        Some(Self { recording, heads, start, until, zero })
    }

    /// Presentation time at which it really begins, in nanoseconds.
    pub const fn start_nanos(&self) -> i64 {
        self.start
    }

    /// Presentation time at which it ends, in nanoseconds.
    pub const fn until_nanos(&self) -> i64 {
        self.until
    }

    /// The samples of about the next second; `None` behind the last one.
    pub fn take(&mut self) -> Option<Passage> {
        let Self { recording, heads, until, zero, .. } = self;
        let decoded = |head: &Head| decode_nanos(track_of(recording, head.kind)?, head.next);
        let begun = heads.iter().filter_map(decoded).min()?;
        let mut layout = Layout { head: Bytes::new(), extents: Vec::new() };
        let mut samples = Vec::new();
        let mut bytes = 0;
        for head in heads {
            let Some(track) = track_of(recording, head.kind) else { continue };
            let first = head.next;
            while let Some(at) = decode_nanos(track, head.next) {
                let shown = track.shown_at(head.next);
                if track.nanos(shown) >= *until {
                    // In decode order, what follows may still be shown before the end; but no picture needs it.
                    head.next = track.end;
                    break;
                }
                if at >= begun.saturating_add(WHILE) || bytes > BYTES {
                    break;
                }
                let len = track.samples.size(head.next);
                bytes += u64::from(len);
                samples.push(PassageSample {
                    track: head.track,
                    at: at - *zero,
                    shown: shown - head.start,
                    duration: track.nanos(i64::from(track.samples.duration(head.next))),
                    sync: track.samples.is_sync(head.next),
                    len,
                });
                head.next += 1;
            }
            let taken = samples.iter().filter(|sample| sample.track == head.track).count() as u32;
            layout.extents.extend(track.samples.extents(first, first + taken));
        }
        (!samples.is_empty()).then_some(Passage { layout, samples })
    }
}

fn track_of(recording: &Recording, kind: Kind) -> Option<&Track> {
    match kind {
        Kind::Picture => recording.movie.video.as_ref(),
        Kind::Sound(index) => recording.movie.audio.get(index),
        Kind::Both => recording.movie.lead(),
    }
}

/// When a sample is to be decoded, on the scale of presentation time; `None` behind the last one.
fn decode_nanos(track: &Track, index: u32) -> Option<i64> {
    (index < track.end).then(|| track.nanos(track.samples.decode_time(index) as i64 - track.origin))
}

fn sync_before(track: &Track, nanos: i64) -> u32 {
    let before =
        track.samples.syncs_before(track.ticks(nanos).saturating_add(track.origin).saturating_add(1));
    let sync = before.checked_sub(1).and_then(|place| track.samples.sync(place));
    sync.unwrap_or(track.begin).clamp(track.begin, track.end.saturating_sub(1))
}

/// The sample that is heard at that time.
fn heard_at(track: &Track, nanos: i64) -> u32 {
    let time = track.ticks(nanos).saturating_add(track.origin);
    let after = track.samples.first_at(time.saturating_add(1));
    after.saturating_sub(1).clamp(track.begin, track.end)
}

#[cfg(test)]
mod tests;
