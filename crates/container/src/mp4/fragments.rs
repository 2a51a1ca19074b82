//! Reads movie fragments (ISO/IEC 14496-12 §8.8).
//!
//! [`read_fragment`] hands every sample of a `moof` to a [`FragmentSink`]. The sink may be the index of a recording, or
//! anything that needs to know the times of a segment.

use super::super::isobmff::{BoxFault, BoxReader, BoxRef, FullBox};
use super::UNFINISHED;
use super::samples::{Sample, SampleBudget};

/// `sample_is_non_sync_sample` (§8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// Defaults for the samples of a track (`trex`, §8.8.3); they hold where a fragment says nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackExtends {
    /// `track_ID` of the track.
    pub track_id: u32,
    /// `default_sample_description_index`, which counts from 1.
    pub description: u32,
    /// Duration in ticks.
    pub duration: u32,
    /// Size in bytes.
    pub size: u32,
    /// Sample flags (§8.8.3.1).
    pub flags: u32,
}

impl TrackExtends {
    /// Reads the first `most` of them from a `moov`. `None` if it has no `mvex`: then all samples are in its own tables.
    pub fn read_all(moov: &BoxRef<'_>, most: usize) -> Result<Option<Vec<Self>>, BoxFault> {
        // A box in between that lies about its size hides what follows it, but no track before it.
        let Some(mvex) = moov.child(*b"mvex").ok().flatten() else { return Ok(None) };
        let trexes = mvex.children(0).take(most);
        let trexes = trexes.filter(|trex| trex.as_ref().map_or(true, |trex| trex.kind == *b"trex"));
        trexes.map(|trex| Self::read(&trex?)).collect::<Result<_, _>>().map(Some)
    }

    fn read(trex: &BoxRef<'_>) -> Result<Self, BoxFault> {
        let mut rest = trex.full()?.rest;
        let mut fields = || {
            let track_id = rest.u32()?;
            let description = rest.u32()?;
            Some(Self { track_id, description, duration: rest.u32()?, size: rest.u32()?, flags: rest.u32()? })
        };
        fields().ok_or(trex.fault("it is too short"))
    }
}

/// What holds for all samples of a track fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentStart {
    /// `track_ID` of the track.
    pub track_id: u32,
    /// Decode time of its first sample in ticks, if it has a `tfdt` (§8.8.12).
    pub decode_time: Option<u64>,
    /// `sample_description_index`, which counts from 1.
    pub description: u32,
}

/// Receives the samples of a movie fragment.
pub trait FragmentSink {
    /// A track fragment begins.
    fn begin(&mut self, fragment: FragmentStart);

    /// The next sample of the track fragment that began last.
    fn sample(&mut self, sample: Sample);
}

/// Reads a `moof`, whose samples must end within `file_len`. Returns its sequence number (§8.8.5).
pub fn read_fragment(
    moof: &BoxRef<'_>,
    defaults: &[TrackExtends],
    file_len: u64,
    budget: &mut SampleBudget,
    sink: &mut impl FragmentSink,
) -> Result<Option<u32>, BoxFault> {
    // Without an explicit base, data follows that of the track fragment before (§8.8.7.1).
    let mut data = moof.at;
    let mut sequence_number = None;
    for child in moof.children(0) {
        let child = child?;
        match &child.kind {
            b"mfhd" => {
                let number = child.full()?.rest.u32().ok_or(child.fault("it is too short"))?;
                sequence_number.get_or_insert(number);
            }
            b"traf" => {
                let header = TrackFragmentHeader::read(&child.need(*b"tfhd")?, moof.at, data, defaults)?;
                let decode_time = child.child(*b"tfdt")?.map(|tfdt| decode_time(&tfdt)).transpose()?;
                let TrackFragmentHeader { track_id, description, .. } = header;
                sink.begin(FragmentStart { track_id, decode_time, description });
                data = header.base;
                for trun in child.children(0) {
                    let trun = trun?;
                    if trun.kind == *b"trun" {
                        data = read_run(&trun, &header, data, file_len, budget, sink)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(sequence_number)
}

fn decode_time(tfdt: &BoxRef<'_>) -> Result<u64, BoxFault> {
    let mut full = tfdt.full()?;
    full.rest.word(full.version == 1).ok_or(tfdt.fault("it is too short"))
}

/// A `tfhd` (§8.8.7), completed with the defaults.
struct TrackFragmentHeader {
    track_id: u32,
    description: u32,
    base: u64,
    duration: u32,
    size: u32,
    flags: u32,
}

impl TrackFragmentHeader {
    fn read(tfhd: &BoxRef<'_>, moof: u64, data: u64, defaults: &[TrackExtends]) -> Result<Self, BoxFault> {
        let FullBox { flags: has, mut rest, .. } = tfhd.full()?;
        let short = || tfhd.fault("it is too short for what its flags say");
        let track_id = rest.u32().ok_or_else(short)?;
        let trex = defaults.iter().find(|trex| trex.track_id == track_id).copied().unwrap_or_default();
        // base-data-offset-present, default-base-is-moof (§8.8.7.1).
        let base = match has {
            _ if has & 1 != 0 => rest.u64().ok_or_else(short)?,
            _ if has & 0x2_0000 != 0 => moof,
            _ => data,
        };
        let mut optional = |flag: u32, default: u32| {
            if has & flag == 0 { Some(default) } else { rest.u32() }.ok_or_else(short)
        };
        // sample-description-index, then the defaults of duration, size and flags.
        let description = optional(2, trex.description)?;
        let duration = optional(8, trex.duration)?;
        let size = optional(0x10, trex.size)?;
        let flags = optional(0x20, trex.flags)?;
        Ok(Self { track_id, description, base, duration, size, flags })
    }
}

/// Reads the samples of a `trun` (§8.8.8). Returns the position where their data ends.
fn read_run(
    trun: &BoxRef<'_>,
    header: &TrackFragmentHeader,
    data: u64,
    file_len: u64,
    budget: &mut SampleBudget,
    sink: &mut impl FragmentSink,
) -> Result<u64, BoxFault> {
    let FullBox { flags: has, mut rest, .. } = trun.full()?;
    let short = || trun.fault("it is too short for what it says");
    let count = rest.u32().ok_or_else(short)?;
    if !budget.take(count) {
        return Err(trun.fault("it brings more samples than any recording has"));
    }
    // data-offset-present, first-sample-flags-present (§8.8.8.1).
    let offset = if has & 1 != 0 { Some(rest.u32().ok_or_else(short)? as i32) } else { None };
    let mut first_flags = if has & 4 != 0 { Some(rest.u32().ok_or_else(short)?) } else { None };
    let mut at = match offset {
        Some(offset) => header
            .base
            .checked_add_signed(i64::from(offset))
            .ok_or(trun.fault("its data offset lies outside"))?,
        None => data,
    };
    for _ in 0..count {
        let duration = field(&mut rest, has & 0x100, header.duration).ok_or_else(short)?;
        let size = field(&mut rest, has & 0x200, header.size).ok_or_else(short)?;
        let flags = field(&mut rest, has & 0x400, header.flags).ok_or_else(short)?;
        let flags = first_flags.take().unwrap_or(flags);
        let composition = field(&mut rest, has & 0x800, 0).ok_or_else(short)? as i32;
        let end = at.checked_add(u64::from(size)).filter(|end| *end <= file_len);
        let end = end.ok_or(trun.fault(UNFINISHED))?;
        sink.sample(Sample { offset: at, size, duration, composition, sync: flags & NON_SYNC == 0 });
        at = end;
    }
    Ok(at)
}

/// A field of a sample, or the default if the field is absent.
fn field(rest: &mut BoxReader<'_>, is_there: u32, default: u32) -> Option<u32> {
    if is_there == 0 { Some(default) } else { rest.u32() }
}
