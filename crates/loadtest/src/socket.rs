//! A socket to the server, and where the body of a reply goes.

use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::fault::{ExchangeError, PATIENCE, broken};

/// A playlist longer than this is nobody's.
const TEXT_MAX: usize = 16 << 20;

/// Where a reply's body goes.
pub(super) trait BodySink {
    /// The next bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<(), ExchangeError>;
    /// Bytes ahead that need not be seen.
    fn dull(&self) -> u64 {
        0
    }
    /// So many of those have gone by.
    fn skip(&mut self, _count: u64) {}
    /// Back to the beginning, for another try.
    fn reset(&mut self);
}

/// A playlist.
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

/// A connection to the server, from one of our addresses.
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
