//! A peer's socket and what it says.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::delivery::pieces;
use crate::rtmp::{Event, FlvError, Session, SessionError};
use crate::vod::VodFault;

/// From connect to play or publish, and between two frames of a publisher.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// For one write: a player that reads nothing for so long is gone.
const WRITE: Duration = Duration::from_secs(10);
/// A peer that has nothing to say is asked after so long whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Bytes read at once.
const READ: usize = 16 << 10;
/// Bytes read at once of a peer from whom only commands come: there may be thousands.
const READ_LITTLE: usize = 1 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Flv(#[from] FlvError),
    #[error(transparent)]
    Vod(#[from] VodFault),
    #[error("nothing came for too long")]
    Silent,
    #[error("the peer took nothing for {} s", WRITE.as_secs())]
    Stuck,
    #[error("another publisher has taken over")]
    TakenOver,
    #[error("refused: {0}")]
    Refused(String),
}

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) session: Session,
    buffer: Vec<u8>,
    /// What of `buffer` has been read and not handled.
    unread: std::ops::Range<usize>,
    /// Answers that are being sent.
    outgoing: BytesMut,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (session, buffer) = (Session::default(), vec![0; READ]);
        Self { stream, session, buffer, unread: 0..0, outgoing: BytesMut::new() }
    }

    /// From now on only commands come.
    pub(super) fn expect_little(&mut self) {
        let mut buffer = self.buffer.get(self.unread.clone()).unwrap_or_default().to_vec();
        self.unread = 0..buffer.len();
        buffer.resize(buffer.len().max(READ_LITTLE), 0);
        self.buffer = buffer;
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }

    pub(super) fn peer_name(&self) -> String {
        self.peer().map_or_else(|| "?".to_owned(), |peer| peer.to_string())
    }

    pub(super) fn prepare(&self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
        socket2::SockRef::from(&self.stream).set_tcp_keepalive(&keepalive)
    }

    /// The next thing that the peer does; what it asks about the connection itself is answered on the way. `None` when
    /// it has left. May be cancelled: what was read is kept.
    pub(super) async fn event(&mut self) -> Result<Option<Event>, Ended> {
        loop {
            // Before more is read: the answer to the event before.
            self.flush().await?;
            if self.unread.is_empty() {
                let read = self.stream.read(&mut self.buffer).await?;
                if read == 0 {
                    return Ok(None);
                }
                self.unread = 0..read;
            }
            let mut input = self.buffer.get(self.unread.clone()).unwrap_or_default();
            let event = self.session.handle(&mut input);
            self.unread.start = self.unread.end - input.len();
            if let Some(event) = event? {
                return Ok(Some(event));
            }
        }
    }

    /// Sends the answers that wait. May be cancelled: what is left is sent the next time.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        self.outgoing.extend_from_slice(&self.session.take_output());
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let all = async {
            while !self.outgoing.is_empty() {
                let written = self.stream.write(&self.outgoing).await?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.outgoing.advance(written);
            }
            Ok::<_, io::Error>(())
        };
        timeout(WRITE, all).await.map_err(|_| Ended::Stuck)?.map_err(Ended::from)
    }

    /// Writes shared pieces, behind the answers that wait, and leaves none. Must not be cancelled.
    pub(super) async fn write(&mut self, pieces: &mut Vec<Bytes>) -> Result<(), Ended> {
        self.flush().await?;
        // Nearly always it takes all at once: no timer then.
        pieces::write_some(&self.stream, pieces)?;
        if pieces.is_empty() {
            return Ok(());
        }
        let all = pieces::write_all(&mut self.stream, pieces);
        timeout(WRITE, all).await.map_err(|_| Ended::Stuck)?.map_err(Ended::from)
    }
}
