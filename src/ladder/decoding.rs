//! Two decoders behind one door.
//!
//! `rusty_h264` costs half and is exact with B pictures; OpenH264 knows field-free H.264 to its last corner. The first one
//! decodes until it meets what it does not know, or fails on IDR pictures again and again; then the other takes over until
//! the source's parameter sets change.

use tracing::info;

use super::openh264::{self, CodecError, PictureView};
use super::rusty::{RustyDecoder, RustyError};
use crate::media::MediaTime;

/// IDR pictures in a row that could not be decoded before the other decoder is tried.
const PATIENCE: u32 = 2;

/// Which decoder begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecoderChoice {
    /// `rusty_h264`, and OpenH264 where it cannot.
    #[default]
    Rusty,
    /// OpenH264 only.
    OpenH264,
}

/// Why an access unit gave no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undecoded {
    #[error(transparent)]
    OpenH264(#[from] openh264::DecodeError),
    #[error(transparent)]
    Rusty(#[from] RustyError),
}

/// What is called for each picture that comes out.
pub(super) type Show<'a> = &'a mut dyn FnMut(MediaTime, PictureView<'_>);

/// A decoder: access units in decode order in, pictures in presentation order out. After damage or loss nothing comes out
/// until the next IDR picture.
trait Decode: Send {
    fn decode(&mut self, access_unit: &[u8], pts: MediaTime, shown: Show<'_>) -> Result<(), Undecoded>;
    /// An access unit was lost on the way.
    fn lost(&mut self);
    fn flush(&mut self, shown: Show<'_>);
}

impl Decode for openh264::Decoder {
    fn decode(&mut self, access_unit: &[u8], pts: MediaTime, shown: Show<'_>) -> Result<(), Undecoded> {
        Ok(Self::decode(self, access_unit, pts, shown)?)
    }

    /// It sees what is missing by itself.
    fn lost(&mut self) {}

    fn flush(&mut self, shown: Show<'_>) {
        if let Err(error) = Self::flush(self, shown) {
            tracing::debug!(%error, "held-back pictures lost");
        }
    }
}

impl Decode for RustyDecoder {
    fn decode(&mut self, access_unit: &[u8], pts: MediaTime, shown: Show<'_>) -> Result<(), Undecoded> {
        Ok(Self::decode(self, access_unit, pts, shown)?)
    }

    fn lost(&mut self) {
        Self::lost(self);
    }

    fn flush(&mut self, shown: Show<'_>) {
        Self::flush(self, shown);
    }
}

/// The decoder of one stream with one pair of parameter sets.
pub(super) struct Decoding {
    decoder: Box<dyn Decode>,
    /// IDR pictures in a row that this decoder could not decode; `None` if it is the last resort.
    failures: Option<u32>,
}

impl Decoding {
    pub(super) fn new(choice: DecoderChoice) -> Result<Self, CodecError> {
        Ok(match choice {
            DecoderChoice::Rusty => Self { decoder: Box::<RustyDecoder>::default(), failures: Some(0) },
            DecoderChoice::OpenH264 => Self { decoder: Box::new(openh264::Decoder::new()?), failures: None },
        })
    }

    /// Decodes one whole access unit: Annex B, parameter sets in band before IDR pictures (`sync`).
    pub(super) fn decode(
        &mut self,
        access_unit: &[u8],
        sync: bool,
        pts: MediaTime,
        shown: Show<'_>,
    ) -> Result<(), Undecoded> {
        let result = self.decoder.decode(access_unit, pts, shown);
        let Some(failures) = &mut self.failures else { return result };
        match &result {
            Ok(()) if sync => *failures = 0,
            Err(Undecoded::Rusty(RustyError::Bitstream { .. })) if sync => *failures += 1,
            Err(Undecoded::Rusty(RustyError::Unsupported(_))) => *failures = PATIENCE,
            _ => {}
        }
        if *failures < PATIENCE {
            return result;
        }
        let why = result.as_ref().err().map(ToString::to_string);
        let Ok(other) = openh264::Decoder::new() else { return result };
        info!(%pts, why, "OpenH264 takes over the decoding");
        self.decoder.flush(shown);
        *self = Self { decoder: Box::new(other), failures: None };
        self.decoder.decode(access_unit, pts, shown)
    }

    /// An access unit was lost on the way.
    pub(super) fn lost(&mut self) {
        self.decoder.lost();
    }

    /// Shows the pictures that are held back.
    pub(super) fn flush(&mut self, shown: Show<'_>) {
        self.decoder.flush(shown);
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::ladder::lecture::{FPS, Lecture};
    use crate::ladder::openh264::{Encoder, EncoderSettings};
    use crate::media::h264::to_annex_b;
    use crate::media::{Picture, PictureSize, Slot};

    /// A decoder that meets what it does not know.
    struct Ignorant(RustyError);

    impl Decode for Ignorant {
        fn decode(&mut self, _: &[u8], _: MediaTime, _: Show<'_>) -> Result<(), Undecoded> {
            Err(self.0.clone().into())
        }
        fn lost(&mut self) {}
        fn flush(&mut self, _: Show<'_>) {}
    }

    fn units() -> Vec<(Vec<u8>, bool)> {
        let size = PictureSize { width: 426, height: 240 };
        let mut encoder =
            Encoder::new(EncoderSettings { size, fps: FPS, bitrate_bps: 300_000 }).expect("an encoder");
        let (mut lecture, mut picture) = (Lecture::new(size.width, size.height), Picture::black(size));
        (0..60)
            .map(|n| {
                lecture.draw(n, picture.planes_mut());
                let (mut sample, mut unit) = (BytesMut::new(), Vec::new());
                let coded =
                    encoder.encode(&picture, Slot(n as i64), n % 15 == 0, &mut sample).expect("a sample");
                to_annex_b(&sample, coded.sync.then_some(encoder.parameter_sets()), &mut unit);
                (unit, coded.sync)
            })
            .collect()
    }

    /// The numbers of the pictures shown.
    fn shown(decoding: &mut Decoding, from: usize, lost: &[usize]) -> Vec<i64> {
        let mut shown = Vec::new();
        for (n, (unit, sync)) in units().iter().enumerate().skip(from) {
            if lost.contains(&n) {
                decoding.lost();
                continue;
            }
            let pts = MediaTime::from_millis(n as i64);
            let _ = decoding.decode(unit, *sync, pts, &mut |pts, _| shown.push(pts.as_millis()));
        }
        decoding.flush(&mut |pts, _| shown.push(pts.as_millis()));
        shown
    }

    #[test]
    fn either_decoder_shows_all_and_after_a_loss_nothing_until_the_next_idr_picture() {
        for choice in [DecoderChoice::Rusty, DecoderChoice::OpenH264] {
            let mut decoding = Decoding::new(choice).expect("a decoder");
            assert_eq!(shown(&mut decoding, 0, &[]), (0..60).collect::<Vec<_>>(), "{choice:?}");
            let mut decoding = Decoding::new(choice).expect("a decoder");
            let wanted: Vec<i64> = (15..20).chain(30..60).collect();
            assert_eq!(shown(&mut decoding, 3, &[20]), wanted, "{choice:?}");
        }
    }

    #[test]
    fn the_other_decoder_takes_over_at_once_or_after_some_patience() {
        let unknown = RustyError::Unsupported("I_PCM");
        let mut decoding = Decoding { decoder: Box::new(Ignorant(unknown)), failures: Some(0) };
        assert_eq!(shown(&mut decoding, 0, &[]).len(), 60);
        assert!(decoding.failures.is_none());
        let damaged = RustyError::Bitstream {
            pts: MediaTime::from_millis(0),
            error: rusty_h264_decoder::DecodeError::Truncated,
        };
        let mut decoding = Decoding { decoder: Box::new(Ignorant(damaged)), failures: Some(0) };
        assert_eq!(shown(&mut decoding, 0, &[]), (15..60).collect::<Vec<_>>(), "at the second IDR picture");
    }
}
