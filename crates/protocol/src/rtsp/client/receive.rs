//! Receives one stream: decides which packets belong to it, puts them in order, extends their times and counts for reports.
//!
//! # Contract
//! Pass RTP to [`Receiver::packet`] and RTCP to [`Receiver::control`], with the time of arrival; then call
//! [`Receiver::poll`] until `None`. At [`Receiver::deadline`] call [`Receiver::tick`] and poll again.
//!
//! No packet ends a stream. One that cannot be used is reported as [`Arrived::Broken`] and left out. Another
//! synchronization source is believed after two packets of it in a row (RFC 3550 §A.1 demands the same of a new one). A
//! payload type that the description does not have is believed if no other comes from the start on.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;

use super::control::{self, Block, Control};
use super::order::{NONE, Order, Patience, UDP};
use super::rtp::RtpPacket;
use amphi_media::MediaTime;

/// After so many packets of another payload type it is believed, if no other came.
const OTHER_TYPE: u32 = 8;
/// How long after BYE a stream may still go on.
const LEAVING: Duration = Duration::from_secs(1);

/// An RTP packet in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The packet, as it was parsed.
    pub packet: RtpPacket,
    /// Its RTP time, extended beyond 32 bits and counted from the stream's start.
    pub ticks: i64,
    /// When it was read from the socket.
    pub arrival: MediaTime,
    /// Number of packets missing before it.
    pub lost: u32,
}

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// The next packet, in order.
    Packet(Received),
    /// A packet that cannot be used, and why.
    Broken(&'static str),
    /// A sender report: `ticks` is the NTP time `ntp`.
    Report {
        /// RTP time, counted as in [`Received::ticks`].
        ticks: i64,
        /// NTP time, 32.32 bits.
        ntp: u64,
    },
}

/// Receives one stream; see the module's contract.
#[derive(Debug)]
pub struct Receiver {
    payload_type: Option<u8>,
    /// Another payload type, and how many packets of it have come.
    other_type: Option<(u8, u32)>,
    ssrc: Option<u32>,
    /// The first packet of another synchronization source.
    stranger: Option<(RtpPacket, MediaTime)>,
    order: Order<(RtpPacket, MediaTime)>,
    /// An RTP time, and the ticks that it stands for.
    anchor: Option<(u32, i64)>,
    /// When BYE came.
    leaving: Option<Duration>,
    /// BYE came, and nothing after it.
    left: bool,
    count: Count,
    out: VecDeque<Arrived>,
}

impl Receiver {
    /// A stream with this payload type (`None` if unknown) and clock rate. `udp` says that packets may overtake each other.
    pub fn new(payload_type: Option<u8>, clock_rate: u32, udp: bool) -> Self {
        let patience: Patience = if udp { UDP } else { NONE };
        Self {
            payload_type,
            other_type: None,
            ssrc: None,
            stranger: None,
            order: Order::new(patience),
            anchor: None,
            leaving: None,
            left: false,
            count: Count { clock_rate, ..Count::default() },
            out: VecDeque::new(),
        }
    }

    /// The RTP time of the start, from `RTP-Info`. It is ignored if packets or reports have come already.
    pub fn start(&mut self, timestamp: u32) {
        self.anchor.get_or_insert((timestamp, 0));
    }

    /// Takes an RTP packet that arrived at `now`. `arrival` is when it was read from the socket.
    pub fn packet(&mut self, data: &Bytes, now: Duration, arrival: MediaTime) {
        let packet = match RtpPacket::parse(data) {
            Ok(packet) => packet,
            Err(why) => return self.broken(why),
        };
        if !self.is_our_type(packet.payload_type) {
            return self.broken("an RTP packet has another payload type");
        }
        match self.ssrc {
            Some(ssrc) if ssrc == packet.ssrc => {
                if self.stranger.take().is_some() {
                    self.broken("an RTP packet is of another source (SSRC)");
                }
                self.push(packet, now, arrival);
            }
            None => {
                self.ssrc = Some(packet.ssrc);
                self.push(packet, now, arrival);
            }
            Some(_) => self.strange(packet, now, arrival),
        }
        self.take();
    }

    fn strange(&mut self, packet: RtpPacket, now: Duration, arrival: MediaTime) {
        match self.stranger.take() {
            Some((first, came))
                if first.ssrc == packet.ssrc && first.sequence.wrapping_add(1) == packet.sequence =>
            {
                self.ssrc = Some(packet.ssrc);
                self.count.restart(first.sequence);
                self.order.restart(first.sequence, (first, came), 1);
                self.push(packet, now, arrival);
            }
            stranger => {
                if stranger.is_some() {
                    self.broken("an RTP packet is of another source (SSRC)");
                }
                self.stranger = Some((packet, arrival));
            }
        }
    }

    fn push(&mut self, packet: RtpPacket, now: Duration, arrival: MediaTime) {
        self.leaving = None;
        self.left = false;
        let (sequence, timestamp) = (packet.sequence, packet.timestamp);
        if let Some(number) = self.order.push(sequence, (packet, arrival), now) {
            self.count.packet(number, timestamp, now);
        }
    }

    /// Takes an RTCP packet.
    pub fn control(&mut self, data: &[u8], now: Duration) {
        for control in control::read(data) {
            match control {
                Control::SenderReport { ssrc, ntp, rtp } if self.ssrc.is_none_or(|ours| ours == ssrc) => {
                    let (from, ticks) = *self.anchor.get_or_insert((rtp, 0));
                    let ticks = ticks + i64::from(rtp.wrapping_sub(from) as i32);
                    self.count.report = Some(((ntp >> 16) as u32, now));
                    self.out.push_back(Arrived::Report { ticks, ntp });
                }
                Control::Goodbye { ssrc } if self.ssrc == Some(ssrc) => self.leaving = Some(now),
                _ => {}
            }
        }
    }

    /// The next packet or report, in order.
    pub fn poll(&mut self) -> Option<Arrived> {
        self.out.pop_front()
    }

    /// When to call [`Self::tick`].
    pub fn deadline(&self) -> Option<Duration> {
        let leaving = self.leaving.map(|since| since + LEAVING);
        [self.order.deadline(), leaving].into_iter().flatten().min()
    }

    /// Stops waiting for missing packets, or for a stream that has said BYE, if it is time.
    pub fn tick(&mut self, now: Duration) {
        if self.leaving.is_some_and(|since| since + LEAVING <= now) {
            self.leaving = None;
            self.left = true;
        }
        self.order.tick(now);
        self.take();
    }

    /// Whether the sender has said BYE and nothing has come since.
    pub const fn has_left(&self) -> bool {
        self.left
    }

    /// The report block for a receiver report; `None` before the first packet.
    pub fn block(&mut self, now: Duration) -> Option<Block> {
        self.ssrc.map(|ssrc| self.count.block(ssrc, now))
    }

    fn is_our_type(&mut self, payload_type: u8) -> bool {
        if self.payload_type.is_none_or(|ours| ours == payload_type) {
            self.payload_type = Some(payload_type);
            return true;
        }
        if self.ssrc.is_some() {
            return false;
        }
        let count = match self.other_type {
            Some((other, count)) if other == payload_type => count + 1,
            _ => 1,
        };
        self.other_type = Some((payload_type, count));
        if count < OTHER_TYPE {
            return false;
        }
        self.payload_type = Some(payload_type);
        true
    }

    fn broken(&mut self, why: &'static str) {
        self.out.push_back(Arrived::Broken(why));
    }

    fn take(&mut self) {
        while let Some(next) = self.order.pop() {
            let (packet, arrival) = next.packet;
            let (from, ticks) = self.anchor.unwrap_or((packet.timestamp, 0));
            let ticks = ticks + i64::from(packet.timestamp.wrapping_sub(from) as i32);
            self.anchor = Some((packet.timestamp, ticks));
            self.out.push_back(Arrived::Packet(Received { packet, ticks, arrival, lost: next.lost }));
        }
    }
}

/// Counts for receiver reports (RFC 3550 §A.3, §A.8).
#[derive(Debug, Default)]
struct Count {
    clock_rate: u32,
    first: Option<i64>,
    highest: i64,
    received: i64,
    /// Packets expected and received until the last report.
    reported: (i64, i64),
    /// Arrival time minus RTP time of the last packet, in ticks.
    transit: Option<u32>,
    /// Sixteen times the jitter (RFC 3550 §A.8).
    jitter: u32,
    report: Option<(u32, Duration)>,
}

impl Count {
    fn packet(&mut self, number: i64, timestamp: u32, now: Duration) {
        self.first.get_or_insert(number);
        // The sender has started again.
        if self.received > 0 && number.abs_diff(self.highest) > 0x8000 {
            self.restart(number as u16);
        }
        self.highest = self.highest.max(number);
        self.received += 1;
        let ticks = now.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        let transit = (ticks as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // J += (|D| - J) / 16 (RFC 3550 §6.4.1). A jump of the clock is not jitter.
            if difference < self.clock_rate.saturating_mul(10) {
                self.jitter =
                    self.jitter.saturating_add(difference).saturating_sub(self.jitter.saturating_add(8) >> 4);
            }
        }
    }

    fn restart(&mut self, sequence: u16) {
        let number = i64::from(sequence);
        self.first = Some(number);
        self.highest = number;
        self.received = 0;
        self.reported = (0, 0);
        self.transit = None;
    }

    fn block(&mut self, ssrc: u32, now: Duration) -> Block {
        let expected = self.first.map_or(0, |first| self.highest - first + 1);
        let (expected_before, received_before) = self.reported;
        self.reported = (expected, self.received);
        let (due, came) = (expected - expected_before, self.received - received_before);
        let fraction = if due > 0 && due > came { ((due - came) << 8) / due } else { 0 };
        let since =
            self.report.map_or(0, |(_, at)| (now.saturating_sub(at).as_nanos() << 16) / 1_000_000_000);
        Block {
            ssrc,
            fraction: fraction.clamp(0, 255) as u8,
            lost: (expected - self.received).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            highest: self.highest as u32,
            jitter: self.jitter >> 4,
            last_report: self.report.map_or(0, |(ntp, _)| ntp),
            since: since.min(u128::from(u32::MAX)) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Bytes {
        let mut bytes = vec![0x80, payload_type];
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&timestamp.to_be_bytes());
        bytes.extend_from_slice(&ssrc.to_be_bytes());
        bytes.push(1);
        bytes.into()
    }

    /// For each packet `(type, sequence, timestamp, ssrc)` that comes out: sequence number, ticks and losses.
    fn run(packets: &[(u8, u16, u32, u32)]) -> (Vec<(u16, i64, u32)>, usize) {
        let mut receiver = Receiver::new(Some(96), 90_000, false);
        let (mut out, mut broken) = (Vec::new(), 0);
        for (index, &(pt, sequence, timestamp, ssrc)) in packets.iter().enumerate() {
            let now = Duration::from_millis(index as u64);
            receiver.packet(&rtp(pt, sequence, timestamp, ssrc), now, MediaTime::from_millis(0));
            while let Some(arrived) = receiver.poll() {
                match arrived {
                    Arrived::Packet(it) => out.push((it.packet.sequence, it.ticks, it.lost)),
                    _ => broken += 1,
                }
            }
        }
        (out, broken)
    }

    #[test]
    fn time_goes_on_beyond_32_bits_and_backwards() {
        let (out, _) = run(&[(96, 1, u32::MAX - 1, 7), (96, 2, 3, 7), (96, 3, 1, 7), (96, 4, 6000, 7)]);
        assert_eq!(out, [(1, 0, 0), (2, 5, 0), (3, 3, 0), (4, 6002, 0)]);
    }

    #[test]
    fn strangers_are_left_out_until_two_come_in_a_row() {
        let (out, broken) =
            run(&[(96, 1, 0, 7), (96, 9000, 9, 8), (96, 2, 1, 7), (97, 3, 2, 7), (96, 4, 3, 7)]);
        assert_eq!((out, broken), (vec![(1, 0, 0), (2, 1, 0), (4, 3, 1)], 2));
        let (out, broken) = run(&[(96, 1, 0, 7), (96, 9000, 9, 8), (96, 9001, 10, 8)]);
        assert_eq!((out, broken), (vec![(1, 0, 0), (9000, 9, 1), (9001, 10, 0)], 0));
        let packets: Vec<_> = (0..20).map(|n| (98, n, u32::from(n), 7)).collect();
        let (out, broken) = run(&packets);
        assert_eq!((out.len(), broken), (13, 7), "a description that names the wrong type");
    }

    #[test]
    fn reports_say_what_came() {
        let mut receiver = Receiver::new(Some(96), 1000, false);
        assert_eq!(receiver.block(Duration::ZERO), None);
        for (at, sequence) in [(0, 65_534_u16), (10, 65_535), (20, 1), (30, 2)] {
            let now = Duration::from_millis(at);
            receiver.packet(
                &rtp(96, sequence, at as u32 + u32::from(at == 30) * 16, 7),
                now,
                MediaTime::from_millis(0),
            );
        }
        let report = crate::rtsp::Report {
            ssrc: 7,
            at: MediaTime::from_millis(0),
            timestamp: 40,
            packets: 0,
            octets: 0,
        };
        receiver.control(&report.packet("x"), Duration::from_millis(40));
        let block = receiver.block(Duration::from_millis(1040)).unwrap();
        assert_eq!((block.fraction, block.lost, block.highest), (51, 1, 0x1_0002));
        assert_eq!((block.jitter, block.since), (1, 65_536));
        assert_eq!(block.last_report, (0x83aa_7e80_u64 & 0xffff) as u32 * 65_536);
        assert_eq!(receiver.block(Duration::from_millis(1041)).unwrap().fraction, 0, "since the last one");
    }

    #[test]
    fn who_says_goodbye_and_goes_on_has_not_left() {
        let goodbye = crate::rtsp::Report {
            ssrc: 7,
            at: MediaTime::from_millis(0),
            timestamp: 0,
            packets: 0,
            octets: 0,
        }
        .goodbye("x");
        let mut receiver = Receiver::new(None, 90_000, false);
        receiver.packet(&rtp(96, 1, 0, 7), Duration::ZERO, MediaTime::from_millis(0));
        receiver.control(&goodbye, Duration::ZERO);
        receiver.tick(Duration::from_millis(999));
        assert_eq!((receiver.has_left(), receiver.deadline()), (false, Some(LEAVING)));
        receiver.tick(LEAVING);
        assert_eq!((receiver.has_left(), receiver.deadline()), (true, None), "nothing is left to wait for");
        receiver.packet(&rtp(96, 2, 0, 7), LEAVING, MediaTime::from_millis(0));
        receiver.tick(LEAVING * 3);
        assert!(!receiver.has_left());
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic(
            packets in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40), any::<u16>()), 0..60),
            udp: bool,
        ) {
            let mut receiver = Receiver::new(Some(96), 90_000, udp);
            for (rtcp, mut bytes, at) in packets {
                let now = Duration::from_millis(u64::from(at));
                if let Some(first) = bytes.first_mut() { *first = 0x80 | *first & 0x3f; }
                if let Some(second) = bytes.get_mut(1) { *second = if rtcp { 200 } else { 96 }; }
                if rtcp {
                    receiver.control(&bytes, now);
                } else {
                    receiver.packet(&bytes.into(), now, MediaTime::from_millis(0));
                }
                receiver.tick(now);
                while receiver.poll().is_some() {}
                let _ = receiver.block(now);
            }
        }
    }
}
