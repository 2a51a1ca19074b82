//! HTTP/1.1 without TLS (RFC 9112), made for ten thousand players on the machine of the server that they test: no
//! allocation per reply, one buffer per thread, and media that nobody looks at is thrown away in the kernel.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::fault::{ExchangeError, broken};
use super::socket::{BodySink, PIECE_MAX, connect};

/// Most bytes of a reply's head.
const HEAD_MAX: usize = 16 << 10;
/// Most bytes thrown away at once. The pages of this buffer are never touched.
const DULL: usize = 1 << 20;
/// Fewer bytes than this are not thrown away, but read.
const DULL_MIN: u64 = 4 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_MAX]);
    static NOWHERE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(DULL));
}

pub(super) struct Plain {
    target: SocketAddr,
    source: Option<SocketAddr>,
    host: String,
    stream: Option<TcpStream>,
}

impl Plain {
    pub(super) fn new(target: SocketAddr, source: Option<SocketAddr>, host: String) -> Self {
        Self { target, source, host, stream: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) async fn exchange(
        &mut self,
        path: &str,
        sink: &mut impl BodySink,
    ) -> Result<u64, ExchangeError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.target, self.source).await?,
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: amphi-loadtest\r\nAccept: */*\r\n\r\n",
            self.host
        );
        stream.write_all(request.as_bytes()).await.map_err(|error| broken(&error))?;
        let mut reply = PlainReply::default();
        loop {
            stream.readable().await.map_err(|error| broken(&error))?;
            match reply.read(&stream, sink) {
                Ok(true) => break,
                Ok(false) => {}
                Err(ReplyFault::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(ReplyFault::Io(error)) => return Err(broken(&error)),
                Err(ReplyFault::Reply(error)) => return Err(error),
            }
        }
        if reply.keep {
            self.stream = Some(stream);
        }
        if reply.status == 200 { Ok(reply.bytes) } else { Err(ExchangeError::Status(reply.status)) }
    }
}

enum ReplyFault {
    Io(io::Error),
    Reply(ExchangeError),
}

impl From<ExchangeError> for ReplyFault {
    fn from(error: ExchangeError) -> Self {
        Self::Reply(error)
    }
}

/// How much of the body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyLeft {
    Bytes(u64),
    /// Until the connection is closed (§6.3).
    Close,
    /// Bytes of the present chunk and its line end that are to come; 0 before a chunk's size (§7.1).
    Chunk(u64),
    Trailer,
}

/// A reply that is being read.
#[derive(Debug, Default)]
struct PlainReply {
    /// The part of the head, or of a chunk's line, that has come.
    line: Vec<u8>,
    left: Option<BodyLeft>,
    status: u16,
    keep: bool,
    bytes: u64,
}

impl PlainReply {
    /// Reads once; `true` when the reply is whole.
    fn read(&mut self, stream: &TcpStream, sink: &mut impl BodySink) -> Result<bool, ReplyFault> {
        if let Some(BodyLeft::Bytes(left)) = self.left
            && self.status == 200
        {
            let dull = sink.dull().min(left);
            if dull >= DULL_MIN {
                let count = throw_away(stream, dull).map_err(ReplyFault::Io)?;
                if count == 0 {
                    return Err(ExchangeError::Connection("closed".to_owned()).into());
                }
                sink.skip(count);
                self.bytes += count;
                self.left = Some(BodyLeft::Bytes(left - count));
                return Ok(left == count);
            }
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let room = sink.piece().min(scratch.len());
            let room = scratch.get_mut(..room).unwrap_or_default();
            let count = stream.try_read(room).map_err(ReplyFault::Io)?;
            if count == 0 {
                return if self.left == Some(BodyLeft::Close) {
                    Ok(true)
                } else {
                    Err(ExchangeError::Connection("closed".to_owned()).into())
                };
            }
            self.feed(scratch.get(..count).unwrap_or_default(), sink).map_err(ReplyFault::Reply)
        })
    }

    fn feed(&mut self, mut bytes: &[u8], sink: &mut impl BodySink) -> Result<bool, ExchangeError> {
        if self.left.is_none() {
            let before = self.line.len();
            let head = if before == 0 {
                self.head(bytes)?
            } else {
                self.line.extend_from_slice(bytes);
                let line = std::mem::take(&mut self.line);
                let head = self.head(&line)?;
                self.line = line;
                head
            };
            let Some(head) = head else {
                if before == 0 {
                    self.line.extend_from_slice(bytes);
                }
                return if self.line.len() > HEAD_MAX {
                    Err(ExchangeError::Protocol("HTTP/1.1"))
                } else {
                    Ok(false)
                };
            };
            self.line.clear();
            bytes = bytes.get(head - before..).unwrap_or_default();
        }
        self.body(bytes, sink)
    }

    /// Reads the head in `bytes`; returns its length, or `None` while it is not whole.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, ExchangeError> {
        let wrong = ExchangeError::Protocol("HTTP/1.1");
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut reply = httparse::Response::new(&mut fields);
        let head = match reply.parse(bytes).map_err(|_| wrong.clone())? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => return Ok(None),
        };
        let field = |name: &str| {
            let mut fields = reply.headers.iter();
            fields
                .find(|field| field.name.eq_ignore_ascii_case(name))
                .and_then(|field| std::str::from_utf8(field.value).ok())
        };
        self.status = reply.code.ok_or(wrong.clone())?;
        // Connections of HTTP/1.1 persist unless the reply says otherwise (§9.3).
        self.keep = reply.version == Some(1)
            && !field("connection").is_some_and(|text| text.eq_ignore_ascii_case("close"));
        let length =
            field("content-length").map(|text| text.trim().parse().map_err(|_| wrong)).transpose()?;
        let is_chunked = field("transfer-encoding").is_some_and(|text| text.eq_ignore_ascii_case("chunked"));
        // How the length of a body is found: §6.3.
        self.left = Some(match length {
            _ if is_chunked => BodyLeft::Chunk(0),
            Some(length) => BodyLeft::Bytes(length),
            None if matches!(self.status, 204 | 304) => BodyLeft::Bytes(0),
            None => BodyLeft::Close,
        });
        self.keep &= self.left != Some(BodyLeft::Close);
        Ok(Some(head))
    }

    /// Goes on with the body; `true` at its end.
    fn body(&mut self, mut bytes: &[u8], sink: &mut impl BodySink) -> Result<bool, ExchangeError> {
        loop {
            match self.left {
                None => return Ok(false),
                Some(BodyLeft::Bytes(left)) => {
                    if bytes.len() as u64 > left {
                        return Err(ExchangeError::Content("the reply is longer than it says"));
                    }
                    self.give(bytes, sink)?;
                    self.left = Some(BodyLeft::Bytes(left - bytes.len() as u64));
                    return Ok(left == bytes.len() as u64);
                }
                Some(BodyLeft::Close) => {
                    self.give(bytes, sink)?;
                    return Ok(false);
                }
                Some(_) if bytes.is_empty() => return Ok(false),
                Some(BodyLeft::Chunk(left @ 3..)) => {
                    let now;
                    (now, bytes) = bytes.split_at(bytes.len().min((left - 2) as usize));
                    self.give(now, sink)?;
                    self.left = Some(BodyLeft::Chunk(left - now.len() as u64));
                }
                // The line end after a chunk.
                Some(BodyLeft::Chunk(left @ 1..=2)) => {
                    bytes = bytes.get(1..).unwrap_or_default();
                    self.left = Some(BodyLeft::Chunk(left - 1));
                }
                Some(state @ (BodyLeft::Chunk(0) | BodyLeft::Trailer)) => {
                    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                        self.line.extend_from_slice(bytes);
                        if self.line.len() > HEAD_MAX {
                            return Err(ExchangeError::Protocol("HTTP/1.1"));
                        }
                        return Ok(false);
                    };
                    self.line.extend_from_slice(bytes.get(..end).unwrap_or_default());
                    bytes = bytes.get(end + 1..).unwrap_or_default();
                    let line = std::mem::take(&mut self.line);
                    let line = line.trim_ascii();
                    if state == BodyLeft::Trailer {
                        if line.is_empty() {
                            return Ok(true);
                        }
                        continue;
                    }
                    let size = line.split(|&byte| byte == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(size).ok();
                    let size = size.and_then(|size| u64::from_str_radix(size.trim(), 16).ok());
                    let size = size.ok_or(ExchangeError::Protocol("HTTP/1.1 with valid chunks"))?;
                    self.left = Some(if size == 0 {
                        BodyLeft::Trailer
                    } else {
                        BodyLeft::Chunk(size.saturating_add(2))
                    });
                }
            }
        }
    }

    fn give(&mut self, bytes: &[u8], sink: &mut impl BodySink) -> Result<(), ExchangeError> {
        self.bytes += bytes.len() as u64;
        if self.status == 200 { sink.take(bytes) } else { Ok(()) }
    }
}

/// Lets the kernel drop up to `dull` bytes without copying them (tcp(7), `MSG_TRUNC`).
#[cfg(target_os = "linux")]
fn throw_away(stream: &TcpStream, dull: u64) -> io::Result<u64> {
    NOWHERE.with_borrow_mut(|nowhere| {
        let room = usize::try_from(dull).unwrap_or(DULL).min(DULL);
        let room = nowhere.spare_capacity_mut().get_mut(..room).unwrap_or_default();
        stream.try_io(Interest::READABLE, || {
            socket2::SockRef::from(stream).recv_with_flags(room, libc::MSG_TRUNC).map(|count| count as u64)
        })
    })
}

/// On other systems they are read like the rest.
#[cfg(not(target_os = "linux"))]
fn throw_away(stream: &TcpStream, dull: u64) -> io::Result<u64> {
    SCRATCH.with_borrow_mut(|scratch| {
        let room = usize::try_from(dull).unwrap_or(PIECE_MAX).min(PIECE_MAX);
        stream.try_read(scratch.get_mut(..room).unwrap_or_default()).map(|count| count as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(reply: &[u8], step: usize) -> Result<(Vec<u8>, PlainReply, bool), ExchangeError> {
        let (mut body, mut read, mut done) = (Vec::new(), PlainReply::default(), false);
        for piece in reply.chunks(step) {
            assert!(!done, "nothing comes after the end");
            done = read.feed(piece, &mut body)?;
        }
        Ok((body, read, done))
    }

    #[test]
    fn replies_are_read_through_any_pieces() {
        let with_length = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: 1\r\n\r\n";
        for step in 1..chunked.len() {
            for reply in [&with_length[..], chunked] {
                let (body, read, done) = fed(reply, step).expect("sound");
                assert_eq!(
                    (&body[..], read.status, read.keep, done),
                    (&b"hello"[..], 200, true, true),
                    "{step}"
                );
            }
            let (body, read, done) = fed(b"HTTP/1.0 200 OK\r\n\r\nhello", step).expect("sound");
            assert_eq!((&body[..], read.keep, done), (&b"hello"[..], false, false), "{step}");
        }
        let (body, read, done) = fed(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", 7).expect("sound");
        assert_eq!((body.len(), read.status, done), (0, 404, true));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for reply in [
            &b"ICY 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(fed(reply, reply.len()).is_err());
        }
    }
}
