//! The tracks of an mp4 file, where their samples are, and when they are shown (ISO/IEC 14496-12 §8).
//!
//! Sans-IO. Contract: [`Movie::parse`] takes the bytes of `moov`. If [`Movie::is_fragmented`], pass every `moof` to
//! [`Movie::add_fragment`] in order. [`Movie::finish`] then decides where the presentation begins.
//!
//! **Times.** A track counts *media time* from its first sample. Its `origin` is the media time that is shown at
//! presentation time zero: the start of its first edit that is not empty, minus the empty ones before it (§8.6.6). Pictures
//! cannot be shown from the middle of a group of pictures on. So if the edit begins inside one, presentation time zero of
//! all tracks moves back to the sync sample before it.

use super::super::isobmff::{BoxFault, Boxes};
use super::super::webvtt::Cue;
use super::chapters;
use super::fragments::{FragmentSink, TrackExtends, read_fragment};
use super::left_out::LeftOut;
use super::sample_entry::TrackMedia;
use super::samples::{Sample, SampleBudget};
use super::text_track::{TextContext, TextTrack};
use super::ticks::FAR;
use super::track::{MovieTrack, timescale};

/// How many tracks are read.
const TRACKS_MAX: usize = 64;
/// Longest recording that is believed: a month, in nanoseconds. Playlists of a longer one would be too large.
const LONGEST: i64 = 31 * 86_400 * 1_000_000_000;
/// Frames of sound before presentation time zero that a decoder needs to be right at zero (Apple's encoder: 2112 samples).
const PREROLL: u32 = 3;

/// The tracks of a file that are played.
#[derive(Clone, Debug)]
pub struct Movie {
    /// The first track of pictures.
    pub video: Option<MovieTrack>,
    /// The sound tracks, in the order of the file.
    pub audio: Vec<MovieTrack>,
    /// The subtitles, in the order of the file.
    pub texts: Vec<TextTrack>,
    /// The track of chapter titles, if there is one.
    pub chapters: Option<TextTrack>,
    /// The chapters of a list (`chpl`), if there is one.
    pub listed_chapters: Vec<Cue>,
    /// What of the file is not played, and why; no timecodes, hints and other data, which nobody expects to see.
    pub left_out: Vec<LeftOut>,
    /// Defaults of the tracks if samples are in fragments.
    defaults: Option<Vec<TrackExtends>>,
    budget: SampleBudget,
}

impl Movie {
    /// Reads the `moov` at position `at` of a file of `file_len` bytes.
    pub fn parse(moov: &[u8], at: u64, file_len: u64) -> Result<Self, BoxFault> {
        Self::parse_preferring(moov, at, file_len, |_| true)
    }

    /// The same with the first picture that `is_preferred`, or the first of all where none is.
    pub fn parse_preferring(
        moov: &[u8],
        at: u64,
        file_len: u64,
        is_preferred: impl Fn(&MovieTrack) -> bool,
    ) -> Result<Self, BoxFault> {
        let nothing = BoxFault { kind: *b"moov", at, fault: "it is empty" };
        let moov = Boxes::new(moov, at).next().ok_or(nothing)??;
        let movie_timescale = timescale(&moov.need(*b"mvhd")?)?.0;
        let mut movie = Self {
            video: None,
            audio: Vec::new(),
            texts: Vec::new(),
            chapters: None,
            listed_chapters: chapters::listed(&moov),
            left_out: Vec::new(),
            defaults: TrackExtends::read_all(&moov, TRACKS_MAX)?,
            budget: SampleBudget::default(),
        };
        for trak in moov.children(0) {
            let trak = trak?;
            if trak.kind != *b"trak" {
                continue;
            }
            let Some(track) = MovieTrack::read(&trak, movie_timescale, file_len, &mut movie.budget)? else {
                continue;
            };
            if track.is_video() {
                if movie.video.as_ref().is_none_or(|first| !is_preferred(first) && is_preferred(&track)) {
                    movie.video = Some(track);
                }
            } else if movie.audio.len() < TRACKS_MAX {
                movie.audio.push(track);
            }
        }
        let mut context = TextContext { movie_timescale, file_len, budget: &mut movie.budget };
        let named = chapters::named_in(&moov);
        movie.texts = TextTrack::read_all(&moov, &named, &mut context, &mut movie.left_out);
        // A recording with damaged chapters is played without them.
        movie.chapters = chapters::track(&moov, &named, &mut context).ok().flatten();
        if movie.video.is_none() && movie.audio.is_empty() {
            return Err(moov.fault("none of its tracks is H.264, HEVC, AAC, MP3 or Opus"));
        }
        Ok(movie)
    }

    /// Whether samples are in fragments, so that [`Self::add_fragment`] is needed.
    pub const fn is_fragmented(&self) -> bool {
        self.defaults.is_some()
    }

    /// Reads the `moof` at position `at` of the file.
    pub fn add_fragment(&mut self, moof: &[u8], at: u64, file_len: u64) -> Result<(), BoxFault> {
        let nothing = BoxFault { kind: *b"moof", at, fault: "it is empty" };
        let moof = Boxes::new(moof, at).next().ok_or(nothing)??;
        let defaults = self.defaults.as_deref().unwrap_or_default();
        let texts = self.texts.iter_mut().chain(&mut self.chapters).collect();
        let mut tracks = Appended { video: &mut self.video, audio: &mut self.audio, texts, track_id: 0 };
        read_fragment(&moof, defaults, file_len, &mut self.budget, &mut tracks).map(drop)
    }

    /// Decides which samples are sent and where presentation time zero is. A movie without samples is a fault.
    pub fn finish(mut self, at: u64) -> Result<Self, BoxFault> {
        let empty = BoxFault { kind: *b"moov", at, fault: "its tracks hold no samples" };
        self.audio.retain(|track| track.samples.count() > 0);
        self.video = self.video.filter(|track| track.samples.sync_count() > 0);
        let Some(lead) = self.video.as_ref().or(self.audio.first()) else { return Err(empty) };
        // Presentation time zero moves if a group of pictures begins before it, or if the file's times begin at a large number.
        let begin = if lead.is_video() { begin_of_pictures(lead) } else { 0 };
        let start = lead.shown_at(begin);
        let far = i64::from(lead.timescale);
        let zero =
            if lead.is_video() && start < 0 || self.is_fragmented() && start > far { start } else { 0 };
        let zero = lead.nanos(zero);
        for track in self.video.iter_mut().chain(&mut self.audio) {
            track.origin = track.origin.saturating_add(track.ticks(zero)).clamp(-FAR, FAR);
            track.begin = if track.is_video() {
                begin
            } else {
                track.samples.first_at(track.origin).saturating_sub(PREROLL)
            };
            track.end = end_of(track);
            track.lift = track.samples.negative_composition();
        }
        self.texts.iter_mut().chain(&mut self.chapters).for_each(|text| text.move_zero(zero));
        self.texts.retain(|text| text.samples.count() > 0);
        self.place_listed_chapters(zero);
        self.audio.retain(|track| track.begin < track.end);
        self.video = self.video.filter(|track| track.begin < track.end);
        if self.video.is_none() && self.audio.is_empty() {
            return Err(empty);
        }
        if self.duration_nanos() > LONGEST {
            return Err(BoxFault { fault: "it says that it lasts longer than any recording", ..empty });
        }
        Ok(self)
    }

    /// Lets the chapters of a list count from presentation time zero, which has moved by `zero` nanoseconds.
    fn place_listed_chapters(&mut self, zero: i64) {
        let end_ms = u64::try_from(self.duration_nanos() / 1_000_000).unwrap_or(0);
        let moved = |ms: u64| ms.saturating_add_signed(-zero / 1_000_000);
        for chapter in &mut self.listed_chapters {
            let is_last = chapter.end_ms == chapter.start_ms;
            chapter.start_ms = moved(chapter.start_ms);
            chapter.end_ms = if is_last { end_ms.max(chapter.start_ms) } else { moved(chapter.end_ms) };
        }
    }

    /// The track that decides where segments are cut: the picture, or else the first sound track.
    pub fn lead(&self) -> Option<&MovieTrack> {
        self.video.as_ref().or(self.audio.first())
    }

    /// Width and height of the pictures in luma samples.
    pub fn picture_size(&self) -> Option<(u16, u16)> {
        match self.video.as_ref()?.coding.media {
            TrackMedia::Video { width, height } => Some((width, height)),
            TrackMedia::Audio { .. } => None,
        }
    }

    /// Presentation time at which the first sample is shown or heard, in nanoseconds.
    pub fn start_nanos(&self) -> i64 {
        let tracks = self.video.iter().chain(&self.audio);
        tracks.map(|track| track.nanos(track.shown_at(track.begin))).min().unwrap_or(0).max(0)
    }

    /// Time from presentation time zero to the end of the longest track, in nanoseconds.
    pub fn duration_nanos(&self) -> i64 {
        let tracks = self.video.iter().chain(&self.audio);
        tracks.map(|track| track.nanos(track.shown_until())).max().unwrap_or(0).max(0)
    }

    /// Memory that the tables take, in bytes.
    pub fn memory(&self) -> usize {
        let tracks = self.video.iter().chain(&self.audio);
        let tracks: usize = tracks.map(|track| track.samples.memory() + size_of::<MovieTrack>()).sum();
        let texts: usize = self.texts.iter().chain(&self.chapters).map(TextTrack::memory).sum();
        tracks + texts + self.listed_chapters.iter().map(Cue::memory).sum::<usize>()
    }
}

/// The tracks to which fragments are appended.
struct Appended<'a> {
    video: &'a mut Option<MovieTrack>,
    audio: &'a mut [MovieTrack],
    texts: Vec<&'a mut TextTrack>,
    /// `track_ID` of the current track fragment.
    track_id: u32,
}

impl Appended<'_> {
    fn text(&mut self) -> Option<&mut TextTrack> {
        let id = self.track_id;
        self.texts.iter_mut().map(|text| &mut **text).find(|text| text.id == id)
    }

    fn track(&mut self) -> Option<&mut MovieTrack> {
        let id = self.track_id;
        self.video.iter_mut().chain(self.audio.iter_mut()).find(|track| track.id == id)
    }
}

impl FragmentSink for Appended<'_> {
    fn begin(&mut self, track_id: u32, decode_time: Option<u64>) {
        self.track_id = track_id;
        if let Some(text) = self.text() {
            text.begin_fragment(decode_time);
        }
        if let (Some(track), Some(time)) = (self.track(), decode_time)
            && track.samples.count() == 0
        {
            // Media time counts from the first sample.
            let time = i64::try_from(time).unwrap_or(FAR).min(FAR);
            track.origin = (track.origin - time).clamp(-FAR, FAR);
        }
    }

    fn sample(&mut self, sample: Sample) {
        if let Some(track) = self.track() {
            let sync = sample.sync || !track.is_video();
            track.samples.push(Sample { sync, ..sample });
        } else if let Some(text) = self.text() {
            text.push(sample);
        }
    }
}

/// The last sync sample at or before presentation time zero, or the first one of all.
fn begin_of_pictures(track: &MovieTrack) -> u32 {
    let before = track.samples.syncs_before(track.origin + 1);
    track.samples.sync(before.saturating_sub(1)).unwrap_or(0)
}

/// Index after the last sample that begins before the edit ends.
fn end_of(track: &MovieTrack) -> u32 {
    let mut end = track.samples.count();
    if let Some(until) = track.until {
        while end > track.begin && track.samples.media_time(end - 1) >= until {
            end -= 1;
        }
    }
    end
}
