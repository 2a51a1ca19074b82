//! Messages for players, written once and shared by all of them.
//!
//! A message is one `Bytes` whose meaning does not depend on what was sent before: it has a full header, chunks of
//! 64 KB and message stream 1. So a rung's messages are written once, every player's socket takes the same
//! allocation, and any message may be left out for a player that is slow. Before the first one a player must be
//! told the chunk size: [`super::RtmpSession`] and [`super::Publisher`] do so.
//!
//! A player starts with the [`opening`] (metadata and configurations) and then gets the messages of the newest cell from its
//! beginning ([`cell`]). A cell begins with an IDR picture, so there is nothing to search for. A player that is late can go
//! on at any later message with [`Shared::sync`].
//!
//! What does *not* belong here: sockets, queues, pace.

use bytes::{Bytes, BytesMut};

use super::flv::{self, Metadata};
use super::wire::{CHUNK_SIZE, Head, MESSAGE_MAX, message_type, put_message};
use amphi_media::h264::avc_configuration;
use amphi_media::{
    AudioSpecificConfig, CodedCell, MediaTime, PictureSize, RungTracks, Timescale, TrackCell, VIDEO_TIMESCALE,
};

/// The message stream that every client plays and publishes on: one per connection.
pub(super) const STREAM_ID: u32 = 1;

/// The origin of RTMP's milliseconds.
///
/// All players that share messages share this origin, which is before all messages. RTMP's clock wraps after 49.7 days, and
/// ffmpeg reads times from 2^31 ms (24.8 days) on as negative. So a server that has players for that long takes a new origin
/// for later ones.
#[derive(Clone, Copy, Debug)]
pub struct Timebase {
    origin: MediaTime,
}

impl Timebase {
    /// A time base in which `origin` is 0. Earlier times become 0, too.
    pub const fn starting(origin: MediaTime) -> Self {
        Self { origin }
    }

    /// `at` in milliseconds of RTMP, rounded to the nearest.
    pub const fn timestamp_ms(self, at: MediaTime) -> u32 {
        let nanos = at.nanos_since(self.origin);
        if nanos < 0 { 0 } else { ((nanos + 500_000) / 1_000_000) as u32 }
    }
}

/// One message for all players.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// When it is shown or heard; a sender paces itself by it.
    pub at: MediaTime,
    /// Whether a player may begin here: at an IDR picture, or at any sound of a rung without pictures.
    pub sync: bool,
    /// The message in chunks, ready to send.
    pub bytes: Bytes,
}

/// A sample is too long for an RTMP message. The number is its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sample of {0} bytes does not fit into an RTMP message")]
pub struct TooLong(pub usize);

/// What a player gets before the first picture and sound: metadata, and the configuration of each track.
pub fn opening(tracks: &RungTracks, timestamp_ms: u32) -> Bytes {
    let metadata = Metadata::of(tracks).for_player();
    opening_with(&metadata, tracks, timestamp_ms, STREAM_ID)
}

/// The properties of a recording that its opening states.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingDescription {
    /// Width and height of the pictures in luma samples.
    pub size: Option<(u32, u32)>,
    /// Duration in seconds.
    pub duration_s: f64,
    /// The AVCDecoderConfigurationRecord, if it has pictures.
    pub picture: Option<Bytes>,
    /// The AudioSpecificConfig, if it has sound.
    pub sound: Option<Bytes>,
}

/// What a player gets before the first picture and sound of a recording, and again after each seek.
pub fn recorded_opening(description: &RecordingDescription, timestamp_ms: u32) -> Bytes {
    let RecordingDescription { size, duration_s, picture, sound } = description;
    let size = size.map(|(width, height)| PictureSize { width, height });
    let audio = sound.as_ref().and_then(|config| AudioSpecificConfig::parse(config).ok());
    let metadata = Metadata {
        size,
        audio: audio.map(AudioSpecificConfig::format),
        duration_s: Some(*duration_s),
        encoder: Some("amphi".to_owned()),
        ..Metadata::default()
    };
    let mut out = BytesMut::new();
    let mut put = |type_id, timestamp_ms, parts: &[&[u8]]| {
        put_message(&mut out, Head { type_id, timestamp_ms, stream_id: STREAM_ID }, CHUNK_SIZE, parts);
    };
    put(message_type::DATA, 0, &[&metadata.for_player()]);
    if let Some(record) = picture {
        put(message_type::VIDEO, timestamp_ms, &[&flv::VIDEO_CONFIGURATION_HEAD, record]);
    }
    if let Some(config) = sound {
        put(message_type::AUDIO, timestamp_ms, &[&flv::AUDIO_CONFIGURATION_HEAD, config]);
    }
    out.freeze()
}

/// A picture of a recording. Its NAL units have lengths as its record says; it is shown `composition_ms` after it is decoded.
pub fn recorded_video(
    timestamp_ms: u32,
    sync: bool,
    composition_ms: i32,
    sample: &[u8],
) -> Result<Bytes, TooLong> {
    message(message_type::VIDEO, timestamp_ms, &flv::video_head_composed(sync, composition_ms), sample)
}

/// An opening that begins with the data message `metadata`.
pub(super) fn opening_with(metadata: &[u8], tracks: &RungTracks, timestamp_ms: u32, stream_id: u32) -> Bytes {
    let mut out = BytesMut::new();
    let mut put = |type_id, timestamp_ms, parts: &[&[u8]]| {
        put_message(&mut out, Head { type_id, timestamp_ms, stream_id }, CHUNK_SIZE, parts);
    };
    // With time zero: ffmpeg takes later metadata for a subtitle, and then waits for another one until the end.
    put(message_type::DATA, 0, &[metadata]);
    if let Some(video) = &tracks.video {
        let record = avc_configuration(&video.parameter_sets);
        put(message_type::VIDEO, timestamp_ms, &[&flv::VIDEO_CONFIGURATION_HEAD, &record]);
    }
    let config = AudioSpecificConfig::lc(tracks.audio.format).to_bytes();
    put(message_type::AUDIO, timestamp_ms, &[&flv::AUDIO_CONFIGURATION_HEAD, &config]);
    out.freeze()
}

/// The same message on another message stream.
pub(super) fn addressed(message: &Bytes, stream_id: u32) -> Bytes {
    /// Where the stream id stands in a full header (RTMP 1.0 §5.3.1.2.1).
    const PLACE: std::ops::Range<usize> = 8..12;
    if stream_id == STREAM_ID {
        return message.clone();
    }
    let mut copy = BytesMut::from(&message[..]);
    if let Some(place) = copy.get_mut(PLACE) {
        place.copy_from_slice(&stream_id.to_le_bytes());
    }
    copy.freeze()
}

/// A picture of NAL units with 4-byte lengths, shown when it is decoded.
pub fn video(timestamp_ms: u32, sync: bool, sample: &[u8]) -> Result<Bytes, TooLong> {
    message(message_type::VIDEO, timestamp_ms, &flv::video_head(sync), sample)
}

/// A raw AAC access unit, without ADTS header.
pub fn audio(timestamp_ms: u32, frame: &[u8]) -> Result<Bytes, TooLong> {
    message(message_type::AUDIO, timestamp_ms, &flv::AUDIO_HEAD, frame)
}

/// All messages of one rung in one cell, in order of time; a picture comes before sound of the same time.
pub fn cell(tracks: &RungTracks, cell: &CodedCell, timebase: Timebase) -> Result<Vec<Shared>, TooLong> {
    let pictures = tracks.video_index.and_then(|index| cell.video.get(index));
    let mut messages = Vec::new();
    for (at, sync, sample) in pictures.into_iter().flat_map(|track| timed(track, VIDEO_TIMESCALE)) {
        messages.push(Shared { at, sync, bytes: video(timebase.timestamp_ms(at), sync, &sample)? });
    }
    let alone = pictures.is_none();
    for (at, _, frame) in timed(&cell.audio, tracks.audio.timescale()) {
        messages.push(Shared { at, sync: alone, bytes: audio(timebase.timestamp_ms(at), &frame)? });
    }
    messages.sort_by_key(|message| message.at);
    Ok(messages)
}

/// A track's samples with their times.
fn timed(track: &TrackCell, scale: Timescale) -> impl Iterator<Item = (MediaTime, bool, Bytes)> {
    let mut ticks = track.start;
    track.samples.iter().zip(track.sample_bytes()).map(move |(entry, bytes)| {
        let at = MediaTime::from_ticks(ticks, scale);
        ticks += i64::from(entry.duration);
        (at, entry.sync, bytes)
    })
}

fn message(type_id: u8, timestamp_ms: u32, head: &[u8], media: &[u8]) -> Result<Bytes, TooLong> {
    if head.len() + media.len() > MESSAGE_MAX {
        return Err(TooLong(media.len()));
    }
    let mut out = BytesMut::new();
    put_message(&mut out, Head { type_id, timestamp_ms, stream_id: STREAM_ID }, CHUNK_SIZE, &[head, media]);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests;
