//! The headers of picture and sound messages: codec, track and kind of content (FLV §E.4.2.1, §E.4.3.1; Enhanced RTMP v2
//! §"Enhanced Audio", §"Enhanced Video").
//!
//! A message of Enhanced RTMP may carry several tracks; each of them becomes a [`TagPart`]. A message of the legacy form is one
//! part in [`Lane::Plain`].
//!
//! What does *not* belong here: which track is used, and the samples.

use bytes::Bytes;

use super::unpack::FlvError;
use super::{AAC, AVC, CODED, CONFIGURATION};
use amphi_media::Track;

/// `AvMultitrackType` (Enhanced RTMP v2).
const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_CODECS: u8 = 2;

/// Which of several tracks. The lowest one that can be used is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// The track of messages that do not number their tracks.
    Plain,
    /// The track with this id.
    Numbered(u8),
}

/// The codec of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Avc,
    Aac,
    Mp3,
    /// A-law if `a_law`, otherwise µ-law; with so many channels.
    G711 {
        a_law: bool,
        channels: u8,
    },
    /// Any other codec, with its name, FourCC or number.
    Other(String),
}

/// What a part contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagContent {
    Configuration,
    Coded { composition_ms: i32 },
    Nothing,
}

/// The part of a message that belongs to one track.
#[derive(Clone, Debug)]
pub(super) struct TagPart {
    pub(super) lane: Lane,
    pub(super) codec: Codec,
    pub(super) content: TagContent,
    pub(super) body: Bytes,
    /// Where in the message the body begins, in bytes.
    pub(super) at: usize,
}

/// The rest of a message, or of a part of it.
struct TagReader {
    rest: Bytes,
    /// Where in the message it begins, in bytes.
    at: usize,
    track: Track,
}

impl TagReader {
    const fn new(tag: Bytes, track: Track) -> Self {
        Self { rest: tag, at: 0, track }
    }

    /// Takes `count` bytes from the front.
    fn take(&mut self, count: usize) -> Result<Bytes, FlvError> {
        if self.rest.len() < count {
            return Err(FlvError::Truncated { track: self.track, at: self.at + self.rest.len() });
        }
        self.at += count;
        Ok(self.rest.split_to(count))
    }

    fn one(&mut self) -> Result<u8, FlvError> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// Takes a part of so many bytes.
    fn inner(&mut self, count: usize) -> Result<Self, FlvError> {
        let at = self.at;
        Ok(Self { rest: self.take(count)?, at, track: self.track })
    }

    fn part(self, lane: Lane, codec: Codec, content: TagContent) -> TagPart {
        TagPart { lane, codec, content, body: self.rest, at: self.at }
    }
}

fn plain(codec: Codec, content: TagContent, body: TagReader) -> Vec<TagPart> {
    vec![body.part(Lane::Plain, codec, content)]
}

/// The parts of a picture message; none if it has no content.
pub(super) fn video_parts(tag: Bytes) -> Result<Vec<TagPart>, FlvError> {
    const VIDEO: Track = Track::Video;
    /// Frame type of Flash's seek marks and of commands in Enhanced RTMP.
    const COMMAND_FRAME: u8 = 5;
    if tag.is_empty() {
        return Ok(Vec::new());
    }
    let mut tag = TagReader::new(tag, VIDEO);
    let first = tag.one()?;
    if (first >> 4) & 7 == COMMAND_FRAME {
        return Ok(Vec::new());
    }
    if first & 0x80 != 0 {
        const MOD_EX: u8 = 7;
        const MULTITRACK: u8 = 6;
        return enhanced(
            Enhanced { track: VIDEO, mod_ex: MOD_EX, multitrack: MULTITRACK },
            first & 0x0f,
            tag,
        );
    }
    match first & 0x0f {
        AVC => {
            let kind = tag.one()?;
            let composition_ms = signed_24(&tag.take(3)?);
            let content = match kind {
                CONFIGURATION => TagContent::Configuration,
                CODED => TagContent::Coded { composition_ms },
                // End of sequence.
                _ => TagContent::Nothing,
            };
            Ok(plain(Codec::Avc, content, tag))
        }
        id => Ok(plain(Codec::Other(video_codec(id)), TagContent::Coded { composition_ms: 0 }, tag)),
    }
}

/// The parts of a sound message; none if it has no content.
pub(super) fn audio_parts(tag: Bytes) -> Result<Vec<TagPart>, FlvError> {
    const AUDIO: Track = Track::Audio;
    /// `SoundFormat` that announces a FourCC (Enhanced RTMP v2).
    const ENHANCED: u8 = 9;
    if tag.is_empty() {
        return Ok(Vec::new());
    }
    let mut tag = TagReader::new(tag, AUDIO);
    let first = tag.one()?;
    let coded = TagContent::Coded { composition_ms: 0 };
    let channels = 1 + (first & 1);
    match first >> 4 {
        AAC => {
            let content = match tag.one()? {
                CONFIGURATION => TagContent::Configuration,
                CODED => coded,
                _ => TagContent::Nothing,
            };
            Ok(plain(Codec::Aac, content, tag))
        }
        // 14 is MP3 at 8 kHz.
        2 | 14 => Ok(plain(Codec::Mp3, coded, tag)),
        7 => Ok(plain(Codec::G711 { a_law: true, channels }, coded, tag)),
        8 => Ok(plain(Codec::G711 { a_law: false, channels }, coded, tag)),
        ENHANCED => {
            const MOD_EX: u8 = 7;
            const MULTITRACK: u8 = 5;
            enhanced(Enhanced { track: AUDIO, mod_ex: MOD_EX, multitrack: MULTITRACK }, first & 0x0f, tag)
        }
        id => Ok(plain(Codec::Other(audio_codec(id)), coded, tag)),
    }
}

/// The packet types that differ between picture and sound in Enhanced RTMP.
#[derive(Clone, Copy)]
struct Enhanced {
    track: Track,
    mod_ex: u8,
    multitrack: u8,
}

/// Reads a message of Enhanced RTMP. The low bits of its first byte are the packet type, the codec is a FourCC. Modifiers
/// (v2, `ModEx`) may come before what they modify.
fn enhanced(form: Enhanced, packet_type: u8, mut tag: TagReader) -> Result<Vec<TagPart>, FlvError> {
    let track = form.track;
    let packet_type = skip_modifiers(packet_type, form, &mut tag)?;
    if packet_type != form.multitrack {
        let four_cc = tag.take(4)?;
        return Ok(vec![part(form, Lane::Plain, &four_cc, packet_type, tag)?]);
    }
    let (at, kind) = (tag.at, tag.one()?);
    let (kind, packet_type) = (kind >> 4, kind & 0x0f);
    let mut shared = match kind {
        ONE_TRACK | MANY_TRACKS => tag.take(4)?,
        MANY_CODECS => Bytes::new(),
        _ => return Err(FlvError::PacketType { track, packet_type: form.multitrack, at }),
    };
    let mut parts = Vec::new();
    while !tag.rest.is_empty() {
        if kind == MANY_CODECS {
            shared = tag.take(4)?;
        }
        let lane = Lane::Numbered(tag.one()?);
        let length = match kind {
            ONE_TRACK => tag.rest.len(),
            _ => tag.take(3)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        };
        let body = tag.inner(length)?;
        parts.push(part(form, lane, &shared, packet_type, body)?);
    }
    Ok(parts)
}

fn part(
    form: Enhanced,
    lane: Lane,
    four_cc: &[u8],
    packet_type: u8,
    mut body: TagReader,
) -> Result<TagPart, FlvError> {
    let codec = match (form.track, four_cc) {
        (Track::Video, b"avc1") => Codec::Avc,
        (Track::Audio, b"mp4a") => Codec::Aac,
        (Track::Audio, b".mp3") => Codec::Mp3,
        _ => Codec::Other(named(four_cc)),
    };
    let coded = TagContent::Coded { composition_ms: 0 };
    let content = match (form.track, packet_type) {
        (_, 0) => TagContent::Configuration,
        (Track::Video, 1) if codec == Codec::Avc => {
            TagContent::Coded { composition_ms: signed_24(&body.take(3)?) }
        }
        // CodedFramesX has no composition time, which is then zero.
        (_, 1) | (Track::Video, 3) => coded,
        // End of sequence; metadata (colours); or the channel layout, which AAC's configuration gives as well.
        (_, 2 | 4) => TagContent::Nothing,
        _ => return Err(FlvError::PacketType { track: form.track, packet_type, at: body.at }),
    };
    Ok(body.part(lane, codec, content))
}

/// Skips modifiers and returns the packet type after them. A modifier is its length minus one in a byte (or, if that is 255, in
/// two more bytes), so many bytes of data, and a byte with its kind and the packet type that follows. The only kind defined so
/// far gives nanoseconds of a timestamp, which are not needed here.
fn skip_modifiers(mut packet_type: u8, form: Enhanced, tag: &mut TagReader) -> Result<u8, FlvError> {
    while packet_type == form.mod_ex {
        let mut length = usize::from(tag.one()?) + 1;
        if length == 256 {
            length = usize::from(tag.one()?) << 8;
            length += usize::from(tag.one()?) + 1;
        }
        tag.take(length)?;
        packet_type = tag.one()? & 0x0f;
    }
    Ok(packet_type)
}

fn signed_24(bytes: &[u8]) -> i32 {
    let value = bytes.iter().take(3).fold(0_i32, |sum, byte| sum << 8 | i32::from(*byte));
    value << 8 >> 8
}

/// Codec names for people, by FourCC of Enhanced RTMP.
fn named(four_cc: &[u8]) -> String {
    match four_cc {
        b"hvc1" => "HEVC (H.265)".to_owned(),
        b"vvc1" => "VVC (H.266)".to_owned(),
        b"av01" => "AV1".to_owned(),
        b"vp08" => "VP8".to_owned(),
        b"vp09" => "VP9".to_owned(),
        b"Opus" => "Opus".to_owned(),
        b"fLaC" => "FLAC".to_owned(),
        b"ac-3" => "AC-3".to_owned(),
        b"ec-3" => "E-AC-3".to_owned(),
        other => other.escape_ascii().to_string(),
    }
}

/// Codec names by `CodecID` (FLV §E.4.3.1), with the number that Chinese encoders use for HEVC.
fn video_codec(id: u8) -> String {
    match id {
        2 => "Sorenson H.263".to_owned(),
        3 | 6 => "Screen Video".to_owned(),
        4 | 5 => "VP6".to_owned(),
        12 => "HEVC (H.265)".to_owned(),
        13 => "AV1".to_owned(),
        _ => format!("codec {id}"),
    }
}

/// Codec names by `SoundFormat` (FLV §E.4.2.1).
fn audio_codec(id: u8) -> String {
    match id {
        0 | 3 => "linear PCM".to_owned(),
        1 => "ADPCM".to_owned(),
        4..=6 => "Nellymoser".to_owned(),
        11 => "Speex".to_owned(),
        13 => "Opus".to_owned(),
        _ => format!("codec {id}"),
    }
}
