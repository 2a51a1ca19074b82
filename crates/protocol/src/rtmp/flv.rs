//! FLV tags, the payload of RTMP's picture and sound messages, to and from frames (Adobe FLV 10.1 §E.4.2,
//! §E.4.3; Enhanced RTMP v1 §"Defining Additional Video Codecs", v2 §"Enhanced Audio", §"Enhanced Video").
//!
//! [`Unpacker`] reads what a publisher sends, in the legacy form and in the enhanced one, as long as it is
//! H.264, AAC, MP3 or G.711; every other codec is an error that names it. The heads written here are of the legacy form,
//! which every player knows. [`Metadata`] is `onMetaData`, both ways.
//!
//! What does *not* belong here: chunks (`wire`), messages shared by players (`share`), wall-clock time: the
//! times of a publisher are milliseconds since a beginning of its own.

mod metadata;
mod tag;
mod unpack;

pub use metadata::Metadata;
pub use unpack::{FlvError, Frame, Unpacker};

/// `CodecID` of H.264 (FLV §E.4.3.1).
pub(super) const AVC: u8 = 7;
/// `SoundFormat` of AAC (FLV §E.4.2.1).
pub(super) const AAC: u8 = 10;
const KEY_FRAME: u8 = 1;
const INTER_FRAME: u8 = 2;
/// `AVCPacketType` and `AACPacketType` of a configuration, and of coded media.
const CONFIGURATION: u8 = 0;
const CODED: u8 = 1;
/// AAC, and what FLV demands of it whatever the sound is: 44 kHz, 16 bits, stereo (§E.4.2.1).
const AAC_HEAD: u8 = AAC << 4 | 0x0f;

/// In front of an AVCDecoderConfigurationRecord.
pub(super) const VIDEO_CONFIGURATION_HEAD: [u8; 5] = [KEY_FRAME << 4 | AVC, CONFIGURATION, 0, 0, 0];
/// In front of an AudioSpecificConfig.
pub(super) const AUDIO_CONFIGURATION_HEAD: [u8; 2] = [AAC_HEAD, CONFIGURATION];
/// In front of an AAC access unit.
pub(super) const AUDIO_HEAD: [u8; 2] = [AAC_HEAD, CODED];

/// In front of a picture that is shown when it is decoded: our ladders code no B pictures.
pub(super) const fn video_head(sync: bool) -> [u8; 5] {
    video_head_composed(sync, 0)
}

/// In front of a picture that is shown `composition_ms` after it is decoded: 24 bits with a sign.
pub(super) const fn video_head_composed(sync: bool, composition_ms: i32) -> [u8; 5] {
    let frame_type = if sync { KEY_FRAME } else { INTER_FRAME };
    let [_, a, b, c] = composition_ms.to_be_bytes();
    [frame_type << 4 | AVC, CODED, a, b, c]
}
