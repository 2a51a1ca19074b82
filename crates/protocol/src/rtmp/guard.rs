//! The guard turns bytes from a peer into complete, checked messages.
//!
//! It checks everything before `rml_rtmp` reads messages, and replaces its chunk reader. That one keeps one buffer for all
//! chunk streams, so that legal interleaving makes it panic, and believes any length.
//!
//! Contract. After the handshake, pass every byte of the peer in order to [`Guard::next_message`]. It takes from
//! the front of the slice what it needs and returns the next message, or `None` when the slice is used up.
//! It does not matter how the bytes are cut. After an error the rest cannot be understood: close the connection. A fault
//! that affects only one message is not an error: the message is left out and counted ([`Guard::left_out`]).
//! * **Chunk streams** are assembled separately, so their chunks may interleave (RTMP 1.0 §5.3). SetChunkSize
//!   and Abort are obeyed here and not passed on.
//! * **Bounds** on everything that a peer chooses: 64 chunk streams, of which the one idle longest makes room for another;
//!   chunks of 1 to 16 777 215 bytes (a larger size is taken as the latter, RTMP 1.0 §5.4.1); 4 MB for a picture or sound;
//!   16 KB for a command or data message, 1 MB for the data of a publisher; AMF0 at most 8 levels deep. All unfinished
//!   messages together take at most 64 KB, and 4.25 MB while media is let in ([`Guard::let_media_in`]).
//! * **Dropped unread**, without taking memory: message types and user control events that this server does not use, media
//!   while it is not let in, media and data that are too long, data messages whose AMF0 cannot be read.
//!
//! Tolerated: a type 1 header as the first of its chunk stream (librtmp's first ping); AMF3 messages that carry AMF0 after a
//! zero byte (Flash); type 3 chunks without the extended timestamp (§5.3.1.3 demands it, encoders differ, so the bytes
//! decide); a message that begins inside another one (the other one is given up); and type 3 headers after a type 0
//! header with a large timestamp, which no encoder means to be added again (§5.3.1.2.4).
//!
//! What does *not* belong here: the handshake, what messages mean, answers.

use std::collections::BTreeMap;
use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rml_rtmp::messages::{MessagePayload, RtmpMessage};
use rml_rtmp::time::RtmpTimestamp;

use super::amf::{self, AmfError, AmfFault};
use super::wire::{INITIAL_CHUNK_SIZE, MESSAGE_MAX, message_type};

const CHUNK_STREAMS_MAX: usize = 64;
/// A 1080p IDR picture of a lecture has about 300 KB.
const MEDIA_MAX: usize = 4 << 20;
const COMMAND_MAX: usize = 16 << 10;
/// A publisher's description of its stream. Encoders put their whole configuration there; nothing of it is needed.
const DATA_MAX: usize = 1 << 20;
const CONTROL_MAX: usize = 64;
/// A type 3 header after a type 0 header adds the timestamp again, but only if it is at most ten seconds.
const REPEATED_MAX_MS: u32 = 10_000;
/// Bytes of all unfinished messages of a peer that sends no media.
const UNFINISHED_MAX: usize = 64 << 10;
/// Bytes of all unfinished messages of a publisher: one largest picture, and sound beside it.
const UNFINISHED_MEDIA_MAX: usize = MEDIA_MAX + (256 << 10);
/// Most bytes of basic header, message header and extended timestamp together (RTMP 1.0 §5.3.1).
const HEADER_MAX: usize = 3 + 11 + 4;

/// A complete, checked message.
#[derive(PartialEq)]
pub struct Message {
    /// Milliseconds since a beginning that the peer chose; wraps after 49.7 days.
    pub timestamp_ms: u32,
    /// Id of the message stream; 0 is the connection itself.
    pub stream_id: u32,
    /// Its content: a command, data, picture, sound, user control or window size.
    pub body: RtmpMessage,
}

/// Omits the body, since commands contain keys.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("timestamp_ms", &self.timestamp_ms)
            .field("stream_id", &self.stream_id)
            .field("type", &self.body.get_message_type_id())
            .finish()
    }
}

/// Why the connection cannot go on. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Too many chunk streams with unfinished messages; real peers use four or five.
    #[error("the peer opened more than {CHUNK_STREAMS_MAX} RTMP chunk streams")]
    ChunkStreams,
    /// The first chunk of a chunk stream leaves out fields of its header.
    #[error("the peer began RTMP chunk stream {0} with a shortened header")]
    Headless(u32),
    /// SetChunkSize with a size that is not allowed.
    #[error("the peer wants RTMP chunks of {0} bytes")]
    ChunkSize(u32),
    /// A command or SetChunkSize longer than its type may be.
    #[error("the peer announced {length} bytes of RTMP message type {type_id}; {limit} are allowed")]
    TooLong {
        /// The message type id.
        type_id: u8,
        /// The length it announced, in bytes.
        length: usize,
        /// The length allowed, in bytes.
        limit: usize,
    },
    /// Too many bytes in messages that have begun and not ended.
    #[error("the peer began RTMP messages of more than {0} bytes together and ended none")]
    Unfinished(usize),
    /// A command whose AMF0 cannot be read.
    #[error("the peer sent RTMP message type {type_id} that cannot be read: {error}")]
    Amf {
        /// The message type id.
        type_id: u8,
        /// What is wrong with its AMF0, and at which byte of the message.
        error: AmfError,
    },
    /// A command without name or transaction.
    #[error("the peer sent an RTMP command of {0} values; name and transaction are the least")]
    ShortCommand(usize),
    /// Any other message that does not have the form of its type.
    #[error("the peer sent a malformed RTMP message of type {0}")]
    Malformed(u8),
}

/// How far a chunk stream (RTMP 1.0 §5.3) has been read: where a fault was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkPosition {
    /// Bytes, from the end of the handshake.
    pub bytes: u64,
    /// Messages that were whole, those that were left out among them.
    pub messages: u64,
}

impl fmt::Display for ChunkPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, messages } = self;
        write!(f, "at byte {bytes} of the chunk stream, after {messages} messages")
    }
}

/// How many messages have been left out since the last call, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkippedMessages {
    /// They were longer than their type may be.
    pub too_long: u32,
    /// Another message began inside them.
    pub interrupted: u32,
    /// They did not have the form of their type.
    pub unreadable: u32,
    /// How many of all these were pictures.
    pub pictures: u32,
}

/// Reads the chunks of one peer.
#[derive(Debug)]
pub struct Guard {
    chunk_size: usize,
    streams: BTreeMap<u32, ChunkStream>,
    /// Bytes of the next chunk's header, as far as they have come.
    header: Vec<u8>,
    /// The chunk whose payload is being read: its stream, and how many bytes are still to come.
    payload: Option<(u32, usize)>,
    /// Announced bytes of all unfinished messages that are kept.
    unfinished: usize,
    media: bool,
    /// Bytes that were taken for an extended timestamp but belong to the payload.
    replay: Vec<u8>,
    /// Number of chunks so far; it tells which chunk stream was used last.
    chunks: u64,
    left_out: SkippedMessages,
    position: ChunkPosition,
}

/// The result of one step of reading.
enum GuardStep {
    Message(Message),
    /// Something was read; there may be more.
    Onward,
    /// The input is used up.
    Starved,
}

/// Whether the header of a chunk is complete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Whole,
    /// At least so many more bytes are needed.
    Wants(usize),
    /// It is complete, and the bytes from this position on are payload instead of an extended timestamp.
    WholeUntil(usize),
}

/// State of a chunk stream: the fields that its next header may leave out, and the unfinished message.
#[derive(Debug, Default)]
struct ChunkStream {
    timestamp_ms: u32,
    /// Timestamp, or timestamp delta, of the last header that had one.
    time_field: u32,
    /// `time_field` came from the extended field.
    extended: bool,
    length: usize,
    type_id: u8,
    stream_id: u32,
    /// The last header with a time field had a timestamp, not a delta.
    absolute: bool,
    /// Number of its last chunk.
    used: u64,
    message: Option<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    to_come: usize,
    /// `None` if the message is dropped unread.
    data: Option<BytesMut>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            chunk_size: INITIAL_CHUNK_SIZE,
            streams: BTreeMap::new(),
            header: Vec::with_capacity(HEADER_MAX),
            payload: None,
            unfinished: 0,
            media: false,
            replay: Vec::new(),
            chunks: 0,
            left_out: SkippedMessages::default(),
            position: ChunkPosition::default(),
        }
    }
}

impl Guard {
    /// Whether pictures and sound are let in from now on. At first they are not: no peer has to send any before its
    /// publish request has been answered.
    pub const fn let_media_in(&mut self, media: bool) {
        self.media = media;
    }

    /// How many messages were left out since the last call.
    pub fn left_out(&mut self) -> SkippedMessages {
        std::mem::take(&mut self.left_out)
    }

    /// The next message, from bytes that came before and the front of `input`; `None` when `input` is used up.
    pub fn next_message(&mut self, input: &mut &[u8]) -> Result<Option<Message>, GuardError> {
        let before = input.len();
        let message = self.read_on(input);
        self.position.bytes += (before - input.len()) as u64;
        message
    }

    /// How far it has read.
    pub const fn position(&self) -> ChunkPosition {
        self.position
    }

    fn read_on(&mut self, input: &mut &[u8]) -> Result<Option<Message>, GuardError> {
        loop {
            let again = std::mem::take(&mut self.replay);
            let step = if again.is_empty() {
                self.step(input)?
            } else {
                let mut rest = &again[..];
                let step = self.step(&mut rest)?;
                self.replay.extend_from_slice(rest);
                step
            };
            match step {
                GuardStep::Message(message) => return Ok(Some(message)),
                GuardStep::Starved if again.is_empty() && self.replay.is_empty() => return Ok(None),
                GuardStep::Starved | GuardStep::Onward => {}
            }
        }
    }

    /// Reads one chunk, or as much of it as there is.
    fn step(&mut self, input: &mut &[u8]) -> Result<GuardStep, GuardError> {
        let (csid, to_come) = if let Some(payload) = self.payload.take() {
            payload
        } else {
            if !self.fill_header(input) {
                return Ok(GuardStep::Starved);
            }
            let begun = self.begin_chunk()?;
            if !self.replay.is_empty() {
                self.payload = Some(begun);
                return Ok(GuardStep::Onward);
            }
            begun
        };
        let now;
        (now, *input) = input.split_at(to_come.min(input.len()));
        let ended = self.streams.get_mut(&csid).is_some_and(|stream| stream.append(now));
        if now.len() < to_come {
            self.payload = Some((csid, to_come - now.len()));
            return Ok(GuardStep::Starved);
        }
        if ended {
            let message = self.finish(csid)?;
            self.position.messages += 1;
            return Ok(message.map_or(GuardStep::Onward, GuardStep::Message));
        }
        Ok(GuardStep::Onward)
    }

    /// Moves bytes to the header until it is complete; `false` if `input` ends before. Bytes that turn out to be payload
    /// are kept for the next step.
    fn fill_header(&mut self, input: &mut &[u8]) -> bool {
        loop {
            match self.header_state() {
                Header::Whole => return true,
                Header::WholeUntil(end) => {
                    self.replay = self.header.split_off(end.min(self.header.len()));
                    return true;
                }
                Header::Wants(_) if input.is_empty() => return false,
                Header::Wants(missing) => {
                    let now;
                    (now, *input) = input.split_at(missing.min(input.len()));
                    self.header.extend_from_slice(now);
                }
            }
        }
    }

    /// Whether the header is complete, as far as its bytes tell.
    fn header_state(&self) -> Header {
        let have = self.header.len();
        let Some(&first) = self.header.first() else { return Header::Wants(1) };
        let (format, basic) = (first >> 6, basic_length(first));
        // A short header depends on its chunk stream, so the basic header is needed first.
        if have < basic {
            return Header::Wants(basic - have);
        }
        let plain = basic + [11, 7, 3, 0][usize::from(format)];
        if have < plain {
            return Header::Wants(plain - have);
        }
        let extension = self.header.get(plain..).unwrap_or_default();
        if format == 3 {
            let stream = self.streams.get(&chunk_stream_id(&self.header)).filter(|stream| stream.extended);
            let Some(stream) = stream else { return Header::Whole };
            // Encoders that repeat the extended timestamp send either the last field again or the time itself.
            let told = [stream.time_field, stream.timestamp_ms].map(u32::to_be_bytes);
            if !told.iter().any(|told| told.starts_with(extension)) {
                return Header::WholeUntil(plain);
            }
        } else if !self.header.get(basic..).unwrap_or_default().starts_with(&[0xff; 3]) {
            return Header::Whole;
        }
        if extension.len() < 4 {
            Header::Wants(if format == 3 { 1 } else { 4 - extension.len() })
        } else {
            Header::Whole
        }
    }

    /// Reads the complete header. Returns its chunk stream, and how many bytes of payload follow.
    fn begin_chunk(&mut self) -> Result<(u32, usize), GuardError> {
        let csid = chunk_stream_id(&self.header);
        let format = self.header[0] >> 6;
        if !self.streams.contains_key(&csid) {
            if format > 1 {
                return Err(GuardError::Headless(csid));
            }
            self.make_room()?;
        }
        self.chunks += 1;
        let stream = self.streams.entry(csid).or_default();
        stream.used = self.chunks;
        if format < 3
            && let Some(given_up) = stream.message.take()
        {
            self.left_out.interrupted += 1;
            self.left_out.pictures += u32::from(is_picture(stream.type_id));
            self.unfinished -= if given_up.data.is_some() { stream.length } else { 0 };
        }
        stream.read_header(format, &self.header[basic_length(self.header[0])..]);
        self.header.clear();
        if stream.message.is_none() {
            let message = Unfinished::new(stream, self.media, &mut self.left_out)?;
            let limit = if self.media { UNFINISHED_MEDIA_MAX } else { UNFINISHED_MAX };
            self.unfinished += message.kept();
            if self.unfinished > limit {
                return Err(GuardError::Unfinished(limit));
            }
            stream.message = Some(message);
        }
        let to_come = stream.message.as_ref().map_or(0, |message| message.to_come);
        Ok((csid, to_come.min(self.chunk_size)))
    }

    /// Forgets the chunk stream that has been idle longest if there are too many.
    fn make_room(&mut self) -> Result<(), GuardError> {
        if self.streams.len() < CHUNK_STREAMS_MAX {
            return Ok(());
        }
        let resting = self.streams.iter().filter(|(_, stream)| stream.message.is_none());
        let oldest = resting.min_by_key(|(_, stream)| stream.used).map(|(csid, _)| *csid);
        self.streams.remove(&oldest.ok_or(GuardError::ChunkStreams)?);
        Ok(())
    }

    /// The message that `csid` has completed, unless it is obeyed or dropped here.
    fn finish(&mut self, csid: u32) -> Result<Option<Message>, GuardError> {
        let Some(stream) = self.streams.get_mut(&csid) else { return Ok(None) };
        let Some(data) = stream.message.take().and_then(|message| message.data) else { return Ok(None) };
        self.unfinished -= stream.length;
        let (timestamp_ms, stream_id, type_id) = (stream.timestamp_ms, stream.stream_id, stream.type_id);
        match type_id {
            message_type::SET_CHUNK_SIZE => self.set_chunk_size(number(type_id, &data)?)?,
            message_type::ABORT => match number(type_id, &data) {
                Ok(csid) => self.abort(csid),
                Err(_) => self.left_out.unreadable += 1,
            },
            message_type::AGGREGATE => {
                let body = RtmpMessage::Unknown { type_id, data: data.freeze() };
                return Ok(Some(Message { timestamp_ms, stream_id, body }));
            }
            _ => match read(type_id, timestamp_ms, data.freeze()) {
                Ok(body) => return Ok(body.map(|body| Message { timestamp_ms, stream_id, body })),
                // An unreadable message of a publisher affects nothing else.
                Err(_) if self.media || !is_command(type_id) => self.left_out.unreadable += 1,
                Err(error) => return Err(error),
            },
        }
        Ok(None)
    }

    const fn set_chunk_size(&mut self, size: u32) -> Result<(), GuardError> {
        // The first bit must be zero; a size of one byte is allowed (RTMP 1.0 §5.4.1).
        if size == 0 || size > 0x7fff_ffff {
            return Err(GuardError::ChunkSize(size));
        }
        let size = size as usize;
        self.chunk_size = if size < MESSAGE_MAX { size } else { MESSAGE_MAX };
        Ok(())
    }

    fn abort(&mut self, csid: u32) {
        let message = self.streams.get_mut(&csid).and_then(|stream| stream.message.take());
        if message.is_some_and(|message| message.data.is_some()) {
            self.unfinished -= self.streams.get(&csid).map_or(0, |stream| stream.length);
        }
    }
}

impl ChunkStream {
    /// `header` starts after the basic header and is as long as `format` demands (RTMP 1.0 §5.3.1.2).
    fn read_header(&mut self, format: u8, mut header: &[u8]) {
        if format < 3 {
            self.time_field = header.get_uint(3) as u32;
            if format < 2 {
                self.length = header.get_uint(3) as usize;
                self.type_id = header.get_u8();
            }
            if format == 0 {
                self.stream_id = header.get_u32_le();
            }
            self.extended = self.time_field == 0xff_ffff;
            if self.extended {
                self.time_field = header.get_u32();
            }
        }
        if format < 3 {
            self.absolute = format == 0;
        }
        // A message that begins with a type 3 header adds the last delta again; after a type 0 header it adds the
        // timestamp (RTMP 1.0 §5.3.1.2.4). This is obeyed only if the timestamp is small enough to be a delta.
        if format == 0 {
            self.timestamp_ms = self.time_field;
        } else if self.message.is_none() && !(self.absolute && self.time_field > REPEATED_MAX_MS) {
            self.timestamp_ms = self.timestamp_ms.wrapping_add(self.time_field);
        }
    }

    /// Takes payload; `true` if the message is complete.
    fn append(&mut self, payload: &[u8]) -> bool {
        let Some(message) = &mut self.message else { return false };
        if let Some(data) = &mut message.data {
            data.put_slice(payload);
        }
        message.to_come -= payload.len();
        message.to_come == 0
    }
}

impl Unfinished {
    fn new(stream: &ChunkStream, media: bool, left_out: &mut SkippedMessages) -> Result<Self, GuardError> {
        let (type_id, length) = (stream.type_id, stream.length);
        let data = match longest(type_id, media) {
            None => None,
            // A missing command or chunk size would make the rest unreadable.
            Some(limit) if length > limit && is_needed(type_id) => {
                return Err(GuardError::TooLong { type_id, length, limit });
            }
            Some(limit) if length > limit => {
                left_out.too_long += 1;
                left_out.pictures += u32::from(is_picture(type_id));
                None
            }
            Some(_) => Some(BytesMut::with_capacity(length)),
        };
        Ok(Self { to_come: length, data })
    }

    fn kept(&self) -> usize {
        if self.data.is_some() { self.to_come } else { 0 }
    }
}

/// The length that a message may have; `None` if it is dropped unread.
const fn longest(type_id: u8, media: bool) -> Option<usize> {
    use message_type as t;
    match type_id {
        t::SET_CHUNK_SIZE | t::ABORT | t::USER_CONTROL | t::WINDOW_ACKNOWLEDGEMENT => Some(CONTROL_MAX),
        t::DATA | t::DATA_AMF3 if media => Some(DATA_MAX),
        t::COMMAND | t::COMMAND_AMF3 | t::DATA | t::DATA_AMF3 => Some(COMMAND_MAX),
        t::AUDIO | t::VIDEO | t::AGGREGATE if media => Some(MEDIA_MAX),
        _ => None,
    }
}

const fn is_command(type_id: u8) -> bool {
    matches!(type_id, message_type::COMMAND | message_type::COMMAND_AMF3)
}

/// An aggregate message may contain pictures.
const fn is_picture(type_id: u8) -> bool {
    matches!(type_id, message_type::VIDEO | message_type::AGGREGATE)
}

const fn is_needed(type_id: u8) -> bool {
    is_command(type_id) || type_id == message_type::SET_CHUNK_SIZE
}

const fn basic_length(first: u8) -> usize {
    match first & 0x3f {
        0 => 2,
        1 => 3,
        _ => 1,
    }
}

/// Reads the chunk stream id from a complete basic header (RTMP 1.0 §5.3.1.1).
fn chunk_stream_id(header: &[u8]) -> u32 {
    let Some((first, more)) = header.split_first() else { return 0 };
    match (first & 0x3f, more) {
        (0, [low, ..]) => 64 + u32::from(*low),
        (1, [low, high, ..]) => 64 + u32::from(*low) + (u32::from(*high) << 8),
        (id, _) => u32::from(id),
    }
}

/// The number in a control message that has just one.
fn number(type_id: u8, data: &[u8]) -> Result<u32, GuardError> {
    data.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).ok_or(GuardError::Malformed(type_id))
}

/// Checks a complete message and lets `rml_rtmp` read it; `None` if this server does not use it.
fn read(type_id: u8, timestamp_ms: u32, mut data: Bytes) -> Result<Option<RtmpMessage>, GuardError> {
    use message_type as t;
    // Handled as AMF0 from here on: for type 17 rml_rtmp would skip a zero byte itself and read other values than
    // the ones that were checked.
    let amf0 = match type_id {
        t::COMMAND_AMF3 => Some(t::COMMAND),
        t::DATA_AMF3 => Some(t::DATA),
        _ => None,
    };
    let skipped = usize::from(amf0.is_some() && data.first() == Some(&0));
    data.advance(skipped);
    let within = |AmfError { fault, at }: AmfError| AmfError { fault, at: at + skipped };
    let type_id = amf0.unwrap_or(type_id);
    match type_id {
        t::COMMAND => {
            let count = amf::count_values(&data)
                .map_err(|error| GuardError::Amf { type_id, error: within(error) })?;
            match count {
                0 | 1 => return Err(GuardError::ShortCommand(count)),
                // Name and transaction only; rml_rtmp needs an object as well.
                2 => data = [&data[..], &[amf::NULL]].concat().into(),
                _ => {}
            }
        }
        t::DATA => match amf::count_values(&data) {
            Ok(_) => {}
            Err(AmfError { fault: AmfFault::Unsupported(_), .. }) => return Ok(None),
            Err(error) => return Err(GuardError::Amf { type_id, error: within(error) }),
        },
        t::USER_CONTROL => {
            // The events that rml_rtmp can read; it fails on any other.
            let event = data.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
            if !matches!(event, Some(0..=4 | 6 | 7 | 31 | 32) | None) {
                return Ok(None);
            }
        }
        _ => {}
    }
    let timestamp = RtmpTimestamp::new(timestamp_ms);
    let payload = MessagePayload { timestamp, type_id, message_stream_id: 0, data };
    payload.to_rtmp_message().map(Some).map_err(|_| GuardError::Malformed(type_id))
}

#[cfg(test)]
mod tests;
