//! Visual sample entries (ISO/IEC 14496-12 §12.1.3, 14496-15).

use std::fmt::Write;

use bytes::Bytes;

use super::super::super::isobmff::{BoxFault, BoxReader, BoxRef};
use super::{Coding, TrackMedia, VISUAL, child, kind};

pub(super) fn picture(entry: &BoxRef<'_>) -> Result<Coding, BoxFault> {
    let mut fields = BoxReader(entry.body);
    let size = fields.skip(24).and_then(|()| Some((fields.u16()?, fields.u16()?)));
    let (width, height) = size.ok_or(entry.fault("it is too short"))?;
    let codec = if entry.kind.starts_with(b"avc") {
        let avcc = child(entry, VISUAL, *b"avcC")?;
        let [_, profile, compatibility, level, ..] = *avcc.body else {
            return Err(avcc.fault("it is too short"));
        };
        format!("{}.{profile:02X}{compatibility:02X}{level:02X}", kind(entry))
    } else {
        let hvcc = child(entry, VISUAL, *b"hvcC")?;
        hevc(&kind(entry), hvcc.body).ok_or(hvcc.fault("it is too short"))?
    };
    let media = TrackMedia::Video { width, height };
    Ok(Coding { entry: Bytes::copy_from_slice(entry.whole), codec, media })
}

/// The codec string of HEVC (ISO/IEC 14496-15 annex E.3).
pub(super) fn hevc(kind: &str, config: &[u8]) -> Option<String> {
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
