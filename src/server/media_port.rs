//! The media port: HTTP, RTMP and RTSP on one socket, in the clear or inside TLS, told apart by a connection's first bytes.
//!
//! The bytes are peeked at in the socket, so the protocol that takes the connection over reads all of them.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::access::ViewerGate;
use super::inventory::Inventory;
use crate::delivery::{
    AccessAction, AccessDenied, AccessRequest, Delivery, Door, Protocol, PublishedStream, Publishing,
    RtmpPort, RtspPort,
};
use amphi_access::Admission;
use amphi_http::{self as http, Attempts, Credential, Limits, Places, Port, SlowPath};
use amphi_media::Track;
use amphi_media::clock::Clock;
use amphi_protocol::rtmp::authmod::Challenger;
use amphi_protocol::rtmp::{Frame, shows_key};
use amphi_protocol::sniff::{SNIFF_MAX, Sniffed, sniff};
use amphi_runtime::socket::{Handshakes, Socket};
use amphi_source::Publication;
use futures_util::future::BoxFuture;

/// A new connection must send enough to be told within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the port until `shutdown`. May be called again after a panic.
pub(super) async fn serve(port: &mut Port, speakers: Speakers, places: Places, shutdown: CancellationToken) {
    let ending = shutdown.clone();
    let each = move |stream, peer| {
        let delivery = speakers.delivery.for_peer(peer);
        connection(stream, Speakers { delivery, ..speakers.clone() }, ending.clone())
    };
    port.accept_each(places, each, shutdown).await;
}

/// What serves each protocol.
#[derive(Clone)]
pub(super) struct Speakers {
    delivery: Delivery,
    slow: SlowPath,
    rtmp: RtmpPort,
    rtsp: RtspPort,
    tls: Handshakes,
}

/// What serves a port of HTTP, or of HTTPS if it has handshakes.
#[derive(Clone)]
pub(super) struct HttpViewers {
    pub(super) delivery: Delivery,
    pub(super) slow: SlowPath,
    pub(super) tls: Option<Handshakes>,
}

impl Speakers {
    pub(super) fn new(
        delivery: Delivery,
        slow: SlowPath,
        gate: Arc<Gate>,
        places: Places,
        clock: Arc<dyn Clock>,
        tls: Handshakes,
    ) -> Self {
        let rtmp = RtmpPort {
            registry: Arc::clone(delivery.registry()),
            counts: Arc::clone(delivery.counts()),
            audience: Arc::clone(delivery.audience()),
            door: Arc::clone(&gate) as Arc<dyn Door>,
            publishing: Arc::clone(&gate) as Arc<dyn Publishing>,
        };
        let rtsp = RtspPort {
            registry: Arc::clone(delivery.registry()),
            counts: Arc::clone(delivery.counts()),
            audience: Arc::clone(delivery.audience()),
            door: gate,
            places,
            clock,
        };
        Self { delivery, slow, rtmp, rtsp, tls }
    }
}

/// Serves a port of HTTP until `shutdown`. May be called again after a panic.
pub(super) async fn serve_http(
    port: &mut Port,
    viewers: HttpViewers,
    places: Places,
    shutdown: CancellationToken,
) {
    let ending = shutdown.clone();
    let each = move |stream, peer| {
        let HttpViewers { delivery, slow, tls } = viewers.clone();
        let delivery = delivery.for_peer(peer);
        let ending = ending.clone();
        async move {
            let Some(stream) = http::secured(stream, tls.as_ref(), &ending).await else { return };
            let delivery = if stream.is_secure() { delivery.secured() } else { delivery };
            http::serve_fast_path(stream, delivery, Limits::default(), slow, ending).await;
        }
    };
    port.accept_each(places, each, shutdown).await;
}

async fn connection(stream: TcpStream, speakers: Speakers, shutdown: CancellationToken) {
    let sniffed = tokio::select! {
        () = shutdown.cancelled() => return,
        sniffed = tokio::time::timeout(PATIENCE, protocol(&stream)) => sniffed,
    };
    if !matches!(sniffed, Ok(Ok(Sniffed::Tls))) {
        return speak(stream.into(), sniffed, speakers, shutdown).await;
    }
    // On the heap, as what is more than most connections need.
    let inside = async {
        let stream = http::secured(stream, Some(&speakers.tls), &shutdown).await?;
        let sniffed = tokio::select! {
            () = shutdown.cancelled() => return None,
            sniffed = tokio::time::timeout(PATIENCE, protocol_inside(&stream)) => sniffed,
        };
        Some((stream, sniffed))
    };
    let Some((stream, sniffed)) = Box::pin(inside).await else { return };
    let delivery = speakers.delivery.clone().secured();
    speak(stream, sniffed, Speakers { delivery, ..speakers }, shutdown).await;
}

/// Gives a connection to who speaks its protocol.
async fn speak(
    stream: Socket,
    sniffed: Result<io::Result<Sniffed>, Elapsed>,
    speakers: Speakers,
    shutdown: CancellationToken,
) {
    match sniffed {
        Ok(Ok(Sniffed::Http)) => {
            let Speakers { delivery, slow, .. } = speakers;
            http::serve_fast_path(stream, delivery, Limits::default(), slow, shutdown).await;
        }
        // Boxed, or every HTTP connection would reserve memory for these futures.
        Ok(Ok(Sniffed::Rtmp)) => Box::pin(speakers.rtmp.serve(stream, shutdown)).await,
        Ok(Ok(Sniffed::Rtsp)) => Box::pin(speakers.rtsp.serve(stream, shutdown)).await,
        Ok(Ok(other)) => debug!(?other, "a connection that speaks no protocol of this port"),
        Ok(Err(error)) => debug!(%error, "a connection went away before it spoke"),
        Err(_) => debug!("a connection that says nothing"),
    }
}

/// Waits until the first bytes tell the protocol. Nothing is consumed and nothing polled: the system wakes the task when there
/// is a byte more than was seen, or when the peer has gone.
async fn protocol(stream: &TcpStream) -> io::Result<Sniffed> {
    let mut start = vec![0; SNIFF_MAX];
    let mut before = 0;
    loop {
        let ready = stream.ready(Interest::READABLE).await?;
        let mut seen = 0;
        let sniffed = stream.try_io(Interest::READABLE, || {
            (_, seen) = rustix::net::recv(stream, &mut start[..], RecvFlags::PEEK)?;
            match sniff(start.get(..seen).unwrap_or_default()) {
                Sniffed::NeedMore => {
                    wake_at(stream, seen + 1)?;
                    // A byte that has come meanwhile still wakes the task.
                    Err(io::ErrorKind::WouldBlock.into())
                }
                sniffed => Ok(sniffed),
            }
        });
        match sniffed {
            // The socket stays readable after the end of the stream.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ready.is_read_closed() && seen == before {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                before = seen;
            }
            sniffed => {
                wake_at(stream, 1)?;
                return sniffed;
            }
        }
    }
}

/// As [`protocol`], inside TLS: what was read is given back.
async fn protocol_inside(stream: &Socket) -> io::Result<Sniffed> {
    let mut start = Vec::new();
    loop {
        if stream.read_buf(&mut start).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match sniff(&start) {
            Sniffed::NeedMore => {}
            sniffed => {
                stream.unread(&start);
                return Ok(sniffed);
            }
        }
    }
}

/// Makes the socket readable only from so many bytes on (SO_RCVLOWAT, socket(7); on Linux poll obeys it for TCP).
fn wake_at(stream: &TcpStream, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is the stream's, and the value an int that lives until the call is over.
    #[expect(unsafe_code, reason = "neither rustix nor socket2 has a name for it")]
    let set = unsafe {
        let value = (&raw const bytes).cast::<libc::c_void>();
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVLOWAT, value, size)
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The door: lets players in by the rules of the configuration, and publishers that show the key of their source.
pub(super) struct Gate {
    inventory: watch::Receiver<Arc<Inventory>>,
    challenger: Challenger,
    /// Where wrong keys are counted.
    attempts: Attempts,
    clock: Arc<dyn Clock>,
    viewers: ViewerGate,
}

impl Gate {
    pub(super) fn new(
        inventory: watch::Receiver<Arc<Inventory>>,
        attempts: Attempts,
        clock: Arc<dyn Clock>,
        viewers: ViewerGate,
    ) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        Ok(Self { inventory, challenger: Challenger::new(secret), attempts, clock, viewers })
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

/// One answer for a wrong name and a wrong key, so that nobody can find out names.
const NO: AccessDenied = AccessDenied::Told("there is no such source, or the key is not the right one");

/// Answered without looking at the key.
const WAIT: AccessDenied =
    AccessDenied::Told("too many wrong keys came from this address; try again in ten seconds");

impl Door for Gate {
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        let source = match caller.wish {
            AccessAction::Play(what) => return self.viewers.admit(caller, what),
            AccessAction::Publish { source, .. } => source,
        };
        let from = caller.peer.map(|peer| peer.ip());
        self.attempts.may_try(Credential::PublishKey, from).map_err(|_| WAIT)?;
        let asked = self.publish(caller, source);
        if asked.is_err() {
            self.attempts.rejected(Credential::PublishKey, from);
        }
        asked.map(|()| Admission::Open)
    }

    fn settle(&self, caller: &AccessRequest<'_>) -> BoxFuture<'static, ()> {
        self.viewers.settle(caller)
    }

    fn challenge(&self, user: &str) -> Option<String> {
        // Every user gets a challenge, so that nobody can find out names.
        Some(self.challenger.challenge(user, self.clock.now()))
    }
}

impl Gate {
    /// Checks a publisher's key.
    fn publish(&self, caller: &AccessRequest<'_>, source: &str) -> Result<(), AccessDenied> {
        // Only RTMP has publishers.
        let inventory = Arc::clone(&self.inventory.borrow());
        let inlet = inventory.sources.get(source).and_then(|source| source.inlet.as_ref());
        let inlet = inlet.filter(|_| caller.protocol == Protocol::Rtmp).ok_or(NO)?;
        let key = inlet.key.reveal();
        let shown = shows_key(caller.query, source, key)
            || self.challenger.answers(caller.query, source, key, self.clock.now());
        if shown { Ok(()) } else { Err(NO) }
    }
}

impl Publishing for Gate {
    fn open(&self, name: &str) -> Result<Box<dyn PublishedStream>, &'static str> {
        let inventory = Arc::clone(&self.inventory.borrow());
        let inlet = inventory.sources.get(name).and_then(|source| source.inlet.as_ref());
        let inlet = inlet.ok_or("there is no such source any more")?;
        let publication = inlet.inlet.open().ok_or("somebody publishes to this source already")?;
        Ok(Box::new(PublishStream(publication)))
    }

    fn knows(&self, name: &str) -> bool {
        self.inventory.borrow().sources.get(name).is_some_and(|source| source.inlet.is_some())
    }

    fn refused(&self, name: &str, why: &str) {
        let inventory = Arc::clone(&self.inventory.borrow());
        if let Some(inlet) = inventory.sources.get(name).and_then(|source| source.inlet.as_ref()) {
            inlet.inlet.refused(why);
        }
    }
}

struct PublishStream(Publication);

impl PublishedStream for PublishStream {
    fn frame(&mut self, frame: Frame) {
        let Frame { pts_ms, sync, data, format, .. } = frame;
        self.0.frame(pts_ms, sync, data, format);
    }

    fn taken_over(&self) -> CancellationToken {
        self.0.taken_over()
    }

    fn heard(&mut self) {
        self.0.heard();
    }

    fn passed_over(&mut self, track: Track, why: &str, harmless: bool) {
        self.0.passed_over(track, why, harmless);
    }

    fn lost(&mut self) {
        self.0.lost();
    }

    fn look(&mut self) {
        self.0.look();
    }

    fn left(&mut self, why: &str) {
        self.0.left(why);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Sends `pieces` from a peer, and then nothing more; the peer closes its side if it `leaves`.
    async fn told(pieces: &[&[u8]], leaves: bool) -> (io::Result<Sniffed>, TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        peer.set_nodelay(true).expect("a socket");
        let (stream, _) = listener.accept().await.expect("a connection");
        let says = async {
            for piece in pieces {
                peer.write_all(piece).await.expect("it is there");
                tokio::task::yield_now().await;
            }
            if leaves {
                peer.shutdown().await.expect("it is there");
            }
        };
        let (sniffed, ()) = tokio::join!(protocol(&stream), says);
        (sniffed, stream, peer)
    }

    #[tokio::test]
    async fn a_request_that_comes_byte_by_byte_is_told_and_left_in_place() {
        let text = b"GET /hall/playlist.m3u8 HTTP/1.1\r\nhost: x\r\n\r\n";
        let pieces: Vec<_> = text.chunks(1).collect();
        let (sniffed, mut stream, _peer) = told(&pieces, false).await;
        assert_eq!(sniffed.expect("told"), Sniffed::Http);
        let mut read = vec![0; text.len()];
        stream.read_exact(&mut read).await.expect("all of it");
        assert_eq!(read, text);
    }

    #[tokio::test]
    async fn who_leaves_amid_is_let_go_at_once() {
        for said in [&b""[..], b"G", b"DESCRIBE rt", b"GET /x HTTP/1.1"] {
            let (sniffed, ..) = told(&[said], true).await;
            assert_eq!(sniffed.expect_err("it has gone").kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[tokio::test]
    async fn nothing_is_looked_at_twice_while_nothing_comes() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (stream, _) = listener.accept().await.expect("a connection");
        peer.write_all(b"DESCRIBE ").await.expect("it is there");
        let mut looks = 0;
        let looking = std::pin::pin!(protocol(&stream));
        let mut looking = looking;
        let counted = std::future::poll_fn(|context| {
            looks += 1;
            looking.as_mut().poll(context)
        });
        let waited = tokio::time::timeout(Duration::from_millis(300), counted).await;
        assert!(waited.is_err(), "it waits");
        assert!(looks < 5, "it is woken by bytes alone, and was {looks} times");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn no_cut_changes_what_is_told(cut in 1_usize..40, rtsp: bool) {
            let text: &[u8] = if rtsp {
                b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n                 "
            } else {
                b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n                 "
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let (sniffed, ..) = runtime.block_on(told(&[&text[..cut], &text[cut..]], false));
            prop_assert_eq!(sniffed.expect("told"), if rtsp { Sniffed::Rtsp } else { Sniffed::Http });
        }
    }
}
