//! Writes messages as chunks (RTMP 1.0 §5.3).
//!
//! Every message begins with a full (type 0) header. So its bytes mean the same to every peer whatever was sent
//! before, and any message can be left out. That costs up to 11 bytes a message: under 1 % of a
//! rung of 870 kbit/s. The serializer of `rml_rtmp` can force full headers too, but then begins every further
//! chunk of a long message with one, which no reader takes for a continuation.

use bytes::{BufMut, BytesMut};

/// Chunk size in bytes until the sender sets another (RTMP 1.0 §5.4.1).
pub(super) const INITIAL_CHUNK_SIZE: usize = 128;
/// Chunk size in bytes that we set: most pictures of a lecture fit into one chunk.
pub(super) const CHUNK_SIZE: usize = 65_536;
/// Longest message in bytes: its length has 24 bits.
pub(super) const MESSAGE_MAX: usize = 0xff_ffff;
/// Timestamps from here on are in the extended field (RTMP 1.0 §5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;

/// Message types (RTMP 1.0 §5.4, §7.1).
pub(super) mod message_type {
    pub(crate) const SET_CHUNK_SIZE: u8 = 1;
    pub(crate) const ABORT: u8 = 2;
    pub(crate) const ACKNOWLEDGEMENT: u8 = 3;
    pub(crate) const USER_CONTROL: u8 = 4;
    pub(crate) const WINDOW_ACKNOWLEDGEMENT: u8 = 5;
    pub(crate) const SET_PEER_BANDWIDTH: u8 = 6;
    pub(crate) const AUDIO: u8 = 8;
    pub(crate) const VIDEO: u8 = 9;
    pub(crate) const DATA_AMF3: u8 = 15;
    pub(crate) const COMMAND_AMF3: u8 = 17;
    pub(crate) const DATA: u8 = 18;
    pub(crate) const COMMAND: u8 = 20;
    pub(crate) const AGGREGATE: u8 = 22;
}

/// The header fields of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) type_id: u8,
    pub(super) timestamp_ms: u32,
    pub(super) stream_id: u32,
}

impl Head {
    /// The header of a control message: no time, message stream 0 (RTMP 1.0 §5.4).
    pub(super) const fn of_connection(type_id: u8) -> Self {
        Self { type_id, timestamp_ms: 0, stream_id: 0 }
    }

    /// Each kind of message has a chunk stream of its own. Control messages must use 2 (RTMP 1.0 §5.4).
    const fn chunk_stream(self) -> u8 {
        match self.type_id {
            message_type::VIDEO => 4,
            message_type::AUDIO => 5,
            message_type::COMMAND | message_type::DATA => 3,
            _ => 2,
        }
    }
}

/// Appends a message of at most [`MESSAGE_MAX`] bytes; its payload is `parts`, back to back.
pub(super) fn put_message(out: &mut BytesMut, head: Head, chunk_size: usize, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(16 + length + length / chunk_size * 5);
    // Basic header and message header of type 0 (RTMP 1.0 §5.3.1.1, §5.3.1.2.1).
    out.put_u8(head.chunk_stream());
    out.put_uint(u64::from(head.timestamp_ms.min(EXTENDED)), 3);
    out.put_uint(length as u64, 3);
    out.put_u8(head.type_id);
    out.put_u32_le(head.stream_id);
    put_extended(out, head);
    let mut room = chunk_size;
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            if room == 0 {
                // A type 3 header continues the message (RTMP 1.0 §5.3.1.2.4).
                out.put_u8(0xc0 | head.chunk_stream());
                put_extended(out, head);
                room = chunk_size;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            out.put_slice(now);
            room -= now.len();
            rest = later;
        }
    }
}

/// Continuations repeat the extended timestamp (RTMP 1.0 §5.3.1.3).
fn put_extended(out: &mut BytesMut, head: Head) {
    if head.timestamp_ms >= EXTENDED {
        out.put_u32(head.timestamp_ms);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rml_rtmp::chunk_io::ChunkDeserializer;

    use super::*;

    proptest! {
        #[test]
        fn another_reader_reads_what_we_write(
            messages in prop::collection::vec((
                prop::sample::select(vec![8_u8, 9, 18, 20, 4]),
                prop::sample::select(vec![0_u32, 40, EXTENDED - 1, EXTENDED, EXTENDED + 1, u32::MAX]),
                0..2_u32, 1..400_usize, 0..400_usize,
            ), 1..12),
            chunk_size in 1..300_usize,
        ) {
            let mut out = BytesMut::new();
            for (type_id, timestamp_ms, stream_id, a, b) in &messages {
                let head = Head { type_id: *type_id, timestamp_ms: *timestamp_ms, stream_id: *stream_id };
                put_message(&mut out, head, chunk_size, &[&vec![0x11; *a], &vec![0x22; *b]]);
            }
            let mut reader = ChunkDeserializer::new();
            reader.set_max_chunk_size(chunk_size).expect("a small size");
            let mut input = &out[..];
            for (type_id, timestamp_ms, stream_id, a, b) in messages {
                let read = reader.get_next_message(input).expect("chunks").expect("a whole message");
                input = &[];
                prop_assert_eq!(
                    (read.type_id, read.timestamp.value, read.message_stream_id, &read.data[..]),
                    (type_id, timestamp_ms, stream_id, &[vec![0x11; a], vec![0x22; b]].concat()[..])
                );
            }
            prop_assert!(reader.get_next_message(&[]).expect("nothing left").is_none());
        }
    }
}
