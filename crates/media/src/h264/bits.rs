//! The bits of a NAL unit: reads them without emulation prevention bytes, and inserts these again (ITU-T H.264 §7.3.1, §9.1).

/// The NAL unit's content after its first byte, without emulation prevention bytes; at most `limit` bytes.
pub(super) fn payload(nal: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len().min(limit));
    let mut zeros = 0;
    for &byte in nal.iter().skip(1) {
        if out.len() == limit {
            break;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// A NAL unit of this first byte and payload, with emulation prevention bytes inserted (ITU-T H.264 §7.4.1).
pub(super) fn nal(head: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + payload.len() / 64 + 2);
    out.push(head);
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// Reads bits, most significant first. `None` means that the payload has ended.
#[derive(Clone, Debug)]
pub(super) struct RbspBits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> RbspBits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Number of bits read so far.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// u(n), n up to 32 (ITU-T H.264 §7.2).
    pub(super) fn fixed(&mut self, bits: u32) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..bits.min(32) {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// ue(v), below 2³² - 1 (ITU-T H.264 §9.1).
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        Some((1_u32 << zeros) - 1 + self.fixed(zeros)?)
    }

    /// se(v) (ITU-T H.264 §9.1.1).
    pub(super) fn signed(&mut self) -> Option<i32> {
        let code = i64::from(self.unsigned()?);
        let size = code.div_euclid(2) + code % 2;
        i32::try_from(if code % 2 == 1 { size } else { -size }).ok()
    }
}

/// Overwrites `bits` bits from bit `at` on with the low bits of `value`; bits past the end are ignored.
pub(super) fn overwrite(bytes: &mut [u8], at: usize, bits: u32, value: u32) {
    for bit in 0..bits.min(32) {
        let place = at + bit as usize;
        let Some(byte) = bytes.get_mut(place / 8) else { return };
        let mask = 0x80 >> (place % 8);
        if value >> (bits - 1 - bit) & 1 == 1 {
            *byte |= mask;
        } else {
            *byte &= !mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exponential_golomb_codes_are_read_as_table_9_2_says() {
        let mut bits = RbspBits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([bits.unsigned(), bits.unsigned(), bits.unsigned()], [Some(0), Some(1), Some(2)]);
        assert_eq!([bits.unsigned(), bits.unsigned()], [Some(3), Some(4)]);
        let mut bits = RbspBits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let signed: Vec<_> = std::iter::from_fn(|| bits.signed()).take(5).collect();
        assert_eq!(signed, [0, 1, -1, 2, -2]);
        assert_eq!(RbspBits::new(&[0; 9]).unsigned(), None);
    }

    proptest! {
        #[test]
        fn escaping_is_undone(bytes in prop::collection::vec(0_u8..5, 0..80)) {
            let nal = nal(0x67, &bytes);
            prop_assert!(nal.windows(3).all(|window| window[..2] != [0, 0] || window[2] > 2));
            prop_assert_eq!(payload(&nal, 1000), bytes);
        }

        #[test]
        fn overwritten_bits_are_read_again(
            mut bytes in prop::collection::vec(any::<u8>(), 8), at in 0_usize..32, bits in 1_u32..=32, value: u32
        ) {
            let before = bytes.clone();
            overwrite(&mut bytes, at, bits, value);
            let mut read = RbspBits::new(&bytes);
            let mut old = RbspBits::new(&before);
            prop_assert_eq!(read.fixed(at as u32), old.fixed(at as u32));
            prop_assert_eq!(read.fixed(bits), Some(value & (u32::MAX >> (32 - bits))));
            old.fixed(bits);
            prop_assert_eq!(read.fixed(32 - at as u32), old.fixed(32 - at as u32));
        }
    }
}
