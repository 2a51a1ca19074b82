//! One track: its header, coding and samples, and which of them are shown when (ISO/IEC 14496-12 §8.3 to §8.6).
//!
//! A track counts *media time* from its first sample. Its `origin` is the media time that is shown at presentation time
//! zero: the start of its first edit that is not empty, minus the empty ones before it (§8.6.6).

use bytes::Bytes;

use super::super::isobmff::{BoxFault, BoxRef, FullBox};
use super::descriptions;
use super::edits::EditList;
use super::fragments::TrackExtends;
use super::label::TrackLabel;
use super::left_out::{LeftOut, TrackKind};
use super::sample_entry::{Coding, TrackMedia};
use super::samples::{SampleBudget, SampleTable};
use super::tables;
use super::ticks::rescale;
use amphi_media::PacketSound;

/// One track that is played.
#[derive(Clone, Debug)]
pub struct MovieTrack {
    /// `track_ID` in the file.
    pub id: u32,
    /// Ticks per second of the track's times.
    pub timescale: u32,
    /// Language code of three letters (ISO 639-2/T); `und` if unknown.
    pub language: String,
    /// What the file says about the track for people and players.
    pub label: TrackLabel,
    /// How its samples are coded.
    pub coding: Coding,
    /// Where its samples are, and their times.
    pub samples: SampleTable,
    /// The matrix of `tkhd` (§8.3.2), 36 bytes: phones state their rotation here.
    pub matrix: Bytes,
    /// Media time at presentation time zero, in ticks.
    pub origin: i64,
    /// Added to all composition offsets, so that none is negative.
    pub lift: i64,
    /// Index of the first sample that is sent.
    pub begin: u32,
    /// Index after the last sample that is sent.
    pub end: u32,
    /// By how many ticks the first picture is shown earlier where pictures are sent without sound.
    pub early: i64,
    /// The bytes of a sample that is silent and not in the file; empty if there is none.
    pub silence: Bytes,
    /// Media time at which the edit ends, in ticks, if it does.
    pub(super) until: Option<i64>,
    /// What its fragments need to know of it.
    pub(super) fragments: FragmentState,
}

/// What of a track is known from one fragment to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct FragmentState {
    /// Decode time in the file of the first sample: media time counts from there.
    pub(super) base: Option<i64>,
    /// Added to the times of fragments, since those went back too far.
    pub(super) later: i64,
    /// For each sample description whether it is the one that is played; empty if there is only one.
    pub(super) same: Vec<bool>,
    /// Samples that were left out for having another one.
    pub(super) others: u32,
    /// How often the times went back.
    pub(super) went_back: u32,
    /// How many samples are there only for decoding: they are shown for a tick each.
    pub(super) hidden: u32,
}

/// What a `trak` comes to.
#[derive(Debug)]
pub(super) enum TrackRead {
    /// A track that is played, and what of it is not.
    Played(Box<MovieTrack>, Vec<String>),
    /// One that somebody would expect, and why it is not played.
    LeftOut(LeftOut),
    /// Timecodes, covers and other data; text, which is read elsewhere.
    Passed,
}

impl MovieTrack {
    /// Reads a `trak`. A fault in it is the track's, not the movie's.
    pub(super) fn read(trak: &BoxRef<'_>, context: &mut TrackContext<'_>) -> TrackRead {
        let label = TrackLabel::read(trak);
        let kind = label.kind;
        let id = trak.child(*b"tkhd").ok().flatten().and_then(|tkhd| track_id(&tkhd).ok());
        let track_id = id.map_or(0, |(id, _)| id);
        let left_out = |reason: String| TrackRead::LeftOut(LeftOut { track_id, kind, reason });
        if matches!(kind, TrackKind::Text | TrackKind::Other) || label.is_auxiliary {
            // Of a track that does not say what it is, it may have been a picture or sound.
            let unknown = trak.need(*b"mdia").err().filter(|_| kind == TrackKind::Other);
            return unknown.map_or(TrackRead::Passed, |fault| left_out(fault.to_string()));
        }
        match Self::played(trak, label, context) {
            Ok(Ok(read)) => read,
            Ok(Err(reason)) => left_out(reason),
            Err(fault) => left_out(fault.to_string()),
        }
    }

    /// The track, or why none of its sample descriptions is played.
    fn played(
        trak: &BoxRef<'_>,
        label: TrackLabel,
        context: &mut TrackContext<'_>,
    ) -> Result<Result<TrackRead, String>, BoxFault> {
        let mdia = trak.need(*b"mdia")?;
        let stbl = mdia.need(*b"minf")?.need(*b"stbl")?;
        let stsd = stbl.need(*b"stsd")?;
        let tkhd = trak.need(*b"tkhd")?;
        let (id, _) = track_id(&tkhd)?;
        if is_cover(&stsd, &stbl) {
            return Ok(Ok(TrackRead::Passed));
        }
        let first =
            context.defaults.iter().find(|trex| trex.track_id == id).map_or(1, |trex| trex.description);
        let played = match descriptions::chosen(&stsd, &stbl, first)? {
            Ok(played) => played,
            Err(reason) => return Ok(Err(reason)),
        };
        let (said, language) = mdhd(&mdia.need(*b"mdhd")?)?;
        // Without a timescale of its own sound counts samples, as nearly all sound does; pictures have the movie's, as ffmpeg
        // has it.
        let timescale = match played.coding.media {
            _ if said > 0 => said,
            TrackMedia::Audio { sample_rate, .. } if sample_rate > 0 => sample_rate,
            _ => context.movie_timescale,
        };
        let is_video = matches!(played.coding.media, TrackMedia::Video { .. });
        let TrackContext { file_len, budget, .. } = context;
        let unit = played.coding.packets.as_ref().and_then(PacketSound::unit);
        let units =
            unit.map(|unit| tables::units::read(&stbl, *file_len, budget, unit)).transpose()?.flatten();
        let read = match units {
            Some(read) => read,
            None => tables::read_samples(&stbl, *file_len, budget, Some(&played), is_video)?,
        };
        let mut doubts = read.doubts();
        if said == 0 {
            doubts.push(format!(
                "box mdhd: its timescale is zero; its times are taken for {timescale} a second"
            ));
        }
        let (coding, same) = played.into_parts();
        let mut track = Self {
            id,
            timescale,
            language,
            label,
            coding,
            end: read.samples.count(),
            samples: read.samples,
            matrix: matrix(&tkhd).unwrap_or_else(|_| Bytes::from_static(&UNITY)),
            origin: 0,
            lift: 0,
            begin: 0,
            early: 0,
            silence: Bytes::new(),
            until: None,
            fragments: FragmentState { same, ..FragmentState::default() },
        };
        match EditList::read(trak, context.movie_timescale) {
            Ok(edits) => doubts.extend(track.edit(&edits, context.is_fragmented, context.budget)),
            Err(fault) => doubts.push(fault.to_string()),
        }
        Ok(Ok(TrackRead::Played(Box::new(track), doubts)))
    }

    /// Applies the edit list; says what cannot be as it wants.
    fn edit(&mut self, edits: &EditList, is_fragmented: bool, budget: &mut SampleBudget) -> Vec<String> {
        let (origin, until) = edits.first(self.timescale);
        (self.origin, self.until) = (origin, until);
        if is_fragmented {
            // As ffmpeg and browsers have it, the end of an edit and those after it do not hold for fragments.
            self.until = None;
            return Vec::new();
        }
        if edits.is_simple()
            && !(self.is_video() && cuts_a_group(&self.samples, origin + edits.lead(self.timescale)))
        {
            return Vec::new();
        }
        let edited = edits.apply(&self.samples, self.timescale, self.is_video(), budget.left());
        budget.take(edited.samples.count());
        (self.samples, self.timescale) = (edited.samples, edited.timescale);
        (self.origin, self.until, self.end) = (edited.origin, None, self.samples.count());
        let hidden = (edited.hidden > 0).then(|| {
            format!(
                "box elst: an edit begins between two sync samples, so the {} pictures that it cuts out before are \
                 shown for less than a millisecond",
                edited.hidden
            )
        });
        let cut = edited.is_cut.then(|| {
            let count = self.samples.count();
            format!("box elst: it shows samples more often than is allowed: what comes after {count} of them is left out")
        });
        hidden.into_iter().chain(cut).collect()
    }

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
        // The last pictures may be in any order.
        let last = (self.begin.max(self.end.saturating_sub(32))..self.end)
            .map(|index| self.samples.media_time(index) + i64::from(self.samples.duration(index)));
        last.max().unwrap_or(after) - self.origin
    }

    /// Converts ticks of this track to nanoseconds.
    pub fn nanos(&self, ticks: i64) -> i64 {
        rescale(ticks, self.timescale, 1_000_000_000)
    }

    /// Converts nanoseconds to ticks of this track.
    pub fn ticks(&self, nanos: i64) -> i64 {
        rescale(nanos, 1_000_000_000, self.timescale)
    }

    /// Whether it has pictures.
    pub fn is_video(&self) -> bool {
        matches!(self.coding.media, TrackMedia::Video { .. })
    }
}

/// What is needed to read a track, beside its `trak`.
#[derive(Debug)]
pub(super) struct TrackContext<'a> {
    pub(super) movie_timescale: u32,
    pub(super) file_len: u64,
    pub(super) is_fragmented: bool,
    pub(super) defaults: &'a [TrackExtends],
    pub(super) budget: &'a mut SampleBudget,
}

/// The identity matrix (§8.3.2).
const UNITY: [u8; 36] = {
    let mut matrix = [0; 36];
    (matrix[1], matrix[17], matrix[32]) = (1, 1, 0x40);
    matrix
};

/// Whether a track is a cover: one still picture in a format of stills, as players show it in lists.
fn is_cover(stsd: &BoxRef<'_>, stbl: &BoxRef<'_>) -> bool {
    let is_still = stsd
        .children(8)
        .flatten()
        .next()
        .is_some_and(|entry| matches!(&entry.kind, b"jpeg" | b"png " | b"gif " | b"tiff" | b"mjp2"));
    let count = || {
        let mut rest = stbl.child(*b"stsz").ok()??.full().ok()?.rest;
        rest.u32().and_then(|_| rest.u32())
    };
    is_still && count().unwrap_or(0) <= 1
}

/// Whether an edit that begins at `start` cuts away a picture that others need, or a part of one.
fn cuts_a_group(samples: &SampleTable, start: i64) -> bool {
    let before = samples.syncs_before(start.saturating_add(1));
    before > 0 && samples.sync(before - 1).is_some_and(|sync| samples.media_time(sync) < start)
}

/// Whether the `trak` has one of these numbers.
pub(super) fn is_one_of(trak: &BoxRef<'_>, numbers: &[u32]) -> bool {
    let id = || -> Result<u32, BoxFault> { Ok(track_id(&trak.need(*b"tkhd")?)?.0) };
    !numbers.is_empty() && id().is_ok_and(|id| numbers.contains(&id))
}

/// What every track says about itself, however it is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackHeader {
    /// `track_ID` in the file (§8.3.2).
    pub id: u32,
    /// Ticks per second (§8.4.2).
    pub timescale: u32,
    /// Language code of three letters (ISO 639-2/T); `und` if unknown.
    pub language: String,
}

impl TrackHeader {
    /// Reads `tkhd` and `mdhd` of a `trak`.
    pub fn read(trak: &BoxRef<'_>) -> Result<Self, BoxFault> {
        let (timescale, language) = timescale(&trak.need(*b"mdia")?.need(*b"mdhd")?)?;
        Ok(Self { id: track_id(&trak.need(*b"tkhd")?)?.0, timescale, language })
    }
}

/// Timescale and language of an `mdhd` (§8.4.2). An `mvhd` has the timescale in the same place.
pub(super) fn timescale(header: &BoxRef<'_>) -> Result<(u32, String), BoxFault> {
    let said = mdhd(header)?;
    if said.0 == 0 { Err(header.fault("its timescale is zero")) } else { Ok(said) }
}

/// The same of a header that may say zero.
pub(super) fn mdhd(header: &BoxRef<'_>) -> Result<(u32, String), BoxFault> {
    let mut full = header.full()?;
    let long = full.version == 1;
    let said = full.rest.skip(if long { 16 } else { 8 }).and_then(|()| {
        let timescale = full.rest.u32()?;
        let language = full.rest.word(long).and_then(|_| full.rest.u16());
        Some((timescale, language.unwrap_or(0)))
    });
    let (timescale, packed) = said.ok_or(header.fault("it is too short"))?;
    let letters = [10, 5, 0].map(|shift| (packed >> shift & 0x1f) as u8);
    // Values below 0x400 are QuickTime's Macintosh language codes.
    let is_code = packed >= 0x400 && letters.iter().all(|letter| (1..=26).contains(letter));
    let language = letters.iter().map(|letter| char::from(letter + 0x60)).collect();
    Ok((timescale, if is_code { language } else { "und".to_owned() }))
}

/// `track_ID`, and the fields after it (§8.3.2).
pub(super) fn track_id<'a>(tkhd: &BoxRef<'a>) -> Result<(u32, FullBox<'a>), BoxFault> {
    let mut full = tkhd.full()?;
    let id = full.rest.skip(if full.version == 1 { 16 } else { 8 }).and_then(|()| full.rest.u32());
    Ok((id.ok_or(tkhd.fault("it is too short"))?, full))
}

/// The matrix of `tkhd` (§8.3.2).
fn matrix(tkhd: &BoxRef<'_>) -> Result<Bytes, BoxFault> {
    let (_, mut full) = track_id(tkhd)?;
    let matrix = full.rest.skip(4 + if full.version == 1 { 8 } else { 4 } + 16);
    let matrix = matrix.and_then(|()| full.rest.bytes(36)).ok_or(tkhd.fault("it is too short"))?;
    Ok(Bytes::copy_from_slice(matrix))
}

/// Media time at presentation time zero, and at the end of the edit if there is only one that is not empty (§8.6.6).
pub(super) fn edit(
    trak: &BoxRef<'_>,
    movie_timescale: u32,
    timescale: u32,
) -> Result<(i64, Option<i64>), BoxFault> {
    Ok(EditList::read(trak, movie_timescale)?.first(timescale))
}
