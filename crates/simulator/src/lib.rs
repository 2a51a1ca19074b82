//! A simulated lecture hall (and in [`opencast`] the calendar that goes with it): one clip, looped for ever and sent over
//! real RTSP, as an Extron SMP 351 does.
//!
//! The loop is locked to unix time: a loop of L seconds begins whenever unix time is a multiple of L, so the clock
//! that is burnt into the demo's clips tells the time of day modulo L, and latency can be read off a picture.
//! RTP goes over TCP (interleaved, RFC 2326 §10.12) or unicast UDP, with sender reports. What does not belong here:
//! anything that the server itself needs.
//!
//! **Where to start.** [`SimulatorOptions`] below, `playout.rs` for what is sent when, `fault.rs` for what a hall can have.
//!
//! # Example
//! Faults have names, for the demo and for tests:
//! ```
//! use amphi_simulator::SimulatedFault;
//!
//! assert_eq!("freeze".parse::<SimulatedFault>().ok(), Some(SimulatedFault::Freeze));
//! ```

mod connection;
mod fault;
pub mod opencast;
mod playout;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use amphi_container::clip::{Clip, ClipTrack};
use amphi_media::clock::Clock;
use amphi_protocol::rtsp::Digest;

use connection::SimulatorConnection;

pub use fault::{SimulatedFault, UnknownFault};

/// Most connections at once; a real device allows fewer.
const CONNECTIONS: usize = 16;

/// What a simulated hall sends, and where.
#[derive(Clone)]
pub struct SimulatorOptions {
    /// The clip that it sends in a loop.
    pub clip: Arc<Clip>,
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// User and password for Digest; `None`: open to all.
    pub credentials: Option<(String, String)>,
    /// What it sends in place of the clip when it fails.
    pub spares: Arc<Spares>,
}

/// What failing halls send, by fault.
#[derive(Clone, Debug)]
pub struct Spares {
    /// Black pictures and silence, for `black` and `silent`.
    pub black: Clip,
    /// Pictures of another size, for `resize`.
    pub small: Clip,
    /// Sound of another format, for `mono`.
    pub mono: ClipTrack,
}

/// A running simulated hall. Dropping it does not stop it; call [`Simulator::stop`].
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    end: CancellationToken,
    tasks: TaskTracker,
    fault: watch::Sender<Option<SimulatedFault>>,
}

/// Everything that connections share.
struct Hall {
    clip: Arc<Clip>,
    spares: Arc<Spares>,
    digest: Option<Digest>,
    clock: Arc<dyn Clock>,
    fault: watch::Receiver<Option<SimulatedFault>>,
}

impl Simulator {
    /// Starts a hall whose loop follows `clock`. Fails if the port cannot be bound.
    pub async fn start(options: SimulatorOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let digest = options.credentials.map(|(user, password)| {
            Digest::new("Extron SMP 351", &format!("{:016x}", fastrand::u64(..)), &user, &password)
        });
        let (fault, faults) = watch::channel(None);
        let SimulatorOptions { clip, spares, .. } = options;
        let hall = Arc::new(Hall { clip, spares, digest, clock, fault: faults });
        let simulator = Self { address, end: CancellationToken::new(), tasks: TaskTracker::new(), fault };
        let (end, tasks) = (simulator.end.clone(), simulator.tasks.clone());
        simulator.tasks.spawn(accept(listener, hall, end, tasks));
        Ok(simulator)
    }

    /// The URL of its stream, without credentials.
    pub fn url(&self) -> String {
        format!("rtsp://{}/extron1", self.address)
    }

    /// The address and port that it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the device fail from now on; `None` repairs it.
    pub fn set_fault(&self, fault: Option<SimulatedFault>) {
        self.fault.send_replace(fault);
    }

    /// The present fault, if any.
    pub fn fault(&self) -> Option<SimulatedFault> {
        *self.fault.borrow()
    }

    /// Ends every connection and closes the port, as when a device's plug is pulled.
    pub async fn stop(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn accept(listener: TcpListener, hall: Arc<Hall>, end: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = end.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (Ok((stream, peer)), Ok(place)) = (accepted, Arc::clone(&places).try_acquire_owned()) else {
            continue;
        };
        if *hall.fault.borrow() == Some(SimulatedFault::Off) {
            // The peer gets RST, as from a host where nothing listens.
            drop(SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)));
            continue;
        }
        let (hall, end) = (Arc::clone(&hall), end.clone());
        tasks.spawn(async move {
            let ended = tokio::select! {
                () = end.cancelled() => Ok(()),
                ended = SimulatorConnection::new(stream, peer, hall).run() => ended,
            };
            if let Err(error) = ended {
                debug!(%peer, %error, "simulator: connection ended");
            }
            drop(place);
        });
    }
}
