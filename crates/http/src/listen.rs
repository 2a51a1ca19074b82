//! Listening sockets.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that may wait for `accept` (listen(2)): the start of a lecture brings hundreds within a second.
const BACKLOG: i32 = 4096;

/// A socket cannot listen: a wrong address in the configuration, or another server on the same port.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The address and port of the configuration.
    pub address: SocketAddr,
    /// The error of the system, e.g. `AddrInUse`.
    pub source: io::Error,
}

/// Listens on `address`, also while old connections of an earlier server are in TIME_WAIT (`SO_REUSEADDR`). Panics outside
/// of a tokio runtime.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|source| ListenError { address, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = first.local_addr().expect("bound");
        let error = listen(address).expect_err("taken").to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }
}
