//! One connection of one player: requests one after the other (RFC 9112), bodies thrown away as they come.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// For connecting, and for each piece of a reply.
const PATIENCE: Duration = Duration::from_secs(15);
/// A head longer than this is nobody's.
const HEAD_MAX: usize = 16 << 10;
/// A playlist longer than this is nobody's.
const TEXT_MAX: u64 = 16 << 20;
/// Read at once.
const PIECE: usize = 64 << 10;

/// Why a request had no good reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum ExchangeError {
    /// The connection was refused, broke, or was closed in the middle.
    #[error("connection: {0}")]
    Connection(String),
    /// Nothing came for fifteen seconds.
    #[error("no reply within {} s", PATIENCE.as_secs())]
    Silence,
    /// Not HTTP/1.1 with a length.
    #[error("the reply is not HTTP/1.1 with Content-Length")]
    Protocol,
    /// Not 200.
    #[error("status {0}")]
    Status(u16),
    /// The body is not what it should be.
    #[error("{0}")]
    Content(&'static str),
}

/// What to do with a body.
pub(super) enum Want<'a> {
    Text(&'a mut String),
    /// Boxes, the first of them and one at least of these kinds.
    Boxes(&'static [[u8; 4]]),
}

/// Connects when it is needed and stays connected.
pub(super) struct Connection {
    target: SocketAddr,
    source: Option<SocketAddr>,
    host: String,
    stream: Option<TcpStream>,
}

impl Connection {
    pub(super) fn new(target: SocketAddr, source: Option<SocketAddr>, host: String) -> Self {
        Self { target, source, host, stream: None }
    }

    /// GET; the number of bytes of the body. A kept connection that the server has closed meanwhile is opened anew.
    pub(super) async fn get(&mut self, path: &str, mut want: Want<'_>) -> Result<u64, ExchangeError> {
        let was_kept = self.stream.is_some();
        let reply = self.exchange(path, &mut want).await;
        match reply {
            Err(ExchangeError::Connection(_)) if was_kept => {
                self.stream = None;
                self.exchange(path, &mut want).await
            }
            other => other,
        }
    }

    async fn exchange(&mut self, path: &str, want: &mut Want<'_>) -> Result<u64, ExchangeError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: amphi-loadtest\r\nAccept: */*\r\n\r\n",
            self.host
        );
        stream.write_all(request.as_bytes()).await.map_err(|error| broken(&error))?;
        let mut buffer = vec![0; PIECE];
        let mut filled = 0;
        let (status, length, head, keep) = loop {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let count = read(&mut stream, room).await?;
            filled += count;
            let bytes = buffer.get(..filled).unwrap_or_default();
            if let Some(head) = parse_head(bytes)? {
                break head;
            }
            if filled > HEAD_MAX {
                return Err(ExchangeError::Protocol);
            }
        };
        let first = buffer.get(head..filled).unwrap_or_default().to_vec();
        let mut body = Body { want, length, at: 0, check: BoxCheck::default() };
        if status == 200 {
            body.take(&first)?;
        }
        let mut left = length.checked_sub(first.len() as u64).ok_or(ExchangeError::Protocol)?;
        while left > 0 {
            let room = buffer.len().min(usize::try_from(left).unwrap_or(PIECE));
            let room = buffer.get_mut(..room).unwrap_or_default();
            let count = read(&mut stream, room).await?;
            left -= count as u64;
            if status == 200 {
                body.take(buffer.get(..count).unwrap_or_default())?;
            }
        }
        if keep {
            self.stream = Some(stream);
        }
        if status != 200 {
            return Err(ExchangeError::Status(status));
        }
        body.finish()?;
        Ok(length)
    }

    async fn connect(&self) -> Result<TcpStream, ExchangeError> {
        let socket = if self.target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let socket = socket.map_err(|error| broken(&error))?;
        if let Some(source) = self.source {
            socket.bind(source).map_err(|error| broken(&error))?;
        }
        let stream =
            timeout(PATIENCE, socket.connect(self.target)).await.map_err(|_| ExchangeError::Silence)?;
        let stream = stream.map_err(|error| broken(&error))?;
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        Ok(stream)
    }
}

fn broken(error: &std::io::Error) -> ExchangeError {
    ExchangeError::Connection(error.kind().to_string())
}

async fn read(stream: &mut TcpStream, room: &mut [u8]) -> Result<usize, ExchangeError> {
    let count = timeout(PATIENCE, stream.read(room)).await.map_err(|_| ExchangeError::Silence)?;
    match count.map_err(|error| broken(&error))? {
        0 => Err(ExchangeError::Connection("closed".to_owned())),
        count => Ok(count),
    }
}

/// Status, length of the body, length of the head, and whether the connection stays; `None` while the head is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<(u16, u64, usize, bool)>, ExchangeError> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut reply = httparse::Response::new(&mut fields);
    let head = match reply.parse(bytes).map_err(|_| ExchangeError::Protocol)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let field = |name: &str| {
        let mut fields = reply.headers.iter();
        fields
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .and_then(|field| std::str::from_utf8(field.value).ok())
    };
    let length =
        field("content-length").and_then(|text| text.trim().parse().ok()).ok_or(ExchangeError::Protocol)?;
    let keep = !field("connection").is_some_and(|text| text.eq_ignore_ascii_case("close"));
    Ok(Some((reply.code.ok_or(ExchangeError::Protocol)?, length, head, keep)))
}

struct Body<'a, 'b> {
    want: &'a mut Want<'b>,
    length: u64,
    at: u64,
    check: BoxCheck,
}

impl Body<'_, '_> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        self.at += bytes.len() as u64;
        match self.want {
            Want::Text(text) => {
                if self.length > TEXT_MAX {
                    return Err(ExchangeError::Content("the playlist has over 16 MB"));
                }
                text.push_str(&String::from_utf8_lossy(bytes));
                Ok(())
            }
            Want::Boxes(_) => self.check.take(bytes),
        }
    }

    fn finish(self) -> Result<(), ExchangeError> {
        match self.want {
            Want::Boxes(kinds) => self.check.finish(kinds),
            Want::Text(_) => Ok(()),
        }
    }
}

/// Goes from box to box (ISO/IEC 14496-12 §4.2) through bytes that come in pieces.
#[derive(Debug, Default)]
struct BoxCheck {
    header: Vec<u8>,
    /// Of the present box.
    left: u64,
    kinds: Vec<[u8; 4]>,
}

impl BoxCheck {
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), ExchangeError> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let (part, rest) = bytes.split_at((8 - self.header.len()).min(bytes.len()));
            self.header.extend_from_slice(part);
            bytes = rest;
            if let Some([a, b, c, d, kind @ ..]) = self.header.first_chunk::<8>() {
                let size = u32::from_be_bytes([*a, *b, *c, *d]);
                self.left =
                    u64::from(size).checked_sub(8).ok_or(ExchangeError::Content("a box without a size"))?;
                self.kinds.push(*kind);
                if self.kinds.len() > 10_000 {
                    return Err(ExchangeError::Content("ten thousand boxes in a segment"));
                }
                self.header.clear();
            }
        }
        Ok(())
    }

    fn finish(&self, wanted: &[[u8; 4]]) -> Result<(), ExchangeError> {
        if self.left > 0 || !self.header.is_empty() {
            return Err(ExchangeError::Content("a segment ends inside a box"));
        }
        if wanted.iter().all(|kind| self.kinds.contains(kind)) {
            Ok(())
        } else {
            Err(ExchangeError::Content("a segment without the boxes of its kind"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_followed_through_any_pieces() {
        let segment = b"\0\0\0\x0amoof..\0\0\0\x08mdat";
        for cut in 0..segment.len() {
            let mut check = BoxCheck::default();
            check.take(&segment[..cut]).expect("sound");
            let half = check.finish(&[*b"moof", *b"mdat"]);
            assert!(half.is_err(), "{cut}");
            check.take(&segment[cut..]).expect("sound");
            check.finish(&[*b"moof", *b"mdat"]).expect("whole");
        }
        assert!(BoxCheck::default().take(b"\0\0\0\x07bad!").is_err());
    }

    #[test]
    fn heads_are_read() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nConnection: close\r\n\r\n";
        assert_eq!(parse_head(head), Ok(Some((200, 12, head.len(), false))));
        assert_eq!(parse_head(&head[..30]), Ok(None));
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n"), Err(ExchangeError::Protocol));
        assert_eq!(parse_head(b"ICY 200 OK\r\n\r\n"), Err(ExchangeError::Protocol));
    }
}
