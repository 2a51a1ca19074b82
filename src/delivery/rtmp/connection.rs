//! A peer's socket: its events, and writing to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::delivery::idle_timer::HELD;
use crate::delivery::pieces;
use amphi_protocol::rtmp::{ChunkPosition, RtmpEvent, RtmpSession, SessionError};
use amphi_runtime::socket::Socket;
use amphi_vod::VodFault;

/// The longest time from connect to play or publish, and between two frames of a publisher.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// A peer whose socket takes nothing for so long is disconnected.
const WRITE: Duration = Duration::from_secs(10);
/// The longest time for everything that is written at once, which is at most the cells kept: a peer that takes longer does not
/// play.
const WHOLE: Duration = Duration::from_secs(60);
/// TCP keepalive: a silent peer is probed after so long.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// A peer that was told why it is disconnected has so long to read that, and may send so many bytes meanwhile: closing a socket
/// with unread bytes sends RST, and the peer loses what was written.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_MAX: usize = 16 << 20;
/// Bytes read at once.
const READ: usize = 16 << 10;
/// Bytes read at once from a player, which sends only commands: there may be thousands of players.
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

pub(super) struct RtmpConnection {
    /// A fan-out group may write to it while the connection writes nothing.
    pub(super) stream: Arc<Socket>,
    pub(super) session: RtmpSession,
    buffer: Vec<u8>,
    /// The part of `buffer` that has been read and not handled.
    unread: std::ops::Range<usize>,
    /// Answers that are being sent.
    outgoing: Vec<Bytes>,
}

impl RtmpConnection {
    pub(super) fn new(stream: Socket) -> Self {
        let (session, buffer) = (RtmpSession::default(), vec![0; READ]);
        Self { stream: Arc::new(stream), session, buffer, unread: 0..0, outgoing: Vec::new() }
    }

    /// Reads into a smaller buffer from now on, because only commands come.
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
        self.stream.tcp().set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
        socket2::SockRef::from(self.stream.tcp()).set_tcp_keepalive(&keepalive)
    }

    /// Sends the last answers and waits until the peer has closed too, within bounds.
    pub(super) async fn farewell(&mut self) {
        let last_words = async {
            self.flush().await.ok()?;
            // What waits encrypted.
            self.stream.flushed().await.ok()?;
            self.stream.shut_down().ok()?;
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

    /// The next event of the peer. Messages about the connection itself are answered on the way. `None` when
    /// the peer has left. May be cancelled: what was read is kept.
    pub(super) async fn event(&mut self) -> Result<Option<RtmpEvent>, RtmpEnd> {
        loop {
            // The answer to the event before goes out before more is read.
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

    /// Waits until there is something from the peer to handle, and writes nothing; `false` when the peer has left. May be
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

    /// Writes shared pieces after the answers that wait, and leaves none. Must not be cancelled.
    pub(super) async fn write(&mut self, pieces: &mut Vec<Bytes>) -> Result<(), RtmpEnd> {
        self.flush().await?;
        write_shared(&self.stream, pieces).await
    }
}

async fn write_shared(stream: &Socket, pieces: &mut Vec<Bytes>) -> Result<(), RtmpEnd> {
    let written = timeout(WHOLE, pieces::write_shared(stream, pieces, WRITE)).await;
    match written.map_err(|_| RtmpEnd::Stuck)? {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(RtmpEnd::Stuck),
        written => written.map_err(RtmpEnd::from),
    }
}
