//! A recording's samples in the order in which protocols that send frames need them: by decode time, picture and sound
//! together.
//!
//! Sans-IO. Contract: [`Reel::new`] stands at the beginning; [`Reel::take`] gives the next samples and where their bytes
//! are, as one [`Layout`] to be read in one go; [`Reel::seek`] moves to the sync sample at or before a time. Times are
//! nanoseconds of presentation time, moved by one constant so that no decode time is negative.
//!
//! What does *not* belong here: reading, pace, protocols.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::recording::Recording;
use super::{Layout, Track};
use crate::media;

/// A sample that is longer is left out: it is no picture of a lecture.
const SAMPLE_MAX: u64 = 4 << 20;
/// Bytes of one batch, unless its first sample is longer.
const BATCH_MAX: u64 = 1 << 20;

/// A sample to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReelSample {
    /// Picture or sound.
    pub track: media::Track,
    /// When it is decoded, in nanoseconds.
    pub decode: i64,
    /// How much later it is shown, in nanoseconds.
    pub composition: i64,
    /// Decoding can start here.
    pub sync: bool,
    /// Its bytes in the batch's layout.
    pub place: Range<usize>,
}

/// Samples by decode time, and where their bytes are.
#[derive(Debug)]
pub struct Batch {
    /// Extents in the file; their bytes, one behind the other, are what samples are places of.
    pub layout: Layout,
    /// At least one.
    pub samples: Vec<ReelSample>,
}

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Reel {
    recording: Arc<Recording>,
    /// The next sample of the picture, and of the first sound track.
    picture: u32,
    sound: u32,
    /// Added to all times.
    lift: i64,
}

impl Reel {
    /// At the beginning.
    pub fn new(recording: Arc<Recording>) -> Self {
        let mut reel = Self { recording, picture: 0, sound: 0, lift: 0 };
        reel.picture = reel.video().map_or(0, |track| track.begin);
        // Pictures that are shown in another order are decoded before zero; sound before zero is not needed.
        reel.lift = -reel.next_of(media::Track::Video).unwrap_or(0).min(0);
        reel.sound = reel.sound_from(0);
        reel
    }

    /// The recording.
    pub const fn recording(&self) -> &Arc<Recording> {
        &self.recording
    }

    /// The picture.
    pub fn video(&self) -> Option<&Track> {
        self.recording.movie.video.as_ref()
    }

    /// The sound.
    pub fn audio(&self) -> Option<&Track> {
        self.recording.movie.audio.first()
    }

    /// Goes to the sync sample that is shown at `ms` or last before; behind the end to the last one.
    pub fn seek(&mut self, ms: u64) {
        let nanos = i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000).saturating_sub(self.lift);
        let mut from = nanos.saturating_add(self.lift);
        if let Some(video) = self.recording.movie.video.as_ref() {
            let at = video.ticks(nanos).saturating_add(video.origin).saturating_add(1);
            let syncs = video.samples.syncs_before(at);
            let sync = video.samples.sync(syncs.saturating_sub(1)).unwrap_or(video.begin);
            let last = video.samples.syncs_before(video.samples.media_time(video.end.saturating_sub(1)) + 1);
            let last = video.samples.sync(last.saturating_sub(1)).unwrap_or(video.begin);
            self.picture = sync.clamp(video.begin, last.max(video.begin));
            from = self.next_of(media::Track::Video).unwrap_or(0).saturating_add(self.lift);
        }
        self.sound = self.sound_from(from);
    }

    /// The first sound at `from`, in lifted nanoseconds; of sound alone at least the last one.
    fn sound_from(&self, from: i64) -> u32 {
        let Some(audio) = self.audio() else { return 0 };
        let at = audio.ticks(from.saturating_sub(self.lift)).saturating_add(audio.origin);
        let last = if self.video().is_some() { audio.end } else { audio.end.saturating_sub(1) };
        audio.samples.first_at(at).clamp(audio.begin, last.max(audio.begin))
    }

    /// When the next sample is decoded, in nanoseconds; `None` at the end.
    pub fn next_at(&self) -> Option<i64> {
        let next = [self.next_of(media::Track::Video), self.next_of(media::Track::Audio)];
        next.into_iter().flatten().min().map(|at| at + self.lift)
    }

    /// The next samples: those that are decoded before `until`, but at least one, and about a megabyte at most. `None`
    /// at the end.
    pub fn take(&mut self, until: i64) -> Option<Batch> {
        let mut from = (self.picture, self.sound);
        let mut samples = Vec::new();
        let mut len = 0;
        while let Some((track, at)) = self.next() {
            let at = at + self.lift;
            let size = self.next_size(track)?;
            if samples.is_empty() && size > SAMPLE_MAX {
                self.advance(track);
                from = (self.picture, self.sound);
                continue;
            }
            if !samples.is_empty() && (at >= until || len + size > BATCH_MAX || size > SAMPLE_MAX) {
                break;
            }
            self.advance(track);
            len += size;
            samples.push((track, at, size));
        }
        if samples.is_empty() {
            return None;
        }
        Some(self.batch(from, &samples))
    }

    fn batch(&self, (from_picture, from_sound): (u32, u32), taken: &[(media::Track, i64, u64)]) -> Batch {
        let mut extents = Vec::new();
        let extents_of = |track: Option<&Track>, range: Range<u32>| {
            track.map(|track| track.samples.extents(range.start, range.end)).unwrap_or_default()
        };
        extents.extend(extents_of(self.video(), from_picture..self.picture));
        let pictures: u64 = extents.iter().map(|extent| extent.len).sum();
        extents.extend(extents_of(self.audio(), from_sound..self.sound));
        let (mut picture, mut sound) = ((from_picture, 0), (from_sound, pictures));
        let sample = |&(track, decode, size): &(media::Track, i64, u64)| {
            let (of, next) = match track {
                media::Track::Video => (self.video()?, &mut picture),
                media::Track::Audio => (self.audio()?, &mut sound),
            };
            let (index, place) = *next;
            *next = (index + 1, place + size);
            let composition = of.nanos(i64::from(of.samples.composition(index)));
            let sync = of.samples.is_sync(index);
            let place = place as usize..(place + size) as usize;
            Some(ReelSample { track, decode, composition, sync, place })
        };
        let samples = taken.iter().filter_map(sample).collect();
        Batch { layout: Layout { head: Bytes::new(), extents }, samples }
    }

    /// The track whose next sample is decoded first, and when.
    fn next(&self) -> Option<(media::Track, i64)> {
        match (self.next_of(media::Track::Video), self.next_of(media::Track::Audio)) {
            (Some(picture), Some(sound)) if sound < picture => Some((media::Track::Audio, sound)),
            (Some(picture), _) => Some((media::Track::Video, picture)),
            (None, Some(sound)) => Some((media::Track::Audio, sound)),
            (None, None) => None,
        }
    }

    fn next_of(&self, track: media::Track) -> Option<i64> {
        let (of, index) = match track {
            media::Track::Video => (self.video()?, self.picture),
            media::Track::Audio => (self.audio()?, self.sound),
        };
        (index < of.end).then(|| of.nanos(of.samples.decode_time(index) as i64 - of.origin))
    }

    fn next_size(&self, track: media::Track) -> Option<u64> {
        let (of, index) = match track {
            media::Track::Video => (self.video()?, self.picture),
            media::Track::Audio => (self.audio()?, self.sound),
        };
        Some(u64::from(of.samples.size(index)))
    }

    const fn advance(&mut self, track: media::Track) {
        match track {
            media::Track::Video => self.picture += 1,
            media::Track::Audio => self.sound += 1,
        }
    }
}
