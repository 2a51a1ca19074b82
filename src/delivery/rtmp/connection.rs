//! A peer's socket and what it says.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::delivery::held::HELD;
use crate::delivery::pieces;
use amphi_protocol::rtmp::{ChunkPosition, Event, Session, SessionError};
use amphi_vod::VodFault;

/// From connect to play or publish, and between two frames of a publisher.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// A peer that takes nothing for so long is gone.
const WRITE: Duration = Duration::from_secs(10);
/// For all that is written at once, at most the cells that are kept: who takes longer does not play.
const WHOLE: Duration = Duration::from_secs(60);
/// A peer that has nothing to say is asked after so long whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// A peer that was told why it must leave has so long to read that, and may send so much meanwhile: a socket that is closed
/// over unread bytes takes back what was said.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_MAX: usize = 16 << 20;
/// Bytes read at once.
const READ: usize = 16 << 10;
/// Bytes read at once of a peer from whom only commands come: there may be thousands.
const READ_LITTLE: usize = 1 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum RtmpEnd {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{fault}, {position}")]
    Session { fault: SessionError, position: ChunkPosition },
    #[error(transparent)]
    Vod(#[from] VodFault),
    #[error("nothing came for too long")]
    Silent,
    #[error("nothing came for {} s", PATIENCE.as_secs())]
    SilentPublisher,
    #[error("the server ends")]
    ServerEnds,
    #[error("it was held for {} min", HELD.as_secs() / 60)]
    Held,
    #[error("the peer took nothing for {} s, or too little in {} s", WRITE.as_secs(), WHOLE.as_secs())]
    Stuck,
    #[error("another publisher has taken over")]
    TakenOver,
    #[error("refused: {0}")]
    Refused(String),
}

/// One connection.
pub(super) struct RtmpConnection {
    /// A group of players may write to it while nothing is said here.
    pub(super) stream: Arc<TcpStream>,
    pub(super) session: Session,
    buffer: Vec<u8>,
    /// What of `buffer` has been read and not handled.
    unread: std::ops::Range<usize>,
    /// Answers that are being sent.
    outgoing: Vec<Bytes>,
}

impl RtmpConnection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (session, buffer) = (Session::default(), vec![0; READ]);
        Self { stream: Arc::new(stream), session, buffer, unread: 0..0, outgoing: Vec::new() }
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
        socket2::SockRef::from(&*self.stream).set_tcp_keepalive(&keepalive)
    }

    /// Sends the last answers and waits until the peer has closed too, within bounds.
    pub(super) async fn farewell(&mut self) {
        let last_words = async {
            self.flush().await.ok()?;
            socket2::SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write).ok()?;
            let (mut dropped, mut buffer) = (0, vec![0; READ]);
            while dropped < FAREWELL_MAX {
                self.stream.readable().await.ok()?;
                match self.stream.try_read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(read) => dropped += read,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return None,
                }
            }
            None::<()>
        };
        let _ = timeout(FAREWELL, last_words).await;
    }

    /// The next thing that the peer does; what it asks about the connection itself is answered on the way. `None` when
    /// it has left. May be cancelled: what was read is kept.
    pub(super) async fn event(&mut self) -> Result<Option<Event>, RtmpEnd> {
        loop {
            // Before more is read: the answer to the event before.
            self.flush().await?;
            if self.unread.is_empty() && !self.session.has_more() && !self.heard().await? {
                return Ok(None);
            }
            let mut input = self.buffer.get(self.unread.clone()).unwrap_or_default();
            let event = self.session.handle(&mut input);
            self.unread.start = self.unread.end - input.len();
            let event =
                event.map_err(|fault| RtmpEnd::Session { fault, position: self.session.position() })?;
            if let Some(event) = event {
                return Ok(Some(event));
            }
        }
    }

    /// Waits until the peer has said something that is not handled yet, and writes nothing; `false` when it has left. May be
    /// cancelled.
    pub(super) async fn heard(&mut self) -> io::Result<bool> {
        while self.unread.is_empty() {
            self.stream.readable().await?;
            match self.stream.try_read(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(read) => self.unread = 0..read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Sends the answers that wait. May be cancelled: what is left is sent the next time.
    pub(super) async fn flush(&mut self) -> Result<(), RtmpEnd> {
        let output = self.session.take_output();
        if !output.is_empty() {
            self.outgoing.push(output);
        }
        if self.outgoing.is_empty() {
            return Ok(());
        }
        write_shared(&self.stream, &mut self.outgoing).await
    }

    /// Writes shared pieces, behind the answers that wait, and leaves none. Must not be cancelled.
    pub(super) async fn write(&mut self, pieces: &mut Vec<Bytes>) -> Result<(), RtmpEnd> {
        self.flush().await?;
        write_shared(&self.stream, pieces).await
    }
}

async fn write_shared(stream: &TcpStream, pieces: &mut Vec<Bytes>) -> Result<(), RtmpEnd> {
    let written = timeout(WHOLE, pieces::write_shared(stream, pieces, WRITE)).await;
    match written.map_err(|_| RtmpEnd::Stuck)? {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(RtmpEnd::Stuck),
        written => written.map_err(RtmpEnd::from),
    }
}
