//! Why a request had no good reply, or a player could not go on.

use std::time::Duration;

/// The longest time for connecting, and for a whole reply.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// What went wrong between a player and the server. Equal errors are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum ExchangeError {
    /// The connection was refused, failed, or was closed in the middle of a reply.
    #[error("connection: {0}")]
    Connection(String),
    /// The reply did not come in time.
    #[error("no reply within {} s", PATIENCE.as_secs())]
    Silence,
    /// The reply is not of the expected protocol, which is named.
    #[error("the reply is not {0}")]
    Protocol(&'static str),
    /// An HTTP or RTSP status other than 200.
    #[error("status {0}")]
    Status(u16),
    /// The server refuses to play, with its words.
    #[error("refused: {0}")]
    Refused(String),
    /// The media, or a playlist, is not as it should be.
    #[error("{0}")]
    Content(&'static str),
}

/// The error of a connection, without addresses, so that equal errors are counted together.
pub(super) fn broken(error: &std::io::Error) -> ExchangeError {
    ExchangeError::Connection(error.kind().to_string())
}
