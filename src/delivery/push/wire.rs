//! One connection to a server that we publish to: TCP, perhaps inside TLS, and RTMP's client on it.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::delivery::pieces;
use amphi_media::RungTracks;
use amphi_protocol::rtmp::{Publisher, ServerFault, Target, TooLong};
use amphi_runtime::socket::{Socket, connect_tls};
use amphi_tls::client_config;

/// How long one write may take.
const WRITE: Duration = Duration::from_secs(10);

/// Why a push failed or ended. No message contains the key.
#[derive(Debug, thiserror::Error)]
pub(super) enum PushFault {
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no TLS: {0}")]
    Tls(String),
    #[error("the server did not answer in time")]
    NoAnswer,
    #[error("the connection broke: {0}")]
    Broke(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server takes nothing")]
    Stuck,
    #[error(transparent)]
    Publish(#[from] ServerFault),
    #[error(transparent)]
    TooLong(TooLong),
    #[error("the channel is starting")]
    Starting,
}

/// A connection to a server that takes media.
pub(super) struct PushConnection {
    socket: Socket,
    publisher: Publisher,
    buffer: Vec<u8>,
}

impl PushConnection {
    /// Connects and asks to publish, until the server has agreed.
    pub(super) async fn open(target: Target, ca_file: &Path) -> Result<Self, PushFault> {
        let host = target.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = TcpStream::connect((host.as_str(), target.port())).await.map_err(PushFault::Connect)?;
        stream.set_nodelay(true)?;
        let socket = if target.tls() { encrypted(stream, host, ca_file).await? } else { stream.into() };
        let publisher = Publisher::new(target)?;
        let mut wire = Self { socket, publisher, buffer: vec![0; 4096] };
        wire.flush().await?;
        while !wire.publisher.is_publishing() {
            wire.read().await?;
            wire.flush().await?;
        }
        Ok(wire)
    }

    /// Sends metadata and decoder configurations.
    pub(super) async fn begin(&mut self, tracks: &RungTracks) -> Result<(), PushFault> {
        let opening = self.publisher.opening(tracks, 0);
        self.write(vec![opening]).await
    }

    /// Sends messages, and says how many bytes they were.
    pub(super) async fn send(&mut self, messages: impl Iterator<Item = &Bytes>) -> Result<u64, PushFault> {
        // Answers to what the server has asked meanwhile.
        self.flush().await?;
        let pieces: Vec<_> = messages.map(|message| self.publisher.address(message)).collect();
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.write(pieces).await?;
        Ok(bytes)
    }

    /// Reads what the server says; ends only with a fault. May be cancelled: answers wait for the next message sent.
    pub(super) async fn listen(&mut self) -> PushFault {
        loop {
            if let Err(fault) = self.read().await {
                return fault;
            }
        }
    }

    /// Ends the stream with FCUnpublish and deleteStream, and closes the connection.
    pub(super) async fn close(mut self) -> Result<(), PushFault> {
        self.publisher.close();
        self.flush().await?;
        Ok(self.socket.shutdown().await?)
    }

    async fn read(&mut self) -> Result<(), PushFault> {
        let read = self.socket.read(&mut self.buffer).await?;
        if read == 0 {
            return Err(PushFault::Closed);
        }
        Ok(self.publisher.handle(self.buffer.get(..read).unwrap_or_default())?)
    }

    async fn flush(&mut self) -> Result<(), PushFault> {
        let output = self.publisher.take_output();
        if output.is_empty() { Ok(()) } else { self.write(vec![output]).await }
    }

    async fn write(&mut self, mut pieces: Vec<Bytes>) -> Result<(), PushFault> {
        let all = async {
            pieces::write_all(&mut self.socket, &mut pieces).await?;
            self.socket.flush().await
        };
        Ok(timeout(WRITE, all).await.map_err(|_| PushFault::Stuck)??)
    }
}

/// Shakes hands with a host that an authority in `ca_file` vouches for, or one of the system's.
async fn encrypted(stream: TcpStream, host: String, ca_file: &Path) -> Result<Socket, PushFault> {
    let tls = |error: &dyn std::fmt::Display| PushFault::Tls(error.to_string());
    let pem = if ca_file.as_os_str().is_empty() {
        None
    } else {
        Some(tokio::fs::read(ca_file).await.map_err(|error| tls(&error))?)
    };
    let config = tokio::task::spawn_blocking(move || client_config(pem.as_deref())).await;
    let config = config.map_err(|error| tls(&error))?.map_err(|error| tls(&error))?;
    let name = ServerName::try_from(host).map_err(|error| tls(&error))?;
    connect_tls(stream, name, config).await.map_err(|error| tls(&error))
}
