//! The server: accepts connections, one task each, until shutdown.
//!
//! Each of these bounds ends a way in which a peer could hold a connection for ever:
//!
//! | peer | bound |
//! |---|---|
//! | connects and sends nothing, or half a request | first request within [`Limits::idle`] |
//! | keeps an idle HTTP/1.1 connection | next header within [`Limits::idle`] |
//! | keeps an idle HTTP/2 connection | next request within [`Limits::idle`], whatever frames come |
//! | keeps a dead HTTP/2 connection | PING every 20 s |
//! | closes its HTTP/2 flow-control windows (RFC 9113 §5.2) | must take a kilobyte a second as well (`watch`) |
//! | opens and resets HTTP/2 streams | at most 20 that we have not seen yet, 64 that we reset |
//! | sends a body byte by byte | [`Inbound`]: 30 s, and 128 bytes a second after 10 s |
//! | sends no Host, or two | 400 (RFC 9112 §3.2) |
//! | never reads, or a byte now and then | must take a kilobyte a second: hyper has no write timeout (hyper issue 3852) |
//! | vanishes without closing | `TCP_USER_TIMEOUT` (tcp(7)) |
//! | does not finish its TLS handshake | 10 s ([`Handshakes`]) |
//! | comes when all [`Places`] are taken | waits in the backlog |
//! | has too many connections from one address | closed at once |
//!
//! A panic in a handler ends its connection and no other. On shutdown the listener closes first; answers
//! being sent may finish within [`Limits::drain`]; idle connections close at once.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::body::Body;
use super::date;
use super::fast_path::{self, FastPath, Left};
use super::host;
use super::inbound::{self, BodyPatience, Inbound};
use super::limits::Limits;
use super::outbound::{Outbound, PendingAnswer};
use super::peer::{Peer, WithPeer};
use super::places::{ConnectionPlace, Places};
use super::plain_path;
use super::rewound::Rewound;
use super::slow_path::SlowPath;
use super::watch::{Fate, Keeper, Watch};
use amphi_runtime::socket::{Handshakes, Socket};

/// Concurrent requests of one HTTP/2 connection (RFC 9113 §5.1.2). A player has two or three.
const H2_STREAMS: u32 = 64;
/// The time between two PINGs on an HTTP/2 connection (RFC 9113 §6.7), and how long one may stay unanswered.
const H2_PING: Duration = Duration::from_secs(20);
/// Streams that the peer has reset before we looked at them, and streams that we have reset: more than that is an attack
/// (CVE-2023-44487 and similar) and ends the connection.
const H2_RESETS: (usize, usize) = (20, 64);
/// Flow-control windows for requests' bodies, in bytes: of one stream, and of one HTTP/2 connection (RFC 9113 §5.2).
const H2_WINDOWS: (u32, u32) = (64 * 1024, 256 * 1024);
/// The most bytes of an HTTP/2 request's header (RFC 9113 §6.5.2).
const HEADER_BYTES: u32 = 16 * 1024;
/// The most bytes that an HTTP/1.1 connection buffers; this also bounds the header.
const BUFFER_BYTES: usize = 64 * 1024;
/// The pause after an `accept` that failed for lack of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

type BoxError = Box<dyn Error + Send + Sync>;

/// Serves `service` on `port`, inside TLS if so asked, until `shutdown`, and returns when the last connection has ended. Every request carries the
/// [`Peer`] that it came from. May be called again, with the same places, after a panic.
pub async fn serve_with_peer<S, B>(
    port: &mut Port,
    service: S,
    places: Places,
    limits: Limits,
    tls: Option<Handshakes>,
    shutdown: CancellationToken,
) where
    S: Service<Request<Inbound>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let ending = shutdown.clone();
    let each = move |stream: TcpStream, address| {
        let service = WithPeer { inner: service.clone(), peer: Peer(address) };
        let (tls, ending) = (tls.clone(), ending.clone());
        async move {
            let Some(stream) = secured(stream, tls.as_ref(), &ending).await else { return };
            serve_stream(stream, service, limits, ending).await;
        }
    };
    port.accept_each(places, each, shutdown).await;
}

/// The connection, inside TLS if there are `handshakes`. `None`: it has ended.
pub async fn secured(
    stream: TcpStream,
    handshakes: Option<&Handshakes>,
    shutdown: &CancellationToken,
) -> Option<Socket> {
    let Some(handshakes) = handshakes else { return Some(stream.into()) };
    let shaken = tokio::select! {
        () = shutdown.cancelled() => return None,
        shaken = handshakes.accept(stream) => shaken,
    };
    shaken.inspect_err(|error| tracing::debug!(%error, "a TLS handshake failed")).ok()
}

/// As [`Port::accept_each`], for a caller that does not keep the port.
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

/// A listening socket and its connections. Both outlive a panic of the accept loop.
#[derive(Debug)]
pub struct Port {
    /// `None` once the port is closed.
    listener: Option<TcpListener>,
    connections: TaskTracker,
}

impl Port {
    /// A port that accepts on `listener`; no connections yet.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener: Some(listener), connections: TaskTracker::new() }
    }

    /// Hands every connection that gets a place to `each`, with its peer's address, until `shutdown`, and returns when the
    /// last one has ended: for ports that speak more than HTTP, share places, or need the peer's address. May be called
    /// again after a panic.
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
                Ok(Some((stream, peer, place))) => {
                    places.accepts();
                    let connection = each(stream, peer);
                    // The panic hook logs and counts a panic; it ends this connection alone.
                    let connection = async move {
                        connection.await;
                        drop(place);
                    };
                    let span = tracing::info_span!(parent: None, "peer", name = %peer);
                    self.connections.spawn(connection.instrument(span));
                }
                Ok(None) => {}
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    places.starves(&error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.listener = None;
        self.connections.close();
        self.connections.wait().await;
    }
}

/// The next connection; `None` for one that is refused, because its address has too many.
async fn accept(
    listener: &TcpListener,
    places: &Places,
) -> io::Result<Option<(TcpStream, SocketAddr, ConnectionPlace)>> {
    let place = places.free().await.ok_or(io::ErrorKind::NotConnected)?;
    let (stream, peer) = listener.accept().await?;
    Ok(places.place(place, peer.ip()).map(|place| (stream, peer, place)))
}

/// Errors of a connection that went away before it was accepted (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// Serves `service` on one connection, until it ends or `shutdown` has drained it.
pub async fn serve_stream<S, B>(
    stream: impl Into<Socket>,
    service: S,
    limits: Limits,
    shutdown: CancellationToken,
) where
    S: Service<Request<Inbound>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let stream = stream.into();
    if prepare(&stream, limits) {
        serve_rest(Bytes::new(), stream, service, limits, shutdown).await;
    }
}

/// As [`serve_stream`], but answers that are ready take the [`FastPath`], and other GETs the plain path (`plain_path.rs`).
pub async fn serve_fast_path<S>(
    stream: impl Into<Socket>,
    service: S,
    limits: Limits,
    slow: SlowPath,
    shutdown: CancellationToken,
) where
    S: Service<Request<Inbound>, Response = Response<Body>> + Service<Request<()>, Response = Response<Body>>,
    S: FastPath + Clone + Send + Sync + 'static,
    <S as Service<Request<Inbound>>>::Future: Send,
    <S as Service<Request<Inbound>>>::Error: Into<BoxError>,
    <S as Service<Request<()>>>::Future: Send,
    <S as Service<Request<()>>>::Error: Send,
{
    let mut stream = stream.into();
    if !prepare(&stream, limits) {
        return;
    }
    if let Left::Over(read) = fast_path::drive(&mut stream, &service, limits, &shutdown).await {
        // On the heap: otherwise the tasks of all connections on the fast path would be as large as this future.
        let rest = async move |stream: Socket| {
            let left = plain_path::drive(&stream, read, &service, limits, &shutdown).await;
            if let Left::Over(read) = left {
                serve_rest(read, stream, service, limits, shutdown).await;
            }
        };
        Box::pin(slow.run(stream, rest)).await;
    }
}

async fn serve_rest<S, B>(
    read: Bytes,
    stream: Socket,
    service: S,
    limits: Limits,
    shutdown: CancellationToken,
) where
    S: Service<Request<Inbound>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let watch = Arc::new(Watch::default());
    let stream = Rewound::new(read, stream, Arc::clone(&watch));
    let service = service_fn({
        let watch = Arc::clone(&watch);
        move |request| watched(service.clone(), request, limits, &watch)
    });
    let builder = builder(limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // hyper-util waits for the first bytes, which tell the version, without a bound; so this loop has one.
    let mut look = pin!(tokio::time::sleep(limits.idle));
    let mut keeper = Keeper::new(limits.idle, Instant::now());
    let mut is_watching = true;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return log_end(ended),
            () = shutdown.cancelled() => break,
            () = &mut look, if is_watching => {
                if !watch.has_begun() {
                    return;
                }
                // For HTTP/1, hyper's timeouts and the pace of the socket are enough.
                is_watching = watch.is_h2.load(Ordering::Relaxed);
                match keeper.look(watch.seen(), Instant::now()) {
                    _ if !is_watching => {}
                    Fate::Stays => look.as_mut().reset(tokio::time::Instant::now() + keeper.every()),
                    Fate::Idle => break,
                    Fate::Slow => return tracing::debug!("a peer reads too slowly"),
                }
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(ended) = tokio::time::timeout(limits.drain, connection).await {
        log_end(ended);
    }
}

/// Answers one request, and counts it in its connection's watch.
fn watched<S, B>(
    service: S,
    request: Request<Incoming>,
    limits: Limits,
    watch: &Arc<Watch>,
) -> impl Future<Output = Result<Response<Outbound<B>>, S::Error>> + use<S, B>
where
    S: Service<Request<Inbound>, Response = Response<B>>,
{
    watch.request();
    let is_h2 = request.version() == Version::HTTP_2;
    watch.is_h2.store(is_h2, Ordering::Relaxed);
    let fault = host::fault(&request);
    let answer = is_h2.then(|| PendingAnswer::new(watch));
    let span = BodyPatience { whole: limits.body, grace: inbound::GRACE.min(limits.body) };
    async move {
        if let Some(fault) = fault {
            let mut refusal = Response::new(Outbound::words(fault));
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            let headers = refusal.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            if !is_h2 {
                // A wrong Host may be the sign of a smuggled request: the rest of the connection cannot be trusted.
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            return Ok(date::dated(refusal));
        }
        let response = service.oneshot(request.map(|body| Inbound::new(body, span))).await?;
        Ok(date::dated(response).map(|body| Outbound::new(body, answer)))
    }
}

/// Sets the socket's options; `false` if the peer has closed already.
fn prepare(stream: &Socket, limits: Limits) -> bool {
    let stream = stream.tcp();
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
        .max_pending_accept_reset_streams(H2_RESETS.0)
        .max_local_error_reset_streams(H2_RESETS.1)
        .initial_stream_window_size(H2_WINDOWS.0)
        .initial_connection_window_size(H2_WINDOWS.1)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(H2_PING)
        .keep_alive_timeout(H2_PING);
    builder
}

/// Peers close connections at any time, so this is logged at debug level only.
fn log_end(ended: Result<(), BoxError>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
