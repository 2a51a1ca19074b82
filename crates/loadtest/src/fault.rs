//! Why a request had no good reply, and who plays could not go on.

use std::time::Duration;

/// For connecting, and for a whole reply.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// What a player holds against its server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum ExchangeError {
    /// The connection was refused, broke, or was closed in the middle.
    #[error("connection: {0}")]
    Connection(String),
    /// Nothing came for too long.
    #[error("no reply within {} s", PATIENCE.as_secs())]
    Silence,
    /// Not the protocol that was expected.
    #[error("the reply is not {0}")]
    Protocol(&'static str),
    /// Not 200.
    #[error("status {0}")]
    Status(u16),
    /// The server speaks, and says no.
    #[error("refused: {0}")]
    Refused(String),
    /// The body is not what it should be.
    #[error("{0}")]
    Content(&'static str),
}

/// What the system says of a connection, without addresses: equal faults are counted together.
pub(super) fn broken(error: &std::io::Error) -> ExchangeError {
    ExchangeError::Connection(error.kind().to_string())
}
