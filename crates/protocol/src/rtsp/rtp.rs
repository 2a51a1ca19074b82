//! Writes RTP packets (RFC 3550 §5.1) with H.264 (RFC 6184, packetization mode 1) and AAC (RFC 3640 §3.3.6, AAC-hbr).

use bytes::{BufMut, Bytes, BytesMut};

use super::rtcp::Report;
use amphi_media::MediaTime;

/// Largest payload in bytes: fits into an Ethernet frame with all headers.
const PAYLOAD: usize = 1400;
/// Bytes of the RTP header.
pub(super) const HEADER: usize = 12;
/// `nal_unit_type` of a fragmentation unit FU-A (RFC 6184 §5.8).
const FU_A: u8 = 28;
/// Largest AAC access unit in bytes: its size has 13 bits (RFC 3640 §3.3.6).
const AAC_MAX: usize = (1 << 13) - 1;

/// Receives finished packets.
pub trait Sink {
    /// Takes the next packet. Its payload is the parts of `payload`, one after the other.
    fn packet(&mut self, header: [u8; HEADER], payload: &[&[u8]]);
}

/// Collects each packet in an allocation of its own.
impl Sink for Vec<Bytes> {
    fn packet(&mut self, header: [u8; HEADER], payload: &[&[u8]]) {
        let len: usize = payload.iter().map(|part| part.len()).sum();
        let mut packet = BytesMut::with_capacity(HEADER + len);
        packet.put_slice(&header);
        for part in payload {
            packet.put_slice(part);
        }
        self.push(packet.freeze());
    }
}

/// Discards packets, which are only numbered.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn packet(&mut self, _: [u8; HEADER], _: &[&[u8]]) {}
}

/// Writes and numbers the packets of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packetizer {
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    packets: u32,
    octets: u32,
}

impl Packetizer {
    /// A stream whose first packet has the number `sequence`. The caller chooses `ssrc` and `sequence` at random
    /// (RFC 3550 §5.1).
    pub const fn new(payload_type: u8, ssrc: u32, sequence: u16) -> Self {
        Self { payload_type, ssrc, sequence, packets: 0, octets: 0 }
    }

    /// Sequence number of the next packet, for `RTP-Info`.
    pub const fn next_sequence(&self) -> u16 {
        self.sequence
    }

    /// Synchronization source of the stream.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The sender report for now; `timestamp` is the RTP time of `at`.
    pub const fn report(&self, at: MediaTime, timestamp: u32) -> Report {
        let Self { ssrc, packets, octets, .. } = *self;
        Report { ssrc, at, timestamp, packets, octets }
    }

    /// Packetizes one H.264 access unit. NAL units that do not fit are fragmented (RFC 6184 §5.8).
    pub fn h264<'a>(&mut self, timestamp: u32, nals: impl Iterator<Item = &'a [u8]>, sink: &mut impl Sink) {
        let mut nals = nals.filter_map(<[u8]>::split_first).peekable();
        while let Some((header, body)) = nals.next() {
            let last = nals.peek().is_none();
            if body.len() < PAYLOAD {
                // A single NAL unit packet (RFC 6184 §5.6).
                self.packet(timestamp, last, &[&[*header], body], sink);
                continue;
            }
            // FU indicator; then for each packet the FU header with start and end bits (RFC 6184 §5.8).
            let indicator = header & 0xe0 | FU_A;
            let mut parts = body.chunks(PAYLOAD - 2).enumerate().peekable();
            while let Some((index, part)) = parts.next() {
                let end = parts.peek().is_none();
                let fragment = header & 0x1f | u8::from(index == 0) << 7 | u8::from(end) << 6;
                self.packet(timestamp, last && end, &[&[indicator, fragment], part], sink);
            }
        }
    }

    /// Packetizes one AAC access unit with an AU header of 13 bits of size and 3 of index (RFC 3640 §3.2.1, §3.3.6). One that
    /// does not fit is fragmented (RFC 3640 §3.2.3.1). One that is too large for the header is left out.
    pub fn aac(&mut self, timestamp: u32, access_unit: &[u8], sink: &mut impl Sink) {
        if access_unit.len() > AAC_MAX {
            return;
        }
        // AU-headers-length is 16 bits; the one AU header is size and AU-Index 0 (RFC 3640 §3.2.1).
        let size = ((access_unit.len() as u16) << 3).to_be_bytes();
        let mut parts = access_unit.chunks(PAYLOAD - 4).peekable();
        while let Some(part) = parts.next() {
            self.packet(timestamp, parts.peek().is_none(), &[&[0, 16], &size, part], sink);
        }
    }

    fn packet(&mut self, timestamp: u32, marker: bool, payload: &[&[u8]], sink: &mut impl Sink) {
        let mut header = [0; HEADER];
        let mut fields = &mut header[..];
        // Version 2, without padding, extension and contributing sources (RFC 3550 §5.1).
        fields.put_u8(0x80);
        fields.put_u8(self.payload_type | u8::from(marker) << 7);
        fields.put_u16(self.sequence);
        fields.put_u32(timestamp);
        fields.put_u32(self.ssrc);
        sink.packet(header, payload);
        let len: usize = payload.iter().map(|part| part.len()).sum();
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(len as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_media::h264;
    use proptest::prelude::*;

    /// The NAL units that a receiver would assemble.
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

    /// Checks what must hold for the packets of any access unit.
    fn judge(packets: &[Bytes], sequence: u16) -> Result<(), TestCaseError> {
        for (index, packet) in packets.iter().enumerate() {
            prop_assert!(packet.len() <= PAYLOAD + 12);
            let number = u16::from_be_bytes([packet[2], packet[3]]);
            prop_assert_eq!(number, sequence.wrapping_add(index as u16));
            prop_assert_eq!(packet[1] & 0x80 != 0, index + 1 == packets.len(), "marker on the last");
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn access_units_arrive_whole(lens in prop::collection::vec(1..5000_usize, 1..5), sequence: u16) {
            let nals: Vec<Vec<u8>> =
                lens.iter().map(|len| { let mut nal = vec![0x55; *len]; nal[0] = 0x65; nal }).collect();
            let mut unit = BytesMut::new();
            for nal in &nals { h264::push_sample_nal(&mut unit, nal); }
            let mut packetizer = Packetizer::new(96, 7, sequence);
            let mut counted = packetizer.clone();
            let mut packets = Vec::new();
            packetizer.h264(90_000, h264::sample_nals(&unit), &mut packets);
            prop_assert_eq!(reassembled(&packets), nals);
            judge(&packets, sequence)?;
            counted.h264(0, h264::sample_nals(&unit), &mut Nowhere);
            prop_assert_eq!(counted, packetizer, "counting is numbering");
        }

        #[test]
        fn sound_arrives_whole(len in 0..9000_usize, sequence: u16) {
            let unit: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let mut packets = Vec::new();
            Packetizer::new(97, 7, sequence).aac(1024, &unit, &mut packets);
            let arrived: Vec<u8> = packets.iter().flat_map(|packet| packet[16..].to_vec()).collect();
            prop_assert_eq!(arrived, if len > AAC_MAX { Vec::new() } else { unit });
            for packet in &packets {
                prop_assert_eq!(usize::from(u16::from_be_bytes([packet[14], packet[15]]) >> 3), len);
            }
            judge(&packets, sequence)?;
        }
    }
}
