//! One track: its header, coding and samples, and which of them are shown when (ISO/IEC 14496-12 §8.3 to §8.6).
//!
//! A track counts *media time* from its first sample. Its `origin` is the media time that is shown at presentation time
//! zero: the start of its first edit that is not empty, minus the empty ones before it (§8.6.6).

use bytes::Bytes;

use super::super::isobmff::{BoxFault, BoxRef, FullBox};
use super::sample_entry::{self, Coding, Described, TrackMedia};
use super::samples::{SampleBudget, SampleTable};
use super::tables;
use super::ticks::{FAR, rescale};

/// One track that is played.
#[derive(Clone, Debug)]
pub struct MovieTrack {
    /// `track_ID` in the file.
    pub id: u32,
    /// Ticks per second of the track's times.
    pub timescale: u32,
    /// Language code of three letters (ISO 639-2/T); `und` if unknown.
    pub language: String,
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
    /// Media time at which the edit ends, in ticks, if it does.
    pub(super) until: Option<i64>,
}

impl MovieTrack {
    /// Reads a `trak`. `None` if it is not played.
    pub(super) fn read(
        trak: &BoxRef<'_>,
        movie_timescale: u32,
        file_len: u64,
        budget: &mut SampleBudget,
    ) -> Result<Option<Self>, BoxFault> {
        let stbl = trak.need(*b"mdia")?.need(*b"minf")?.need(*b"stbl")?;
        let Described::Played(coding) = sample_entry::read(&stbl.need(*b"stsd")?, 0)? else {
            return Ok(None);
        };
        let TrackHeader { id, timescale, language } = TrackHeader::read(trak)?;
        let matrix = matrix(&trak.need(*b"tkhd")?)?;
        let samples = tables::read(&stbl, file_len, budget)?;
        let (origin, until) = edit(trak, movie_timescale, timescale)?;
        let end = samples.count();
        Ok(Some(Self {
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
    let mut full = header.full()?;
    let long = full.version == 1;
    let said = full.rest.skip(if long { 16 } else { 8 }).and_then(|()| {
        let timescale = full.rest.u32()?;
        let language = full.rest.word(long).and_then(|_| full.rest.u16());
        Some((timescale, language.unwrap_or(0)))
    });
    let (timescale, packed) = said.ok_or(header.fault("it is too short"))?;
    if timescale == 0 {
        return Err(header.fault("its timescale is zero"));
    }
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

/// Media time at presentation time zero, and at the end of the first edit that is not empty (§8.6.6).
pub(super) fn edit(
    trak: &BoxRef<'_>,
    movie_timescale: u32,
    timescale: u32,
) -> Result<(i64, Option<i64>), BoxFault> {
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
            // A second edit would need another timeline, so the track simply goes on after the first one.
            let is_last = next().is_none();
            let until = (duration > 0 && is_last).then(|| start.saturating_add(duration));
            return Ok((start - empty, until));
        }
        empty = (empty + duration).min(FAR);
    }
    Ok((-empty, None))
}
