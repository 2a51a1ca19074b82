//! One connection of one player: requests one after the other, kept alive.
//!
//! Plain HTTP/1.1 goes through [`plain`](super::plain), which costs next to nothing; TLS and HTTP/2 go through hyper
//! ([`negotiated`](super::negotiated)). The body of a reply is checked by its [`BodySink`].

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::timeout;

use super::fault::{ExchangeError, PATIENCE};
use super::fragment::{BodyCheck, BodyUse};
use super::negotiated::Negotiated;
use super::plain::Plain;
use super::socket::{BodySink, PIECE, PIECE_MAX, PIECE_MIN};
use super::target::{LoadTarget, TargetProtocol};

/// The body is a segment or an initialization section.
impl BodySink for BodyCheck {
    fn take(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        Self::take(self, bytes)
    }

    fn dull(&self) -> u64 {
        Self::dull(self)
    }

    fn piece(&self) -> usize {
        match self.body_use() {
            BodyUse::Check => PIECE,
            BodyUse::Read => PIECE_MAX,
            BodyUse::Discard => PIECE_MIN,
        }
    }

    fn skip(&mut self, count: u64) {
        Self::skip(self, count);
    }

    fn reset(&mut self) {
        self.begin_again();
    }
}

/// Connects when it is needed and stays connected.
pub(super) enum HttpConnection {
    Plain(Plain),
    Negotiated(Negotiated),
}

impl HttpConnection {
    pub(super) fn new(
        target: &Arc<LoadTarget>,
        source: Option<SocketAddr>,
        tls: &Arc<rustls::ClientConfig>,
    ) -> Self {
        match target.protocol {
            TargetProtocol::Http => Self::Plain(Plain::new(target.address, source, target.host())),
            _ => Self::Negotiated(Negotiated::new(Arc::clone(target), source, Arc::clone(tls))),
        }
    }

    /// Sends GET; returns the number of bytes of the body. A kept connection that the server has closed is opened anew.
    pub(super) async fn get<S: BodySink>(&mut self, path: &str, sink: &mut S) -> Result<u64, ExchangeError> {
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

    async fn exchange<S: BodySink>(&mut self, path: &str, sink: &mut S) -> Result<u64, ExchangeError> {
        let reply = async {
            match self {
                Self::Plain(connection) => connection.exchange(path, sink).await,
                Self::Negotiated(connection) => connection.exchange(path, sink).await,
            }
        };
        timeout(PATIENCE, reply).await.map_err(|_| ExchangeError::Silence)?
    }
}
