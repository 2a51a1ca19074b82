//! One connection of one player: requests one after the other, kept alive.
//!
//! Plain HTTP/1.1 goes through [`plain`](super::plain), which costs next to nothing; TLS and HTTP/2 through hyper
//! ([`negotiated`](super::negotiated)). What a reply is good for is its [`Sink`]'s business.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::fault::{ExchangeError, broken};
use super::fragment::BodyCheck;
use super::negotiated::Negotiated;
use super::plain::Plain;
use super::target::{Protocol, Target};

/// For connecting, and for a whole reply.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// A playlist longer than this is nobody's.
const TEXT_MAX: usize = 16 << 20;

/// Where a reply's body goes.
pub(super) trait Sink {
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
impl Sink for Vec<u8> {
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

/// A segment.
impl Sink for BodyCheck {
    fn take(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        Self::take(self, bytes)
    }

    fn dull(&self) -> u64 {
        Self::dull(self)
    }

    fn skip(&mut self, count: u64) {
        Self::skip(self, count);
    }

    fn reset(&mut self) {
        self.begin_again();
    }
}

/// Connects when it is needed and stays connected.
pub(super) enum Connection {
    Plain(Plain),
    Negotiated(Negotiated),
}

impl Connection {
    pub(super) fn new(
        target: &Arc<Target>,
        source: Option<SocketAddr>,
        tls: &Arc<rustls::ClientConfig>,
    ) -> Self {
        match target.protocol {
            Protocol::Http => Self::Plain(Plain::new(target.address, source, target.host())),
            _ => Self::Negotiated(Negotiated::new(Arc::clone(target), source, Arc::clone(tls))),
        }
    }

    /// GET; the number of bytes of the body. A kept connection that the server has closed meanwhile is opened anew.
    pub(super) async fn get<S: Sink>(&mut self, path: &str, sink: &mut S) -> Result<u64, ExchangeError> {
        let was_kept = self.is_open();
        match self.exchange(path, sink).await {
            Err(ExchangeError::Connection(_)) if was_kept => {
                sink.reset();
                self.exchange(path, sink).await
            }
            other => other,
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Plain(connection) => connection.is_open(),
            Self::Negotiated(connection) => connection.is_open(),
        }
    }

    async fn exchange<S: Sink>(&mut self, path: &str, sink: &mut S) -> Result<u64, ExchangeError> {
        let reply = async {
            match self {
                Self::Plain(connection) => connection.exchange(path, sink).await,
                Self::Negotiated(connection) => connection.exchange(path, sink).await,
            }
        };
        timeout(PATIENCE, reply).await.map_err(|_| ExchangeError::Silence)?
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
