//! Visual sample entries (ISO/IEC 14496-12 §12.1.3): H.264 and HEVC (14496-15), VP9 and AV1 (their bindings to the format).

use std::fmt::Write;

use bytes::Bytes;

use super::super::super::isobmff::{BoxFault, BoxReader, BoxRef, put_full_box};
use super::{Coding, TrackMedia, VISUAL, child};
use amphi_media::h264::AvcConfiguration;

/// Types of the NAL units that hold parameter sets of HEVC (ITU-T H.265 table 7-1): VPS, SPS, PPS.
const HEVC_SETS: [u8; 3] = [32, 33, 34];

/// Levels of VP9 times ten, with the most luma samples of a picture (VP9 bitstream specification, annex A), at the higher of
/// the frame rates that share a size.
const VP9_LEVELS: [(u8, u32); 9] = [
    (10, 36_864),
    (11, 73_728),
    (20, 122_880),
    (21, 245_760),
    (30, 552_960),
    (31, 983_040),
    (41, 2_228_224),
    (52, 8_912_896),
    (62, 35_651_584),
];

/// The entry of a picture whose coding players take.
pub(super) fn picture(entry: &BoxRef<'_>) -> Result<Coding, BoxFault> {
    let mut fields = BoxReader(entry.body);
    let size = fields.skip(24).and_then(|()| Some((fields.u16()?, fields.u16()?)));
    let (width, height) = size.ok_or(entry.fault("it is too short"))?;
    let (entry, codec) = match &entry.kind {
        b"avc1" | b"avc3" => avc(entry)?,
        b"hvc1" | b"hev1" => hevc(entry)?,
        b"av01" => av1(entry)?,
        _ => vp9(entry, u32::from(width) * u32::from(height))?,
    };
    let media = TrackMedia::Video { width, height };
    Ok(Coding { entry, codec, media, packets: None })
}

/// An entry of H.264. Players that know `avc1` only, Safari among them, take a track whose parameter sets stand in its
/// `avcC`, whatever its entry is called (14496-15 §5.4.2.1: `avc3` allows further sets in the samples).
fn avc(entry: &BoxRef<'_>) -> Result<(Bytes, String), BoxFault> {
    let avcc = child(entry, VISUAL, *b"avcC")?;
    let [_, profile, compatibility, level, ..] = *avcc.body else {
        return Err(avcc.fault("it is too short"));
    };
    let record = AvcConfiguration::parse(&Bytes::copy_from_slice(avcc.body));
    let kind = match record.map(|record| record.first_sets().is_ok()) {
        Ok(true) => *b"avc1",
        Ok(false) => *b"avc3",
        Err(_) => entry.kind,
    };
    let codec = format!("{}.{profile:02X}{compatibility:02X}{level:02X}", text(kind));
    Ok((renamed(entry, kind).into(), codec))
}

/// An entry of HEVC. `hvc1` has all parameter sets in its `hvcC` (14496-15 §8.4.1.1), and Apple's players take no other.
fn hevc(entry: &BoxRef<'_>) -> Result<(Bytes, String), BoxFault> {
    let hvcc = child(entry, VISUAL, *b"hvcC")?;
    let arrays = hevc_arrays(hvcc.body);
    let has = |wanted: &u8| arrays.iter().any(|(_, kind)| kind == wanted);
    let kind = if HEVC_SETS.iter().all(has) { *b"hvc1" } else { *b"hev1" };
    let codec = hevc_codec(&text(kind), hvcc.body).ok_or(hvcc.fault("it is too short"))?;
    let mut out = renamed(entry, kind);
    if kind == *b"hvc1" {
        // array_completeness (§8.3.3.1.2) is 1 in hvc1.
        let body = (hvcc.at - entry.at) as usize + hvcc.whole.len() - hvcc.body.len();
        for (at, _) in arrays.iter().filter(|(_, kind)| HEVC_SETS.contains(kind)) {
            if let Some(byte) = out.get_mut(body + at) {
                *byte |= 0x80;
            }
        }
    }
    Ok((out.into(), codec))
}

/// The arrays of NAL units in an HEVCDecoderConfigurationRecord that are not empty: where each begins, and its NAL unit type
/// (14496-15 §8.3.3.1).
fn hevc_arrays(record: &[u8]) -> Vec<(usize, u8)> {
    let mut found = Vec::new();
    let mut fields = BoxReader(record);
    let count = fields.skip(22).and_then(|()| fields.u8()).unwrap_or(0);
    for _ in 0..count {
        let at = record.len() - fields.0.len();
        let (Some(kind), Some(units)) = (fields.u8(), fields.u16()) else { break };
        for _ in 0..units {
            if fields.u16().and_then(|length| fields.skip(length.into())).is_none() {
                return found;
            }
        }
        if units > 0 {
            found.push((at, kind & 0x3f));
        }
    }
    found
}

/// The codec string of HEVC (14496-15 annex E.3).
pub(super) fn hevc_codec(kind: &str, config: &[u8]) -> Option<String> {
    let mut fields = BoxReader(config);
    fields.skip(1)?;
    let profile = fields.u8()?;
    let space = ["", "A", "B", "C"].get(usize::from(profile >> 6))?;
    let compatibility = fields.u32()?.reverse_bits();
    let constraints = fields.array::<6>()?;
    let level = fields.u8()?;
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let mut codec = format!("{kind}.{space}{}.{compatibility:X}.{tier}{level}", profile & 0x1f);
    let said = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(said) {
        write!(codec, ".{byte:X}").ok()?;
    }
    Some(codec)
}

/// An entry of AV1, with the codec string of its binding (AV1 Codec ISO Media File Format Binding §2.3.3 and §5).
fn av1(entry: &BoxRef<'_>) -> Result<(Bytes, String), BoxFault> {
    let av1c = child(entry, VISUAL, *b"av1C")?;
    let [_, profile_level, flags, ..] = *av1c.body else {
        return Err(av1c.fault("it is too short"));
    };
    let (profile, level) = (profile_level >> 5, profile_level & 0x1f);
    let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
        (true, true) if profile == 2 => 12,
        (true, _) => 10,
        (false, _) => 8,
    };
    Ok((Bytes::copy_from_slice(entry.whole), format!("av01.{profile}.{level:02}{tier}.{depth:02}")))
}

/// An entry of VP9, with the codec string of its binding (VP Codec ISO Media File Format Binding). A `vpcC` of the binding's
/// draft, version 0, is written anew as version 1. Where the level is not said, or there is no `vpcC`, as older writers have
/// it, it is the lowest for pictures of `luma` samples: players refuse a level of 0.
fn vp9(entry: &BoxRef<'_>, luma: u32) -> Result<(Bytes, String), BoxFault> {
    let lowest = VP9_LEVELS.iter().find(|(_, most)| luma <= *most).map_or(62, |(level, _)| *level);
    let Ok(vpcc) = child(entry, VISUAL, *b"vpcC") else {
        let mut out = entry.whole.to_vec();
        put_vpcc(&mut out, [0, lowest, 0x82, 2, 2, 2]);
        return Ok((sized(out).into(), format!("vp09.00.{lowest}.08")));
    };
    let mut full = vpcc.full()?;
    let fields = full.rest.array::<6>().ok_or(vpcc.fault("it is too short"))?;
    let [profile, level, depth, ..] = fields;
    let level = if level >= 10 { level } else { lowest };
    let depth = match depth >> 4 {
        8 | 10 | 12 => depth >> 4,
        _ => 8,
    };
    let codec = format!("vp09.{profile:02}.{level}.{depth:02}");
    if full.version == 1 && fields.get(1) == Some(&level) {
        return Ok((Bytes::copy_from_slice(entry.whole), codec));
    }
    let fields = match (full.version, fields) {
        // bitDepth and chromaSubsampling, video full range, then colours that are not said.
        (0, [_, _, _, sampling, ..]) => {
            [profile, level, depth << 4 | (sampling >> 4 & 7) << 1 | sampling & 1, 2, 2, 2]
        }
        (_, [_, _, depth, primaries, transfer, matrix]) => {
            [profile, level, depth, primaries, transfer, matrix]
        }
    };
    let header = entry.whole.len() - entry.body.len() + VISUAL;
    let mut out = entry.whole.get(..header).unwrap_or_default().to_vec();
    for child in entry.children(VISUAL).flatten() {
        if child.kind == *b"vpcC" {
            put_vpcc(&mut out, fields);
        } else {
            out.extend(child.whole);
        }
    }
    Ok((sized(out).into(), codec))
}

/// A `vpcC` of version 1 without codec initialization data, which VP9 has none of.
fn put_vpcc(out: &mut Vec<u8>, fields: [u8; 6]) {
    put_full_box(out, *b"vpcC", 1, 0, |out| {
        out.extend(fields);
        out.extend([0, 0]);
    });
}

/// The entry under another name.
fn renamed(entry: &BoxRef<'_>, kind: [u8; 4]) -> Vec<u8> {
    let mut out = entry.whole.to_vec();
    if let Some(name) = out.get_mut(4..8) {
        name.copy_from_slice(&kind);
    }
    out
}

/// The same box with the size that it has now.
fn sized(mut whole: Vec<u8>) -> Vec<u8> {
    let size = whole.len() as u32;
    if let Some(place) = whole.get_mut(..4) {
        place.copy_from_slice(&size.to_be_bytes());
    }
    whole
}

fn text(kind: [u8; 4]) -> String {
    String::from_utf8_lossy(&kind).into_owned()
}
