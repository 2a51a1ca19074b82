//! RTSP players of channels and recordings: the shell around [`RtspSession`](amphi_protocol::rtsp::RtspSession) and
//! [`Pacer`](amphi_protocol::rtsp::Pacer).
//!
//! ```text
//! rtsp://host:1935/<app>[/_definst_][/<stream>[_<rung>] | /ngrp:<stream>_all]      without a rung the best one
//! rtsp://host:1935/<vod>[/_definst_]/mp4:<path>.mp4 | smil:<path>.smil     of a SMIL file the best rendition, as over RTMP
//! ```
//! (See [`address`](super::address) for all spellings.)
//!
//! A player of a channel begins with a cell that is old enough for every later one to be there in time, so media
//! flows evenly, 20 ms at a time, live or waiting; with cells of 2 s it is 3 to 5 s late. A player over TCP that does not take
//! what is due for a second goes on with the next cell; one over UDP loses what the network loses. A player of a recording
//! gets every sample, later if it is slow.
//!
//! | a peer | bound |
//! |---|---|
//! | says nothing, or half a request | 20 s, then 60 s without request, receiver report or media taken |
//! | reads nothing | 10 s without a byte taken; 64 KB of answers, one piece of media, 256 KB in the system |
//! | does not play | 30 min, whatever it says meanwhile; then an RTCP BYE |
//! | asks for UDP | only to its own address, to ports from 1024 on |
//! | asks for UDP when all places are taken | 503; each pair of ports takes two |
//! | wants many sessions | one to a connection |

mod connection;
mod feed;
mod outbox;
mod playable;
mod stream;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{AnswerCounts, Audience, Door, Registry};
use amphi_http::Places;
use amphi_media::clock::Clock;
use amphi_runtime::socket::Socket;
use connection::RtspConnection;

/// What RTSP connections are served with.
#[derive(Clone)]
pub struct RtspPort {
    /// The channels and mounts that players may ask for.
    pub registry: Arc<Registry>,
    /// Where cells and refusals are counted.
    pub counts: Arc<AnswerCounts>,
    /// Where viewers are counted.
    pub audience: Arc<Audience>,
    /// Asked before a presentation is described or set up.
    pub door: Arc<dyn Door>,
    /// The places of connections; a pair of UDP ports takes two.
    pub places: Places,
    /// The media clock, by which packets are sent.
    pub clock: Arc<dyn Clock>,
}

impl RtspPort {
    /// Serves one connection until it ends or `shutdown`.
    pub async fn serve(self, stream: impl Into<Socket>, shutdown: CancellationToken) {
        let stream = stream.into();
        let peer = stream.peer_addr().map_or_else(|_| "?".to_owned(), |peer| peer.to_string());
        let connection = match RtspConnection::new(stream, self) {
            Ok(connection) => connection,
            Err(error) => return debug!(peer, %error, "an RTSP connection went away before it spoke"),
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            ended = connection.run() => match ended {
                Ok(()) => debug!(peer, "RTSP connection closed"),
                Err(why) => debug!(peer, %why, "RTSP connection ended"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
