//! Puts the packets of a stream in order by sequence number (RFC 3550 §A.1). Over UDP it waits a little for missing ones.
//!
//! # Contract
//! Pass every packet to [`Order::push`], then call [`Order::pop`] until `None`. At [`Order::deadline`] call [`Order::tick`] and
//! pop again. Each packet comes out once, in order, with the number of packets that are missing before it.
//!
//! Late and duplicate packets are dropped. A sequence number far away is not believed until the next one follows it: then
//! the sender has started again.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

/// Most packets that may be missing before a number counts as far away (`MAX_DROPOUT`, RFC 3550 §A.1).
const MOST_MISSING: i64 = 3000;
/// How many numbers back a packet counts as late (`MAX_MISORDER`). So many late ones in a row are a new start.
const MOST_LATE: i64 = 100;

/// How long to wait for a missing packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How many packets may wait for a missing one.
    pub packets: usize,
    /// How long they wait.
    pub time: Duration,
}

/// For TCP, where packets cannot overtake each other.
pub(super) const NONE: Patience = Patience { packets: 0, time: Duration::ZERO };
/// For UDP. Campus networks reorder within milliseconds, and a live cell may be a second late.
pub(super) const UDP: Patience = Patience { packets: 64, time: Duration::from_millis(120) };

/// A packet in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next<T> {
    pub packet: T,
    /// Number of packets missing before it.
    pub lost: u32,
}

/// Puts packets in order; see the module's contract.
#[derive(Debug)]
pub(super) struct Order<T> {
    patience: Patience,
    /// The sequence number that is expected next, extended beyond 16 bits.
    next: Option<i64>,
    held: BTreeMap<i64, T>,
    since: Option<Duration>,
    out: VecDeque<Next<T>>,
    /// A packet whose sequence number is far away.
    far: Option<(u16, T)>,
    late: i64,
}

impl<T> Order<T> {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            next: None,
            held: BTreeMap::new(),
            since: None,
            out: VecDeque::new(),
            far: None,
            late: 0,
        }
    }

    /// A packet has arrived at `now`. Returns its extended sequence number, unless it is dropped or doubted.
    pub(super) fn push(&mut self, sequence: u16, packet: T, now: Duration) -> Option<i64> {
        let Some(next) = self.next else { return Some(self.restart(sequence, packet, 0)) };
        let ahead = i64::from(sequence.wrapping_sub(next as u16) as i16);
        if (0..=MOST_MISSING).contains(&ahead) {
            self.far = None;
            self.late = 0;
            let number = next + ahead;
            self.held.insert(number, packet);
            self.release(now);
            return Some(number);
        }
        if (-MOST_LATE..0).contains(&ahead) && self.late < MOST_LATE {
            self.late += 1;
            return None;
        }
        match self.far.take() {
            Some((before, first)) if before.wrapping_add(1) == sequence => {
                self.drain();
                self.restart(before, first, 1);
                self.push(sequence, packet, now)
            }
            // Either the first packet of a new start, or a stray one.
            _ => {
                self.far = Some((sequence, packet));
                None
            }
        }
    }

    /// The sender has started again with this packet, whatever its sequence number.
    pub(super) fn restart(&mut self, sequence: u16, packet: T, lost: u32) -> i64 {
        self.drain();
        let number = i64::from(sequence);
        self.next = Some(number + 1);
        self.far = None;
        self.late = 0;
        self.out.push_back(Next { packet, lost });
        number
    }

    /// The next packet in order.
    pub(super) fn pop(&mut self) -> Option<Next<T>> {
        self.out.pop_front()
    }

    /// When to stop waiting for a missing packet.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.since.map(|since| since + self.patience.time)
    }

    /// Stops waiting if it is time.
    pub(super) fn tick(&mut self, now: Duration) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.give_up();
            self.since = None;
            self.release(now);
        }
    }

    /// Releases packets that are in order, and the first one that waits if too many do.
    fn release(&mut self, now: Duration) {
        loop {
            let Some((first, _)) = self.held.first_key_value() else {
                self.since = None;
                return;
            };
            if Some(*first) == self.next || self.held.len() > self.patience.packets {
                self.give_up();
                self.since = None;
            } else {
                self.since.get_or_insert(now);
                return;
            }
        }
    }

    /// Releases the first packet that waits, though others before it are missing.
    fn give_up(&mut self) {
        let Some((number, packet)) = self.held.pop_first() else { return };
        let due = self.next.unwrap_or(number);
        self.next = Some(number + 1);
        self.out.push_back(Next { packet, lost: (number - due).max(0) as u32 });
    }

    fn drain(&mut self) {
        while !self.held.is_empty() {
            self.give_up();
        }
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(5);

    fn run(patience: Patience, numbers: &[u16]) -> Vec<(u16, u32)> {
        let mut order = Order::new(patience);
        let mut out = Vec::new();
        for number in numbers {
            order.push(*number, *number, NOW);
            out.extend(std::iter::from_fn(|| order.pop()).map(|next| (next.packet, next.lost)));
        }
        order.tick(NOW + UDP.time);
        out.extend(std::iter::from_fn(|| order.pop()).map(|next| (next.packet, next.lost)));
        out
    }

    #[test]
    fn over_tcp_gaps_are_told_at_once() {
        assert_eq!(
            run(NONE, &[65_534, 65_535, 0, 3, 3, 2, 4]),
            [(65_534, 0), (65_535, 0), (0, 0), (3, 2), (4, 0)]
        );
    }

    #[test]
    fn over_udp_what_was_overtaken_is_waited_for() {
        assert_eq!(run(UDP, &[65_534, 0, 65_535, 2, 1, 1]), [65_534, 65_535, 0, 1, 2].map(|n| (n, 0)));
        assert_eq!(run(UDP, &[1, 3, 4]), [(1, 0), (3, 1), (4, 0)], "for a while");
        let many: Vec<u16> = std::iter::once(1).chain(3..3 + 65).collect();
        let mut order = Order::new(UDP);
        for number in many {
            order.push(number, number, NOW);
        }
        assert_eq!(std::iter::from_fn(|| order.pop()).count(), 66, "not for ever");
    }

    #[test]
    fn a_far_number_is_believed_when_the_next_follows() {
        assert_eq!(run(NONE, &[1, 2, 40_000, 3]), [(1, 0), (2, 0), (3, 0)]);
        assert_eq!(run(UDP, &[1, 2, 40_000, 40_001]), [(1, 0), (2, 0), (40_000, 1), (40_001, 0)]);
        let mut back = vec![500];
        back.extend(450..600);
        assert!(run(NONE, &back).len() > 40, "a hundred late ones in a row are a new beginning");
    }

    proptest! {
        #[test]
        fn each_packet_comes_once_and_in_order(
            start: u16,
            swaps in prop::collection::vec((0..200_usize, 0..20_usize), 0..60),
            missing in prop::collection::btree_set(1..200_u16, 0..20),
        ) {
            let mut numbers: Vec<u16> = (0..200).filter(|n| !missing.contains(n)).map(|n| start.wrapping_add(n)).collect();
            for (at, by) in swaps {
                let (a, b) = (1 + at % (numbers.len() - 1), 1 + (at + by) % (numbers.len() - 1));
                if a.abs_diff(b) < 20 { numbers.swap(a, b); }
            }
            let out = run(UDP, &numbers);
            let mut last = None;
            for (number, lost) in out {
                let number = number.wrapping_sub(start);
                prop_assert!(last.is_none_or(|last| number > last));
                if let Some(last) = last { prop_assert_eq!(u32::from(number - last - 1), lost); }
                last = Some(number);
            }
        }
    }
}
