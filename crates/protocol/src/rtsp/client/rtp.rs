//! Parses RTP packets (RFC 3550 §5.1).

use bytes::Bytes;

/// An RTP packet. Contributing sources, extension and padding are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpPacket {
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Marker bit: for pictures, the last packet of an access unit.
    pub marker: bool,
    /// Sequence number, which wraps at 16 bits.
    pub sequence: u16,
    /// RTP time, which wraps at 32 bits.
    pub timestamp: u32,
    /// Synchronization source (SSRC).
    pub ssrc: u32,
    /// Payload; shares the bytes of the packet.
    pub payload: Bytes,
}

impl RtpPacket {
    /// Parses `data`. Fails with a sentence that says what is wrong.
    pub fn parse(data: &Bytes) -> Result<Self, &'static str> {
        let Some(&[first, second, s1, s2, t1, t2, t3, t4, i1, i2, i3, i4]) = data.first_chunk::<12>() else {
            return Err("an RTP packet is shorter than its header");
        };
        if first >> 6 != 2 {
            return Err("an RTP packet has another version");
        }
        let mut start = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            // A header extension (§5.3.1): two bytes, then its length in words.
            let length = data.get(start + 2..start + 4).ok_or("an RTP packet ends in its extension")?;
            start += 4 + 4 * length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
        }
        let mut end = data.len();
        if first & 0x20 != 0 {
            // The last byte counts the padding bytes, including itself.
            let padding = usize::from(data.last().copied().unwrap_or(0));
            end = end
                .checked_sub(padding)
                .filter(|_| padding > 0)
                .ok_or("an RTP packet has impossible padding")?;
        }
        if start > end {
            return Err("an RTP packet ends before its payload");
        }
        Ok(Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            sequence: u16::from_be_bytes([s1, s2]),
            timestamp: u32::from_be_bytes([t1, t2, t3, t4]),
            ssrc: u32::from_be_bytes([i1, i2, i3, i4]),
            payload: data.slice(start..end),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: [u8; 12] = [0x80, 0xe0, 1, 2, 0, 0, 0, 9, 0, 0, 0, 7];

    fn packet(first: u8, tail: &[u8]) -> Result<RtpPacket, &'static str> {
        let mut bytes = HEAD.to_vec();
        bytes[0] = first;
        bytes.extend_from_slice(tail);
        RtpPacket::parse(&bytes.into())
    }

    #[test]
    fn the_payload_is_found() {
        let plain = packet(0x80, b"abc").unwrap();
        assert_eq!((plain.payload_type, plain.marker, plain.sequence), (96, true, 0x0102));
        assert_eq!((plain.timestamp, plain.ssrc, &plain.payload[..]), (9, 7, &b"abc"[..]));
        assert_eq!(packet(0xa0, b"abc\0\x02").unwrap().payload[..], b"abc"[..]);
        assert_eq!(packet(0x81, b"ccccabc").unwrap().payload[..], b"abc"[..]);
        assert_eq!(packet(0x90, b"\xbe\xde\0\x01xxxxabc").unwrap().payload[..], b"abc"[..]);
        assert_eq!(packet(0x80, b"").unwrap().payload[..], b""[..]);
        for (first, tail) in [
            (0x00, &b"abc"[..]),
            (0xa0, b"abc\0"),
            (0xa0, b"abc\x7f"),
            (0x8f, b"abc"),
            (0x90, b"\xbe"),
            (0x90, b"\xbe\xde\xff\xff"),
        ] {
            assert!(packet(first, tail).is_err(), "{first:x} {tail:?}");
        }
        assert!(RtpPacket::parse(&Bytes::from_static(&HEAD[..11])).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = RtpPacket::parse(&bytes.into());
        }
    }
}
