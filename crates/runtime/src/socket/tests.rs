//! Sockets inside TLS, with real connections.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};

use super::*;

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

/// Our end, and a peer that is no code of ours.
async fn pair() -> (Socket, TlsStream<TcpStream>) {
    let (server, client) = configs();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let peer = async {
        let stream = TcpStream::connect(address).await.expect("it listens");
        TlsConnector::from(client).connect(localhost(), stream).await.expect("it trusts us")
    };
    let ours = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        Handshakes::new(server).accept(stream).await.expect("a handshake")
    };
    tokio::join!(ours, peer)
}

async fn write_all(socket: &Socket, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = socket.write_vectored(&[IoSlice::new(bytes)]).await.expect("it is there");
        bytes = &bytes[written..];
    }
    socket.flushed().await.expect("it is there");
}

#[tokio::test]
async fn every_byte_comes_once_and_in_order_both_ways() {
    let (socket, mut peer) = pair().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let ours = async {
        write_all(&socket, &bytes).await;
        let mut back = Vec::new();
        while back.len() < bytes.len() {
            assert!(socket.read_buf(&mut back).await.expect("it is there") > 0);
        }
        back
    };
    let theirs = async {
        let mut read = vec![0; bytes.len()];
        peer.read_exact(&mut read).await.expect("all of it");
        peer.write_all(&read).await.expect("taken");
        peer.flush().await.expect("taken");
    };
    let (back, ()) = tokio::join!(ours, theirs);
    assert_eq!(back, bytes);
}

#[tokio::test]
async fn what_waits_encrypted_leaves_while_we_wait_for_the_peer() {
    let (socket, mut peer) = pair().await;
    socket2::SockRef::from(socket.tcp()).set_send_buffer_size(8192).expect("allowed");
    // Until it is full, and so holds encrypted bytes that the system did not take.
    let (mut written, piece) = (0, vec![7; 65_536]);
    while let Ok(count) = socket.try_write(&piece) {
        written += count;
    }
    let theirs = async {
        let mut read = vec![0; written];
        peer.read_exact(&mut read).await.expect("all of it");
        peer.write_all(b"more").await.expect("taken");
    };
    let (waited, ()) = tokio::join!(socket.readable(), theirs);
    waited.expect("it is there");
    let mut buffer = [0; 16];
    assert_eq!(socket.try_read(&mut buffer).expect("four bytes"), 4);
}

#[tokio::test]
async fn a_socket_that_is_dropped_says_farewell_and_one_that_is_aborted_does_not() {
    let (socket, mut peer) = pair().await;
    write_all(&socket, b"x").await;
    drop(socket);
    let mut read = Vec::new();
    assert_eq!(peer.read_to_end(&mut read).await.expect("close_notify"), 1);
    let (socket, mut peer) = pair().await;
    socket.abort();
    drop(socket);
    assert!(peer.read_to_end(&mut read).await.is_err(), "the peer is to notice");
}

#[tokio::test]
async fn what_is_given_back_is_read_first() {
    let (socket, mut peer) = pair().await;
    peer.write_all(b"cdef").await.expect("taken");
    socket.unread(b"b");
    socket.unread(b"a");
    assert!(socket.has_more().await.expect("it is there"));
    let mut read = Vec::new();
    while read.len() < 6 {
        socket.read_buf(&mut read).await.expect("it is there");
    }
    assert_eq!(read, b"abcdef");
    peer.shutdown().await.expect("it is there");
    assert!(!socket.has_more().await.expect("an end"), "the peer has left");
}

#[tokio::test]
async fn it_goes_on_in_another_runtime() {
    let (socket, mut peer) = pair().await;
    let detached = socket.detach().expect("a socket");
    let said = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let socket = detached.attach().expect("a socket");
            write_all(&socket, b"over there").await;
        });
    });
    let mut read = String::new();
    peer.read_to_string(&mut read).await.expect("close_notify");
    said.join().expect("no panic");
    assert_eq!(read, "over there");
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_let_go() {
    let (server, _) = configs();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    let (stream, _) = listener.accept().await.expect("a connection");
    let handshakes = Handshakes::new(server).within(Duration::from_millis(20));
    let error = handshakes.accept(stream).await.expect_err("nothing was said");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(peer);
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_told_so() {
    let (server, _) = configs();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    let (stream, _) = listener.accept().await.expect("a connection");
    peer.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("taken");
    let error = Handshakes::new(server).accept(stream).await.expect_err("no TLS");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn our_client_trusts_the_right_name_alone() {
    let (server, client) = configs();
    for (name, is_right) in [("localhost", true), ("elsewhere", false)] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let handshakes = Handshakes::new(Arc::clone(&server));
        let theirs = async {
            let (stream, _) = listener.accept().await.expect("a connection");
            handshakes.accept(stream).await
        };
        let ours = async {
            let stream = TcpStream::connect(address).await.expect("it listens");
            connect_tls(stream, ServerName::try_from(name).expect("a name"), Arc::clone(&client)).await
        };
        let (_, ours) = tokio::join!(theirs, ours);
        assert_eq!(ours.is_ok(), is_right, "{name}");
    }
}
