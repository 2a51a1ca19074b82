//! A recording sample by sample, from any time on: for protocols that send frames, as RTMP and RTSP do. Sans-IO.
//!
//! Contract. [`Presentation::for_frames`] says which rendition is played, and which part of it. [`SampleCursor::new`]
//! stands at its beginning. [`SampleCursor::seek`] goes to the sync sample that is shown at a given time, or the last
//! before it. [`SampleCursor::take`] gives the next samples by decode time, picture and sound together, and where their
//! bytes are, as one [`Layout`] to be read in one go, until there are no more.
//!
//! **Times** count from the beginning of what is played: of the file, or of the part that a SMIL file names. A first
//! picture that is followed by B pictures, or the sound that is heard with it, is decoded a little before zero.
//!
//! What does *not* belong here: reading, pace, protocols.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::names::TrackSelection;
use super::presentation::{Presentation, Rendition};
use super::recording::Recording;
use super::{Layout, Track};
use amphi_media::{MediaTime, Timescale, TrackFormat};

/// Longer samples are left out: no picture of a lecture has so many bytes.
const SAMPLE_MAX: u64 = 4 << 20;
/// Most bytes that are taken at once, unless the first sample is longer.
const BATCH_MAX: u64 = 1 << 20;

/// A rendition whose frames are sent, and which part of it.
#[derive(Clone, Debug)]
pub struct FrameRendition {
    recording: Arc<Recording>,
    /// Its tracks, the picture first.
    kinds: Vec<TrackSelection>,
    /// What is played, on the recording's own timeline.
    part: Range<MediaTime>,
}

impl Presentation {
    /// What is played of it by protocols that send frames of one picture and one sound: the rendition of which they can
    /// carry most tracks, among those the one with the highest bit rate, and the part of it that its playlist names.
    pub fn for_frames(&self) -> Option<FrameRendition> {
        let playable = self.renditions.iter().filter_map(|it| Some((it, self.frames_of(it)?)));
        // `max_by_key` takes the last of equals: reversed, that is the first.
        let best = playable.rev().max_by_key(|(it, frames)| {
            let carried = frames.formats().len();
            (carried, carried == frames.kinds.len(), it.recording.rates_of(it.kind).average_bps)
        });
        best.map(|(_, frames)| frames)
    }

    /// `None` where nothing of the rendition is played.
    fn frames_of(&self, rendition: &Rendition) -> Option<FrameRendition> {
        let Rendition { recording, trim, kind } = rendition;
        let movie = &recording.movie;
        let picture = movie.video.as_ref().map(|_| TrackSelection::Picture);
        let sound = |index: usize| movie.audio.get(index).map(|_| TrackSelection::Sound(index));
        // A playlist may name picture and sound of one file as two entries.
        let same = |it: &&Rendition| it.recording.path == recording.path && it.trim == *trim;
        let apart = self.renditions.iter().filter(same).find_map(|it| match it.kind {
            TrackSelection::Sound(index) => sound(index),
            TrackSelection::Both | TrackSelection::Picture | TrackSelection::InFile(_) => None,
        });
        let kinds: Vec<TrackSelection> = match *kind {
            TrackSelection::Both => picture.into_iter().chain(sound(0)).collect(),
            TrackSelection::Picture => picture.into_iter().chain(apart).collect(),
            TrackSelection::Sound(index) | TrackSelection::InFile(index) => {
                sound(index).into_iter().collect()
            }
        };
        let Range { start, end } = recording.span(*trim);
        let part = MediaTime::from_nanos(start)..MediaTime::from_nanos(end);
        let is_something = !kinds.is_empty() && !part.is_empty();
        is_something.then(|| FrameRendition { recording: Arc::clone(recording), kinds, part })
    }
}

impl FrameRendition {
    /// The file that is played.
    pub const fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }

    /// Its tracks: at most one picture and one sound, the picture first.
    pub fn kinds(&self) -> &[TrackSelection] {
        &self.kinds
    }

    /// The duration of what is played.
    pub fn duration(&self) -> Duration {
        self.part.end.saturating_since(self.part.start)
    }

    /// One of its tracks; `None` if the file has no such track.
    pub fn track(&self, kind: TrackSelection) -> Option<&Track> {
        match kind {
            TrackSelection::Picture => self.recording.movie.video.as_ref(),
            TrackSelection::Sound(index) => self.recording.movie.audio.get(index),
            TrackSelection::Both => self.recording.movie.lead(),
            // Frames are those of the AAC that is made of it.
            TrackSelection::InFile(_) => None,
        }
    }

    /// Those of its tracks that every protocol of frames can carry: H.264 and AAC-LC.
    pub fn formats(&self) -> Vec<(TrackSelection, TrackFormat)> {
        let coded = |&kind: &TrackSelection| Some((kind, self.track(kind)?.coding.format()?));
        self.kinds.iter().filter_map(coded).collect()
    }

    /// When that which `track` presents at `ticks` is played.
    fn played_at(&self, track: &Track, ticks: i64) -> MediaTime {
        MediaTime::from_nanos(track.nanos(ticks)).offset_nanos(-self.part.start.as_nanos())
    }

    fn shown(&self, track: &Track, index: u32) -> MediaTime {
        self.played_at(track, track.shown_at(index))
    }

    fn decoded(&self, track: &Track, index: u32) -> MediaTime {
        self.played_at(track, track.samples.decode_time(index) as i64 - track.origin)
    }

    /// The ticks of the track's media that are played at `at`.
    fn media_ticks(&self, track: &Track, at: MediaTime) -> i64 {
        // Not beyond the end: the largest time would not fit into ticks.
        let at = at.offset_nanos(self.part.start.as_nanos()).min(self.part.end);
        at.to_ticks(Timescale(track.timescale)).saturating_add(track.origin)
    }
}

/// A sample that is to be sent, in times of the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSample {
    /// The track that it belongs to.
    pub kind: TrackSelection,
    /// When it is decoded (DTS).
    pub decode: MediaTime,
    /// When it is shown or heard (PTS).
    pub shown: MediaTime,
    /// How long it lasts in its track.
    pub duration: Duration,
    /// Whether decoding can begin with it.
    pub sync: bool,
    /// Which of the layout's bytes are its own.
    pub place: Range<usize>,
    /// Its number in its track, if its bytes are not in the file: they are coded, or silence, when they are loaded.
    pub coded: Option<u32>,
}

/// Samples by decode time, and where their bytes are.
#[derive(Debug)]
pub struct SampleBatch {
    /// Extents in the file, without a head. The samples' places refer to their bytes, one extent after the other.
    pub layout: Layout,
    /// The samples in order of decode time; at least one.
    pub samples: Vec<RecordedSample>,
}

/// Gives a rendition's samples; the contract is in the module's text.
#[derive(Clone, Debug)]
pub struct SampleCursor {
    rendition: FrameRendition,
    heads: Vec<TrackHead>,
    start: MediaTime,
    until: MediaTime,
    delay: Duration,
}

/// Which sample of a track comes next.
#[derive(Clone, Copy, Debug)]
struct TrackHead {
    kind: TrackSelection,
    next: u32,
}

/// A sample that is taken for a batch.
#[derive(Clone, Copy, Debug)]
struct TakenSamples {
    head: usize,
    index: u32,
    decode: MediaTime,
    len: u64,
}

impl SampleCursor {
    /// A cursor at the beginning of these tracks of a rendition.
    pub fn new(rendition: FrameRendition, kinds: &[TrackSelection]) -> Self {
        let heads = kinds.iter().map(|&kind| TrackHead { kind, next: 0 }).collect();
        let (start, until) = (MediaTime::default(), MediaTime::default() + rendition.duration());
        let mut cursor = Self { rendition, heads, start, until, delay: Duration::ZERO };
        cursor.seek(MediaTime::default());
        let pictures =
            cursor.heads.iter().enumerate().filter(|(_, head)| head.kind == TrackSelection::Picture);
        let first = pictures.filter_map(|(head, _)| cursor.next_of(head)).min();
        cursor.delay = first.map_or(Duration::ZERO, |first| MediaTime::default().saturating_since(first));
        cursor
    }

    /// The rendition that it reads.
    pub const fn rendition(&self) -> &FrameRendition {
        &self.rendition
    }

    /// How long before zero the first picture is decoded; more than zero only if there are B pictures.
    pub const fn delay(&self) -> Duration {
        self.delay
    }

    /// Where it really began after the last [`SampleCursor::seek`].
    pub const fn start(&self) -> MediaTime {
        self.start
    }

    /// Where it ends: nothing that is shown from then on is given.
    pub const fn until(&self) -> MediaTime {
        self.until
    }

    /// Makes it end at `until`, if that is before its end.
    pub fn end_at(&mut self, until: MediaTime) {
        self.until = self.until.min(until);
    }

    /// Goes to the sync sample that is shown at `to`, or the last before it, and to the sound that is heard with it; after
    /// the end to the last one. Sound alone can begin anywhere, also where the picture begins later.
    pub fn seek(&mut self, to: MediaTime) {
        let Self { rendition, heads, until, .. } = self;
        let to = to.clamp(MediaTime::default(), *until);
        let is_picture = |head: &&TrackHead| head.kind == TrackSelection::Picture;
        let picture = heads.iter().find(is_picture).and_then(|head| rendition.track(head.kind));
        let synced = picture.map(|video| sync_before(rendition, video, to));
        let begins = |head: &TrackHead| rendition.track(head.kind).map(|it| rendition.shown(it, it.begin));
        let start = match (picture, synced) {
            (Some(video), Some(sync)) => {
                let shown = rendition.shown(video, sync).max(MediaTime::default());
                // Before the first picture there may be sound already.
                let earliest = heads.iter().filter_map(begins).min().unwrap_or_default();
                shown.min(to.max(earliest))
            }
            _ => to,
        };
        for head in heads {
            let Some(track) = rendition.track(head.kind) else { continue };
            head.next = match (head.kind, synced) {
                (TrackSelection::Picture, Some(sync)) => sync,
                _ => heard_at(rendition, track, start, picture.is_none()),
            };
        }
        self.start = start;
    }

    /// When the next sample is decoded; `None` at the end.
    pub fn next_at(&self) -> Option<MediaTime> {
        self.next().map(|(_, at)| at)
    }

    /// The next samples: those that are decoded before `until`, but at least one, and about a megabyte at most. `None`
    /// at the end.
    pub fn take(&mut self, until: MediaTime) -> Option<SampleBatch> {
        let mut taken: Vec<TakenSamples> = Vec::new();
        let mut bytes = 0;
        while let Some((head, decode)) = self.next() {
            let it = self.heads.get(head)?;
            let (index, len) = (it.next, u64::from(self.rendition.track(it.kind)?.samples.size(it.next)));
            let is_too_long = len > SAMPLE_MAX;
            let is_enough = decode >= until || bytes + len > BATCH_MAX || is_too_long;
            if !taken.is_empty() && is_enough {
                break;
            }
            self.heads.get_mut(head)?.next += 1;
            if !is_too_long {
                bytes += len;
                taken.push(TakenSamples { head, index, decode, len });
            }
        }
        (!taken.is_empty()).then(|| self.batch(&taken))
    }

    /// Each track's samples stand together in the layout.
    fn batch(&self, taken: &[TakenSamples]) -> SampleBatch {
        let mut extents = Vec::new();
        let mut places = vec![0; self.heads.len()];
        let mut place = 0;
        for (number, (head, begin)) in self.heads.iter().zip(&mut places).enumerate() {
            *begin = place;
            let of_head = || taken.iter().filter(|sample| sample.head == number);
            let in_file = || of_head().filter(|sample| !self.is_made(head.kind, sample.index));
            let (Some(first), Some(last)) = (in_file().next(), in_file().next_back()) else { continue };
            let Some(track) = self.rendition.track(head.kind) else { continue };
            extents.extend(track.samples.extents(first.index, last.index + 1));
            place += in_file().map(|sample| sample.len as usize).sum::<usize>();
        }
        let sample = |it: &TakenSamples| {
            let (kind, begin) = (self.heads.get(it.head)?.kind, places.get_mut(it.head)?);
            let is_made = self.is_made(kind, it.index);
            let place = *begin..*begin + if is_made { 0 } else { it.len as usize };
            *begin = place.end;
            let track = self.rendition.track(kind)?;
            let lasts = track.nanos(i64::from(track.samples.duration(it.index)));
            Some(RecordedSample {
                kind,
                decode: it.decode,
                shown: self.rendition.shown(track, it.index),
                duration: Duration::from_nanos(u64::try_from(lasts).unwrap_or(0)),
                sync: track.samples.is_sync(it.index),
                place,
                coded: is_made.then_some(it.index),
            })
        };
        let samples = taken.iter().filter_map(sample).collect();
        SampleBatch { layout: Layout { head: Bytes::new(), extents }, samples }
    }

    /// Whether a sample is not in the file: it is coded here, or is silence.
    fn is_made(&self, kind: TrackSelection, sample: u32) -> bool {
        let TrackSelection::Sound(index) = kind else { return false };
        let is_silent = || self.rendition.track(kind).is_some_and(|track| track.samples.is_silent(sample));
        self.rendition.recording.sound_source(index).is_some() || is_silent()
    }

    /// The track whose next sample is decoded first, and when.
    fn next(&self) -> Option<(usize, MediaTime)> {
        let all = (0..self.heads.len()).filter_map(|head| Some((head, self.next_of(head)?)));
        all.min_by_key(|(_, at)| *at)
    }

    fn next_of(&self, head: usize) -> Option<MediaTime> {
        let TrackHead { kind, next } = *self.heads.get(head)?;
        let track = self.rendition.track(kind)?;
        // A later sample in decode order may still be shown before the end, but no other picture refers to it.
        let is_there = next < track.end && self.rendition.shown(track, next) < self.until;
        is_there.then(|| self.rendition.decoded(track, next))
    }
}

/// The last sync sample that is shown at `at` or before, and before the end.
fn sync_before(rendition: &FrameRendition, track: &Track, at: MediaTime) -> u32 {
    let end = MediaTime::default() + rendition.duration();
    let is_within = |sync: &u32| *sync < track.end && rendition.shown(track, *sync) < end;
    let mut places = track.samples.syncs_before(rendition.media_ticks(track, at).saturating_add(1));
    while places > 0 {
        places -= 1;
        if let Some(sync) = track.samples.sync(places).filter(is_within) {
            return sync.max(track.begin);
        }
    }
    track.begin
}

/// The sample that is heard at `at`. Where there is sound alone, the last one after the end.
fn heard_at(rendition: &FrameRendition, track: &Track, at: MediaTime, is_alone: bool) -> u32 {
    let after = track.samples.first_at(rendition.media_ticks(track, at).saturating_add(1));
    let last = if is_alone { track.end.saturating_sub(1) } else { track.end };
    after.saturating_sub(1).clamp(track.begin, last.max(track.begin))
}

#[cfg(test)]
mod tests;
