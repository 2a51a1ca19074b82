//! ES descriptors (ISO/IEC 14496-1 §7.2.6.5), as `esds` holds one (14496-14 §5.6).

use super::super::super::isobmff::BoxReader;
use amphi_media::AudioSpecificConfig;

/// `objectTypeIndication` of MPEG-4 audio (ISO/IEC 14496-1 table 5).
pub(super) const MPEG4_AUDIO: u8 = 0x40;

/// The codec string of an ES descriptor (RFC 6381 §3.3).
pub(super) fn mpeg4_audio(descriptors: &[u8]) -> Option<String> {
    let (object_type, specific) = decoder_config(descriptors)?;
    if object_type != MPEG4_AUDIO {
        return Some(format!("mp4a.{object_type:02x}"));
    }
    let config = AudioSpecificConfig::parse(specific).ok()?;
    Some(format!("mp4a.40.{}", config.object_type))
}

/// Object type and DecoderSpecificInfo of an ES descriptor (ISO/IEC 14496-1 §7.2.6.5). The latter is empty if it is missing.
pub(super) fn decoder_config(descriptors: &[u8]) -> Option<(u8, &[u8])> {
    let mut es = descriptor(&mut BoxReader(descriptors), 3)?;
    es.skip(2)?;
    let flags = es.u8()?;
    if flags & 0x80 != 0 {
        es.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let length = es.u8()?;
        es.skip(usize::from(length))?;
    }
    if flags & 0x20 != 0 {
        es.skip(2)?;
    }
    let mut config = descriptor(&mut es, 4)?;
    let object_type = config.u8()?;
    config.skip(12)?;
    let specific = descriptor(&mut config, 5).map_or(&[][..], |specific| specific.0);
    Some((object_type, specific))
}

/// The next descriptor, if it has this tag. Its length comes in groups of seven bits (ISO/IEC 14496-1 §8.3.3).
fn descriptor<'a>(from: &mut BoxReader<'a>, tag: u8) -> Option<BoxReader<'a>> {
    if from.u8()? != tag {
        return None;
    }
    let mut length = 0;
    for _ in 0..4 {
        let byte = from.u8()?;
        length = length << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    // Some writers state a length that is too large.
    from.bytes(length.min(from.0.len())).map(BoxReader)
}
