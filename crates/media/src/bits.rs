//! Reads bits of a coded header, most significant first, never past its end.

/// The bytes end before the bits that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it ends too early")]
pub struct Short;

/// A reader over `bytes`; bits are numbered from 0, the most significant bit of the first byte.
#[derive(Debug, Clone)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// A reader that stands before the first bit.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Number of the bit that is read next.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// How many bits are left.
    pub const fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// The next `count` bits as a number, 32 at most. On [`Short`] nothing is consumed.
    pub fn take(&mut self, count: u32) -> Result<u32, Short> {
        let mut value: u64 = 0;
        let (mut at, end) = (self.at, self.at + count as usize);
        while at < end {
            let byte = *self.bytes.get(at / 8).ok_or(Short)?;
            let offset = at % 8;
            let width = (8 - offset).min(end - at);
            let part = (u32::from(byte) >> (8 - offset - width)) & ((1 << width) - 1);
            value = (value << width) | u64::from(part);
            at += width;
        }
        self.at = end;
        Ok(value as u32)
    }

    /// The next bit; `true` for 1.
    pub fn flag(&mut self) -> Result<bool, Short> {
        Ok(self.take(1)? == 1)
    }

    /// Skips `count` bits. On [`Short`] nothing is consumed.
    pub fn skip(&mut self, count: usize) -> Result<(), Short> {
        if count > self.left() {
            return Err(Short);
        }
        self.at += count;
        Ok(())
    }

    /// Skips to the next byte boundary of the underlying bytes.
    pub fn align(&mut self) {
        self.at = self.at.next_multiple_of(8).min(self.bytes.len() * 8);
    }

    /// The next `count` whole bytes. They need not begin at a byte boundary.
    pub fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Short> {
        if count.checked_mul(8).is_none_or(|bits| bits > self.left()) {
            return Err(Short);
        }
        let (first, shift) = (self.at / 8, self.at % 8);
        let source = self.bytes.get(first..).unwrap_or_default();
        self.at += count * 8;
        if shift == 0 {
            return Ok(source.iter().copied().take(count).collect());
        }
        let next = source.iter().skip(1).copied();
        Ok(source.iter().zip(next).take(count).map(|(&a, b)| (a << shift) | (b >> (8 - shift))).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_and_bytes_are_those_of_the_number(bytes in prop::collection::vec(any::<u8>(), 16), skip in 0..64_usize) {
            let number = u128::from_be_bytes(bytes[..].try_into().unwrap());
            let mut bits = Bits::new(&bytes);
            bits.skip(skip).unwrap();
            let value = bits.take(13).unwrap();
            prop_assert_eq!(u128::from(value), (number << skip) >> 115);
            let mut bits = Bits::new(&bytes);
            bits.skip(skip).unwrap();
            prop_assert_eq!(bits.bytes(8).unwrap(), ((number << skip) >> 64).to_be_bytes()[8..].to_vec());
            prop_assert_eq!(bits.left(), 64 - skip);
            prop_assert!(bits.bytes(9).is_err());
        }
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let mut bits = Bits::new(&[0xff, 1]);
        assert_eq!((bits.take(15), bits.take(2), bits.take(1)), (Ok(0x7f80), Err(Short), Ok(1)));
        assert_eq!(
            (bits.flag(), bits.skip(1), bits.bytes(1), bits.left()),
            (Err(Short), Err(Short), Err(Short), 0)
        );
    }
}
