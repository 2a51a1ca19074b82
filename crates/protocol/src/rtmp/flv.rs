//! FLV tags, the payload of RTMP's picture and sound messages: reads them into frames, and writes them (Adobe FLV 10.1 §E.4.2,
//! §E.4.3; Enhanced RTMP v1 §"Defining Additional Video Codecs", v2 §"Enhanced Audio", §"Enhanced Video").
//!
//! [`Unpacker`] reads what a publisher sends, in the legacy and the enhanced form, if it is H.264, AAC, MP3 or G.711. Any other
//! codec is an error that names it. What is written here has the legacy form, which every player knows. [`Metadata`] is
//! `onMetaData`, read and written.
//!
//! What does *not* belong here: chunks (`wire`), messages that players share (`share`), wall-clock time: a publisher's times
//! are milliseconds since some beginning of its own.

mod metadata;
mod nals;
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
/// AAC with the fields that FLV demands for it whatever the sound is: 44 kHz, 16 bits, stereo (§E.4.2.1).
const AAC_HEAD: u8 = AAC << 4 | 0x0f;

/// What precedes an AVCDecoderConfigurationRecord.
pub(super) const VIDEO_CONFIGURATION_HEAD: [u8; 5] = [KEY_FRAME << 4 | AVC, CONFIGURATION, 0, 0, 0];
/// What precedes an AudioSpecificConfig.
pub(super) const AUDIO_CONFIGURATION_HEAD: [u8; 2] = [AAC_HEAD, CONFIGURATION];
/// What precedes an AAC access unit.
pub(super) const AUDIO_HEAD: [u8; 2] = [AAC_HEAD, CODED];

/// What precedes a picture that is shown when it is decoded, as all pictures of a ladder are.
pub(super) const fn video_head(sync: bool) -> [u8; 5] {
    video_head_composed(sync, 0)
}

/// What precedes a picture that is shown `composition_ms` after it is decoded: a signed number of 24 bits.
pub(super) const fn video_head_composed(sync: bool, composition_ms: i32) -> [u8; 5] {
    let frame_type = if sync { KEY_FRAME } else { INTER_FRAME };
    let [_, a, b, c] = composition_ms.to_be_bytes();
    [frame_type << 4 | AVC, CODED, a, b, c]
}
