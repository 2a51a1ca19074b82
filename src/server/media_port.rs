//! The media port: HTTP, RTMP and RTSP on one socket, told apart by a connection's first bytes.
//!
//! The bytes are looked at where they lie in the socket, so none is lost to whoever takes the connection over.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::estate::Inventory;
use crate::clock::Clock;
use crate::delivery::{
    Caller, Delivery, Door, Protocol, PublishedStream, Publishing, Refusal, RtmpPort, RtspPort, Wish,
};
use crate::http::{self, Limits, Places, Port};
use crate::media::Track;
use crate::rtmp::authmod::Challenger;
use crate::rtmp::{Frame, SNIFF_MAX, Sniffed, shows_key, sniff};
use crate::source::Publication;

/// A connection must begin to speak within this.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at a connection that has not said enough: a peek cannot wait for more than there is.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Serves the port until `shutdown`. May be called again if it has broken off.
pub(super) async fn serve(port: &mut Port, speakers: Speakers, places: Places, shutdown: CancellationToken) {
    let ending = shutdown.clone();
    let each = move |stream, peer| {
        let delivery = speakers.delivery.for_peer(peer);
        connection(stream, Speakers { delivery, ..speakers.clone() }, ending.clone())
    };
    port.accept_each(places, each, shutdown).await;
}

/// Who serves what.
#[derive(Clone)]
pub(super) struct Speakers {
    delivery: Delivery,
    rtmp: RtmpPort,
    rtsp: RtspPort,
}

impl Speakers {
    pub(super) fn new(delivery: Delivery, gate: Arc<Gate>, clock: Arc<dyn Clock>) -> Self {
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
            clock,
        };
        Self { delivery, rtmp, rtsp }
    }
}

/// Serves a port of plain HTTP until `shutdown`. May be called again if it has broken off.
pub(super) async fn serve_http(
    port: &mut Port,
    delivery: Delivery,
    places: Places,
    shutdown: CancellationToken,
) {
    let ending = shutdown.clone();
    let each = move |stream, peer| {
        http::serve_express(stream, delivery.for_peer(peer), Limits::default(), ending.clone())
    };
    port.accept_each(places, each, shutdown).await;
}

async fn connection(stream: TcpStream, speakers: Speakers, shutdown: CancellationToken) {
    let sniffed = tokio::select! {
        () = shutdown.cancelled() => return,
        sniffed = tokio::time::timeout(PATIENCE, protocol(&stream)) => sniffed,
    };
    match sniffed {
        Ok(Ok(Sniffed::Http)) => {
            http::serve_express(stream, speakers.delivery, Limits::default(), shutdown).await;
        }
        // On the heap, or every HTTP connection would keep room for them.
        Ok(Ok(Sniffed::Rtmp)) => Box::pin(speakers.rtmp.serve(stream, shutdown)).await,
        Ok(Ok(Sniffed::Rtsp)) => Box::pin(speakers.rtsp.serve(stream, shutdown)).await,
        Ok(Ok(other)) => debug!(?other, "a connection that speaks no protocol of this port"),
        Ok(Err(error)) => debug!(%error, "a connection went away before it spoke"),
        Err(_) => debug!("a connection that says nothing"),
    }
}

async fn protocol(stream: &TcpStream) -> std::io::Result<Sniffed> {
    let mut start = vec![0; SNIFF_MAX];
    let mut before = 0;
    loop {
        let seen = stream.peek(&mut start).await?;
        if seen == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match sniff(&start[..seen]) {
            Sniffed::NeedMore if seen == before => tokio::time::sleep(LOOK_AGAIN).await,
            Sniffed::NeedMore => before = seen,
            sniffed => return Ok(sniffed),
        }
    }
}

/// The door: lets every player in, and publishers where the configuration has a key for them.
pub(super) struct Gate {
    inventory: watch::Receiver<Arc<Inventory>>,
    challenger: Challenger,
    clock: Arc<dyn Clock>,
}

impl Gate {
    pub(super) fn new(
        inventory: watch::Receiver<Arc<Inventory>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        Ok(Self { inventory, challenger: Challenger::new(secret), clock })
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

/// One answer for both faults, so that nobody can find out names.
const NO: Refusal = Refusal("there is no such source, or the key is not the right one");

impl Door for Gate {
    fn ask(&self, caller: &Caller<'_>) -> Result<(), Refusal> {
        if caller.wish == Wish::Play {
            return Ok(());
        }
        // Nothing but RTMP brings publishers.
        let inventory = Arc::clone(&self.inventory.borrow());
        let inlet = inventory.sources.get(caller.stream).and_then(|source| source.inlet.as_ref());
        let inlet = inlet.filter(|_| caller.protocol == Protocol::Rtmp).ok_or(NO)?;
        let key = inlet.key.reveal();
        let shown = shows_key(caller.query, caller.stream, key)
            || self.challenger.answers(caller.query, caller.stream, key, self.clock.now());
        if shown { Ok(()) } else { Err(NO) }
    }

    fn challenge(&self, user: &str) -> Option<String> {
        // Whoever it is: nobody can find out names.
        Some(self.challenger.challenge(user, self.clock.now()))
    }
}

impl Publishing for Gate {
    fn open(&self, name: &str) -> Result<Box<dyn PublishedStream>, &'static str> {
        let inventory = Arc::clone(&self.inventory.borrow());
        let inlet = inventory.sources.get(name).and_then(|source| source.inlet.as_ref());
        let inlet = inlet.ok_or("there is no such source any more")?;
        let publication = inlet.inlet.open().ok_or("somebody publishes to this source already")?;
        Ok(Box::new(Stream(publication)))
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

struct Stream(Publication);

impl PublishedStream for Stream {
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
