//! A media segment in pieces: a head of its own, and samples that are shared.

use std::ops::Range;

use bytes::Bytes;

/// The pieces of a [`Segment`], in order. Absent ones are empty.
pub type Pieces = [Bytes; 3];

/// One media segment (ISO/IEC 23000-19 §7.3.2.3): what is sent for one cell of one rung.
///
/// The sample bytes are those of the [`TrackCell`](super::TrackCell)s that it was made of, not copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// All boxes up to the first sample.
    pub head: Bytes,
    /// The samples of the picture track.
    pub video: Option<Bytes>,
    /// The samples of the sound track, which follow the picture's.
    pub audio: Option<Bytes>,
}

impl Segment {
    /// Size of all pieces together, in bytes.
    pub fn len(&self) -> usize {
        self.pieces_ref().map(Bytes::len).sum()
    }

    /// Whether it has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its pieces; their bytes are shared, not copied.
    pub fn pieces(&self) -> Pieces {
        [self.head.clone(), self.video.clone().unwrap_or_default(), self.audio.clone().unwrap_or_default()]
    }

    /// The bytes of `range`, shared, not copied. The part past the end is left out.
    pub fn range(&self, range: Range<usize>) -> Pieces {
        let mut at = 0;
        self.pieces().map(|piece| {
            let from = range.start.saturating_sub(at).min(piece.len());
            let to = range.end.saturating_sub(at).min(piece.len());
            at += piece.len();
            piece.slice(from..to.max(from))
        })
    }

    fn pieces_ref(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.head).chain(&self.video).chain(&self.audio)
    }
}

/// A segment whose bytes are all in one piece.
impl From<Bytes> for Segment {
    fn from(head: Bytes) -> Self {
        Self { head, video: None, audio: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(head: usize, video: Option<usize>, audio: Option<usize>) -> Segment {
        let mut next = 0_u8;
        let mut piece = |len: usize| -> Bytes {
            std::iter::repeat_with(|| {
                next = next.wrapping_add(1);
                next
            })
            .take(len)
            .collect()
        };
        let head = piece(head);
        let video = video.map(&mut piece);
        let audio = audio.map(&mut piece);
        Segment { head, video, audio }
    }

    #[test]
    fn a_range_shares_the_samples() {
        let segment = segment(10, Some(100), Some(20));
        let [head, video, audio] = segment.range(5..50);
        let whole = segment.video.as_ref().expect("given above");
        assert_eq!((head.len(), video.len(), audio.len()), (5, 40, 0));
        assert_eq!(video.as_ptr(), whole.as_ptr());
    }

    proptest! {
        #[test]
        fn a_range_is_that_part_of_the_whole(
            head in 0..20_usize, video in prop::option::of(0..50_usize), audio in prop::option::of(0..50_usize),
            from in 0..150_usize, to in 0..150_usize,
        ) {
            let segment = segment(head, video, audio);
            let whole = segment.pieces().concat();
            prop_assert_eq!(segment.len(), whole.len());
            let expected = whole.get(from.min(whole.len())..to.min(whole.len())).unwrap_or_default();
            prop_assert_eq!(segment.range(from..to).concat(), expected);
        }
    }
}
