//! Which addresses send wrong credentials repeatedly, and how long they have to wait. Sans-IO; time is an argument.
//!
//! Contract: before credentials are checked, call [`Guesses::wait`]; an address that has to wait is refused unchecked, and
//! told for how long. If they are wrong, call [`Guesses::failed`]; now and then, [`Guesses::sweep`]. The return values of
//! these two are for the log: one line when an address starts to wait, and one when it has stopped guessing.
//!
//! The rules:
//! * [`FREE`] failures cost nothing. After each further one the address waits, twice as long each time, up to [`LONGEST`].
//!   This holds for everyone at the address, also with the right credentials: otherwise the wait would tell which ones
//!   are right. So nobody is locked out for longer than [`LONGEST`] after a guess, and a guesser has 8640 tries a day.
//! * A loopback address stands for everyone who comes through a reverse proxy on this machine; there the longest wait is
//!   [`LONGEST_HERE`].
//! * Failures are forgotten after [`CALM`] without any, and by nothing else. Right credentials change nothing: otherwise
//!   someone with one right credential, or behind the same proxy as such a user, could guess another at full speed.
//! * IPv6 addresses count by their first 64 bits, as everywhere.
//! * [`MOST`] addresses are remembered; beyond that, the one without failures for longest is forgotten.

use core::net::IpAddr;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use amphi_runtime::log::household;

/// Failures without a wait, for people who mistype.
pub(super) const FREE: u32 = 10;
/// The longest wait.
pub(super) const LONGEST: Duration = Duration::from_secs(10);
/// The longest wait of this machine's own addresses.
pub(super) const LONGEST_HERE: Duration = Duration::from_secs(1);
/// The time without a failure after which all are forgotten.
pub(super) const CALM: Duration = Duration::from_secs(15 * 60);
/// Addresses that are remembered.
const MOST: usize = 4096;
/// The wait after failure [`FREE`] + 1.
const FIRST: Duration = Duration::from_millis(250);

/// What is remembered of an address.
#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u64,
    last: Instant,
    /// Credentials are not checked before this.
    until: Instant,
    /// Whether it has had to wait, which was logged.
    slowed: bool,
}

/// An address that had to wait has stopped guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) address: IpAddr,
    pub(super) failures: u64,
}

#[derive(Debug, Default)]
pub(super) struct Guesses {
    records: HashMap<IpAddr, Record>,
}

impl Guesses {
    /// How long credentials from `address` are refused unchecked; `None` = they may be checked now.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let record = self.records.get(&household(address))?;
        Some(record.until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// The credentials were wrong. `true` if the address has to wait from now on, and had not to before.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) -> bool {
        // The /64 of `::1` is more than loopback, so this is asked of the whole address.
        let is_here = address.to_canonical().is_loopback();
        let address = household(address);
        if self.records.len() >= MOST && !self.records.contains_key(&address) {
            self.forget_one();
        }
        let fresh = Record { failures: 0, last: now, until: now, slowed: false };
        let record = self.records.entry(address).or_insert(fresh);
        record.failures += 1;
        record.last = now;
        let over = record.failures.saturating_sub(u64::from(FREE));
        if over == 0 {
            return false;
        }
        let longest = if is_here { LONGEST_HERE } else { LONGEST };
        let doublings = u32::try_from(over - 1).unwrap_or(u32::MAX).min(10);
        record.until = now + (FIRST * 2_u32.pow(doublings)).min(longest);
        !std::mem::replace(&mut record.slowed, true)
    }

    /// Forgets addresses without a failure for [`CALM`]; returns those that had to wait.
    pub(super) fn sweep(&mut self, now: Instant) -> Vec<Over> {
        let mut over = Vec::new();
        self.records.retain(|address, record| {
            let stays = now.saturating_duration_since(record.last) < CALM;
            if !stays && record.slowed {
                over.push(Over { address: *address, failures: record.failures });
            }
            stays
        });
        over
    }

    /// The number of addresses that have had to wait and are not forgotten yet.
    pub(super) fn slowed(&self) -> usize {
        self.records.values().filter(|record| record.slowed).count()
    }

    fn forget_one(&mut self) {
        // Addresses that do not wait go first: many addresses with a failure each must not free a guesser.
        let calmest = self.records.iter().min_by_key(|(_, record)| (record.slowed, record.last));
        if let Some(address) = calmest.map(|(address, _)| *address) {
            self.records.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn some_failures_are_free_and_then_each_costs_more_up_to_a_bound() {
        let (mut guesses, start, who) = (Guesses::default(), Instant::now(), address("192.0.2.1"));
        for _ in 0..FREE {
            assert!(!guesses.failed(who, start));
            assert_eq!(guesses.wait(who, start), None);
        }
        assert!(guesses.failed(who, start), "it begins");
        assert_eq!(guesses.wait(who, start), Some(FIRST));
        assert_eq!(guesses.wait(who, start + FIRST), None, "and ends");
        assert!(!guesses.failed(who, start + FIRST), "said once");
        assert_eq!(guesses.wait(who, start + FIRST), Some(2 * FIRST));
        for _ in 0..100 {
            guesses.failed(who, start);
        }
        assert_eq!(guesses.wait(who, start), Some(LONGEST));
        assert_eq!(guesses.wait(address("192.0.2.2"), start), None, "others do not wait");
        assert_eq!(guesses.slowed(), 1);
    }

    #[test]
    fn calm_forgets() {
        let (mut guesses, start, who) = (Guesses::default(), Instant::now(), address("192.0.2.1"));
        for _ in 0..20 {
            guesses.failed(who, start);
        }
        assert_eq!(guesses.sweep((start + CALM).checked_sub(FIRST).unwrap()), []);
        assert_eq!(guesses.sweep(start + CALM), [Over { address: who, failures: 20 }]);
        assert_eq!(guesses.wait(who, start), None);
        guesses.failed(who, start);
        assert_eq!(guesses.sweep(start + CALM), [], "who never waited ends without a word");
    }

    #[test]
    fn a_network_is_one_guesser_and_a_proxy_is_not_locked_out() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        for host in 0..50 {
            guesses.failed(address(&format!("2001:db8:0:1::{host:x}")), start);
            guesses.failed(address("127.0.0.1"), start);
        }
        assert_eq!(guesses.wait(address("2001:db8:0:1:ffff::"), start), Some(LONGEST));
        assert_eq!(guesses.wait(address("2001:db8:0:2::"), start), None);
        assert_eq!(guesses.wait(address("::ffff:127.0.0.1"), start), Some(LONGEST_HERE));
        for _ in 0..50 {
            guesses.failed(address("::1"), start);
        }
        assert_eq!(guesses.wait(address("::1"), start), Some(LONGEST_HERE));
    }

    #[test]
    fn the_table_is_bounded_and_a_crowd_frees_no_guesser() {
        let (mut guesses, start) = (Guesses::default(), Instant::now());
        let guesser = address("192.0.2.1");
        for _ in 0..20 {
            guesses.failed(guesser, start);
        }
        for stranger in 0..3 * MOST as u32 {
            guesses.failed(IpAddr::from((0x0a00_0000 + stranger).to_be_bytes()), start + FIRST);
        }
        assert_eq!(guesses.records.len(), MOST);
        assert_eq!(guesses.wait(guesser, start), Some(LONGEST));
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_the_longest(
            tries in prop::collection::vec((0..3_u8, 0..30_000_u64), 0..200),
        ) {
            let (mut guesses, mut now) = (Guesses::default(), Instant::now());
            for (host, pause_ms) in tries {
                now += Duration::from_millis(pause_ms);
                let who = IpAddr::from([192, 0, 2, host]);
                if guesses.wait(who, now).is_some() {
                    continue;
                }
                guesses.failed(who, now);
                prop_assert!(guesses.wait(who, now).unwrap_or_default() <= LONGEST);
            }
        }
    }
}
