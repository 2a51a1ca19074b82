//! The serving loop.
//!
//! [`serve`] accepts until it is told to stop, one task per connection. Each bound answers a way in which a
//! peer could hold a connection for ever:
//!
//! | peer | bound |
//! |---|---|
//! | connects and says nothing, or half a request | first request within [`Limits::idle`] |
//! | keeps an idle HTTP/1.1 connection | next header within [`Limits::idle`] |
//! | keeps a dead HTTP/2 connection | PING every 20 s |
//! | never reads, or a byte now and then | has to take a kilobyte a second: hyper has no write timeout (hyper issue 3852) |
//! | is gone without a word | `TCP_USER_TIMEOUT` |
//! | comes with too many others | waits in the backlog for one of the [`Places`] |
//! | comes too often from one address | closed at once |
//!
//! A panic in a handler ends its connection and no other. On shutdown the listener closes first; answers
//! under way may finish within [`Limits::drain`]; idle connections close at once.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::date;
use super::express::{self, Express, Left};
use super::peer::{Peer, WithPeer};
use super::places::{Places, Seat};
use super::rewound::Rewound;

/// Requests under way on one HTTP/2 connection. A player has two or three.
const H2_STREAMS: u32 = 64;
/// Between two PINGs on an HTTP/2 connection, and how long one may stay unanswered.
const H2_PING: Duration = Duration::from_secs(20);
/// Bytes of a request's header.
const HEADER_BYTES: u32 = 16 * 1024;
/// Bytes that one HTTP/1.1 connection buffers; it also bounds the header.
const BUFFER_BYTES: usize = 64 * 1024;
/// After an `accept` that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Bounds of a serving loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// How long sent bytes may stay unacknowledged. A peer with a small window has to take whatever the system wants to send
    /// next in this time, some 60 kB: Linux counts from the window's closing until all of that fits, not until it opens.
    pub unread: Duration,
    /// How long answers under way may take once the server is ending.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            idle: Duration::from_secs(30),
            unread: Duration::from_secs(120),
            drain: Duration::from_secs(2),
        }
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

/// Serves `service` on `listener` until `shutdown`, and returns when the last connection has ended.
pub async fn serve<S, B>(listener: TcpListener, service: S, limits: Limits, shutdown: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let ending = shutdown.clone();
    let each = move |stream, _| serve_stream(stream, service.clone(), limits, ending.clone());
    accept_each(listener, Places::new(limits.connections, 0), each, shutdown).await;
}

/// As [`serve`], and every request carries the [`Peer`] that it came from. May be called again if it has broken off.
pub async fn serve_with_peer<S, B>(port: &mut Port, service: S, limits: Limits, shutdown: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let ending = shutdown.clone();
    let each = move |stream, address| {
        let service = WithPeer { inner: service.clone(), peer: Peer(address) };
        serve_stream(stream, service, limits, ending.clone())
    };
    port.accept_each(Places::new(limits.connections, 0), each, shutdown).await;
}

/// [`Port::accept_each`] on a port that nobody else has.
pub async fn accept_each<F>(
    listener: TcpListener,
    places: Places,
    each: impl Fn(TcpStream, SocketAddr) -> F,
    shutdown: CancellationToken,
) where
    F: Future<Output = ()> + Send + 'static,
{
    Port::new(listener).accept_each(places, each, shutdown).await;
}

/// A listening socket, and the connections that came by it. Both outlive a loop that has broken off.
#[derive(Debug)]
pub struct Port {
    /// Until the port is closed.
    listener: Option<TcpListener>,
    connections: TaskTracker,
}

impl Port {
    /// A port without connections.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener: Some(listener), connections: TaskTracker::new() }
    }

    /// Hands every connection that finds a place to `each`, with its peer's address, until `shutdown`, and returns when the
    /// last one has ended: for ports that speak more than HTTP, share places, or want to know who comes. May be called
    /// again if it has broken off.
    pub async fn accept_each<F>(
        &mut self,
        places: Places,
        each: impl Fn(TcpStream, SocketAddr) -> F,
        shutdown: CancellationToken,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        while let Some(listener) = &self.listener {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = accept(listener, &places) => accepted,
            };
            match accepted {
                Ok(Some((stream, peer, seat))) => {
                    let connection = each(stream, peer);
                    // A panic is logged and counted where panics are, and ends this connection alone.
                    let connection = async move {
                        connection.await;
                        drop(seat);
                    };
                    let span = tracing::info_span!(parent: None, "peer", name = %peer);
                    self.connections.spawn(connection.instrument(span));
                }
                Ok(None) => {}
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again in a second");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.listener = None;
        self.connections.close();
        self.connections.wait().await;
    }
}

/// The next connection; `None` for one of an address that has too many.
async fn accept(
    listener: &TcpListener,
    places: &Places,
) -> io::Result<Option<(TcpStream, SocketAddr, Seat)>> {
    let place = places.free().await.ok_or(io::ErrorKind::NotConnected)?;
    let (stream, peer) = listener.accept().await?;
    Ok(places.seat(place, peer.ip()).map(|seat| (stream, peer, seat)))
}

/// Errors of a connection that went away before it was accepted (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Serves `service` on one connection, until it ends or `shutdown` has drained it.
pub async fn serve_stream<S, B>(stream: TcpStream, service: S, limits: Limits, shutdown: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    if is_prepared(&stream, limits) {
        serve_rest(Rewound::new(Bytes::new(), stream), service, limits, shutdown).await;
    }
}

/// As [`serve_stream`], but what lies ready takes the express lane.
pub async fn serve_express<S, B>(
    mut stream: TcpStream,
    service: S,
    limits: Limits,
    shutdown: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Express + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    if !is_prepared(&stream, limits) {
        return;
    }
    if let Left::Over(read) = express::drive(&mut stream, &service, limits, &shutdown).await {
        // On the heap, or all who stay on the lane would keep room for it.
        Box::pin(serve_rest(Rewound::new(read, stream), service, limits, shutdown)).await;
    }
}

async fn serve_rest<S, B>(stream: Rewound<TcpStream>, service: S, limits: Limits, shutdown: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    // The version sniffer of hyper-util waits for its first bytes without a bound, so the loop has one.
    let begun = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let begun = Arc::clone(&begun);
        move |request| {
            begun.store(true, Ordering::Relaxed);
            let answer = service.clone().oneshot(request);
            async move { answer.await.map(date::dated) }
        }
    });
    let builder = builder(limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut opening = pin!(tokio::time::sleep(limits.idle));
    let mut is_opening = true;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            () = shutdown.cancelled() => break,
            () = &mut opening, if is_opening => {
                is_opening = false;
                if !begun.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(limits.drain, connection).await {
        log_end(ended);
    }
}

fn is_prepared(stream: &TcpStream, limits: Limits) -> bool {
    let socket = socket2::SockRef::from(stream);
    let prepared = stream.set_nodelay(true).and_then(|()| socket.set_tcp_user_timeout(Some(limits.unread)));
    if let Err(error) = &prepared {
        tracing::debug!(%error, "a connection went away before its first request");
    }
    prepared.is_ok()
}

fn builder(limits: Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(BUFFER_BYTES)
        .writev(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(H2_PING)
        .keep_alive_timeout(H2_PING);
    builder
}

/// Peers leave in the middle of things all the time; that is worth a line only to whoever looks for it.
fn log_end(ended: Result<(), BoxError>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
