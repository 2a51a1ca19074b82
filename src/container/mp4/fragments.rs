//! Samples of movie fragments (ISO/IEC 14496-12 §8.8). Sans-IO.

use super::super::isobmff::{BoxFault, BoxRef, FullBox, Reader};
use super::movie::{FAR, Track};
use super::samples::{Budget, Sample};

/// `sample_is_non_sync_sample` (§8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// What holds for samples of which a fragment says nothing: a `trex` (§8.8.3).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    track_id: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Defaults {
    pub(super) fn read(trex: &BoxRef<'_>) -> Result<Self, BoxFault> {
        let mut rest = trex.full()?.rest;
        let mut fields = || {
            let track_id = rest.u32()?;
            rest.skip(4)?;
            Some(Self { track_id, duration: rest.u32()?, size: rest.u32()?, flags: rest.u32()? })
        };
        fields().ok_or(trex.fault("it is too short"))
    }
}

/// Appends the samples of a `moof` to their tracks.
pub(super) fn read<'t>(
    moof: &BoxRef<'_>,
    defaults: &[Defaults],
    tracks: impl Iterator<Item = &'t mut Track>,
    file_len: u64,
    budget: &mut Budget,
) -> Result<(), BoxFault> {
    let mut tracks: Vec<&mut Track> = tracks.collect();
    // Without other words, data follows that of the track fragment before (§8.8.7.1).
    let mut data = moof.at;
    for traf in moof.children(0) {
        let traf = traf?;
        if traf.kind != *b"traf" {
            continue;
        }
        let header = Header::read(&traf.need(*b"tfhd")?, moof.at, data, defaults)?;
        let track = tracks.iter_mut().find(|track| track.id == header.track_id);
        let decode_time = traf.child(*b"tfdt")?.map(|tfdt| decode_time(&tfdt)).transpose()?;
        data = header.base;
        let mut sink = track.map(|track| &mut **track);
        if let (Some(track), Some(time)) = (&mut sink, decode_time)
            && track.samples.count() == 0
        {
            // Our media time begins with the first sample.
            let time = i64::try_from(time).unwrap_or(FAR).min(FAR);
            track.origin = (track.origin - time).clamp(-FAR, FAR);
        }
        for trun in traf.children(0) {
            let trun = trun?;
            if trun.kind == *b"trun" {
                data = read_run(&trun, &header, data, sink.as_deref_mut(), file_len, budget)?;
            }
        }
    }
    Ok(())
}

fn decode_time(tfdt: &BoxRef<'_>) -> Result<u64, BoxFault> {
    let mut full = tfdt.full()?;
    full.rest.word(full.version == 1).ok_or(tfdt.fault("it is too short"))
}

/// A `tfhd`, with its gaps filled by the defaults.
struct Header {
    track_id: u32,
    base: u64,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Header {
    fn read(tfhd: &BoxRef<'_>, moof: u64, data: u64, defaults: &[Defaults]) -> Result<Self, BoxFault> {
        let FullBox { flags: has, mut rest, .. } = tfhd.full()?;
        let short = || tfhd.fault("it is too short for what its flags say");
        let track_id = rest.u32().ok_or_else(short)?;
        let trex = defaults.iter().find(|trex| trex.track_id == track_id).copied().unwrap_or_default();
        let base = match has {
            _ if has & 1 != 0 => rest.u64().ok_or_else(short)?,
            _ if has & 0x2_0000 != 0 => moof,
            _ => data,
        };
        let mut optional = |flag: u32, default: u32| {
            if has & flag == 0 { Some(default) } else { rest.u32() }.ok_or_else(short)
        };
        optional(2, 0)?;
        let duration = optional(8, trex.duration)?;
        let size = optional(0x10, trex.size)?;
        let flags = optional(0x20, trex.flags)?;
        Ok(Self { track_id, base, duration, size, flags })
    }
}

/// Appends a run's samples; gives where its data ends.
fn read_run(
    trun: &BoxRef<'_>,
    header: &Header,
    data: u64,
    mut track: Option<&mut Track>,
    file_len: u64,
    budget: &mut Budget,
) -> Result<u64, BoxFault> {
    let FullBox { flags: has, mut rest, .. } = trun.full()?;
    let short = || trun.fault("it is too short for what it says");
    let count = rest.u32().ok_or_else(short)?;
    if !budget.take(count) {
        return Err(trun.fault("it brings more samples than any recording has"));
    }
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
        let end = end.ok_or(trun.fault("a sample lies beyond the end of the file: it is not finished"))?;
        let Some(track) = &mut track else {
            at = end;
            continue;
        };
        let sync = flags & NON_SYNC == 0 || !track.is_video();
        track.samples.push(Sample { offset: at, size, duration, composition, sync });
        at = end;
    }
    Ok(at)
}

/// A field of a sample, or what holds without it.
fn field(rest: &mut Reader<'_>, is_there: u32, default: u32) -> Option<u32> {
    if is_there == 0 { Some(default) } else { rest.u32() }
}
