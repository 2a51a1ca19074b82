//! Limits the log lines that peers without credentials can cause: [`LINES`] for each kind and address in a minute, the rest
//! counted (sans-IO; time is an argument).
//!
//! Contract. Call [`Limiter::ask`] before each line, and [`Limiter::over`] now and then for what was left out in windows that
//! have ended. IPv6 addresses count by their first 64 bits ([`household`]). Memory is bounded: beyond [`ADDRESSES`]
//! addresses, all others of a kind share one window. A kind as a whole has a bound too, since an attacker has many addresses.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
/// Lines of one kind and address in a window.
const LINES: u64 = 5;
/// Lines of one kind in a window, from all addresses together.
const LINES_OF_KIND: u64 = 100;
/// Addresses with a window of their own, over all kinds.
const ADDRESSES: usize = 1024;

/// A kind, and the address that caused its lines: `None` if it is unknown, or one too many to be counted by itself.
type LineKey = (&'static str, Option<IpAddr>);

/// Counts lines by kind and address; the module's text has the contract.
#[derive(Debug)]
pub struct Limiter {
    windows: BTreeMap<LineKey, CountedWindow>,
    kinds: BTreeMap<&'static str, CountedWindow>,
}

#[derive(Debug)]
struct CountedWindow {
    since: Instant,
    said: u64,
    left_out: u64,
}

/// Lines that were left out in a window that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinesLeftOut {
    /// The kind of the lines, as given to [`Limiter::ask`].
    pub kind: &'static str,
    /// The address that caused them; `None` = several, or unknown.
    pub address: Option<IpAddr>,
    /// The number of lines.
    pub count: u64,
}

impl Limiter {
    /// A limiter without any window yet.
    pub const fn new() -> Self {
        Self { windows: BTreeMap::new(), kinds: BTreeMap::new() }
    }

    /// Whether a line of `kind`, caused by `address`, may be written at `now`. If not, it is counted.
    pub fn ask(&mut self, kind: &'static str, address: Option<IpAddr>, now: Instant) -> bool {
        let mut key = (kind, address.map(household));
        if !self.windows.contains_key(&key) && self.windows.len() >= ADDRESSES {
            key.1 = None;
        }
        let fresh = || CountedWindow { since: now, said: 0, left_out: 0 };
        let window = self.windows.entry(key).or_insert_with(fresh);
        window.renew(now);
        let of_kind = self.kinds.entry(kind).or_insert_with(fresh);
        if of_kind.is_over(now) {
            *of_kind = fresh();
        }
        let is_said = window.said < LINES && of_kind.said < LINES_OF_KIND;
        if is_said {
            window.said += 1;
            of_kind.said += 1;
        } else {
            window.left_out += 1;
        }
        is_said
    }

    /// What was left out in windows that have ended. These are removed.
    pub fn over(&mut self, now: Instant) -> Vec<LinesLeftOut> {
        let mut all: BTreeMap<&'static str, Vec<LinesLeftOut>> = BTreeMap::new();
        self.windows.retain(|(kind, address), window| {
            let is_over = window.is_over(now);
            if is_over && window.left_out > 0 {
                let (kind, address, count) = (*kind, *address, window.left_out);
                all.entry(kind).or_default().push(LinesLeftOut { kind, address, count });
            }
            !is_over
        });
        self.kinds.retain(|_, window| !window.is_over(now));
        all.into_values().flat_map(few).collect()
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

/// Reduces a list of up to a thousand addresses to the busiest [`LINES`], and one entry for all others.
fn few(mut left_out: Vec<LinesLeftOut>) -> Vec<LinesLeftOut> {
    left_out.sort_by_key(|it| std::cmp::Reverse(it.count));
    let rest = left_out.split_off(left_out.len().min(LINES as usize));
    let count = rest.iter().map(|it| it.count).sum();
    if let Some(LinesLeftOut { kind, .. }) = rest.first() {
        left_out.push(LinesLeftOut { kind, address: None, count });
    }
    left_out
}

impl CountedWindow {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }

    /// Starts a new window when this one has ended. One that has left lines out waits until [`Limiter::over`] has reported
    /// them.
    fn renew(&mut self, now: Instant) {
        if self.is_over(now) && self.left_out == 0 {
            (self.since, self.said) = (now, 0);
        }
    }
}

/// What an address is counted as: of IPv6 the first 64 bits, since one machine or household may use any address of a /64
/// (RFC 4291 §2.5.1); an IPv4 address as it is.
pub fn household(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What is kept of a viewer's address: of IPv4 the first 24 bits, of IPv6 the first 48, so that nobody can be told from it.
pub fn shortened(viewer: IpAddr) -> IpAddr {
    match viewer.to_canonical() {
        IpAddr::V4(address) => core::net::Ipv4Addr::from_bits(address.to_bits() & !0xff).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn nobody_is_told_by_what_is_kept() {
        for (viewer, kept) in [
            ("192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2::3", "2001:db8:1::"),
            ("::ffff:192.0.2.77", "192.0.2.0"),
        ] {
            assert_eq!(shortened(address(viewer)), address(kept));
        }
    }

    #[test]
    fn an_address_is_said_a_few_times_and_then_counted_until_its_window_is_over() {
        let (mut limiter, start) = (Limiter::new(), Instant::now());
        let asked = |limiter: &mut Limiter, at| limiter.ask("login", Some(address("192.0.2.1")), start + at);
        let said = (0..700).filter(|_| asked(&mut limiter, Duration::ZERO)).count();
        assert_eq!(said as u64, LINES);
        assert!(limiter.ask("login", Some(address("192.0.2.2")), start), "another address");
        assert!(limiter.ask("key", Some(address("192.0.2.1")), start), "another kind");
        assert_eq!(limiter.over(start + WINDOW / 2), []);
        let over = limiter.over(start + WINDOW);
        let expected =
            LinesLeftOut { kind: "login", address: Some(address("192.0.2.1")), count: 700 - LINES };
        assert_eq!(over, [expected]);
        assert!(asked(&mut limiter, WINDOW), "a new window");
    }

    #[test]
    fn households_of_ipv6_are_one_and_mapped_addresses_are_those_of_ipv4() {
        let (mut limiter, now) = (Limiter::new(), Instant::now());
        let said = (0..100).filter(|n| limiter.ask("a", Some(address(&format!("2001:db8:0:1::{n:x}"))), now));
        assert_eq!(said.count() as u64, LINES);
        assert_eq!(household("::ffff:192.0.2.1".parse().expect("mapped")), address("192.0.2.1"));
    }

    #[test]
    fn addresses_without_number_cost_neither_memory_nor_the_log() {
        let (mut limiter, now) = (Limiter::new(), Instant::now());
        let mut said = 0;
        for n in 0..50_000_u32 {
            let peer = IpAddr::from(n.to_be_bytes());
            said += u64::from(limiter.ask("a", Some(peer), now));
        }
        assert_eq!(said, LINES_OF_KIND);
        assert!(limiter.windows.len() <= ADDRESSES + 1);
        let over = limiter.over(now + WINDOW);
        assert!(over.len() as u64 <= LINES + 1, "{over:?}");
        assert_eq!(over.iter().map(|it| it.count).sum::<u64>() + said, 50_000);
        assert!(limiter.windows.is_empty() && limiter.kinds.is_empty());
    }
}
