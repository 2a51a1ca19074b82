//! Turns a publisher's picture and sound messages into frames.
//!
//! Contract: pass every picture and sound message of one publisher, in order, to [`Unpacker::video`] and
//! [`Unpacker::audio`]. A configuration is kept and gives `None`. A frame has the format that holds for it, in the same
//! allocation until it changes. An error concerns only its message: report it once, skip it, go on. An error about a codec
//! will come again with every message.
//!
//! Of several tracks the lowest one that can be used is used; messages that do not number their tracks come before track 0.
//! What cannot be read changes nothing: after a bad configuration the one before stays in force, and an empty one is
//! ignored.
//!
//! Samples come out in the form of `media`: NAL units with 4-byte lengths, without access unit delimiters and parameter
//! sets. Parameter sets that a publisher repeats or changes inside the stream are taken as its configuration. Of several
//! sets of one kind the first is used; the others stay in the samples of sync pictures. `sync` means an IDR picture or a
//! recovery point, whatever the tag says.
//!
//! Tolerated: pictures before any configuration that contain their parameter sets, start codes instead of lengths, lengths of
//! 3 bytes, timestamps that wrap at 24 bits.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::nals::{Nals, WrongLength};
use super::tag::{self, Codec, Lane, TagContent, TagPart};
use amphi_media::h264::{self, AvcConfiguration, AvcError, NAL_AUD, NAL_PPS, NAL_SPS};
use amphi_media::{
    AudioSpecificConfig, AudioSpecificConfigError, G711Law, Mp3Header, ParameterSets, Track, TrackFormat,
};

/// Where timestamps of encoders without the extended field wrap.
const SHORT_WRAP: i64 = 1 << 24;
/// A step this close to the wrap is taken for one, since pictures and sound wrap separately.
const WRAP_SLACK_MS: i64 = 10_000;

/// One access unit of a publisher.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Decode time in milliseconds since a beginning of the publisher's choice. It does not wrap.
    pub dts_ms: i64,
    /// Presentation time, counted in the same way.
    pub pts_ms: i64,
    /// Decoding can start here: an IDR picture or a recovery point of H.264, and any frame of sound.
    pub sync: bool,
    /// The coded bytes, as `format` says.
    pub data: Bytes,
    /// How `data` is coded.
    pub format: Arc<TrackFormat>,
}

/// What is wrong with a picture or sound message. The publisher is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// The message ends inside its header.
    #[error("the publisher's {} message is too short: it ends in its header, at byte {at}", word(*.track))]
    Truncated {
        /// Whether it is picture or sound.
        track: Track,
        /// How many bytes it has, or the part of it that ends early.
        at: usize,
    },
    /// The codec is not supported.
    #[error("the publisher sends {codec} {}; {} needed", word(*.track), needed(*.track))]
    Codec {
        /// Whether it is picture or sound.
        track: Track,
        /// Name, FourCC or number of the codec.
        codec: String,
    },
    /// It belongs to a further track, which is not used.
    #[error("the publisher sends several {} tracks (Enhanced RTMP multitrack); the first one is used", word(*.0))]
    FurtherTrack(Track),
    /// Enhanced RTMP with an unknown packet type.
    #[error("the publisher sends {} in Enhanced RTMP packets of type {packet_type} (byte {at} of the message), unknown here", word(*.track))]
    PacketType {
        /// Whether it is picture or sound.
        track: Track,
        /// The unknown packet type.
        packet_type: u8,
        /// Where in the message it was found.
        at: usize,
    },
    /// Media came before its configuration.
    #[error("the publisher sends {} without saying how it is coded: its configuration never came", word(*.0))]
    Unconfigured(Track),
    /// The configuration of the pictures cannot be used.
    #[error("the publisher's video cannot be used: {why} (byte {at} of the message)")]
    Avc {
        /// What is wrong with it.
        why: AvcError,
        /// Where in the message it begins.
        at: usize,
    },
    /// The configuration of the sound cannot be used.
    #[error("the publisher's audio cannot be used: {why} (byte {at} of the message)")]
    Aac {
        /// What is wrong with it.
        why: AudioSpecificConfigError,
        /// Where in the message it begins.
        at: usize,
    },
    /// An MP3 message does not begin with a frame header.
    #[error("the publisher's MP3 cannot be used: a message does not begin with a frame")]
    Mp3,
    /// A NAL unit is longer than the rest of its picture.
    #[error("the publisher sent a picture whose NAL unit lengths are wrong, from byte {at} of the message")]
    Lengths {
        /// Where in the message that NAL unit begins with its length.
        at: usize,
    },
}

impl FlvError {
    /// Whether it concerns picture or sound.
    pub const fn track(&self) -> Track {
        match self {
            Self::Truncated { track, .. }
            | Self::Codec { track, .. }
            | Self::FurtherTrack(track)
            | Self::PacketType { track, .. }
            | Self::Unconfigured(track) => *track,
            Self::Avc { .. } | Self::Lengths { .. } => Track::Video,
            Self::Aac { .. } | Self::Mp3 => Track::Audio,
        }
    }

    /// Whether a picture is lost by it.
    pub const fn loses_a_picture(&self) -> bool {
        matches!(self, Self::Truncated { track: Track::Video, .. } | Self::Lengths { .. })
    }

    /// Whether the track that is used is not affected.
    pub const fn is_harmless(&self) -> bool {
        matches!(self, Self::FurtherTrack(_))
    }
}

const fn word(track: Track) -> &'static str {
    match track {
        Track::Video => "video",
        Track::Audio => "audio",
    }
}

const fn needed(track: Track) -> &'static str {
    match track {
        Track::Video => "H.264 is",
        Track::Audio => "AAC, MP3 or G.711 is",
    }
}

/// Reads the messages of one publisher.
#[derive(Debug, Default)]
pub struct Unpacker {
    video: Option<Video>,
    audio: Option<Arc<TrackFormat>>,
    /// Which of several tracks is used, for each kind of track.
    lanes: [Option<Lane>; 2],
    /// The latest timestamp: as it came, and unwrapped.
    latest: Option<(u32, i64)>,
}

#[derive(Debug)]
struct Video {
    format: Arc<TrackFormat>,
    sets: ParameterSets,
    /// Further parameter sets, put before sync pictures, which may refer to them.
    further: Vec<Bytes>,
    length_size: usize,
}

impl Unpacker {
    /// Reads a picture message. `None` if it completes no frame, as a configuration does.
    pub fn video(&mut self, timestamp_ms: u32, tag: Bytes) -> Result<Option<Frame>, FlvError> {
        let parts = tag::video_parts(tag)?;
        each(parts, |part| self.video_part(timestamp_ms, part))
    }

    /// Reads a sound message. `None` if it completes no frame, as a configuration does.
    pub fn audio(&mut self, timestamp_ms: u32, tag: Bytes) -> Result<Option<Frame>, FlvError> {
        let parts = tag::audio_parts(tag)?;
        each(parts, |part| self.audio_part(timestamp_ms, part))
    }

    fn video_part(&mut self, timestamp_ms: u32, part: TagPart) -> Result<Option<Frame>, FlvError> {
        const VIDEO: Track = Track::Video;
        self.is_used(VIDEO, part.lane)?;
        if let Codec::Other(codec) = part.codec {
            return Err(FlvError::Codec { track: VIDEO, codec });
        }
        match part.content {
            TagContent::Nothing => Ok(None),
            // Encoders send an empty configuration before they have one.
            TagContent::Configuration if part.body.is_empty() => Ok(None),
            TagContent::Configuration => {
                let record = AvcConfiguration::parse(&part.body);
                let configured = record.and_then(|record| self.configure(&record));
                configured.map_err(|why| FlvError::Avc { why, at: part.at })?;
                self.use_lane(VIDEO, part.lane);
                Ok(None)
            }
            TagContent::Coded { composition_ms } => {
                let dts_ms = self.unwrap(timestamp_ms);
                if self.video.is_none() {
                    self.video = Video::from_band(&part.body);
                    self.use_lane(VIDEO, part.lane);
                }
                let video = self.video.as_mut().ok_or(FlvError::Unconfigured(VIDEO))?;
                let sample = video.sample(&part.body);
                let sample = sample.map_err(|WrongLength(at)| FlvError::Lengths { at: part.at + at })?;
                let Some((data, sync)) = sample else { return Ok(None) };
                let pts_ms = dts_ms + i64::from(composition_ms);
                Ok(Some(Frame { dts_ms, pts_ms, sync, data, format: Arc::clone(&video.format) }))
            }
        }
    }

    fn configure(&mut self, record: &AvcConfiguration) -> Result<(), AvcError> {
        let sets = record.first_sets()?;
        let (further, length_size) = (record.further_sets().cloned().collect(), record.length_size);
        let before = self.video.take().filter(|video| video.sets == sets);
        let format = before.map_or_else(|| Arc::new(TrackFormat::H264(sets.clone())), |video| video.format);
        self.video = Some(Video { format, sets, further, length_size });
        Ok(())
    }

    fn audio_part(&mut self, timestamp_ms: u32, part: TagPart) -> Result<Option<Frame>, FlvError> {
        const AUDIO: Track = Track::Audio;
        self.is_used(AUDIO, part.lane)?;
        let format = match (part.codec, part.content) {
            (Codec::Other(codec), _) => return Err(FlvError::Codec { track: AUDIO, codec }),
            (_, TagContent::Nothing) => return Ok(None),
            // ffmpeg sends an empty one whenever it copies AAC from MPEG-TS, and the real one later.
            (_, _) if part.body.is_empty() => return Ok(None),
            (Codec::Aac, TagContent::Configuration) => {
                let config = AudioSpecificConfig::parse(&part.body);
                let config = config.map_err(|why| FlvError::Aac { why, at: part.at })?;
                let format = TrackFormat::Aac(config);
                self.use_lane(AUDIO, part.lane);
                self.sounds_as(format);
                return Ok(None);
            }
            (Codec::Aac, TagContent::Coded { .. }) => match &self.audio {
                Some(format) if matches!(**format, TrackFormat::Aac(_)) => Arc::clone(format),
                _ => return Err(FlvError::Unconfigured(AUDIO)),
            },
            (Codec::Mp3, TagContent::Coded { .. }) => {
                let Mp3Header { sample_rate, channels, .. } =
                    Mp3Header::read(&part.body).ok_or(FlvError::Mp3)?;
                self.use_lane(AUDIO, part.lane);
                self.sounds_as(TrackFormat::Mp3 { sample_rate, channels })
            }
            (Codec::G711 { a_law, channels }, TagContent::Coded { .. }) => {
                self.use_lane(AUDIO, part.lane);
                let law = if a_law { G711Law::A } else { G711Law::Mu };
                // FLV allows no other rate for it (§E.4.2.1).
                self.sounds_as(TrackFormat::G711 { law, sample_rate: 8000, channels })
            }
            (Codec::Avc | Codec::Mp3 | Codec::G711 { .. }, _) => return Ok(None),
        };
        let at_ms = self.unwrap(timestamp_ms);
        Ok(Some(Frame { dts_ms: at_ms, pts_ms: at_ms, sync: true, data: part.body, format }))
    }

    /// Sets the format of the sound. An equal format stays in the same allocation.
    fn sounds_as(&mut self, format: TrackFormat) -> Arc<TrackFormat> {
        let before = self.audio.take().filter(|before| **before == format);
        Arc::clone(self.audio.insert(before.unwrap_or_else(|| Arc::new(format))))
    }

    /// Fails for a track with a higher number than the one that is used.
    const fn is_used(&self, track: Track, lane: Lane) -> Result<(), FlvError> {
        match (self.lanes[track as usize], lane) {
            (Some(Lane::Plain), Lane::Numbered(_)) => Err(FlvError::FurtherTrack(track)),
            (Some(Lane::Numbered(used)), Lane::Numbered(other)) if other > used => {
                Err(FlvError::FurtherTrack(track))
            }
            _ => Ok(()),
        }
    }

    const fn use_lane(&mut self, track: Track, lane: Lane) {
        self.lanes[track as usize] = Some(lane);
    }

    /// Timestamps wrap after 49.7 days, so the reading nearest to the latest one is taken (RTMP 1.0 §5.3). Encoders without
    /// extended timestamps wrap after 4.7 hours.
    fn unwrap(&mut self, timestamp_ms: u32) -> i64 {
        let at = self.latest.map_or(i64::from(timestamp_ms), |(raw, latest)| {
            let mut step = i64::from(timestamp_ms.wrapping_sub(raw) as i32);
            if (step.abs() - SHORT_WRAP).abs() < WRAP_SLACK_MS {
                step -= step.signum() * SHORT_WRAP;
            }
            latest + step
        });
        self.latest = Some((timestamp_ms, at));
        at
    }
}

/// Reads every part. Returns the first frame, or if there is none, the first error.
fn each(
    parts: Vec<TagPart>,
    mut read: impl FnMut(TagPart) -> Result<Option<Frame>, FlvError>,
) -> Result<Option<Frame>, FlvError> {
    let (mut frame, mut error) = (None, None);
    for part in parts {
        match read(part) {
            Ok(read) => frame = frame.or(read),
            Err(wrong) => error = error.or(Some(wrong)),
        }
    }
    match (frame, error) {
        (None, Some(error)) => Err(error),
        (frame, _) => Ok(frame),
    }
}

impl Video {
    /// Takes the configuration from a picture that contains its parameter sets, if none came before.
    fn from_band(tag: &Bytes) -> Option<Self> {
        let nals = Nals::of(tag, 4).collect::<Result<Vec<_>, _>>().ok()?;
        let find = |kind| nals.iter().find(|nal| h264::nal_type(nal) == kind);
        let sps = find(NAL_SPS).filter(|sps| sps.len() >= 4)?;
        let sets =
            ParameterSets { sps: Bytes::copy_from_slice(sps), pps: Bytes::copy_from_slice(find(NAL_PPS)?) };
        let format = Arc::new(TrackFormat::H264(sets.clone()));
        Some(Self { format, sets, further: Vec::new(), length_size: 4 })
    }

    /// The sample of `tag` in the form of `media`, and whether decoding can start there; `None` if it has no part of a
    /// picture. Shares the tag's bytes if they have that form already.
    fn sample(&mut self, tag: &Bytes) -> Result<Option<(Bytes, bool)>, WrongLength> {
        let (mut kept, mut dropped, mut sync) = (0, 0, false);
        let (mut sps, mut pps) = (None, None);
        let nals = Nals::of(tag, self.length_size);
        let plain = matches!(nals, Nals::Lengths { .. });
        for nal in nals {
            let nal = nal?;
            match h264::nal_type(nal) {
                _ if nal.is_empty() => dropped += 1,
                NAL_AUD => dropped += 1,
                NAL_SPS if sps.is_none() => sps = Some(nal),
                NAL_PPS if pps.is_none() => pps = Some(nal),
                NAL_SPS | NAL_PPS => {}
                _ => {
                    sync |= h264::is_entry(nal);
                    kept += 1;
                }
            }
        }
        let is_plain = plain && self.length_size == 4 && dropped == 0 && sps.is_none() && pps.is_none();
        self.adopt(sps, pps);
        if kept == 0 {
            return Ok(None);
        }
        let further = if sync { &self.further[..] } else { &[] };
        if is_plain && further.is_empty() {
            return Ok(Some((tag.clone(), sync)));
        }
        let mut out = BytesMut::with_capacity(tag.len() + kept * 4);
        for nal in further {
            h264::push_sample_nal(&mut out, nal);
        }
        for nal in Nals::of(tag, self.length_size).flatten() {
            let is_set = |known: &Bytes| nal == known;
            if !nal.is_empty()
                && h264::nal_type(nal) != NAL_AUD
                && !is_set(&self.sets.sps)
                && !is_set(&self.sets.pps)
            {
                h264::push_sample_nal(&mut out, nal);
            }
        }
        Ok(Some((out.freeze(), sync)))
    }

    /// Takes over parameter sets from inside the stream.
    fn adopt(&mut self, sps: Option<&[u8]>, pps: Option<&[u8]>) {
        // An SPS has its profile and level in its first four bytes.
        let sps = sps.filter(|sps| sps.len() >= 4);
        let or = |found: Option<&[u8]>, known: &Bytes| match found {
            Some(found) if found != known => Bytes::copy_from_slice(found),
            _ => known.clone(),
        };
        let sets = ParameterSets { sps: or(sps, &self.sets.sps), pps: or(pps, &self.sets.pps) };
        if sets != self.sets {
            self.format = Arc::new(TrackFormat::H264(sets.clone()));
            self.sets = sets;
        }
    }
}

#[cfg(test)]
mod tests;
