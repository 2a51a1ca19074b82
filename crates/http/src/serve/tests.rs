//! The server on real sockets.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::{Body, listen};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Serves on a whole port, without saying from whom a request came.
async fn serve<S, B>(listener: TcpListener, service: S, limits: Limits, shutdown: CancellationToken)
where
    S: Service<Request<Inbound>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    let ending = shutdown.clone();
    let each = move |stream, _| serve_stream(stream, service.clone(), limits, ending.clone());
    accept_each(listener, limits.places(), each, shutdown).await;
}

fn start(limits: Limits) -> Server {
    let service = tower::service_fn(|request: Request<Inbound>| async move {
        assert_ne!(request.uri().path(), "/panic", "asked for");
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    });
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, service, limits, shutdown.clone()));
    Server { address, shutdown, task }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.expect("the server listens")
}

/// Reads one answer of the test service; `None` if the connection ended.
async fn answer(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"hello") {
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(text).ok()
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let server = start(Limits::default());
    let mut stream = connect(&server).await;
    for _ in 0..3 {
        stream.write_all(GET).await.expect("written");
        let answer = answer(&mut stream).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-length: 5\r\n") && answer.contains("date: "), "{answer}");
    }
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_spoken() {
    let server = start(Limits::default());
    let mut stream = connect(&server).await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("written");
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.expect("a frame");
    assert_eq!(frame[3], 4, "the first frame is SETTINGS (RFC 9113 §3.4)");
}

#[tokio::test]
async fn a_panic_ends_its_connection_and_no_other() {
    let server = start(Limits::default());
    let (mut other, mut panicking) = (connect(&server).await, connect(&server).await);
    panicking.write_all(b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    assert_eq!(answer(&mut panicking).await, None);
    other.write_all(GET).await.expect("written");
    assert!(answer(&mut other).await.is_some());
}

#[tokio::test]
async fn silence_and_half_a_preface_end_after_the_idle_time() {
    let server = start(Limits { idle: Duration::from_millis(50), ..Limits::default() });
    let (mut silent, mut half) = (connect(&server).await, connect(&server).await);
    half.write_all(b"PRI * H").await.expect("written");
    assert_eq!(answer(&mut silent).await, None);
    assert_eq!(answer(&mut half).await, None);
}

#[tokio::test]
async fn one_connection_too_many_waits_for_a_place() {
    let server = start(Limits { connections: 1, ..Limits::default() });
    let mut first = connect(&server).await;
    first.write_all(GET).await.expect("written");
    assert!(answer(&mut first).await.is_some());
    let mut second = connect(&server).await;
    second.write_all(GET).await.expect("written");
    drop(first);
    assert!(answer(&mut second).await.is_some());
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_bounds_busy_ones() {
    let server = start(Limits { drain: Duration::from_millis(50), ..Limits::default() });
    let (mut idle, mut busy, mut fresh) =
        (connect(&server).await, connect(&server).await, connect(&server).await);
    idle.write_all(GET).await.expect("written");
    assert!(answer(&mut idle).await.is_some());
    busy.write_all(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("written");
    server.shutdown.cancel();
    server.task.await.expect("no panic");
    for stream in [&mut idle, &mut busy, &mut fresh] {
        assert_eq!(answer(stream).await, None);
    }
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn an_axum_router_is_served_alike() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let mut stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
    tokio::spawn(serve(listener, router, Limits::default(), CancellationToken::new()));
    stream.write_all(GET).await.expect("written");
    assert!(answer(&mut stream).await.is_some());
}

/// All that comes until the connection ends.
async fn all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset counts as the end.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn http_1_1_without_one_host_is_refused_and_closed() {
    let server = start(Limits::default());
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        ("GET http://a/ HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\n\r\n", "200"),
        ("GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", "200"),
    ] {
        let mut stream = connect(&server).await;
        stream.write_all(request.as_bytes()).await.expect("written");
        let told = all(&mut stream).await;
        assert!(told.split(' ').nth(1) == Some(status), "{request:?}: {told}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_ends() {
    use http_body_util::BodyExt;
    let service = tower::service_fn(|request: Request<Inbound>| async move {
        let read = request.into_body().collect().await;
        let late = read.is_err_and(|error| error.is::<crate::TooSlow>());
        let mut response = Response::new(Body::from("hello"));
        *response.status_mut() = if late { StatusCode::REQUEST_TIMEOUT } else { StatusCode::OK };
        Ok::<_, Infallible>(response)
    });
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let limits = Limits { body: Duration::from_millis(50), ..Limits::default() };
    tokio::spawn(serve(listener, service, limits, CancellationToken::new()));
    for framing in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n5\r\nab"] {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\n{framing}");
        stream.write_all(request.as_bytes()).await.expect("written");
        let told = all(&mut stream).await;
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    }
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc").await.expect("written");
    assert!(answer(&mut stream).await.expect("an answer").starts_with("HTTP/1.1 200 "));
}

/// The preface of HTTP/2 and SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A HEADERS frame of a GET of `/`, with `more` fields (RFC 7541 §6).
fn get_h2(stream_id: u8, more: &[u8]) -> Vec<u8> {
    let fields = [&[0x82, 0x84, 0x86, 0x41, 1, b'x'], more].concat();
    let head = [0, 0, fields.len() as u8, 1, 5, 0, 0, 0, stream_id];
    [&head[..], &fields].concat()
}

/// The kinds and payloads of the frames that come until the connection ends, or `enough` of them.
async fn frames(stream: &mut TcpStream, enough: impl Fn(u8) -> bool) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return found;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            return found;
        }
        found.push((head[3], payload));
        if enough(head[3]) {
            return found;
        }
    }
}

#[tokio::test]
async fn http2_is_answered_and_a_host_that_differs_is_not() {
    let server = start(Limits::default());
    // Indexed `:status` 200 and 400 (RFC 7541 appendix A).
    for (more, status) in [(&b""[..], 0x88), (b"\0\x04host\x01x", 0x88), (b"\0\x04host\x01y", 0x8c)] {
        let mut stream = connect(&server).await;
        stream.write_all(&[PREFACE, &get_h2(1, more)].concat()).await.expect("written");
        let found = frames(&mut stream, |kind| kind == 1).await;
        assert_eq!(found.last().and_then(|(_, payload)| payload.first()), Some(&status), "{found:?}");
    }
}

#[tokio::test]
async fn pings_keep_no_idle_http2_connection() {
    let server = start(Limits { idle: Duration::from_millis(100), ..Limits::default() });
    let mut stream = connect(&server).await;
    stream.write_all(&[PREFACE, &get_h2(1, b"")].concat()).await.expect("written");
    let (mut from, mut to) = stream.split();
    let pings = async {
        while to.write_all(b"\0\0\x08\x06\0\0\0\0\0pingping").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut read = Vec::new();
    let ended = async { from.read_to_end(&mut read).await };
    tokio::select! {
        () = pings => {}
        _ = ended => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("it is still there"),
    }
}

#[tokio::test]
async fn an_http2_connection_is_kept_while_it_is_answered() {
    let server = start(Limits { idle: Duration::from_millis(50), ..Limits::default() });
    let mut stream = connect(&server).await;
    let mut request = get_h2(1, b"");
    // `/never` instead of `/`: a literal path (RFC 7541 §6.2.2).
    request.splice(10..11, *b"\x04\x06/never");
    request[2] += 7;
    stream.write_all(&[PREFACE, &request].concat()).await.expect("written");
    let settings = frames(&mut stream, |kind| kind == 4).await;
    assert_eq!(settings.last().map(|(kind, _)| *kind), Some(4));
    let goes_on =
        tokio::time::timeout(Duration::from_millis(400), frames(&mut stream, |kind| kind == 7)).await;
    assert!(goes_on.is_err(), "its answer is under way: {goes_on:?}");
}

#[tokio::test]
async fn an_answer_counts_whose_turn_it_is() {
    use http_body_util::BodyExt;
    let watch = Arc::new(Watch::default());
    let later = futures_util::stream::once(async {
        tokio::task::yield_now().await;
        Ok(Bytes::from_static(b"def"))
    });
    let pieces = [Bytes::from_static(b"abc"), Bytes::new(), Bytes::new()];
    let body = Body::streaming(pieces, Box::pin(later), 3);
    let mut body = Outbound::new(body, Some(PendingAnswer::new(&watch)));
    assert!(watch.seen().is_busy && watch.seen().is_owed, "nothing is asked of it yet");
    let first = body.frame().await.expect("a frame").expect("read").into_data().expect("data");
    assert_eq!(&first[..], b"abc");
    let waiting = futures_util::poll!(std::pin::pin!(body.frame()));
    assert!(waiting.is_pending());
    assert!(watch.seen().is_owed, "it waits for us, but something is queued");
    drop(first);
    assert!(watch.seen().is_busy && !watch.seen().is_owed, "it waits for us");
    let second = body.frame().await.expect("a frame").expect("read");
    assert!(watch.seen().is_owed);
    drop(second);
    assert!(body.frame().await.is_none());
    drop(body);
    assert!(!watch.seen().is_busy && !watch.seen().is_owed);
}
