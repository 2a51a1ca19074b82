//! Handshakes: bounded in time, and those of a port also in number.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Session, Socket};

/// How long a peer may take to begin a handshake, and then to end it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Handshakes that are computed or waited for at a time; others wait for their turn. Each is a few hundred microseconds of a
/// core, and some ten kilobytes.
const AT_ONCE: usize = 1024;

/// The handshakes of ports that share a certificate store. Clones share the bound.
#[derive(Clone)]
pub struct Handshakes {
    acceptor: TlsAcceptor,
    turns: Arc<Semaphore>,
    patience: Duration,
}

impl std::fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshakes").field("turns", &self.turns.available_permits()).finish_non_exhaustive()
    }
}

impl Handshakes {
    /// Handshakes with these settings.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { acceptor: TlsAcceptor::from(config), turns, patience: PATIENCE }
    }

    /// The same with turns of its own: a crowd at another port does not keep its peers waiting.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), ..self.clone() }
    }

    /// The same, with so much time for each.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Waits for the peer's handshake. An error: the peer speaks no TLS that we do, does not trust us, or is too slow.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Socket> {
        stream.set_nodelay(true)?;
        // Who says nothing takes no turn, and who waits for one loses no time.
        timeout(self.patience, stream.readable()).await??;
        let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
        // On the heap: a handshake's buffers are no part of what a connection needs later.
        let shaken = Box::pin(self.acceptor.accept(stream));
        let (tcp, connection) = timeout(self.patience, shaken).await??.into_inner();
        Ok(Socket::secured(tcp, Session::new(connection.into())))
    }
}

/// Shakes hands as a client with the server of that name; takes ten seconds at most.
pub async fn connect_tls(
    stream: TcpStream,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
) -> io::Result<Socket> {
    let shaken = Box::pin(TlsConnector::from(config).connect(name, stream));
    let (tcp, connection) = timeout(PATIENCE, shaken).await??.into_inner();
    Ok(Socket::secured(tcp, Session::new(connection.into())))
}
