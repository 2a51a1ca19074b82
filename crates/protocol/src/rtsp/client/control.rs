//! RTCP of a receiver (RFC 3550 §6): reads what the sender says, and writes receiver reports.

use bytes::{BufMut, Bytes, BytesMut};

/// Packet types (RFC 3550 §12.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// How many packets of a compound packet are read.
const MOST: usize = 16;

/// What a sender says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// The RTP time `rtp` is the NTP time `ntp` (§6.4.1).
    SenderReport {
        /// Synchronization source of the sender.
        ssrc: u32,
        /// NTP time, 32.32 bits.
        ntp: u64,
        /// RTP time in ticks of the stream.
        rtp: u32,
    },
    /// BYE: a source leaves (§6.6).
    Goodbye {
        /// Synchronization source that leaves.
        ssrc: u32,
    },
}

/// Reads a compound packet, up to its first error.
pub(super) fn read(mut data: &[u8]) -> Vec<Control> {
    let mut out = Vec::new();
    for _ in 0..MOST {
        let Some((&[first, kind, high, low], rest)) = data.split_first_chunk::<4>() else { break };
        let words = usize::from(u16::from_be_bytes([high, low]));
        if first >> 6 != 2 {
            break;
        }
        let Some((body, next)) = rest.split_at_checked(words * 4) else { break };
        match (kind, word(body, 0)) {
            (SENDER_REPORT, Some(ssrc)) => {
                if let (Some(high), Some(low), Some(rtp)) = (word(body, 1), word(body, 2), word(body, 3)) {
                    let ntp = u64::from(high) << 32 | u64::from(low);
                    out.push(Control::SenderReport { ssrc, ntp, rtp });
                }
            }
            (GOODBYE, Some(_)) => {
                let sources = (0..usize::from(first & 0x1f)).filter_map(|index| word(body, index));
                out.extend(sources.map(|ssrc| Control::Goodbye { ssrc }));
            }
            _ => {}
        }
        data = next;
    }
    out
}

fn word(body: &[u8], index: usize) -> Option<u32> {
    body.get(index * 4..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

/// The report block about one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Synchronization source that the report is about.
    pub ssrc: u32,
    /// Fraction of packets lost since the last report, in 1/256.
    pub fraction: u8,
    /// Packets lost in all; duplicates count against it.
    pub lost: i32,
    /// Highest sequence number, extended by the count of cycles.
    pub highest: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time in the last sender report; 0 if there was none.
    pub last_report: u32,
    /// Time since that sender report came, in 1/65536 s.
    pub since: u32,
}

/// A compound packet: a receiver report (§6.4.2) and our CNAME (§6.5.1), of which 32 bytes are used.
pub fn report(ours: u32, block: Option<Block>, cname: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_u8(0x80 | u8::from(block.is_some()));
    out.put_u8(RECEIVER_REPORT);
    out.put_u16(1 + if block.is_some() { 6 } else { 0 });
    out.put_u32(ours);
    if let Some(block) = block {
        out.put_u32(block.ssrc);
        out.put_u8(block.fraction);
        // A signed number of 24 bits.
        out.put_uint(u64::from(block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff), 3);
        out.put_u32(block.highest);
        out.put_u32(block.jitter);
        out.put_u32(block.last_report);
        out.put_u32(block.since);
    }
    let name = cname.as_bytes().get(..cname.len().min(32)).unwrap_or_default();
    // One item, then at least one zero byte up to the next word (§6.5).
    let words = 1 + (2 + name.len() + 4) / 4;
    out.put_u8(0x81);
    out.put_u8(SOURCE_DESCRIPTION);
    out.put_u16(words as u16);
    out.put_u32(ours);
    out.put_u8(1);
    out.put_u8(name.len() as u8);
    out.put_slice(name);
    out.put_bytes(0, (words - 1) * 4 - 2 - name.len());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtsp::Report;
    use amphi_media::MediaTime;

    #[test]
    fn what_our_own_server_tells_is_read() {
        let report =
            Report { ssrc: 7, at: MediaTime::from_millis(500), timestamp: 4711, packets: 1, octets: 2 };
        let told = read(&report.goodbye("x"));
        let ntp = (2_208_988_800 << 32) + (1 << 31);
        assert_eq!(told, [Control::SenderReport { ssrc: 7, ntp, rtp: 4711 }, Control::Goodbye { ssrc: 7 }]);
    }

    #[test]
    fn a_report_has_its_golden_bytes() {
        let block = Block {
            ssrc: 7,
            fraction: 128,
            lost: -1,
            highest: 0x0001_0203,
            jitter: 9,
            last_report: 0x8888_9999,
            since: 0x1_0000,
        };
        let bytes = report(0x0102_0304, Some(block), "abc");
        let wanted: &[u8] = &[
            0x81, 201, 0, 7, 1, 2, 3, 4, 0, 0, 0, 7, 128, 0xff, 0xff, 0xff, 0, 1, 2, 3, 0, 0, 0, 9, 0x88,
            0x88, 0x99, 0x99, 0, 1, 0, 0, 0x81, 202, 0, 3, 1, 2, 3, 4, 1, 3, b'a', b'b', b'c', 0, 0, 0,
        ];
        assert_eq!(bytes, wanted);
        assert_eq!(report(1, None, "ab")[..4], [0x80, 201, 0, 1]);
        assert_eq!(read(&bytes), []);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(read(&bytes).len() <= 16 * 31);
        }
    }
}
