//! Aggregate messages: several messages in one, as a sequence of FLV tags (RTMP 1.0 §7.1.6, FLV §E.4.1).
//!
//! A message's time is that of the aggregate plus its distance from the first message inside. A tag that is cut off is left out.

use bytes::{Buf, Bytes};

/// Bytes of a tag's header: type, length, time with its extension, stream.
const HEAD: usize = 1 + 3 + 4 + 3;
/// Bytes of the back pointer after each tag, which repeats the tag's size.
const BACK_POINTER: usize = 4;

/// The part of an aggregate message that has not been read yet.
#[derive(Debug)]
pub(super) struct Aggregate {
    rest: Bytes,
    timestamp_ms: u32,
    first_ms: Option<u32>,
}

/// A message from inside an aggregate message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inner {
    pub(super) type_id: u8,
    pub(super) timestamp_ms: u32,
    pub(super) data: Bytes,
}

impl Aggregate {
    pub(super) const fn new(timestamp_ms: u32, rest: Bytes) -> Self {
        Self { rest, timestamp_ms, first_ms: None }
    }
}

impl Iterator for Aggregate {
    type Item = Inner;

    fn next(&mut self) -> Option<Inner> {
        if self.rest.len() < HEAD {
            return None;
        }
        let type_id = self.rest.get_u8();
        let length = self.rest.get_uint(3) as usize;
        let low = self.rest.get_uint(3) as u32;
        let time_ms = u32::from(self.rest.get_u8()) << 24 | low;
        self.rest.advance(3);
        if self.rest.len() < length {
            self.rest.clear();
            return None;
        }
        let data = self.rest.split_to(length);
        self.rest.advance(BACK_POINTER.min(self.rest.len()));
        let first_ms = *self.first_ms.get_or_insert(time_ms);
        let timestamp_ms = self.timestamp_ms.wrapping_add(time_ms.wrapping_sub(first_ms));
        Some(Inner { type_id, timestamp_ms, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(type_id: u8, time_ms: u32, data: &[u8]) -> Vec<u8> {
        let [high, low @ ..] = time_ms.to_be_bytes();
        let mut out = vec![type_id];
        out.extend(&(data.len() as u32).to_be_bytes()[1..]);
        out.extend(low);
        out.extend([high, 0, 0, 0]);
        out.extend(data);
        out.extend((HEAD as u32 + data.len() as u32).to_be_bytes());
        out
    }

    #[test]
    fn times_are_told_from_the_first_one() {
        let wire = [tag(9, 0xff_ffff, &[1, 2]), tag(8, 0x100_0010, &[]), tag(9, 0xff_fff0, &[3])].concat();
        for (cut, count) in [(0, 3), (3, 3), (5, 2), (wire.len() - 5, 0)] {
            let whole = Bytes::copy_from_slice(&wire[..wire.len() - cut]);
            let inner: Vec<_> = Aggregate::new(5000, whole).map(|it| (it.type_id, it.timestamp_ms)).collect();
            assert_eq!(inner[..], [(9, 5000), (8, 5017), (9, 4985)][..count], "{cut}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_last(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let most = bytes.len() / HEAD + 1;
            prop_assert!(Aggregate::new(7, bytes.into()).count() <= most);
        }
    }
}
