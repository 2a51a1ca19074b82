//! Splits the byte stream of a server into responses, requests and interleaved packets (RFC 2326 §4 to §7, §10.12).
//!
//! # Contract
//! Append bytes to [`Messages::feed`], then call [`Messages::take`] until `None` or an error, which is final. The same bytes
//! give the same messages however they are cut. Everything that is kept has a bound: a line ([`LONGEST_LINE`]), the lines of
//! a message ([`MOST_LINES`]), its body ([`LONGEST_BODY`]), a packet (its length has 16 bits).
//!
//! Tolerated: line ends without CR, empty lines between messages, lines without a colon (ignored), folded lines,
//! bytes that are not UTF-8, a status line without a reason phrase. If lengths disagree, the first one counts. Once
//! packets are expected, up to [`MOST_STRAY`] bytes in a row that are neither packet nor message are skipped: so an encoder
//! that has overwritten its own packet is understood again within a picture.

use bytes::{Buf, Bytes, BytesMut};

/// Longest line in bytes.
pub(super) const LONGEST_LINE: usize = 8 * 1024;
/// Most lines of a message.
pub(super) const MOST_LINES: usize = 100;
/// Longest body in bytes: descriptions of real encoders have about 2000.
pub(super) const LONGEST_BODY: usize = 64 * 1024;
/// Most bytes that are skipped in search of the next packet.
pub(super) const MOST_STRAY: usize = 64 * 1024;

/// Header fields in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of the first field of this name, in any case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all fields of this name, in any case.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn line(&mut self, line: &str) {
        if line.starts_with([' ', '\t']) {
            // Folded (RFC 2326 §4.2, which refers to RFC 2068 §4.2): it continues the line before.
            if let Some((_, value)) = self.0.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            self.0.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

/// A response of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// Status code (RFC 2326 §7.1.1).
    pub status: u16,
    /// Reason phrase, without control characters, at most 60 characters.
    pub reason: String,
    pub headers: Headers,
    pub body: Bytes,
}

/// A request of the server to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub method: String,
    pub headers: Headers,
}

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerMessage {
    Response(Response),
    Request(Request),
    /// An interleaved packet (RFC 2326 §10.12).
    Packet {
        channel: u8,
        data: Bytes,
    },
}

/// Why the byte stream cannot be read any further. The server is at fault, or the address in the configuration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// A web server answers.
    #[error("an HTTP server answers")]
    Http,
    /// It is something else than RTSP.
    #[error("what it sends is not RTSP")]
    NotRtsp,
    /// A line has no end within 8 KiB.
    #[error("a header line of its answer is longer than {LONGEST_LINE} bytes")]
    Line,
    /// A header has no end within 100 lines.
    #[error("the header of its answer has more than {MOST_LINES} lines")]
    Lines,
    /// A body is longer than 64 KiB.
    #[error("the body of its answer is longer than {LONGEST_BODY} bytes")]
    Body,
    /// No packet or message begins within 64 KiB.
    #[error("{MOST_STRAY} bytes between its packets are neither RTP nor RTSP")]
    Stray,
}

#[derive(Debug)]
enum StartLine {
    Response { status: u16, reason: String },
    Request { method: String },
}

#[derive(Debug)]
enum ParserState {
    /// Between messages.
    Idle,
    /// Reading the lines of a header.
    Head { start: StartLine, headers: Headers, lines: usize },
    /// Waiting for a body.
    Body { start: StartLine, headers: Headers, length: usize },
}

/// Splits the byte stream; see the module's contract.
#[derive(Debug)]
pub(super) struct Messages {
    buffer: BytesMut,
    state: ParserState,
    /// Channels on which packets may come; empty before SETUP.
    channels: Vec<u8>,
    stray: usize,
    /// Bytes taken out of the buffer.
    taken: u64,
}

impl Default for Messages {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), state: ParserState::Idle, channels: Vec::new(), stray: 0, taken: 0 }
    }
}

impl Messages {
    /// The buffer that bytes from the server are appended to.
    pub(super) const fn feed(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// From now on packets are expected on this channel.
    pub(super) fn expect(&mut self, channel: u8) {
        self.channels.push(channel);
    }

    /// The next complete message or packet.
    pub(super) fn take(&mut self) -> Result<Option<ServerMessage>, Nonsense> {
        let before = self.buffer.len();
        let incoming = self.message();
        self.taken += (before - self.buffer.len()) as u64;
        incoming
    }

    /// How many bytes of the connection have been taken: after an error, where it was found.
    pub(super) const fn position(&self) -> u64 {
        self.taken
    }

    fn message(&mut self) -> Result<Option<ServerMessage>, Nonsense> {
        loop {
            match std::mem::replace(&mut self.state, ParserState::Idle) {
                ParserState::Idle => match self.begin()? {
                    Begun::Packet(packet) => return Ok(Some(packet)),
                    Begun::Message(start) => {
                        self.state = ParserState::Head { start, headers: Headers::default(), lines: 0 };
                    }
                    Begun::Nothing => return Ok(None),
                },
                ParserState::Head { start, mut headers, lines } => {
                    let Some(line) = self.line()? else {
                        self.state = ParserState::Head { start, headers, lines };
                        return Ok(None);
                    };
                    if line.is_empty() {
                        let length = length(&headers)?;
                        self.state = ParserState::Body { start, headers, length };
                    } else if lines >= MOST_LINES {
                        return Err(Nonsense::Lines);
                    } else {
                        headers.line(&line);
                        self.state = ParserState::Head { start, headers, lines: lines + 1 };
                    }
                }
                ParserState::Body { start, headers, length } => {
                    if self.buffer.len() < length {
                        self.state = ParserState::Body { start, headers, length };
                        return Ok(None);
                    }
                    let body = Bytes::copy_from_slice(&self.buffer.split_to(length));
                    return Ok(Some(match start {
                        StartLine::Response { status, reason } => {
                            ServerMessage::Response(Response { status, reason, headers, body })
                        }
                        StartLine::Request { method } => ServerMessage::Request(Request { method, headers }),
                    }));
                }
            }
        }
    }

    /// Finds the next packet, or reads the first line of a message.
    fn begin(&mut self) -> Result<Begun, Nonsense> {
        loop {
            let Some(first) = self.buffer.first().copied() else { return Ok(Begun::Nothing) };
            match first {
                b'$' => match self.packet() {
                    ParsedFrame::Whole(packet) => {
                        self.stray = 0;
                        return Ok(Begun::Packet(packet));
                    }
                    ParsedFrame::Incomplete => return Ok(Begun::Nothing),
                    ParsedFrame::Doubtful => self.skip()?,
                },
                b'\r' | b'\n' => self.buffer.advance(1),
                b'A'..=b'Z' | b'a'..=b'z' if looks_like_a_line(&self.buffer) => {
                    let Some(line) = self.line()? else { return Ok(Begun::Nothing) };
                    if line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("HTTP/")) {
                        return Err(Nonsense::Http);
                    }
                    match start(&line) {
                        Some(start) => {
                            self.stray = 0;
                            return Ok(Begun::Message(start));
                        }
                        // It may be the body of a message without Content-Length.
                        None => self.strayed(line.len())?,
                    }
                }
                _ => self.skip()?,
            }
        }
    }

    fn skip(&mut self) -> Result<(), Nonsense> {
        self.buffer.advance(1);
        self.strayed(1)
    }

    fn strayed(&mut self, bytes: usize) -> Result<(), Nonsense> {
        if self.channels.is_empty() {
            return Err(Nonsense::NotRtsp);
        }
        self.stray += bytes;
        if self.stray > MOST_STRAY { Err(Nonsense::Stray) } else { Ok(()) }
    }

    fn packet(&mut self) -> ParsedFrame {
        let Some(&[_, channel, high, low]) = self.buffer.first_chunk::<4>() else {
            return ParsedFrame::Incomplete;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // While searching, only a packet with version 2 (RFC 3550 §5.1) on a channel of ours counts as one.
        if self.stray > 0 {
            match self.buffer.get(4) {
                None => return ParsedFrame::Incomplete,
                Some(byte) if byte & 0xc0 != 0x80 || !self.channels.contains(&channel) => {
                    return ParsedFrame::Doubtful;
                }
                Some(_) => {}
            }
        }
        if self.buffer.len() < 4 + length {
            return ParsedFrame::Incomplete;
        }
        self.buffer.advance(4);
        ParsedFrame::Whole(ServerMessage::Packet { channel, data: self.buffer.split_to(length).freeze() })
    }

    /// The next line without its line end.
    fn line(&mut self) -> Result<Option<String>, Nonsense> {
        let Some(end) = self.buffer.iter().take(LONGEST_LINE + 1).position(|byte| *byte == b'\n') else {
            return if self.buffer.len() > LONGEST_LINE { Err(Nonsense::Line) } else { Ok(None) };
        };
        let line = self.buffer.split_to(end + 1);
        Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
    }
}

enum Begun {
    Packet(ServerMessage),
    Message(StartLine),
    Nothing,
}

enum ParsedFrame {
    Whole(ServerMessage),
    Incomplete,
    Doubtful,
}

/// Whether the bytes begin a response, or have only text up to the end of the line. Only the first few bytes are looked at, so
/// that binary data is not waited for.
fn looks_like_a_line(bytes: &[u8]) -> bool {
    const SEEN: usize = 24;
    if bytes.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"RTSP/")) {
        return true;
    }
    bytes
        .iter()
        .take(SEEN)
        .take_while(|byte| !matches!(byte, b'\r' | b'\n'))
        .all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

fn start(line: &str) -> Option<StartLine> {
    let (first, rest) = line.split_once(' ')?;
    if first.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("RTSP/")) {
        let rest = rest.trim_start();
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = status.trim().parse().ok().filter(|status| (100..1000).contains(status))?;
        return Some(StartLine::Response { status, reason: phrase(reason) });
    }
    let version = rest.rsplit(' ').next()?;
    let is_method = first.len() <= 32 && first.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    (is_method && version.starts_with("RTSP/")).then(|| StartLine::Request { method: first.to_owned() })
}

/// The peer's text in a form that is safe in a log line.
fn phrase(text: &str) -> String {
    const LONGEST: usize = 60;
    text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn length(headers: &Headers) -> Result<usize, Nonsense> {
    let Some(length) = headers.get("Content-Length") else { return Ok(0) };
    // "12, 12" comes from a proxy that has joined two fields.
    let digits = length.split(',').next().unwrap_or_default().trim();
    match digits.parse::<u64>() {
        Ok(length) if length <= LONGEST_BODY as u64 => Ok(length as usize),
        Ok(_) => Err(Nonsense::Body),
        Err(_) if digits.len() > 19 => Err(Nonsense::Body),
        Err(_) => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(parts: &[&[u8]], channels: &[u8]) -> (Vec<ServerMessage>, Option<Nonsense>) {
        let mut messages = Messages::default();
        for channel in channels {
            messages.expect(*channel);
        }
        let mut out = Vec::new();
        for part in parts {
            messages.feed().extend_from_slice(part);
            loop {
                match messages.take() {
                    Ok(Some(incoming)) => out.push(incoming),
                    Ok(None) => break,
                    Err(nonsense) => return (out, Some(nonsense)),
                }
            }
        }
        (out, None)
    }

    fn one(bytes: &[u8]) -> Result<Response, Option<Nonsense>> {
        match all(&[bytes], &[]) {
            (mut got, None) => match got.pop() {
                Some(ServerMessage::Response(response)) => Ok(response),
                _ => Err(None),
            },
            (_, nonsense) => Err(nonsense),
        }
    }

    #[test]
    fn answers_are_read_as_they_are_written_in_the_field() {
        let plain = one(b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Length: 4\r\n\r\nv=0\n").unwrap();
        assert_eq!((plain.status, &*plain.reason, &plain.body[..]), (200, "OK", &b"v=0\n"[..]));
        let odd = one(b"\r\n\nrtsp/1.0   404\ncseq:3\nX\nPublic: OPTIONS,\n PLAY\nContent-Length: 2, 2\nContent-Length: 9\n\nab")
            .unwrap();
        assert_eq!((odd.status, &*odd.reason, &odd.body[..]), (404, "", &b"ab"[..]));
        assert_eq!(odd.headers.get("CSEQ"), Some("3"));
        assert_eq!(odd.headers.get("public"), Some("OPTIONS, PLAY"));
        let reason = one(b"RTSP/1.0 500 Oh\x1b[2J no\x07\r\n\r\n").unwrap().reason;
        assert_eq!(reason, "Oh[2J no");
    }

    #[test]
    fn everything_has_a_bound() {
        let huge = b"RTSP/1.0 200 OK\r\nContent-Length: 4294967295\r\n\r\n";
        assert_eq!(one(huge), Err(Some(Nonsense::Body)));
        assert_eq!(
            one(b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
            Err(Some(Nonsense::Body))
        );
        let mut endless = b"RTSP/1.0 200 OK\r\nX: ".to_vec();
        endless.resize(LONGEST_LINE * 2, b'a');
        assert_eq!(one(&endless), Err(Some(Nonsense::Line)));
        let mut lines = b"RTSP/1.0 200 OK\r\n".to_vec();
        lines.extend(b"X: y\r\n".repeat(MOST_LINES + 1));
        assert_eq!(one(&lines), Err(Some(Nonsense::Lines)));
        assert_eq!(one(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Err(Some(Nonsense::Http)));
        assert_eq!(one(b"SSH-2.0-OpenSSH\r\n"), Err(Some(Nonsense::NotRtsp)));
        assert_eq!(one(b"\x16\x03\x01"), Err(Some(Nonsense::NotRtsp)));
        let stray = vec![b'x'; 2 * MOST_STRAY];
        assert!(matches!(all(&[&stray], &[0]).1, Some(Nonsense::Stray | Nonsense::Line)));
        let stray = vec![0; 2 * MOST_STRAY];
        assert_eq!(all(&[&stray], &[0]).1, Some(Nonsense::Stray));
    }

    #[test]
    fn after_stray_bytes_the_next_packet_of_ours_is_found() {
        let bytes =
            b"\x01\x02$\x09\x00\x01x$\x00\x00\x02\x80\x60$\x07\x00\x01xRTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n";
        let (got, nonsense) = all(&[bytes], &[0, 1]);
        assert_eq!(nonsense, None);
        let kinds: Vec<_> = got
            .iter()
            .map(|incoming| match incoming {
                ServerMessage::Packet { channel, data } => format!("{channel}:{}", data.len()),
                ServerMessage::Response(response) => response.status.to_string(),
                ServerMessage::Request(request) => request.method.clone(),
            })
            .collect();
        assert_eq!(kinds, ["0:2", "7:1", "200"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_cuts_change_nothing(
            pieces in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..20),
                Just(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc".to_vec()),
                Just(b"OPTIONS * RTSP/1.0\nCSeq: 900\n\n".to_vec()),
                Just(b"$\x00\x00\x03\x80\x60\x01".to_vec()),
                Just(b"Content-Length: 5\r\n".to_vec()),
            ], 0..12),
            step in 1..40_usize,
            playing: bool,
        ) {
            let bytes = pieces.concat();
            let channels: &[u8] = if playing { &[0, 1] } else { &[] };
            let whole = all(&[&bytes], channels);
            let parts: Vec<&[u8]> = bytes.chunks(step).collect();
            prop_assert_eq!(all(&parts, channels), whole);
        }
    }
}
