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
use super::UNFINISHED;
use super::chapters::{self, ChapterTrack};
use super::fragmented::FragmentTracks;
use super::fragments::{TrackExtends, read_fragment};
use super::label::chapter_tracks;
use super::left_out::{LeftOut, TrackKind};
use super::sample_entry::TrackMedia;
use super::samples::SampleBudget;
use super::ticks::{FAR, rescale};
use super::track::{MovieTrack, TrackContext, TrackRead, edit, is_one_of, mdhd, timescale, track_id};

/// How many tracks are read.
const TRACKS_MAX: usize = 64;
/// How many things are said to be left out.
const LEFT_OUT_MAX: usize = 100;
/// Longest recording that is believed: a month, in nanoseconds. Playlists of a longer one would be too large.
const LONGEST: i64 = 31 * 86_400 * 1_000_000_000;
/// What is said of a longer one.
const TOO_LONG: &str = "it says that it lasts longer than any recording";
/// Frames of sound before presentation time zero that a decoder needs to be right at zero (Apple's encoder: 2112 samples).
const PREROLL: u32 = 3;

/// The tracks of a file that are played.
#[derive(Clone, Debug)]
pub struct Movie {
    /// The first track of pictures that is enabled, or else the first of all.
    pub video: Option<MovieTrack>,
    /// The sound tracks, in the order of the file, but those that are enabled before the others.
    pub audio: Vec<MovieTrack>,
    /// The chapter titles, if there are any.
    pub chapters: Option<ChapterTrack>,
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
            chapters: None,
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
        // A recording with damaged chapters is played without them.
        movie.chapters = chapters(&moov, movie_timescale, file_len, &mut movie.budget).ok().flatten();
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
        let mut tracks = FragmentTracks::new(&mut self.video, &mut self.audio);
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
        if let Some(chapters) = &mut self.chapters {
            let zero = rescale(zero, 1_000_000_000, chapters.timescale);
            chapters.origin = chapters.origin.saturating_add(zero).clamp(-FAR, FAR);
        }
        let fault = |track: &MovieTrack| match track {
            _ if track.begin >= track.end => Some("its edit list shows none of its samples"),
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
        self.video
            .iter()
            .chain(&self.audio)
            .map(|track| track.samples.memory() + size_of::<MovieTrack>())
            .sum()
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

/// The first text track that another track refers to.
fn chapters(
    moov: &BoxRef<'_>,
    movie_timescale: u32,
    file_len: u64,
    budget: &mut SampleBudget,
) -> Result<Option<ChapterTrack>, BoxFault> {
    let traks = || moov.children(0).take(TRACKS_MAX).flatten().filter(|child| child.kind == *b"trak");
    let mut named = Vec::new();
    for trak in traks() {
        named.extend(chapters::named_by(&trak)?);
    }
    for trak in traks().filter(|_| !named.is_empty()) {
        if named.contains(&track_id(&trak.need(*b"tkhd")?)?.0) {
            let (timescale, _) = timescale(&trak.need(*b"mdia")?.need(*b"mdhd")?)?;
            if let Some(mut track) = ChapterTrack::read(&trak, timescale, file_len, budget)? {
                track.origin = edit(&trak, movie_timescale, timescale)?.0;
                return Ok(Some(track));
            }
        }
    }
    Ok(None)
}
