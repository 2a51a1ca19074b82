//! Bounds of a serving loop.

use std::time::Duration;

use super::inbound;
use super::places::Places;

/// See [`serve`](super::serve) for the peers whom each answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Of these, from one address; 0 is no bound.
    pub per_address: usize,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// How long sent bytes may stay unacknowledged. A peer with a small window has to take whatever the system wants to send
    /// next in this time, some 60 kB: Linux counts from the window's closing until all of that fits, not until it opens.
    pub unread: Duration,
    /// How long a request's body may take.
    pub body: Duration,
    /// How long answers under way may take once the server is ending.
    pub drain: Duration,
}

impl Limits {
    /// Of a port for people and their scripts.
    pub fn of_control() -> Self {
        Self { connections: CONTROL_CONNECTIONS, per_address: CONTROL_CONNECTIONS / 4, ..Self::default() }
    }

    /// The places of a port with these bounds that shares them with no other.
    pub fn places(&self) -> Places {
        Places::new(self.connections, self.per_address)
    }
}

/// Connections of a port for people and their scripts.
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
