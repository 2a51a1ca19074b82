//! A simulated lecture hall: one clip, looped for ever over real RTSP, as an Extron SMP 351 would send it.
//!
//! The loop is locked to unix time: a loop of L seconds begins whenever unix time is a multiple of L, so the clock
//! that is burnt into the demo's clips tells the time of day modulo L, and latency can be read off a picture.
//! RTP goes over TCP (interleaved) or unicast UDP, with sender reports. What does not belong here: anything
//! that the server itself needs.

mod connection;
mod playout;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::clip::Clip;
use crate::clock::Clock;
use crate::rtsp::Digest;

use connection::Connection;

/// Connections at once; a real device has fewer.
const CONNECTIONS: usize = 16;

/// What a simulated hall is like.
#[derive(Clone)]
pub struct SimulatorOptions {
    /// What it sends.
    pub clip: Arc<Clip>,
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// User and password; `None` = open to all.
    pub credentials: Option<(String, String)>,
}

/// A running simulator.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    end: CancellationToken,
    tasks: TaskTracker,
}

/// Everything that connections share.
struct Hall {
    clip: Arc<Clip>,
    digest: Option<Digest>,
    clock: Arc<dyn Clock>,
}

impl Simulator {
    /// Starts to listen.
    pub async fn start(options: SimulatorOptions, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let digest = options.credentials.map(|(user, password)| {
            Digest::new("Extron SMP 351", &format!("{:016x}", fastrand::u64(..)), &user, &password)
        });
        let hall = Arc::new(Hall { clip: options.clip, digest, clock });
        let simulator = Self { address, end: CancellationToken::new(), tasks: TaskTracker::new() };
        let (end, tasks) = (simulator.end.clone(), simulator.tasks.clone());
        simulator.tasks.spawn(accept(listener, hall, end, tasks));
        Ok(simulator)
    }

    /// The address of its stream, without credentials.
    pub fn url(&self) -> String {
        format!("rtsp://{}/extron1", self.address)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection and closes the port, as a device does whose plug is pulled.
    pub async fn stop(self) {
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
        let (hall, end) = (Arc::clone(&hall), end.clone());
        tasks.spawn(async move {
            let ended = tokio::select! {
                () = end.cancelled() => Ok(()),
                ended = Connection::new(stream, peer, hall).run() => ended,
            };
            if let Err(error) = ended {
                debug!(%peer, %error, "simulator: connection ended");
            }
            drop(place);
        });
    }
}
