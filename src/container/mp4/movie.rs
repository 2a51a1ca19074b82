//! What is in an mp4 file: its tracks, where their samples are, and when they are shown (ISO/IEC 14496-12 §8).
//!
//! Sans-IO. Contract: [`Movie::parse`] takes the bytes of `moov`; where [`Movie::is_fragmented`], every `moof` is
//! handed to [`Movie::add_fragment`] in order; [`Movie::finish`] then settles where the presentation begins.
//!
//! **Times.** A track counts *media time* from its first sample. Its `origin` is the media time that is shown at
//! presentation zero: the start of its first edit that is not empty, less the empty ones before it (§8.6.6). Pictures
//! cannot be shown from the middle of a group of pictures, so where the edit begins inside one, presentation zero of
//! all tracks moves to the sync sample before.

use bytes::Bytes;

use super::super::isobmff::{BoxFault, BoxRef, Boxes};
use super::chapters::{self, ChapterTrack};
use super::fragments::{self, Defaults};
use super::sample_entry::{self, Coding, Media};
use super::samples::{Budget, Samples};
use super::tables;

/// Tracks that are looked at; more are nonsense.
const TRACKS_MAX: usize = 64;
/// Media times beyond this, in ticks, are taken for this: sums of two of them are still numbers.
pub(super) const FAR: i64 = 1 << 60;
/// A recording of a month, in nanoseconds. A file that lasts longer lies, and so would its playlists.
const LONGEST: i64 = 31 * 86_400 * 1_000_000_000;
/// Frames of sound before presentation zero that a decoder needs to be right at zero (Apple's encoder: 2112 samples).
const PREROLL: u32 = 3;

/// One track that we play.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its number in the file.
    pub id: u32,
    /// Ticks per second.
    pub timescale: u32,
    /// ISO 639-2/T, `und` where unknown.
    pub language: String,
    /// How it is coded.
    pub coding: Coding,
    /// Its samples.
    pub samples: Samples,
    /// The transformation of `tkhd` (§8.3.2): how a phone was held.
    pub matrix: Bytes,
    /// Media time at presentation zero, in ticks.
    pub origin: i64,
    /// Added to all compositions, so that none is negative.
    pub lift: i64,
    /// The first sample that is sent.
    pub begin: u32,
    /// The first sample that is not sent any more.
    pub end: u32,
    /// Media time at which the edit ends.
    until: Option<i64>,
}

/// All that is played of a file.
#[derive(Clone, Debug)]
pub struct Movie {
    /// The picture.
    pub video: Option<Track>,
    /// The sound tracks, in the file's order.
    pub audio: Vec<Track>,
    /// Titles of its parts.
    pub chapters: Option<ChapterTrack>,
    defaults: Vec<Defaults>,
    is_fragmented: bool,
    budget: Budget,
}

impl Track {
    /// When a sample is shown, in ticks of presentation time.
    pub fn shown_at(&self, index: u32) -> i64 {
        self.samples.media_time(index) - self.origin
    }

    /// When the last sample that is sent ends, in ticks of presentation time.
    pub fn shown_until(&self) -> i64 {
        let after = self.samples.decode_time(self.end) as i64;
        if !self.samples.has_compositions() || self.end <= self.begin {
            return after - self.origin;
        }
        // The last pictures stand in any order.
        let last = (self.begin.max(self.end.saturating_sub(32))..self.end)
            .map(|index| self.samples.media_time(index) + i64::from(self.samples.duration(index)));
        last.max().unwrap_or(after) - self.origin
    }

    /// Ticks in nanoseconds.
    pub fn nanos(&self, ticks: i64) -> i64 {
        rescale(ticks, self.timescale, 1_000_000_000)
    }

    /// Nanoseconds in ticks.
    pub fn ticks(&self, nanos: i64) -> i64 {
        rescale(nanos, 1_000_000_000, self.timescale)
    }

    /// It shows pictures.
    pub fn is_video(&self) -> bool {
        matches!(self.coding.media, Media::Video { .. })
    }
}

/// `value` in another timescale, rounded down.
pub fn rescale(value: i64, from: u32, to: u32) -> i64 {
    let scaled = (i128::from(value) * i128::from(to)).div_euclid(i128::from(from.max(1)));
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}

impl Movie {
    /// Reads the `moov` that begins at `at` of a file of `file_len` bytes.
    pub fn parse(moov: &[u8], at: u64, file_len: u64) -> Result<Self, BoxFault> {
        let nothing = BoxFault { kind: *b"moov", at, fault: "it is empty" };
        let moov = Boxes::new(moov, at).next().ok_or(nothing)??;
        let movie_timescale = timescale(&moov.need(*b"mvhd")?)?.0;
        let mut movie = Self {
            video: None,
            audio: Vec::new(),
            chapters: None,
            defaults: Vec::new(),
            is_fragmented: false,
            budget: Budget::default(),
        };
        if let Some(mvex) = moov.child(*b"mvex")? {
            movie.is_fragmented = true;
            for trex in mvex.children(0).take(TRACKS_MAX) {
                let trex = trex?;
                if trex.kind == *b"trex" {
                    movie.defaults.push(Defaults::read(&trex)?);
                }
            }
        }
        for trak in moov.children(0) {
            let trak = trak?;
            if trak.kind != *b"trak" {
                continue;
            }
            let Some(track) = read_track(&trak, movie_timescale, file_len, &mut movie.budget)? else {
                continue;
            };
            if track.is_video() {
                movie.video.get_or_insert(track);
            } else if movie.audio.len() < TRACKS_MAX {
                movie.audio.push(track);
            }
        }
        // A recording plays without its chapters.
        movie.chapters = chapters(&moov, movie_timescale, file_len, &mut movie.budget).ok().flatten();
        if movie.video.is_none() && movie.audio.is_empty() {
            return Err(moov.fault("none of its tracks is H.264, HEVC, AAC, MP3 or Opus"));
        }
        Ok(movie)
    }

    /// Samples stand in fragments.
    pub fn is_fragmented(&self) -> bool {
        self.is_fragmented
    }

    /// Reads the `moof` that begins at `at`.
    pub fn add_fragment(&mut self, moof: &[u8], at: u64, file_len: u64) -> Result<(), BoxFault> {
        let nothing = BoxFault { kind: *b"moof", at, fault: "it is empty" };
        let moof = Boxes::new(moof, at).next().ok_or(nothing)??;
        let tracks = self.video.iter_mut().chain(&mut self.audio);
        fragments::read(&moof, &self.defaults, tracks, file_len, &mut self.budget)
    }

    /// Settles which samples are sent and where zero is. A movie without samples is a fault.
    pub fn finish(mut self, at: u64) -> Result<Self, BoxFault> {
        let empty = BoxFault { kind: *b"moov", at, fault: "its tracks hold no samples" };
        self.audio.retain(|track| track.samples.count() > 0);
        self.video = self.video.filter(|track| track.samples.sync_count() > 0);
        let Some(lead) = self.video.as_ref().or(self.audio.first()) else { return Err(empty) };
        // What stands before zero: the rest of a group of pictures, or a recording that counts from some other day.
        let begin = if lead.is_video() { begin_of_pictures(lead) } else { 0 };
        let start = lead.shown_at(begin);
        let far = i64::from(lead.timescale);
        let zero = if lead.is_video() && start < 0 || self.is_fragmented && start > far { start } else { 0 };
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

    /// The track that decides where segments are cut.
    pub fn lead(&self) -> Option<&Track> {
        self.video.as_ref().or(self.audio.first())
    }

    /// Width and height of the picture, in luma samples.
    pub fn picture_size(&self) -> Option<(u16, u16)> {
        match self.video.as_ref()?.coding.media {
            Media::Video { width, height } => Some((width, height)),
            Media::Audio { .. } => None,
        }
    }

    /// Presentation time at which something is first seen or heard, in nanoseconds.
    pub fn start_nanos(&self) -> i64 {
        let tracks = self.video.iter().chain(&self.audio);
        tracks.map(|track| track.nanos(track.shown_at(track.begin))).min().unwrap_or(0).max(0)
    }

    /// From presentation zero to the end of what ends last, in nanoseconds.
    pub fn duration_nanos(&self) -> i64 {
        let tracks = self.video.iter().chain(&self.audio);
        tracks.map(|track| track.nanos(track.shown_until())).max().unwrap_or(0).max(0)
    }

    /// Memory taken by the tables, in bytes.
    pub fn memory(&self) -> usize {
        self.video.iter().chain(&self.audio).map(|track| track.samples.memory() + size_of::<Track>()).sum()
    }
}

/// The sync sample at presentation zero, or the last one before it, or the first of all.
fn begin_of_pictures(track: &Track) -> u32 {
    let before = track.samples.syncs_before(track.origin + 1);
    track.samples.sync(before.saturating_sub(1)).unwrap_or(0)
}

/// Samples at the end that begin behind the edit are not shown.
fn end_of(track: &Track) -> u32 {
    let mut end = track.samples.count();
    if let Some(until) = track.until {
        while end > track.begin && track.samples.media_time(end - 1) >= until {
            end -= 1;
        }
    }
    end
}

/// The first text track that another track names.
fn chapters(
    moov: &BoxRef<'_>,
    movie_timescale: u32,
    file_len: u64,
    budget: &mut Budget,
) -> Result<Option<ChapterTrack>, BoxFault> {
    let traks = || moov.children(0).take(TRACKS_MAX).flatten().filter(|child| child.kind == *b"trak");
    let mut named = Vec::new();
    for trak in traks() {
        named.extend(chapters::named_by(&trak)?);
    }
    for trak in traks().filter(|_| !named.is_empty()) {
        if named.contains(&track_header(&trak.need(*b"tkhd")?)?.0) {
            let (timescale, _) = timescale(&trak.need(*b"mdia")?.need(*b"mdhd")?)?;
            if let Some(mut track) = ChapterTrack::read(&trak, timescale, file_len, budget)? {
                track.origin = edit(&trak, movie_timescale, timescale)?.0;
                return Ok(Some(track));
            }
        }
    }
    Ok(None)
}

fn read_track(
    trak: &BoxRef<'_>,
    movie_timescale: u32,
    file_len: u64,
    budget: &mut Budget,
) -> Result<Option<Track>, BoxFault> {
    let mdia = trak.need(*b"mdia")?;
    let minf = mdia.need(*b"minf")?;
    let stbl = minf.need(*b"stbl")?;
    let Some(coding) = sample_entry::read(&stbl.need(*b"stsd")?)? else { return Ok(None) };
    let (timescale, language) = timescale(&mdia.need(*b"mdhd")?)?;
    let samples = tables::read(&stbl, file_len, budget)?;
    let (id, matrix) = track_header(&trak.need(*b"tkhd")?)?;
    let (origin, until) = edit(trak, movie_timescale, timescale)?;
    let end = samples.count();
    Ok(Some(Track {
        id,
        timescale,
        language,
        coding,
        samples,
        matrix,
        origin,
        lift: 0,
        begin: 0,
        end,
        until,
    }))
}

/// Timescale and language of an `mdhd` (§8.4.2); an `mvhd` begins alike.
fn timescale(header: &BoxRef<'_>) -> Result<(u32, String), BoxFault> {
    let mut full = header.full()?;
    let long = full.version == 1;
    let said = full.rest.skip(if long { 16 } else { 8 }).and_then(|()| {
        let timescale = full.rest.u32()?;
        full.rest.word(long)?;
        Some((timescale, full.rest.u16().unwrap_or(0)))
    });
    let (timescale, packed) = said.ok_or(header.fault("it is too short"))?;
    if timescale == 0 {
        return Err(header.fault("its timescale is zero"));
    }
    let letters = [10, 5, 0].map(|shift| (packed >> shift & 0x1f) as u8);
    // Below 0x400 it is one of QuickTime's Macintosh numbers.
    let is_code = packed >= 0x400 && letters.iter().all(|letter| (1..=26).contains(letter));
    let language = letters.iter().map(|letter| char::from(letter + 0x60)).collect();
    Ok((timescale, if is_code { language } else { "und".to_owned() }))
}

/// Number and matrix (§8.3.2).
fn track_header(tkhd: &BoxRef<'_>) -> Result<(u32, Bytes), BoxFault> {
    let mut full = tkhd.full()?;
    let long = full.version == 1;
    let said = full.rest.skip(if long { 16 } else { 8 }).and_then(|()| {
        let id = full.rest.u32()?;
        full.rest.skip(4 + if long { 8 } else { 4 } + 16)?;
        Some((id, full.rest.bytes(36)?))
    });
    let (id, matrix) = said.ok_or(tkhd.fault("it is too short"))?;
    Ok((id, Bytes::copy_from_slice(matrix)))
}

/// Media time of presentation zero, and of the end of the first edit that is not empty (§8.6.6).
fn edit(trak: &BoxRef<'_>, movie_timescale: u32, timescale: u32) -> Result<(i64, Option<i64>), BoxFault> {
    let Some(elst) = trak.child(*b"edts")?.map(|edts| edts.child(*b"elst")).transpose()?.flatten() else {
        return Ok((0, None));
    };
    let mut full = elst.full()?;
    let long = full.version == 1;
    full.rest.u32().ok_or(elst.fault("it has no entry count"))?;
    let mut empty = 0_i64;
    let mut next = || {
        let duration = full.rest.word(long)?;
        let start = full.rest.word(long)?;
        let start = if long { (start as i64).min(FAR) } else { i64::from(start as u32 as i32) };
        full.rest.skip(4)?;
        Some((duration, start))
    };
    while let Some((duration, start)) = next() {
        let duration =
            rescale(i64::try_from(duration).unwrap_or(i64::MAX), movie_timescale, timescale).min(FAR);
        if start >= 0 {
            // A second edit that is shown would need another timeline: what follows the first goes on as it is.
            let is_last = next().is_none();
            let until = (duration > 0 && is_last).then(|| start.saturating_add(duration));
            return Ok((start - empty, until));
        }
        empty = (empty + duration).min(FAR);
    }
    Ok((-empty, None))
}
