//! Connects to the server, and says where the body of a reply goes.

use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::fault::{ExchangeError, PATIENCE, broken};

/// Most bytes of a playlist.
const TEXT_MAX: usize = 16 << 20;

/// Bytes read at once: enough for a head and the index of a segment.
pub(super) const PIECE: usize = 8 << 10;
/// The same where only the head of a reply is of interest.
pub(super) const PIECE_MIN: usize = 1 << 10;
/// The same where all is read.
pub(super) const PIECE_MAX: usize = 256 << 10;

/// Where a reply's body goes.
pub(super) trait BodySink {
    /// Takes the next bytes of the body.
    fn take(&mut self, bytes: &[u8]) -> Result<(), ExchangeError>;
    /// So many of the next bytes need not be looked at.
    fn dull(&self) -> u64 {
        0
    }
    /// Most bytes that are read at once.
    fn piece(&self) -> usize {
        PIECE
    }
    /// So many of those bytes have been thrown away.
    fn skip(&mut self, _count: u64) {}
    /// Goes back to the beginning, since the request is repeated.
    fn reset(&mut self);
}

/// The body is a playlist.
impl BodySink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        if self.len() + bytes.len() > TEXT_MAX {
            return Err(ExchangeError::Content("the playlist has over 16 MB"));
        }
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn reset(&mut self) {
        self.clear();
    }
}

/// Connects to the server, from the address `source` if there is one.
pub(super) async fn connect(
    target: SocketAddr,
    source: Option<SocketAddr>,
) -> Result<TcpStream, ExchangeError> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|error| broken(&error))?;
    if let Some(source) = source {
        socket.bind(source).map_err(|error| broken(&error))?;
    }
    let stream = timeout(PATIENCE, socket.connect(target)).await.map_err(|_| ExchangeError::Silence)?;
    let stream = stream.map_err(|error| broken(&error))?;
    stream.set_nodelay(true).map_err(|error| broken(&error))?;
    Ok(stream)
}
