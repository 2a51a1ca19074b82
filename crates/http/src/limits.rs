//! Bounds of a port's connections.

use std::time::Duration;

use super::inbound;
use super::places::Places;

/// Bounds of a port's connections. `serve.rs` lists what each of them is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at a time.
    pub connections: usize,
    /// The most of these from one address; 0 = no bound.
    pub per_address: usize,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// How long sent bytes may stay unacknowledged (`TCP_USER_TIMEOUT`). A peer with a small window must take the system's
    /// next packet, some 60 kB, in this time: Linux counts from the window's closing until all of that fits.
    pub unread: Duration,
    /// How long a request's body may take.
    pub body: Duration,
    /// How long answers that are being sent may take after shutdown.
    pub drain: Duration,
}

impl Limits {
    /// The bounds of a port for operators and their scripts, such as the admin port.
    pub fn of_control() -> Self {
        Self { connections: CONTROL_CONNECTIONS, per_address: CONTROL_CONNECTIONS / 4, ..Self::default() }
    }

    /// New [`Places`] with these bounds, for a port that shares them with no other.
    pub fn places(&self) -> Places {
        Places::new(self.connections, self.per_address)
    }
}

/// The most connections of a port for operators and their scripts.
pub const CONTROL_CONNECTIONS: usize = 128;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            per_address: 0,
            idle: Duration::from_secs(30),
            unread: Duration::from_secs(120),
            body: inbound::WHOLE,
            drain: Duration::from_secs(2),
        }
    }
}
