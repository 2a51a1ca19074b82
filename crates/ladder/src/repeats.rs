//! Pictures that repeat the one before them, without the encoder that made it.
//!
//! A picture of which nothing is coded does not depend on what it shows: every macroblock is skipped, that is, taken over
//! from the picture before. It is bound to its place only by its number since the last IDR picture (`frame_num`, ITU-T
//! H.264 §7.4.3). So the repeats that one encoder makes of a grey picture fit any stream with equal parameter
//! sets, and a cell whose encoder is gone can be finished with them.

use bytes::{Bytes, BytesMut};

use super::openh264::{CodecError, Encoder};
use super::spec::PictureRung;
use amphi_media::{Grid, Picture, Slot};

/// A picture of which nothing is coded has at most so many bytes, and one more per [`MACROBLOCKS_PER_BYTE`] macroblocks.
const LONGEST: usize = 32;
const MACROBLOCKS_PER_BYTE: usize = 128;

/// Samples that repeat the picture before them: the first one follows an IDR picture, and so on to the end of a cell.
pub(super) fn repeats(rung: &PictureRung, grid: Grid) -> Result<Vec<Bytes>, CodecError> {
    let mut encoder = Encoder::new(rung.encoder_settings())?;
    // Mid-grey is what is predicted where there is nothing to predict from: coded without loss, it stays as it is.
    let mut grey = Picture::black(rung.size);
    grey.planes_mut().into_iter().for_each(|plane| plane.fill(128));
    let macroblocks = rung.size.luma_len() / 256;
    let mut samples = Vec::new();
    for n in 0..grid.slots_per_cell(rung.fps) {
        let mut sample = BytesMut::new();
        encoder.encode(&grey, Slot(n.into()), n == 0, &mut sample)?;
        if n > 0 && sample.len() > LONGEST + macroblocks / MACROBLOCKS_PER_BYTE {
            // Something is coded: it would change what other pictures show.
            break;
        }
        if n > 0 {
            samples.push(sample.freeze());
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lecture::SyntheticLecture;
    use crate::openh264::{Decoder, PictureView};
    use crate::rusty::RustyDecoder;
    use amphi_media::h264::to_annex_b;
    use amphi_media::{MediaTime, PictureSize};

    #[test]
    fn repeats_repeat_any_picture_of_any_encoder_for_both_decoders() {
        const COUNT: usize = 30;
        let grid = Grid::new(2000);
        for (width, height, bitrate_bps) in [(426, 240, 300_000), (854, 480, 400_000)] {
            let size = PictureSize { width, height };
            let rung = PictureRung { name: "x".to_owned(), size, fps: 15, bitrate_bps };
            let repeats = repeats(&rung, grid).expect("repeats");
            assert_eq!(repeats.len(), COUNT - 1);
            let mut encoder = Encoder::new(rung.encoder_settings()).expect("an encoder");
            let (mut lecture, mut picture) = (SyntheticLecture::new(width, height), Picture::black(size));
            let mut units = Vec::new();
            // Six pictures with an IDR picture among them, and then the encoder is gone.
            for n in 0..6 {
                lecture.draw(n, picture.planes_mut());
                let mut sample = BytesMut::new();
                encoder.encode(&picture, Slot(n as i64), n == 0 || n == 2, &mut sample).expect("a sample");
                units.push(sample.freeze());
            }
            units.extend_from_slice(&repeats[3..]);
            let (mut one, mut other) = (Decoder::new().expect("a decoder"), RustyDecoder::default());
            let (mut shown, mut also): (Vec<Picture>, Vec<Picture>) = (Vec::new(), Vec::new());
            for (n, unit) in units.iter().enumerate() {
                let mut annex_b = Vec::new();
                to_annex_b(unit, (n == 0 || n == 2).then_some(encoder.parameter_sets()), &mut annex_b);
                let pts = MediaTime::from_millis(n as i64 * 66);
                one.decode(&annex_b, pts, &mut |_, view: PictureView<'_>| shown.push(view.to_picture()))
                    .expect("a picture");
                other
                    .decode(&annex_b, pts, &mut |_, view: PictureView<'_>| also.push(view.to_picture()))
                    .expect("a picture");
            }
            one.flush(&mut |_, view: PictureView<'_>| shown.push(view.to_picture())).expect("the last one");
            assert_eq!(shown.len(), units.len());
            assert!(shown == also, "the decoders agree");
            assert!(shown[6..].iter().all(|picture| *picture == shown[5]), "the picture stands");
            assert!(shown[4] != shown[5]);
        }
    }
}
