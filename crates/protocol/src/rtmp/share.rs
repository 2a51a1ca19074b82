//! Messages for players, written once and shared by all of them.
//!
//! A message of ours is one `Bytes` that says the same whatever was sent before it: a full header, chunks of
//! 64 KB, message stream 1. So a rung's messages are written once, every player's socket takes the same
//! allocation, and any message may be left out for a player that is slow. Before them a player must have been
//! told that chunk size: [`super::RtmpSession`] and [`super::Publisher`] do so.
//!
//! A player's way in: the [`opening`] (metadata and configurations), then the newest cell's messages from the
//! first on ([`cell`]); a cell begins with an IDR picture, so nothing has to be searched. A player that falls
//! behind goes on at any later message that [`Shared::sync`] marks.
//!
//! What does *not* belong here: sockets, queues, pace.

use bytes::{Bytes, BytesMut};

use super::flv::{self, Metadata};
use super::wire::{CHUNK_SIZE, Head, MESSAGE_MAX, message_type, put_message};
use amphi_media::h264::avc_configuration;
use amphi_media::{
    AudioSpecificConfig, CodedCell, MediaTime, PictureSize, RungTracks, Timescale, TrackCell, VIDEO_TIMESCALE,
};

/// The message stream that everybody plays and publishes on: one to a connection.
pub(super) const STREAM_ID: u32 = 1;

/// Where RTMP's milliseconds begin.
///
/// Who shares messages shares this beginning, and it lies before all of them. RTMP's clock wraps after 49.7 days, and ffmpeg
/// reads times from 2^31 ms (24.8 days) on as negative ones: who has players for so long begins anew for later ones.
#[derive(Clone, Copy, Debug)]
pub struct Timebase {
    origin: MediaTime,
}

impl Timebase {
    /// Time zero is `origin`; nothing is earlier.
    pub const fn starting(origin: MediaTime) -> Self {
        Self { origin }
    }

    /// RTMP's milliseconds for `at`, to the nearest.
    pub const fn timestamp_ms(self, at: MediaTime) -> u32 {
        let nanos = at.nanos_since(self.origin);
        if nanos < 0 { 0 } else { ((nanos + 500_000) / 1_000_000) as u32 }
    }
}

/// One message, for everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// When it is shown or heard: what a sender paces itself by.
    pub at: MediaTime,
    /// A player may begin here: an IDR picture, or any sound of a rung without picture.
    pub sync: bool,
    /// The message on the wire.
    pub bytes: Bytes,
}

/// A sample that no RTMP message can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sample of {0} bytes does not fit into an RTMP message")]
pub struct TooLong(pub usize);

/// What comes before the first picture and sound of a player: metadata, and the configuration of each track.
pub fn opening(tracks: &RungTracks, timestamp_ms: u32) -> Bytes {
    let metadata = Metadata::of(tracks).for_player();
    opening_with(&metadata, tracks, timestamp_ms, STREAM_ID)
}

/// What a recording says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingDescription {
    /// Width and height of the picture.
    pub size: Option<(u32, u32)>,
    /// How long it is, in seconds.
    pub duration_s: f64,
    /// An AVCDecoderConfigurationRecord, where it has a picture.
    pub picture: Option<Bytes>,
    /// An AudioSpecificConfig, where it has sound.
    pub sound: Option<Bytes>,
}

/// What comes before the first picture and sound of a recording, and again after each seek.
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

/// A picture of a recording, in NAL units with lengths as its record says, shown `composition_ms` after it is decoded.
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
    // At time zero: ffmpeg takes later metadata for a subtitle, and waits for the next one to the end.
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
    /// Where it stands in a full header (RTMP 1.0 §5.3.1.2.1).
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

/// A raw AAC access unit.
pub fn audio(timestamp_ms: u32, frame: &[u8]) -> Result<Bytes, TooLong> {
    message(message_type::AUDIO, timestamp_ms, &flv::AUDIO_HEAD, frame)
}

/// All messages of one rung in one cell, in order of time; a picture goes before the sound of its time.
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
