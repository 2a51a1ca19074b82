//! Media segments: a head and shared sample bytes.

use bytes::Bytes;

/// One media segment: `moof` and `mdat` header, then the samples of picture and sound, never copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    parts: [Bytes; 3],
}

impl Segment {
    /// Of a head, picture samples and sound samples; a part may be empty.
    pub const fn new(head: Bytes, video: Bytes, audio: Bytes) -> Self {
        Self { parts: [head, video, audio] }
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// A segment is never empty: it has a head.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Head, picture samples, sound samples; a part may be empty.
    pub const fn parts(&self) -> &[Bytes; 3] {
        &self.parts
    }

    /// The bytes `from..to` of the whole, as slices of the same memory.
    #[must_use]
    pub fn range(&self, from: usize, to: usize) -> [Bytes; 3] {
        let mut start = 0;
        self.parts.each_ref().map(|part| {
            let (low, high) = (from.clamp(start, start + part.len()), to.clamp(start, start + part.len()));
            let slice = part.slice(low - start..high.max(low) - start);
            start += part.len();
            slice
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_is_what_the_whole_holds_there(
            parts in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..20)), from in 0..70_usize, len in 0..70_usize,
        ) {
            let whole: Vec<u8> = parts.concat();
            let [head, video, audio] = parts.map(Bytes::from);
            let segment = Segment::new(head, video, audio);
            prop_assert_eq!(segment.len(), whole.len());
            let (low, high) = (from.min(whole.len()), (from + len).min(whole.len()));
            prop_assert_eq!(segment.range(from, from + len).concat(), &whole[low..high]);
        }
    }
}
