//! RTCP of a sender (RFC 3550 §6): sender reports, and BYE.
//!
//! A report maps RTP time to the wall clock. Channels report their media time, which is the wall-clock time of what
//! is seen and heard, not the time of sending. Both streams of a session are sent equally late, and receivers
//! that compare the report with the newest packet find the two close together (GStreamer ignores reports more than a second
//! ahead). So the round-trip time of §6.4.1 cannot be computed from receiver reports; nothing here needs it.

use bytes::{BufMut, Bytes, BytesMut};

use amphi_media::MediaTime;

/// Seconds from 1900, the epoch of NTP, to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;
/// Packet types (RFC 3550 §12.1).
const SENDER_REPORT: u8 = 200;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// The contents of a sender report (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Synchronization source of the stream.
    pub ssrc: u32,
    /// A point in media time.
    pub at: MediaTime,
    /// The RTP time of that point.
    pub timestamp: u32,
    /// Number of packets sent so far; wraps.
    pub packets: u32,
    /// Bytes of payload sent so far; wraps.
    pub octets: u32,
}

impl Report {
    /// A compound packet: the report, and the CNAME that all streams of a session share (§6.1, §6.5.1).
    pub fn packet(&self, cname: &str) -> Bytes {
        self.compound(cname).freeze()
    }

    /// The last compound packet of a stream, with BYE (§6.6).
    pub fn goodbye(&self, cname: &str) -> Bytes {
        let mut packet = self.compound(cname);
        head(&mut packet, 1, GOODBYE, 1);
        packet.put_u32(self.ssrc);
        packet.freeze()
    }

    fn compound(&self, cname: &str) -> BytesMut {
        let nanos = self.at.as_nanos().max(0) as u64;
        let (seconds, rest) = (nanos / 1_000_000_000 + NTP_EPOCH, nanos % 1_000_000_000);
        let fraction = (rest << 32) / 1_000_000_000;
        let mut packet = BytesMut::with_capacity(64);
        head(&mut packet, 0, SENDER_REPORT, 6);
        packet.put_u32(self.ssrc);
        packet.put_u32(seconds as u32);
        packet.put_u32(fraction as u32);
        packet.put_u32(self.timestamp);
        packet.put_u32(self.packets);
        packet.put_u32(self.octets);
        // One item, then at least one zero byte up to the next word (§6.5).
        let name = cname.as_bytes().get(..cname.len().min(32)).unwrap_or_default();
        let words = 1 + (2 + name.len() + 4) / 4;
        head(&mut packet, 1, SOURCE_DESCRIPTION, words as u16);
        packet.put_u32(self.ssrc);
        packet.put_u8(1);
        packet.put_u8(name.len() as u8);
        packet.put_slice(name);
        packet.put_bytes(0, (words - 1) * 4 - 2 - name.len());
        packet
    }
}

/// The header of an RTCP packet with so many 32-bit words after it (RFC 3550 §6.4.1).
fn head(packet: &mut BytesMut, count: u8, packet_type: u8, words: u16) {
    packet.put_u8(0x80 | count);
    packet.put_u8(packet_type);
    packet.put_u16(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: Report = Report {
        ssrc: 0x0102_0304,
        at: MediaTime::from_millis(500),
        timestamp: 4711,
        packets: 12,
        octets: 3400,
    };

    #[test]
    fn a_report_carries_ntp_time() {
        let report = REPORT.packet("a");
        assert_eq!(report[..8], [0x80, 200, 0, 6, 1, 2, 3, 4]);
        assert_eq!(report[8..12], (NTP_EPOCH as u32).to_be_bytes());
        assert_eq!(report[12..16], 0x8000_0000_u32.to_be_bytes());
        assert_eq!(report[16..20], 4711_u32.to_be_bytes());
        assert_eq!(report[20..28], [0, 0, 0, 12, 0, 0, 0x0d, 0x48]);
    }

    #[test]
    fn compound_packets_add_up() {
        for cname in ["", "a", "ab", "abc", "abcd", "0123456789abcdef0123456789abcdef and more"] {
            let packet = REPORT.goodbye(cname);
            let mut rest = &packet[..];
            let mut kinds = Vec::new();
            while let [first, kind, high, low, ..] = *rest {
                assert_eq!(first >> 6, 2, "version");
                kinds.push(kind);
                rest = &rest[4 + 4 * usize::from(u16::from_be_bytes([high, low]))..];
            }
            assert_eq!((kinds, rest), (vec![200, 202, 203], &[][..]), "{cname}");
            let name = &packet[28 + 8..];
            assert_eq!((name[0], usize::from(name[1])), (1, cname.len().min(32)));
            assert_eq!(name[2 + usize::from(name[1])], 0, "an item is ended by zero");
        }
    }
}
