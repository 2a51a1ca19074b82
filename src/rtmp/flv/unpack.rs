//! A publisher's picture and sound messages become frames.
//!
//! Contract: give every picture and sound message of one publisher, in order, to [`Unpacker::video`] and
//! [`Unpacker::audio`]. Configurations are kept and answered with `None`; a frame carries the format that holds
//! for it, in the same allocation until it changes. An error concerns its message alone, but one that names a
//! codec will come again with every message.
//!
//! Samples come out as `media` wants them: NAL units with 4-byte lengths, without delimiters and parameter sets.
//! Sets that a publisher repeats or changes inside the stream are taken as its configuration. `sync` means an
//! IDR picture or a recovery point, whatever the tag claims.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::avc::{AvcConfiguration, AvcError};
use super::{AAC, AVC, CODED, CONFIGURATION};
use crate::media::h264::{self, NAL_AUD, NAL_PPS, NAL_SPS};
use crate::media::{AudioSpecificConfig, AudioSpecificConfigError, ParameterSets, Track, TrackFormat};

/// One access unit of a publisher.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it is decoded, in milliseconds since the publisher's beginning. Does not wrap.
    pub dts_ms: i64,
    /// When it is shown or heard, likewise.
    pub pts_ms: i64,
    /// Decoding can start here (H.264: an IDR picture or a recovery point; AAC: always).
    pub sync: bool,
    /// The coded bytes, as `format` says.
    pub data: Bytes,
    /// How they are coded.
    pub format: Arc<TrackFormat>,
}

/// What is wrong with a picture or sound message. The publisher's fault, all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// Ends inside its head.
    #[error("the publisher's {0:?} message is too short")]
    Truncated(Track),
    /// We take H.264 and AAC.
    #[error("the publisher sends {track:?} as {codec}; this server takes H.264 and AAC")]
    Codec {
        /// Picture or sound.
        track: Track,
        /// The codec by name, FourCC or number.
        codec: String,
    },
    /// Several pictures or sounds in one stream.
    #[error("the publisher sends {0:?} in several tracks (Enhanced RTMP multitrack); this server takes one")]
    Multitrack(Track),
    /// A packet of Enhanced RTMP that nobody has described yet.
    #[error("the publisher sends {track:?} in Enhanced RTMP packets of type {packet_type}, unknown here")]
    PacketType {
        /// Picture or sound.
        track: Track,
        /// The packet type.
        packet_type: u8,
    },
    /// Media before its configuration.
    #[error("the publisher sends {0:?} before saying how it is coded")]
    Unconfigured(Track),
    /// A bad description of the picture.
    #[error("the publisher's video cannot be used: {0}")]
    Avc(#[from] AvcError),
    /// A bad description of the sound.
    #[error("the publisher's audio cannot be used: {0}")]
    Aac(#[from] AudioSpecificConfigError),
    /// A NAL unit longer than its picture.
    #[error("the publisher sent a picture whose NAL unit lengths are wrong")]
    Lengths,
}

/// Reads one publisher.
#[derive(Debug, Default)]
pub struct Unpacker {
    video: Option<Video>,
    audio: Option<Arc<TrackFormat>>,
    /// The latest time, unwrapped.
    latest_ms: Option<i64>,
}

#[derive(Debug)]
struct Video {
    format: Arc<TrackFormat>,
    sets: ParameterSets,
    length_size: usize,
}

/// What a tag holds, in whichever form it was written.
enum Content {
    Configuration,
    Coded { composition_ms: i32 },
    Nothing,
}

impl Unpacker {
    /// Reads a picture message.
    pub fn video(&mut self, timestamp_ms: u32, mut tag: Bytes) -> Result<Option<Frame>, FlvError> {
        match read_video_head(&mut tag)? {
            Content::Nothing => Ok(None),
            Content::Configuration => {
                let AvcConfiguration { sets, length_size } = AvcConfiguration::parse(&tag)?;
                let video = self.video.take().filter(|video| video.sets == sets);
                let format =
                    video.map_or_else(|| Arc::new(TrackFormat::H264(sets.clone())), |video| video.format);
                self.video = Some(Video { format, sets, length_size });
                Ok(None)
            }
            Content::Coded { composition_ms } => {
                let dts_ms = self.unwrap(timestamp_ms);
                let video = self.video.as_mut().ok_or(FlvError::Unconfigured(Track::Video))?;
                let Some((data, sync)) = video.sample(&tag)? else { return Ok(None) };
                let pts_ms = dts_ms + i64::from(composition_ms);
                Ok(Some(Frame { dts_ms, pts_ms, sync, data, format: Arc::clone(&video.format) }))
            }
        }
    }

    /// Reads a sound message.
    pub fn audio(&mut self, timestamp_ms: u32, mut tag: Bytes) -> Result<Option<Frame>, FlvError> {
        match read_audio_head(&mut tag)? {
            Content::Configuration => {
                let format = TrackFormat::Aac(AudioSpecificConfig::parse(&tag)?);
                if self.audio.as_deref() != Some(&format) {
                    self.audio = Some(Arc::new(format));
                }
                Ok(None)
            }
            Content::Coded { .. } if !tag.is_empty() => {
                let at_ms = self.unwrap(timestamp_ms);
                let format = self.audio.clone().ok_or(FlvError::Unconfigured(Track::Audio))?;
                Ok(Some(Frame { dts_ms: at_ms, pts_ms: at_ms, sync: true, data: tag, format }))
            }
            Content::Coded { .. } | Content::Nothing => Ok(None),
        }
    }

    /// Times wrap after 49.7 days; the nearest reading to the latest one is meant (RTMP 1.0 §5.3).
    fn unwrap(&mut self, timestamp_ms: u32) -> i64 {
        let at = self.latest_ms.map_or(i64::from(timestamp_ms), |latest| {
            latest + i64::from(timestamp_ms.wrapping_sub(latest as u32) as i32)
        });
        self.latest_ms = Some(at);
        at
    }
}

impl Video {
    /// The sample of `tag` in the form of `media`, and whether decoding can start there; `None` if nothing of a
    /// picture is in it. Shares the tag's bytes where they already have that form.
    fn sample(&mut self, tag: &Bytes) -> Result<Option<(Bytes, bool)>, FlvError> {
        let (mut kept, mut dropped, mut sync) = (0, 0, false);
        let (mut sps, mut pps) = (Sets::default(), Sets::default());
        for nal in self.nals(tag) {
            let nal = nal?;
            match h264::nal_type(nal) {
                NAL_SPS => sps.add(nal),
                NAL_PPS => pps.add(nal),
                NAL_AUD => dropped += 1,
                _ if nal.is_empty() => dropped += 1,
                _ => {
                    sync |= h264::is_entry(nal);
                    kept += 1;
                }
            }
        }
        self.adopt(&sps, &pps)?;
        if kept == 0 {
            return Ok(None);
        }
        if self.length_size == 4 && dropped + sps.count + pps.count == 0 {
            return Ok(Some((tag.clone(), sync)));
        }
        let mut out = BytesMut::with_capacity(tag.len() + kept * 4);
        for nal in self.nals(tag).flatten() {
            if !nal.is_empty() && !matches!(h264::nal_type(nal), NAL_SPS | NAL_PPS | NAL_AUD) {
                h264::push_sample_nal(&mut out, nal);
            }
        }
        Ok(Some((out.freeze(), sync)))
    }

    const fn nals<'a>(&self, tag: &'a [u8]) -> Nals<'a> {
        Nals { rest: tag, length_size: self.length_size }
    }

    /// Takes parameter sets that stand inside the stream.
    fn adopt(&mut self, sps: &Sets<'_>, pps: &Sets<'_>) -> Result<(), AvcError> {
        if sps.count > 1 || pps.count > 1 {
            return Err(AvcError::Sets { sps: sps.count, pps: pps.count });
        }
        let sets = ParameterSets { sps: sps.or(&self.sets.sps), pps: pps.or(&self.sets.pps) };
        if sets != self.sets {
            self.format = Arc::new(TrackFormat::H264(sets.clone()));
            self.sets = sets;
        }
        Ok(())
    }
}

/// Parameter sets of one kind inside a sample.
#[derive(Default)]
struct Sets<'a> {
    count: usize,
    last: &'a [u8],
}

impl<'a> Sets<'a> {
    const fn add(&mut self, nal: &'a [u8]) {
        self.count += 1;
        self.last = nal;
    }

    /// The set found, or the `known` one.
    fn or(&self, known: &Bytes) -> Bytes {
        if self.count == 0 || self.last == known { known.clone() } else { Bytes::copy_from_slice(self.last) }
    }
}

/// NAL units behind lengths of 1, 2 or 4 bytes.
struct Nals<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl<'a> Iterator for Nals<'a> {
    type Item = Result<&'a [u8], FlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let nal = self.rest.split_at_checked(self.length_size).and_then(|(length, rest)| {
            let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            rest.split_at_checked(length)
        });
        self.rest = nal.map_or(&[], |(_, rest)| rest);
        Some(nal.map(|(nal, _)| nal).ok_or(FlvError::Lengths))
    }
}

/// Takes `count` bytes off the front.
fn take(tag: &mut Bytes, count: usize, track: Track) -> Result<Bytes, FlvError> {
    if tag.len() < count { Err(FlvError::Truncated(track)) } else { Ok(tag.split_to(count)) }
}

fn read_video_head(tag: &mut Bytes) -> Result<Content, FlvError> {
    const VIDEO: Track = Track::Video;
    /// Seek marks of Flash, and commands of Enhanced RTMP.
    const COMMAND_FRAME: u8 = 5;
    if tag.is_empty() {
        return Ok(Content::Nothing);
    }
    let first = take(tag, 1, VIDEO)?[0];
    if (first >> 4) & 7 == COMMAND_FRAME {
        return Ok(Content::Nothing);
    }
    if first & 0x80 != 0 {
        return read_enhanced_video_head(first & 0x0f, tag);
    }
    match first & 0x0f {
        AVC => {
            let head = take(tag, 4, VIDEO)?;
            Ok(match head[0] {
                CONFIGURATION => Content::Configuration,
                CODED => Content::Coded { composition_ms: signed_24(&head[1..]) },
                // End of sequence.
                _ => Content::Nothing,
            })
        }
        id => Err(FlvError::Codec { track: VIDEO, codec: video_codec(id) }),
    }
}

/// Enhanced RTMP: the low bits are the packet type, the codec is a FourCC. Behind modifiers (v2, `ModEx`) stands what they
/// modify.
fn read_enhanced_video_head(packet_type: u8, tag: &mut Bytes) -> Result<Content, FlvError> {
    const VIDEO: Track = Track::Video;
    const MOD_EX: u8 = 7;
    const MULTITRACK: u8 = 6;
    let packet_type = skip_modifiers(packet_type, MOD_EX, tag, VIDEO)?;
    if packet_type == MULTITRACK {
        return Err(FlvError::Multitrack(VIDEO));
    }
    let four_cc = take(tag, 4, VIDEO)?;
    match packet_type {
        // Sequence end, metadata (colours).
        2 | 4 => return Ok(Content::Nothing),
        0 | 1 | 3 => {}
        _ => return Err(FlvError::PacketType { track: VIDEO, packet_type }),
    }
    if four_cc[..] != *b"avc1" {
        return Err(FlvError::Codec { track: VIDEO, codec: four_cc.escape_ascii().to_string() });
    }
    Ok(match packet_type {
        0 => Content::Configuration,
        1 => Content::Coded { composition_ms: signed_24(&take(tag, 3, VIDEO)?) },
        // CodedFramesX: no composition time, for it is zero.
        _ => Content::Coded { composition_ms: 0 },
    })
}

/// Leaves out modifiers, and gives the packet type behind them: each is its length less one in a byte, or where that is 255
/// in two more, as much of data, and a byte of what kind it is and which packet type follows. All that there are yet say a
/// time more finely than we need it (nanoseconds of a millisecond).
fn skip_modifiers(mut packet_type: u8, mod_ex: u8, tag: &mut Bytes, track: Track) -> Result<u8, FlvError> {
    while packet_type == mod_ex {
        let mut length = usize::from(take(tag, 1, track)?[0]) + 1;
        if length == 256 {
            let long = take(tag, 2, track)?;
            length = usize::from(u16::from_be_bytes([long[0], long[1]])) + 1;
        }
        take(tag, length, track)?;
        packet_type = take(tag, 1, track)?[0] & 0x0f;
    }
    Ok(packet_type)
}

/// Enhanced RTMP v2: as of pictures.
fn read_enhanced_audio_head(packet_type: u8, tag: &mut Bytes) -> Result<Content, FlvError> {
    const AUDIO: Track = Track::Audio;
    const MOD_EX: u8 = 7;
    const MULTITRACK: u8 = 5;
    let packet_type = skip_modifiers(packet_type, MOD_EX, tag, AUDIO)?;
    if packet_type == MULTITRACK {
        return Err(FlvError::Multitrack(AUDIO));
    }
    let four_cc = take(tag, 4, AUDIO)?;
    if four_cc[..] != *b"mp4a" {
        return Err(FlvError::Codec { track: AUDIO, codec: four_cc.escape_ascii().to_string() });
    }
    match packet_type {
        0 => Ok(Content::Configuration),
        1 => Ok(Content::Coded { composition_ms: 0 }),
        // Sequence end; the channels' places, which AAC's configuration says too.
        2 | 4 => Ok(Content::Nothing),
        _ => Err(FlvError::PacketType { track: AUDIO, packet_type }),
    }
}

fn read_audio_head(tag: &mut Bytes) -> Result<Content, FlvError> {
    const AUDIO: Track = Track::Audio;
    /// `SoundFormat` that says that a FourCC follows (Enhanced RTMP v2).
    const ENHANCED: u8 = 9;
    if tag.is_empty() {
        return Ok(Content::Nothing);
    }
    let first = take(tag, 1, AUDIO)?[0];
    match first >> 4 {
        AAC => Ok(match take(tag, 1, AUDIO)?[0] {
            CONFIGURATION => Content::Configuration,
            CODED => Content::Coded { composition_ms: 0 },
            _ => Content::Nothing,
        }),
        ENHANCED => read_enhanced_audio_head(first & 0x0f, tag),
        id => Err(FlvError::Codec { track: AUDIO, codec: audio_codec(id) }),
    }
}

fn signed_24(bytes: &[u8]) -> i32 {
    let value = bytes.iter().take(3).fold(0_i32, |sum, byte| sum << 8 | i32::from(*byte));
    value << 8 >> 8
}

/// FLV §E.4.3.1, and the number that Chinese encoders chose for HEVC.
fn video_codec(id: u8) -> String {
    match id {
        2 => "Sorenson H.263".to_owned(),
        3 | 6 => "Screen Video".to_owned(),
        4 | 5 => "VP6".to_owned(),
        12 => "HEVC".to_owned(),
        _ => format!("codec {id}"),
    }
}

/// FLV §E.4.2.1.
fn audio_codec(id: u8) -> String {
    match id {
        0 | 3 => "linear PCM".to_owned(),
        1 => "ADPCM".to_owned(),
        2 | 14 => "MP3".to_owned(),
        4..=6 => "Nellymoser".to_owned(),
        7 | 8 => "G.711".to_owned(),
        11 => "Speex".to_owned(),
        _ => format!("codec {id}"),
    }
}

#[cfg(test)]
mod tests;
