//! Bounds the connections that are open at a time: in all, and from one address.
//!
//! Ports may share their [`Places`]. When all are taken, new connections wait in the backlog. A connection from an address
//! that has its share already is closed at once and counted; the log says so once a second.
//!
//! Loopback addresses have no bound of their own: a reverse proxy on this machine brings all its viewers from there,
//! and so does a load test. IPv6 addresses count by their first 64 bits, since one machine or household may use any
//! address of a /64 (RFC 4291 §2.5.1).

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use amphi_media::Lock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use amphi_media::meter::{Counter, Note};
use amphi_runtime::log::household;

/// The least time between two log lines about refusals.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// Places for connections. Clones share them.
#[derive(Clone, Debug)]
pub struct Places(Arc<PlacesTaken>);

#[derive(Debug)]
struct PlacesTaken {
    free: Arc<Semaphore>,
    all: usize,
    per_address: usize,
    refused: Counter,
    taken: Lock<Taken>,
    /// Why no connection can be accepted, until one can.
    starving: Arc<Note>,
    starved: Counter,
}

#[derive(Debug, Default)]
struct Taken {
    by_address: HashMap<IpAddr, usize>,
    /// When refusals were last logged.
    said: Option<Instant>,
    /// Refusals since then.
    unsaid: u64,
}

/// A place for the next connection, before its address is known.
#[derive(Debug)]
pub(super) struct UnnamedPlace {
    _permit: OwnedSemaphorePermit,
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    _place: UnnamedPlace,
    share: Option<(Places, IpAddr)>,
}

/// Further places of one connection; free again when dropped.
#[derive(Debug)]
pub struct Extra {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// At most `all` connections, and `per_address` from one address; 0 = no bound for an address.
    pub fn new(all: usize, per_address: usize) -> Self {
        let free = Arc::new(Semaphore::new(all));
        let (refused, starved, taken) = (Counter::default(), Counter::default(), Lock::default());
        let starving = Arc::default();
        Self(Arc::new(PlacesTaken { free, all, per_address, refused, taken, starving, starved }))
    }

    /// Places taken now, by connections and by [`Places::extra`].
    pub fn taken(&self) -> usize {
        self.0.all.saturating_sub(self.0.free.available_permits())
    }

    /// Connections refused since start because their address had its share.
    pub fn refused(&self) -> u64 {
        self.0.refused.get()
    }

    /// Takes further places for a connection that needs more file descriptors, such as a player's pairs of UDP ports. `None`
    /// if not enough are free.
    pub fn extra(&self, places: u32) -> Option<Extra> {
        let permit = Arc::clone(&self.0.free).try_acquire_many_owned(places).ok()?;
        Some(Extra { _permit: permit })
    }

    /// How often `accept` has failed since start for lack of file descriptors or memory.
    pub fn starved(&self) -> u64 {
        self.0.starved.get()
    }

    /// Set while no connection can be accepted: a sentence with the reason and what to do.
    pub fn starving(&self) -> Arc<Note> {
        Arc::clone(&self.0.starving)
    }

    /// `accept` has failed. Logged once, until a connection is accepted again.
    pub(super) fn starves(&self, error: &io::Error) {
        self.0.starved.increment();
        if self.0.starving.get().is_none() {
            tracing::warn!(%error, "cannot accept connections; trying again every second");
            let advice = "raise LimitNOFILE, or lower server.connections";
            self.0.starving.set(&format!("connections cannot be accepted: {error}; {advice}"));
        }
    }

    /// A connection was accepted.
    pub(super) fn accepts(&self) {
        if self.0.starving.get().is_some() {
            tracing::info!("connections are accepted again");
            self.0.starving.clear();
        }
    }

    /// Waits until a place is free.
    pub(super) async fn free(&self) -> Option<UnnamedPlace> {
        Arc::clone(&self.0.free).acquire_owned().await.ok().map(|permit| UnnamedPlace { _permit: permit })
    }

    /// Gives `place` to `peer`; `None` if its address has its share already.
    pub(super) fn place(&self, place: UnnamedPlace, peer: IpAddr) -> Option<ConnectionPlace> {
        let peer = peer.to_canonical();
        if self.0.per_address == 0 || peer.is_loopback() {
            return Some(ConnectionPlace { _place: place, share: None });
        }
        let household = household(peer);
        let mut taken = self.lock();
        let share = taken.by_address.entry(household).or_default();
        if *share < self.0.per_address {
            *share += 1;
            return Some(ConnectionPlace { _place: place, share: Some((self.clone(), household)) });
        }
        self.0.refused.increment();
        taken.unsaid += 1;
        if taken.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            let count = std::mem::take(&mut taken.unsaid);
            taken.said = Some(Instant::now());
            drop(taken);
            tracing::warn!(%peer, count, limit = self.0.per_address, "connections are refused: this address has as many as one may have");
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock()
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let Some((places, household)) = self.share.take() else { return };
        let mut taken = places.lock();
        if let Some(share) = taken.by_address.get_mut(&household) {
            *share -= 1;
            if *share == 0 {
                taken.by_address.remove(&household);
            }
        }
    }
}

/// The address that `peer` is counted as where something is bounded per address; `None` for loopback, which has no bound.
pub fn asker(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    (!peer.is_loopback()).then(|| household(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(places: &Places, peer: &str) -> Option<ConnectionPlace> {
        let permit = Arc::clone(&places.0.free).try_acquire_owned().expect("a free place");
        places.place(UnnamedPlace { _permit: permit }, peer.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_its_share_and_no_more_until_a_place_is_free_again() {
        let places = Places::new(100, 2);
        let places_taken: Vec<_> =
            (0..2).map(|_| place(&places, "192.0.2.1").expect("within its share")).collect();
        assert!(place(&places, "192.0.2.1").is_none());
        assert!(place(&places, "::ffff:192.0.2.1").is_none(), "the same address on a port for both");
        assert!(place(&places, "192.0.2.2").is_some());
        assert_eq!((places.taken(), places.refused()), (2, 2));
        drop(places_taken);
        assert!(places.lock().by_address.is_empty(), "nothing is kept of who has left");
        assert!(place(&places, "192.0.2.1").is_some());
    }

    #[test]
    fn what_takes_more_descriptors_takes_more_places() {
        let places = Places::new(5, 0);
        let _place = place(&places, "192.0.2.1");
        let extra = places.extra(4).expect("four are left");
        assert!((places.taken(), places.extra(1).is_none()) == (5, true));
        drop(extra);
        assert_eq!(places.taken(), 1);
    }

    #[test]
    fn want_of_descriptors_is_said_until_it_is_over() {
        let places = Places::new(5, 0);
        for _ in 0..3 {
            places.starves(&io::Error::from_raw_os_error(libc::EMFILE));
        }
        assert!(places.starving().get().is_some_and(|said| said.contains("LimitNOFILE")));
        places.accepts();
        assert_eq!((places.starving().get(), places.starved()), (None, 3));
    }

    #[test]
    fn the_addresses_of_one_network_of_ipv6_are_one() {
        let places = Places::new(100, 1);
        let _place = place(&places, "2001:db8:0:1::5").expect("the first");
        assert!(place(&places, "2001:db8:0:1:ffff::6").is_none());
        assert!(place(&places, "2001:db8:0:2::5").is_some());
    }

    #[test]
    fn loopback_is_exempt_and_zero_is_no_bound() {
        let places = Places::new(100, 1);
        let places_taken: Vec<_> = ["127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1"]
            .map(|peer| place(&places, peer))
            .into();
        assert!(places_taken.iter().all(Option::is_some));
        let places = Places::new(100, 0);
        let places_taken: Vec<_> = (0..50).map(|_| place(&places, "192.0.2.1")).collect();
        assert!(places_taken.iter().all(Option::is_some));
    }
}
