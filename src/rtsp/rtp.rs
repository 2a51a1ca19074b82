//! RTP packets (RFC 3550) of H.264 (RFC 6184) and AAC (RFC 3640 §3.3.6, AAC-hbr), and RTCP sender reports.

use bytes::{BufMut, Bytes, BytesMut};

use crate::media::{MediaTime, h264};

/// Payload bytes of a packet: fits an Ethernet frame with every header.
const PAYLOAD: usize = 1400;
/// `nal_unit_type` of a fragmentation unit (RFC 6184 §5.8).
const FU_A: u8 = 28;
/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// Numbers the packets of one stream.
#[derive(Clone, Debug)]
pub struct Packetizer {
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    packets: u32,
    octets: u32,
}

impl Packetizer {
    /// A stream that begins with packet `sequence`.
    pub const fn new(payload_type: u8, ssrc: u32, sequence: u16) -> Self {
        Self { payload_type, ssrc, sequence, packets: 0, octets: 0 }
    }

    /// The number of the next packet, for `RTP-Info`.
    pub const fn next_sequence(&self) -> u16 {
        self.sequence
    }

    /// The synchronization source.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// One H.264 access unit of NAL units with 4-byte lengths. Units that do not fit are fragmented.
    pub fn h264(&mut self, timestamp: u32, access_unit: &[u8], out: &mut Vec<Bytes>) {
        let mut nals = h264::sample_nals(access_unit).filter(|nal| !nal.is_empty()).peekable();
        while let Some(nal) = nals.next() {
            let last = nals.peek().is_none();
            if nal.len() <= PAYLOAD {
                self.packet(timestamp, last, &[nal], out);
                continue;
            }
            let (header, body) = (nal[0], &nal[1..]);
            let indicator = header & 0xe0 | FU_A;
            let count = body.len().div_ceil(PAYLOAD - 2);
            for (index, part) in body.chunks(PAYLOAD - 2).enumerate() {
                let (start, end) = (index == 0, index + 1 == count);
                let fragment = header & 0x1f | u8::from(start) << 7 | u8::from(end) << 6;
                self.packet(timestamp, last && end, &[&[indicator, fragment], part], out);
            }
        }
    }

    /// One AAC access unit: one AU header of 13 bits of size and 3 of index.
    pub fn aac(&mut self, timestamp: u32, access_unit: &[u8], out: &mut Vec<Bytes>) {
        let size = ((access_unit.len() as u16) << 3).to_be_bytes();
        self.packet(timestamp, true, &[&[0, 16], &size, access_unit], out);
    }

    fn packet(&mut self, timestamp: u32, marker: bool, payload: &[&[u8]], out: &mut Vec<Bytes>) {
        let len: usize = payload.iter().map(|part| part.len()).sum();
        let mut packet = BytesMut::with_capacity(12 + len);
        packet.put_u8(0x80);
        packet.put_u8(self.payload_type | u8::from(marker) << 7);
        packet.put_u16(self.sequence);
        packet.put_u32(timestamp);
        packet.put_u32(self.ssrc);
        for part in payload {
            packet.put_slice(part);
        }
        out.push(packet.freeze());
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(len as u32);
    }
}

/// A sender report: `timestamp` is the RTP time of `now` (RFC 3550 §6.4.1).
pub fn sender_report(stream: &Packetizer, now: MediaTime, timestamp: u32) -> Bytes {
    let nanos = now.as_nanos().max(0) as u64;
    let (seconds, rest) = (nanos / 1_000_000_000 + NTP_EPOCH, nanos % 1_000_000_000);
    let fraction = (rest << 32) / 1_000_000_000;
    let mut report = BytesMut::with_capacity(28);
    report.put_u8(0x80);
    report.put_u8(200);
    report.put_u16(6);
    report.put_u32(stream.ssrc);
    report.put_u32(seconds as u32);
    report.put_u32(fraction as u32);
    report.put_u32(timestamp);
    report.put_u32(stream.packets);
    report.put_u32(stream.octets);
    report.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The NAL units that a receiver puts together.
    fn reassembled(packets: &[Bytes]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for packet in packets {
            let payload = &packet[12..];
            if payload[0] & 0x1f != FU_A {
                nals.push(payload.to_vec());
                continue;
            }
            if payload[1] & 0x80 != 0 {
                nals.push(vec![payload[0] & 0xe0 | payload[1] & 0x1f]);
            }
            nals.last_mut().expect("a start comes first").extend_from_slice(&payload[2..]);
        }
        nals
    }

    proptest! {
        #[test]
        fn access_units_arrive_whole(lens in prop::collection::vec(1..5000_usize, 1..5), sequence: u16) {
            let nals: Vec<Vec<u8>> =
                lens.iter().map(|len| { let mut nal = vec![0x55; *len]; nal[0] = 0x65; nal }).collect();
            let mut unit = BytesMut::new();
            for nal in &nals { h264::push_sample_nal(&mut unit, nal); }
            let mut packetizer = Packetizer::new(96, 7, sequence);
            let mut packets = Vec::new();
            packetizer.h264(90_000, &unit, &mut packets);
            prop_assert_eq!(reassembled(&packets), nals);
            for (index, packet) in packets.iter().enumerate() {
                prop_assert!(packet.len() <= PAYLOAD + 12);
                let number = u16::from_be_bytes([packet[2], packet[3]]);
                prop_assert_eq!(number, sequence.wrapping_add(index as u16));
                prop_assert_eq!(packet[1] & 0x80 != 0, index + 1 == packets.len(), "marker on the last");
            }
        }
    }

    #[test]
    fn a_sender_report_carries_ntp_time() {
        let packetizer = Packetizer::new(96, 0x0102_0304, 0);
        let report = sender_report(&packetizer, MediaTime::from_millis(500), 4711);
        assert_eq!(report[..8], [0x80, 200, 0, 6, 1, 2, 3, 4]);
        assert_eq!(report[8..12], (NTP_EPOCH as u32).to_be_bytes());
        assert_eq!(report[12..16], 0x8000_0000_u32.to_be_bytes());
        assert_eq!(report[16..20], 4711_u32.to_be_bytes());
    }
}
