//! Audio sample entries (ISO/IEC 14496-12 §12.2.3, and QuickTime's own).

use bytes::{BufMut, Bytes};

use super::super::super::isobmff::{BoxFault, BoxReader, BoxRef, put_box};
use super::esds::mpeg4_audio;
use super::{Coding, SOUND, TrackMedia, child};

pub(super) fn sound(entry: &BoxRef<'_>) -> Result<Coding, BoxFault> {
    let mut fields = BoxReader(entry.body);
    let said = fields.skip(8).and_then(|()| {
        let version = fields.u16()?;
        fields.skip(6)?;
        let channels = fields.u16()?;
        fields.skip(6)?;
        Some((version, channels, u32::from(fields.u16()?)))
    });
    let (version, channels, sample_rate) = said.ok_or(entry.fault("it is too short"))?;
    let media = TrackMedia::Audio { channels, sample_rate };
    if &entry.kind == b"Opus" {
        return Ok(Coding { entry: Bytes::copy_from_slice(entry.whole), codec: "Opus".to_owned(), media });
    }
    // QuickTime's sound description (versions 1 and 2) has more fields, and may have its esds inside a wave box.
    let fields = match version {
        0 => SOUND,
        1 => SOUND + 16,
        _ => SOUND + 36,
    };
    let esds = match child(entry, fields, *b"esds") {
        Ok(esds) => esds,
        Err(missing) => {
            child(entry, fields, *b"wave").and_then(|wave| wave.need(*b"esds")).map_err(|_| missing)?
        }
    };
    let codec =
        esds.body.get(4..).and_then(mpeg4_audio).ok_or(esds.fault("its descriptors cannot be read"))?;
    let is_plain = version == 0 && entry.body.len() >= SOUND;
    let entry = if is_plain { Bytes::copy_from_slice(entry.whole) } else { rewritten(entry, &esds) };
    Ok(Coding { entry, codec, media })
}

/// The same `mp4a` entry in version 0.
fn rewritten(entry: &BoxRef<'_>, esds: &BoxRef<'_>) -> Bytes {
    let mut out = Vec::new();
    put_box(&mut out, *b"mp4a", |out| {
        out.put_bytes(0, 6);
        out.put_u16(1);
        out.put_bytes(0, 8);
        out.put_slice(entry.body.get(16..18).unwrap_or(&[0, 2]));
        out.put_u16(16);
        out.put_u32(0);
        out.put_slice(entry.body.get(24..28).unwrap_or(&[0; 4]));
        out.put_slice(esds.whole);
    });
    out.into()
}
