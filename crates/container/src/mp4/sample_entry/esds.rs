//! ES descriptors (ISO/IEC 14496-1 §7.2.6.5), as `esds` holds one (14496-14 §5.6): read and written.

use bytes::BufMut;

use super::super::super::isobmff::BoxReader;

/// `objectTypeIndication` of MPEG-4 audio (ISO/IEC 14496-1 table 5).
pub(super) const MPEG4_AUDIO: u8 = 0x40;
/// `streamType` of sound (ISO/IEC 14496-1 table 6), not an upstream, with the reserved bit set.
const STREAM_TYPE_AUDIO: u8 = 5 << 2 | 1;

const ES: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC: u8 = 5;
const SYNC_LAYER: u8 = 6;

/// What an `esds` says of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ElementaryStream<'a> {
    /// `objectTypeIndication`.
    pub object_type: u8,
    /// The content of DecoderSpecificInfo; empty if it is missing.
    pub specific: &'a [u8],
    /// It has the form that every player reads: an ES descriptor with a DecoderConfigDescriptor in it.
    pub is_plain: bool,
}

/// Reads the descriptors of an `esds`. Some writers leave out the ES descriptor around the DecoderConfigDescriptor.
pub(super) fn elementary_stream(descriptors: &[u8]) -> Option<ElementaryStream<'_>> {
    let mut outer = BoxReader(descriptors);
    let is_plain = outer.0.first() == Some(&ES);
    if is_plain {
        outer = descriptor(&mut outer, ES)?;
        outer.skip(2)?;
        let flags = outer.u8()?;
        if flags & 0x80 != 0 {
            outer.skip(2)?;
        }
        if flags & 0x40 != 0 {
            let length = outer.u8()?;
            outer.skip(usize::from(length))?;
        }
        if flags & 0x20 != 0 {
            outer.skip(2)?;
        }
    }
    let mut config = descriptor(&mut outer, DECODER_CONFIG)?;
    let object_type = config.u8()?;
    config.skip(12)?;
    let specific = descriptor(&mut config, DECODER_SPECIFIC).map_or(&[][..], |specific| specific.0);
    Some(ElementaryStream { object_type, specific, is_plain })
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

/// The ES descriptor of AAC with this configuration. Its ES_ID is 0, as it must be in files (ISO/IEC 14496-14 §3.1.2).
pub(super) fn put_es_descriptor(out: &mut Vec<u8>, bitrate_bps: u32, config: &[u8]) {
    put_descriptor(out, ES, |out| {
        out.put_slice(&[0, 0, 0]);
        put_descriptor(out, DECODER_CONFIG, |out| {
            // DecoderConfigDescriptor: bufferSizeDB 0, maxBitrate, avgBitrate, DecoderSpecificInfo.
            out.put_slice(&[MPEG4_AUDIO, STREAM_TYPE_AUDIO, 0, 0, 0]);
            out.put_u32(bitrate_bps);
            out.put_u32(bitrate_bps);
            put_descriptor(out, DECODER_SPECIFIC, |out| out.put_slice(config));
        });
        // SLConfigDescriptor: predefined 2, for MP4 files.
        put_descriptor(out, SYNC_LAYER, |out| out.put_u8(2));
    });
}

/// A descriptor of less than 128 bytes (ISO/IEC 14496-1 §8.3.3).
fn put_descriptor(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.put_slice(&[tag, 0]);
    let start = out.len();
    fill(out);
    let length = (out.len() - start) as u8;
    if let Some(place) = out.get_mut(start - 1) {
        *place = length;
    }
}
