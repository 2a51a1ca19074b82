//! Splits a client's byte stream into requests and interleaved packets (RFC 2326 §10.12).

use std::ops::Deref;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rtsp_types::{Message, ParseError, Request};

/// Longest request in bytes, header and body. It is parsed again with every piece that comes, so this bounds work, too.
const LONGEST: usize = 16 * 1024;

/// What has come from a client.
#[derive(Debug)]
pub enum Incoming {
    /// A complete request with its body.
    Request(IncomingRequest),
    /// An interleaved packet, usually RTCP.
    Packet {
        /// Channel that it came on.
        channel: u8,
        /// The packet without its frame.
        data: Bytes,
    },
}

/// A request, and its URL as the client wrote it: [`Request::request_uri`] has lost its dot segments, so that a path that
/// leads upward would be another one.
#[derive(Debug)]
pub struct IncomingRequest {
    request: Request<Vec<u8>>,
    url: String,
}

impl IncomingRequest {
    /// Path and query of the URL (RFC 3986 §3.3, §3.4), as they were written.
    pub(super) fn path_and_query(&self) -> (&str, Option<&str>) {
        let url = self.url.split_once('#').map_or(&*self.url, |(url, _)| url);
        let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
        let path = url.split_once(':').map_or(url, |(_, rest)| rest);
        let path = path.strip_prefix("//").map_or(path, |rest| {
            let (_host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            path
        });
        (path, query)
    }
}

impl Deref for IncomingRequest {
    type Target = Request<Vec<u8>>;

    fn deref(&self) -> &Request<Vec<u8>> {
        &self.request
    }
}

/// Why the bytes cannot be read. The client is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// They are not an RTSP request.
    #[error("the peer sends something that is not an RTSP request")]
    NotRtsp,
    /// A request has no end within its bound.
    #[error("the peer's request is longer than {LONGEST} bytes")]
    TooLong,
}

/// Splits a byte stream. Append bytes to [`Requests::feed`], then call [`Requests::take`] until `None`.
#[derive(Debug, Default)]
pub struct Requests {
    buffer: BytesMut,
    /// Bytes taken out of it.
    taken: u64,
}

impl Requests {
    /// The buffer that bytes from the client are appended to.
    pub const fn feed(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next complete request or packet.
    pub fn take(&mut self) -> Result<Option<Incoming>, MessageError> {
        let before = self.buffer.len();
        let message = self.message();
        self.taken += (before - self.buffer.len()) as u64;
        message
    }

    /// Bytes of the connection before the message that is to be taken next: after an error, where it was found.
    pub const fn position(&self) -> u64 {
        self.taken
    }

    fn message(&mut self) -> Result<Option<Incoming>, MessageError> {
        loop {
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'$') => return Ok(self.packet()),
                // Empty lines between messages are tolerated (RFC 2326 §4).
                Some(b'\r' | b'\n') => self.buffer.advance(1),
                Some(_) => break,
            }
        }
        match Message::<Vec<u8>>::parse(&self.buffer) {
            Ok((Message::Request(request), used)) => {
                let text: &[u8] = &self.buffer;
                let line = text.split(|byte| b"\r\n".contains(byte)).next().unwrap_or_default();
                let url = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
                let url = String::from_utf8_lossy(url).into_owned();
                self.buffer.advance(used);
                Ok(Some(Incoming::Request(IncomingRequest { request, url })))
            }
            Ok(_) | Err(ParseError::Error) => Err(MessageError::NotRtsp),
            Err(ParseError::Incomplete(_)) if self.buffer.len() > LONGEST => Err(MessageError::TooLong),
            Err(ParseError::Incomplete(_)) => Ok(None),
        }
    }

    fn packet(&mut self) -> Option<Incoming> {
        // A dollar sign, the channel, and the length of the packet (RFC 2326 §10.12).
        let length = u16::from_be_bytes([*self.buffer.get(2)?, *self.buffer.get(3)?]);
        let channel = *self.buffer.get(1)?;
        if self.buffer.len() < 4 + usize::from(length) {
            return None;
        }
        self.buffer.advance(4);
        Some(Incoming::Packet { channel, data: self.buffer.split_to(usize::from(length)).freeze() })
    }
}

/// The frame before an interleaved packet of `len` bytes (RFC 2326 §10.12).
pub const fn frame_head(channel: u8, len: u16) -> [u8; 4] {
    let [high, low] = len.to_be_bytes();
    [b'$', channel, high, low]
}

/// Appends `packet` with its frame (RFC 2326 §10.12).
pub fn interleaved(channel: u8, packet: &[u8], out: &mut BytesMut) {
    out.reserve(4 + packet.len());
    out.put_slice(&frame_head(channel, packet.len() as u16));
    out.put_slice(packet);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPTIONS: &[u8] = b"OPTIONS rtsp://127.0.0.1/extron1 RTSP/1.0\r\nCSeq: 1\r\n\r\n";

    #[test]
    fn requests_and_packets_are_told_apart_however_they_are_cut() {
        let mut stream = BytesMut::new();
        stream.put_slice(OPTIONS);
        interleaved(1, &[1, 2, 3], &mut stream);
        stream.put_slice(b"\r\n");
        stream.put_slice(OPTIONS);
        for step in 1..stream.len() {
            let mut requests = Requests::default();
            let mut seen = String::new();
            for part in stream.chunks(step) {
                requests.feed().put_slice(part);
                while let Some(incoming) = requests.take().expect("well-formed") {
                    seen.push(match incoming {
                        Incoming::Request(_) => 'r',
                        Incoming::Packet { channel: 1, data } if data[..] == [1, 2, 3] => 'p',
                        Incoming::Packet { .. } => '?',
                    });
                }
            }
            assert_eq!(seen, "rpr", "cut every {step} bytes");
        }
    }

    #[test]
    fn a_path_is_told_as_it_was_written() {
        for (url, path, query) in [
            ("rtsp://h:1935/a/%2e%2E/b%20c/../d//?x=/../y&z#w", "/a/%2e%2E/b%20c/../d//", Some("x=/../y&z")),
            ("rtsp://h", "", None),
            ("rtsp://h?x", "", Some("x")),
            ("rtsp://u:p@[::1]:554/a", "/a", None),
            ("RTSP://h/a#b?c", "/a", None),
        ] {
            let mut requests = Requests::default();
            requests.feed().put_slice(format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n").as_bytes());
            let Ok(Some(Incoming::Request(request))) = requests.take() else { panic!("{url}") };
            assert_eq!(request.path_and_query(), (path, query), "{url}");
        }
    }

    #[test]
    fn other_protocols_and_endless_headers_are_refused() {
        let mut requests = Requests::default();
        requests.feed().put_slice(b"\x03\x00\x00\x00not rtsp at all\r\n\r\n");
        assert!(matches!(requests.take(), Err(MessageError::NotRtsp)));
        assert_eq!(requests.position(), 0);
        let mut requests = Requests::default();
        requests.feed().put_slice(OPTIONS);
        requests.feed().put_slice(b"\r\n\x03\x00\x00\x00not rtsp at all\r\n\r\n");
        assert!(matches!(requests.take(), Ok(Some(_))));
        assert!(matches!(requests.take(), Err(MessageError::NotRtsp)));
        assert_eq!(requests.position(), OPTIONS.len() as u64 + 2, "the fault is told with its place");
        let mut requests = Requests::default();
        requests.feed().put_slice(b"OPTIONS * RTSP/1.0\r\n");
        requests.feed().put_slice(&b"X: y\r\n".repeat(20_000));
        assert!(matches!(requests.take(), Err(MessageError::TooLong)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut requests = Requests::default();
            requests.feed().put_slice(&bytes);
            for _ in 0..=bytes.len() {
                if !matches!(requests.take(), Ok(Some(_))) { break; }
            }
        }
    }
}
