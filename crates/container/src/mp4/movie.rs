//! The tracks of an mp4 file, where their samples are, and when they are shown (ISO/IEC 14496-12 §8).
//!
//! Sans-IO. Contract: [`Movie::parse`] takes the bytes of `moov`. If [`Movie::is_fragmented`], pass every `moof` to
//! [`Movie::add_fragment`] in order. [`Movie::finish`] then decides where the presentation begins.
//!
//! **Times.** A track counts *media time* from its first sample. Its `origin` is the media time that is shown at
//! presentation time zero: the start of its first edit that is not empty, minus the empty ones before it (§8.6.6). What edits
//! cut out is not shown, and fragments begin when they say. Pictures in fragments cannot be shown from the middle of a group
//! of pictures on: if the edit begins inside one, presentation time zero of all tracks moves back to the sync sample before it.
//!
//! **Faults** belong to their track: what can be played is played, up to where its tables are damaged, and
//! [`Movie::left_out`] says the rest.

use super::super::isobmff::{BoxFault, BoxRef, Boxes};
use super::super::webvtt::Cue;
use super::UNFINISHED;
use super::chapters;
use super::fragmented::FragmentTracks;
use super::fragments::{TrackExtends, read_fragment};
use super::label::chapter_tracks;
use super::left_out::{LeftOut, TrackKind};
use super::sample_entry::TrackMedia;
use super::samples::SampleBudget;
use super::text_track::{TextContext, TextTrack};
use super::ticks::{FAR, UNNOTICED_MS};
use super::track::{MovieTrack, TrackContext, TrackRead, is_one_of, mdhd};

/// How many tracks are read.
const TRACKS_MAX: usize = 64;
/// How many things are said to be left out.
const LEFT_OUT_MAX: usize = 100;
/// Longest recording that is believed: a month, in nanoseconds. Playlists of a longer one would be too large.
const LONGEST: i64 = 31 * 86_400 * 1_000_000_000;
/// What is said of a longer one.
const TOO_LONG: &str = "it says that it lasts longer than any recording";
/// Tracks whose fragments count from times that are farther apart do not have the same clock: an hour, in nanoseconds.
const SAME_CLOCK: i64 = 3600 * 1_000_000_000;
/// Frames of sound before presentation time zero that a decoder needs to be right at zero (Apple's encoder: 2112 samples).
const PREROLL: u32 = 3;

/// The tracks of a file that are played.
#[derive(Clone, Debug)]
pub struct Movie {
    /// The first track of pictures that is enabled, or else the first of all.
    pub video: Option<MovieTrack>,
    /// The sound tracks, in the order of the file, but those that are enabled before the others.
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
    /// Samples lie beyond the end of the file.
    is_cut_off: bool,
}

impl Movie {
    /// Reads the `moov` at position `at` of a file of `file_len` bytes. A fault in a track is the track's
    /// ([`Self::left_out`]); only where no track is left it is the movie's.
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
        let nothing = BoxFault { kind: *b"moov", at, fault: "it is empty".into() };
        let moov = Boxes::new(moov, at).next().ok_or(nothing)??;
        // As ffmpeg does: without a timescale, times are in seconds.
        let movie_timescale = moov.child(*b"mvhd").ok().flatten().and_then(|mvhd| mdhd(&mvhd).ok());
        let movie_timescale = movie_timescale.map_or(1, |(timescale, _)| timescale).max(1);
        let mut movie = Self {
            video: None,
            audio: Vec::new(),
            texts: Vec::new(),
            chapters: None,
            listed_chapters: chapters::listed(&moov),
            left_out: Vec::new(),
            defaults: TrackExtends::read_all(&moov, TRACKS_MAX)?,
            budget: SampleBudget::default(),
            is_cut_off: false,
        };
        let mut pictures = movie.read_tracks(&moov, movie_timescale, file_len);
        let rank = |track: &MovieTrack| (!is_preferred(track), !track.label.is_enabled);
        let best = (0..pictures.len()).min_by_key(|&index| pictures.get(index).map(rank));
        movie.video = best.map(|index| pictures.remove(index));
        let shown = movie.video.as_ref().map_or(0, |track| track.id);
        for other in pictures {
            movie.leave_out(other.id, TrackKind::Picture, format!("another picture is shown: track {shown}"));
        }
        movie.audio.sort_by_key(|track| !track.label.is_enabled);
        let mut context = TextContext { movie_timescale, file_len, budget: &mut movie.budget };
        let named = chapter_tracks(&moov);
        movie.texts = TextTrack::read_all(&moov, &named, &mut context, &mut movie.left_out);
        // A recording with damaged chapters is played without them.
        movie.chapters = chapters::track(&moov, &named, &mut context).ok().flatten();
        if movie.video.is_none() && movie.audio.is_empty() {
            return Err(movie.nothing(at));
        }
        Ok(movie)
    }

    /// Reads all tracks; the result are those with pictures.
    fn read_tracks(&mut self, moov: &BoxRef<'_>, movie_timescale: u32, file_len: u64) -> Vec<MovieTrack> {
        let (mut pictures, named) = (Vec::new(), chapter_tracks(moov));
        let defaults = self.defaults.clone();
        for trak in moov.children(0).filter(|child| child.as_ref().map_or(true, |it| it.kind == *b"trak")) {
            let trak = match trak {
                Ok(trak) => trak,
                Err(fault) => {
                    self.leave_out(0, TrackKind::Other, fault.to_string());
                    break;
                }
            };
            if is_one_of(&trak, &named) || pictures.len() + self.audio.len() >= TRACKS_MAX {
                continue;
            }
            let mut context = TrackContext {
                movie_timescale,
                file_len,
                is_fragmented: defaults.is_some(),
                defaults: defaults.as_deref().unwrap_or_default(),
                budget: &mut self.budget,
            };
            match MovieTrack::read(&trak, &mut context) {
                TrackRead::Played(track, doubts) => {
                    for doubt in doubts {
                        self.is_cut_off |= doubt.contains(UNFINISHED);
                        self.leave_out(track.id, track.label.kind, doubt);
                    }
                    if track.is_video() { pictures.push(*track) } else { self.audio.push(*track) }
                }
                TrackRead::LeftOut(it) => self.leave_out(it.track_id, it.kind, it.reason),
                TrackRead::Passed => {}
            }
        }
        pictures
    }

    fn leave_out(&mut self, track_id: u32, kind: TrackKind, reason: String) {
        if self.left_out.len() < LEFT_OUT_MAX {
            self.left_out.push(LeftOut { track_id, kind, reason });
        }
    }

    /// Why nothing can be played.
    fn nothing(&self, at: u64) -> BoxFault {
        let reasons: Vec<String> = self.left_out.iter().take(8).map(ToString::to_string).collect();
        let fault = match reasons.len() {
            0 => "it has no track of pictures or sound".into(),
            _ => format!("no track can be played: {}", reasons.join("; ")).into(),
        };
        BoxFault { kind: *b"moov", at, fault }
    }

    /// Whether samples are in fragments, so that [`Self::add_fragment`] is needed.
    pub const fn is_fragmented(&self) -> bool {
        self.defaults.is_some()
    }

    /// Reads the `moof` at position `at` of the file.
    pub fn add_fragment(&mut self, moof: &[u8], at: u64, file_len: u64) -> Result<(), BoxFault> {
        let nothing = BoxFault { kind: *b"moof", at, fault: "it is empty".into() };
        let moof = Boxes::new(moof, at).next().ok_or(nothing)??;
        let defaults = self.defaults.as_deref().unwrap_or_default();
        let texts = self.texts.iter_mut().chain(&mut self.chapters).collect();
        let mut tracks = FragmentTracks::new(&mut self.video, &mut self.audio, texts);
        read_fragment(&moof, defaults, file_len, &mut self.budget, &mut tracks).map(drop)
    }

    /// Goes on after a fragment in which `fault` was found: it is left out from there on.
    pub fn leave_out_fragment(&mut self, fault: &BoxFault) {
        self.leave_out(0, TrackKind::Other, format!("{fault}; the rest of its fragment is left out"));
    }

    /// Whether samples lie beyond the end of the file, so that it may not be finished.
    pub const fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Says what fragments brought that is not played, and leaves out tracks without samples and without an end.
    fn settle_tracks(&mut self) {
        for track in self.video.iter_mut().chain(&mut self.audio) {
            let mut doubts = track.fragment_doubts();
            if track.samples.count() == 0 {
                doubts.push("it has no samples".to_owned());
            } else if track.is_video() && track.samples.sync_count() == 0 {
                track.samples.forget_syncs();
                doubts.push(
                    "no picture is marked as one where decoding can begin, so each is taken for one"
                        .to_owned(),
                );
            }
            if track.nanos(i64::try_from(track.samples.end()).unwrap_or(FAR)) > LONGEST {
                doubts.push(TOO_LONG.to_owned());
            }
            let (id, kind) = (track.id, track.label.kind);
            self.left_out.extend(doubts.into_iter().map(|reason| LeftOut { track_id: id, kind, reason }));
        }
        let is_played = |track: &MovieTrack| {
            track.samples.count() > 0
                && track.nanos(i64::try_from(track.samples.end()).unwrap_or(FAR)) <= LONGEST
        };
        self.audio.retain(is_played);
        self.video = self.video.take().filter(is_played);
        self.left_out.truncate(LEFT_OUT_MAX);
    }

    /// Decides which samples are sent and where presentation time zero is. A movie without samples is a fault.
    pub fn finish(mut self, at: u64) -> Result<Self, BoxFault> {
        self.settle_tracks();
        let Some(lead) = self.video.as_ref().or(self.audio.first()) else { return Err(self.nothing(at)) };
        // Presentation time zero moves if a group of pictures begins before it, or if the file's times begin at a large number.
        let begin = if lead.is_video() { begin_of_pictures(lead) } else { 0 };
        let start = lead.nanos(lead.shown_at(begin));
        let zero = if lead.is_video() && start < 0 { start } else { self.far_from_zero(start) };
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
        let fault = |track: &MovieTrack| match track {
            _ if track.begin >= track.end => Some("its edit list shows none of its samples"),
            _ if track.shown_until() <= 0 => Some("nothing of it is within the presentation"),
            _ if track.nanos(track.shown_until()) > LONGEST => Some(TOO_LONG),
            _ => None,
        };
        let said = |track: &MovieTrack| Some((track.id, track.label.kind, fault(track)?));
        let faults: Vec<_> = self.video.iter().chain(&self.audio).filter_map(said).collect();
        for (id, kind, fault) in faults {
            self.leave_out(id, kind, fault.to_owned());
        }
        self.audio.retain(|track| fault(track).is_none());
        self.video = self.video.filter(|track| fault(track).is_none());
        if self.video.is_none() && self.audio.is_empty() {
            return Err(self.nothing(at));
        }
        Ok(self)
    }

    /// Where the presentation begins, in nanoseconds, if its fragments count from a large number; otherwise zero. The leading
    /// track begins at `start`.
    fn far_from_zero(&self, start: i64) -> i64 {
        let timed = self.audio.iter().filter(|track| track.fragments.base.is_some());
        // A track that is noticeably earlier begins the presentation; others are cut off a little.
        let earlier = timed
            .map(|track| track.nanos(track.shown_at(0)))
            .filter(|begin| (UNNOTICED_MS * 1_000_000..SAME_CLOCK).contains(&start.saturating_sub(*begin)));
        let earlier = earlier.min();
        let start = earlier.unwrap_or(start);
        if self.is_fragmented() && start > 1_000_000_000 { start } else { 0 }
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
