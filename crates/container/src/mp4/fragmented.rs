//! The samples of movie fragments become samples of the movie's tracks (ISO/IEC 14496-12 §8.8). Sans-IO.
//!
//! A fragment that says when it begins (`tfdt`, §8.8.12) begins then: what was there before lasts longer or less long. One that
//! says that it begins before what is there already:
//! * by some seconds: pictures that are there a second time are only decoded, and shown for a tick each; sound that is there a
//!   second time is left out (as ffmpeg does);
//! * by more, as when a recorder begins again at zero: it begins where the last one ended.

use super::fragments::{FragmentSink, FragmentStart};
use super::samples::Sample;
use super::text_track::TextTrack;
use super::ticks::FAR;
use super::track::MovieTrack;

/// Seconds by which times may go back for their fragments to be taken for the same time once more.
const BACK_S: i64 = 10;
/// Seconds after which a fragment does not follow the one before: a month.
const AHEAD_S: i64 = 31 * 86_400;

/// The tracks to which fragments are appended.
pub(super) struct FragmentTracks<'a> {
    video: &'a mut Option<MovieTrack>,
    audio: &'a mut [MovieTrack],
    texts: Vec<&'a mut TextTrack>,
    /// `track_ID` of the current track fragment; `None` if its samples are not played.
    track_id: Option<u32>,
    /// What the file says of the next sample's time where it goes back, and the time before which all is there already.
    again: Option<(i64, i64)>,
}

impl<'a> FragmentTracks<'a> {
    pub(super) fn new(
        video: &'a mut Option<MovieTrack>,
        audio: &'a mut [MovieTrack],
        texts: Vec<&'a mut TextTrack>,
    ) -> Self {
        Self { video, audio, texts, track_id: None, again: None }
    }

    fn text(&mut self, id: u32) -> Option<&mut TextTrack> {
        self.texts.iter_mut().map(|text| &mut **text).find(|text| text.id == id)
    }

    fn track(&mut self, id: u32) -> Option<&mut MovieTrack> {
        self.video.iter_mut().chain(self.audio.iter_mut()).find(|track| track.id == id)
    }
}

impl FragmentSink for FragmentTracks<'_> {
    fn begin(&mut self, FragmentStart { track_id, decode_time, description }: FragmentStart) {
        (self.track_id, self.again) = (None, None);
        if let Some(text) = self.text(track_id) {
            text.begin_fragment(decode_time);
            self.track_id = Some(track_id);
            return;
        }
        let Some(track) = self.track(track_id) else { return };
        let index = (description as usize).saturating_sub(1);
        if track.fragments.same.get(index) == Some(&false) {
            track.fragments.others = track.fragments.others.saturating_add(1);
            return;
        }
        let again = decode_time.and_then(|time| track.begin_fragment(time));
        (self.track_id, self.again) = (Some(track_id), again);
    }

    fn sample(&mut self, sample: Sample) {
        let Some(track_id) = self.track_id else { return };
        let mut again = self.again.take();
        if let Some(track) = self.track(track_id) {
            let sync = sample.sync || !track.is_video();
            track.add_sample(Sample { sync, ..sample }, &mut again);
        } else if let Some(text) = self.text(track_id) {
            text.push(sample);
        }
        self.again = again;
    }
}

impl MovieTrack {
    /// The next sample is decoded at `time` of the file. If it goes back a little: that time, and the one where what is there
    /// ends, both in media time.
    fn begin_fragment(&mut self, time: u64) -> Option<(i64, i64)> {
        let time = i64::try_from(time).unwrap_or(FAR).min(FAR);
        if self.samples.count() == 0 {
            // Media time counts from the first sample.
            self.fragments.base = Some(time);
            self.origin = (self.origin - time).clamp(-FAR, FAR);
            return None;
        }
        let base = self.fragments.base.unwrap_or(0);
        let at = time.saturating_sub(base).saturating_add(self.fragments.later);
        let end = i64::try_from(self.samples.end()).unwrap_or(FAR);
        let second = i64::from(self.timescale);
        if at > i64::try_from(self.samples.last_start()).unwrap_or(FAR) && at - end < AHEAD_S * second {
            self.samples.resume_at(at.unsigned_abs());
            return None;
        }
        if at == end {
            return None;
        }
        self.fragments.went_back = self.fragments.went_back.saturating_add(1);
        if at < end && end - at <= BACK_S * second {
            return Some((at, end));
        }
        self.fragments.later = self.fragments.later.saturating_add(end - at).clamp(-FAR, FAR);
        None
    }

    /// Appends a sample; `again` as of [`Self::begin_fragment`], and then for the next one.
    fn add_sample(&mut self, sample: Sample, again: &mut Option<(i64, i64)>) {
        if sample.size == 0 {
            // No player takes a sample without bytes: the one before it lasts longer.
            match again {
                Some((at, _)) => *at = at.saturating_add(i64::from(sample.duration)),
                None => _ = self.samples.resume_at(self.samples.end() + u64::from(sample.duration)),
            }
            return;
        }
        let Some((at, end)) = *again else { return self.samples.push(sample) };
        if at < end {
            *again = Some((at.saturating_add(i64::from(sample.duration)), end));
            if self.is_video() {
                self.fragments.hidden = self.fragments.hidden.saturating_add(1);
                self.samples.push(Sample { duration: 1, composition: self.samples.composition(0), ..sample });
            }
        } else {
            self.samples.resume_at(at.unsigned_abs().max(self.samples.end()));
            self.samples.push(sample);
            *again = None;
        }
    }

    /// What is to be said of the times and descriptions of its fragments.
    pub(super) fn fragment_doubts(&self) -> Vec<String> {
        let state = &self.fragments;
        let back = (state.went_back > 0).then(|| {
            format!(
                "box tfdt: the times of {} fragments go back or far ahead; {} pictures that are there twice are shown once",
                state.went_back, state.hidden
            )
        });
        let others = (state.others > 0).then(|| {
            format!(
                "the samples of {} fragments have another sample description than the others, and no player could change \
                 between them",
                state.others
            )
        });
        back.into_iter().chain(others).collect()
    }
}
