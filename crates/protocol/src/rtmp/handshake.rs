//! The handshake at the start of a connection (RTMP 1.0 §5.2), for both sides.
//!
//! `rml_rtmp` knows the meaning of the bytes. This module counts them, so that no byte of the first chunk is taken for a part of
//! the handshake.

use bytes::BytesMut;
use rml_rtmp::handshake::{Handshake as Exchange, HandshakeProcessResult, PeerType};

/// Bytes of C0, C1 and C2, or of S0, S1 and S2: a version and twice 1536 bytes (§5.2.2 to §5.2.4).
pub(super) const HANDSHAKE_BYTES: usize = 1 + 1536 + 1536;

/// The peer does not speak RTMP version 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoHandshake;

/// The state of a handshake.
pub(super) struct Handshake {
    /// `None` after the handshake.
    exchange: Option<Exchange>,
    /// How many bytes of the handshake the peer still has to send.
    missing: usize,
}

impl Handshake {
    /// For a server: the peer begins.
    pub(super) fn of_server() -> Self {
        Self { exchange: Some(Exchange::new(PeerType::Server)), missing: HANDSHAKE_BYTES }
    }

    /// For a client, which begins: C0 and C1 are written to `output`.
    pub(super) fn of_client(output: &mut BytesMut) -> Result<Self, NoHandshake> {
        let mut exchange = Exchange::new(PeerType::Client);
        let hello = exchange.generate_outbound_p0_and_p1().map_err(|_| NoHandshake)?;
        output.extend_from_slice(&hello);
        Ok(Self { exchange: Some(exchange), missing: HANDSHAKE_BYTES })
    }

    /// Whether the handshake is over, so that the peer sends only chunks from now on.
    pub(super) const fn is_done(&self) -> bool {
        self.exchange.is_none()
    }

    /// Takes its bytes from the front of `input` and writes answers to `output`; `true` when the handshake is over.
    pub(super) fn take(&mut self, input: &mut &[u8], output: &mut BytesMut) -> Result<bool, NoHandshake> {
        let Some(exchange) = &mut self.exchange else { return Ok(true) };
        let now;
        (now, *input) = input.split_at(input.len().min(self.missing));
        if now.is_empty() {
            return Ok(false);
        }
        self.missing -= now.len();
        let (answer, is_done) = match exchange.process_bytes(now).map_err(|_| NoHandshake)? {
            HandshakeProcessResult::InProgress { response_bytes } => (response_bytes, false),
            HandshakeProcessResult::Completed { response_bytes, .. } => (response_bytes, true),
        };
        output.extend_from_slice(&answer);
        if is_done {
            self.exchange = None;
        }
        Ok(is_done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It does not matter how the bytes are cut, nor what follows them.
    #[test]
    fn two_peers_shake_hands_and_leave_what_comes_after() {
        for cut in [1, 7, 1536, 1537, 4000] {
            let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
            let mut client = Handshake::of_client(&mut to_server).expect("random numbers");
            let mut server = Handshake::of_server();
            while !(client.is_done() && server.is_done()) {
                let (mut sent, taken) = (to_server.split().freeze(), to_client.split().freeze());
                if client.is_done() {
                    sent = [&sent[..], b"chunk"].concat().into();
                }
                let mut left = Vec::new();
                for mut part in sent.chunks(cut) {
                    server.take(&mut part, &mut to_client).expect("in order");
                    left.extend_from_slice(part);
                }
                assert!(left.is_empty() || left == b"chunk", "{cut}");
                for mut part in taken.chunks(cut) {
                    client.take(&mut part, &mut to_server).expect("in order");
                    assert!(part.is_empty());
                }
            }
        }
    }

    #[test]
    fn another_protocol_is_none() {
        let mut server = Handshake::of_server();
        assert_eq!(server.take(&mut &b"GET / HTTP/1.1\r\n"[..], &mut BytesMut::new()), Err(NoHandshake));
    }
}
