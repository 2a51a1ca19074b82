//! The NAL units in the picture messages of a publisher.

use amphi_media::h264;

/// A NAL unit that is longer than the rest of its picture, with its place in it in bytes.
pub(super) struct WrongLength(pub(super) usize);

/// The NAL units of a picture message.
pub(super) enum Nals<'a> {
    /// After lengths of 1 to 4 bytes.
    Lengths { rest: &'a [u8], size: usize, len: usize },
    /// Between start codes, from encoders that know no other form.
    StartCodes(Box<dyn Iterator<Item = &'a [u8]> + 'a>),
}

impl<'a> Nals<'a> {
    pub(super) fn of(tag: &'a [u8], size: usize) -> Self {
        let lengths = || Self::Lengths { rest: tag, size, len: tag.len() };
        let starts = tag.starts_with(&[0, 0, 0, 1]) || tag.starts_with(&[0, 0, 1]);
        if starts && lengths().any(|nal| nal.is_err()) {
            return Self::StartCodes(Box::new(h264::annex_b_nals(tag)));
        }
        lengths()
    }
}

impl<'a> Iterator for Nals<'a> {
    type Item = Result<&'a [u8], WrongLength>;

    fn next(&mut self) -> Option<Self::Item> {
        let (rest, size, len) = match self {
            Self::Lengths { rest, size, len } => (rest, *size, *len),
            Self::StartCodes(nals) => return nals.next().map(Ok),
        };
        let at = len - rest.len();
        if rest.is_empty() {
            return None;
        }
        let nal = rest.split_at_checked(size).and_then(|(length, rest)| {
            let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            rest.split_at_checked(length)
        });
        *rest = nal.map_or(&[], |(_, rest)| rest);
        Some(nal.map(|(nal, _)| nal).ok_or(WrongLength(at)))
    }
}
