//! Messages about the connection itself, which both ends send (RTMP 1.0 §5.4, §7.1.7), and the writing of commands.
//!
//! What does *not* belong here: commands of one end only (`session::reply`, `client`).

use bytes::BytesMut;

use super::amf::{self, Value};
use super::wire::{CHUNK_SIZE, Head, message_type, put_message};

const PING_RESPONSE: u16 = 7;

/// Counts received bytes, and acknowledges them as the peer wants (RTMP 1.0 §5.4.3, §5.4.4).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Receipt {
    received: u32,
    acknowledged: u32,
    /// The peer wants an acknowledgement after so many bytes; 0 means never.
    window: u32,
}

impl Receipt {
    pub(super) const fn set_window(&mut self, window: u32) {
        self.window = window;
    }

    /// Counts `bytes`, and acknowledges everything received if the window is full.
    pub(super) fn count(&mut self, bytes: usize, out: &mut BytesMut) {
        self.received = self.received.wrapping_add(bytes as u32);
        if self.window > 0 && self.received.wrapping_sub(self.acknowledged) >= self.window {
            self.acknowledged = self.received;
            control(out, message_type::ACKNOWLEDGEMENT, &self.received.to_be_bytes());
        }
    }
}

/// Sets the chunk size for all that we send, together with the first command that may be long. What may be sent before
/// it, a pong or an acknowledgement, is shorter than any chunk.
pub(super) fn set_chunk_size(out: &mut BytesMut) {
    control(out, message_type::SET_CHUNK_SIZE, &(CHUNK_SIZE as u32).to_be_bytes());
}

/// Answers a ping request (RTMP 1.0 §7.1.7).
pub(super) fn pong(out: &mut BytesMut, timestamp_ms: u32) {
    user_control(out, PING_RESPONSE, timestamp_ms);
}

pub(super) fn user_control(out: &mut BytesMut, event: u16, value: u32) {
    let event = event.to_be_bytes();
    control(out, message_type::USER_CONTROL, &[&event[..], &value.to_be_bytes()].concat());
}

pub(super) fn control(out: &mut BytesMut, type_id: u8, payload: &[u8]) {
    put_message(out, Head::of_connection(type_id), CHUNK_SIZE, &[payload]);
}

/// Appends a command (RTMP 1.0 §7.2).
pub(super) fn put_command(
    out: &mut BytesMut,
    chunk_size: usize,
    stream_id: u32,
    name: &str,
    transaction: f64,
    values: &[Value<'_>],
) {
    let values = [&[Value::Text(name), Value::Number(transaction)], values].concat();
    let head = Head { type_id: message_type::COMMAND, timestamp_ms: 0, stream_id };
    put_message(out, head, chunk_size, &[&amf::encode(&values)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_window_is_acknowledged_with_the_total() {
        let mut receipt = Receipt::default();
        let mut out = BytesMut::new();
        receipt.count(5000, &mut out);
        assert!(out.is_empty(), "nobody asked");
        receipt.set_window(1000);
        receipt.count(999, &mut out);
        assert_eq!(out.split()[12..], 5999_u32.to_be_bytes());
        receipt.count(999, &mut out);
        assert!(out.is_empty());
        receipt.count(1, &mut out);
        assert_eq!(out[12..], 6999_u32.to_be_bytes());
    }
}
