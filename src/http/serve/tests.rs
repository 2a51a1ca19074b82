//! The loop on real sockets.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::http::{Body, listen};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
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

/// Reads one answer of the test service; `None` where the connection ended.
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
