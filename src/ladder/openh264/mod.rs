//! A small safe wrapper over OpenH264, for what its safe crate cannot do: CABAC, the bit share of IDR
//! pictures, timestamps that travel with pictures.
//!
//! The only unsafe code of the project. What belongs here: calls into the library, checks of what comes back.
//! What does not: which picture is coded when.

#![expect(unsafe_code, reason = "OpenH264 is a C++ library; every block says why it is sound")]

mod decoder;
mod encoder;

pub use decoder::{DecodeError, Decoder, PictureView};
pub use encoder::{Encoded, Encoder, EncoderSettings};

/// Whether the assembler parts are built in. Without them decoding costs 1.2 to 1.5 times the CPU and encoding
/// 2.1 to 2.5 times.
pub const ASSEMBLER: bool = !cfg!(amphi_without_nasm);

/// OpenH264 refuses something that only a fault of ours, or an empty machine, makes it refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("OpenH264: {call} failed with code {code}")]
pub struct CodecError {
    /// The library's function.
    pub call: &'static str,
    /// Its return value.
    pub code: i64,
}

fn check(call: &'static str, code: impl Into<i64>) -> Result<(), CodecError> {
    match code.into() {
        0 => Ok(()),
        code => Err(CodecError { call, code }),
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::media::{MediaTime, Picture, PictureSize, h264};

    const SETTINGS: EncoderSettings =
        EncoderSettings { size: PictureSize { width: 640, height: 360 }, fps: 15, bitrate_bps: 400_000 };

    /// A gradient with a block that moves.
    fn picture(number: usize, size: PictureSize) -> Picture {
        let mut picture = Picture::black(size);
        let width = size.width as usize;
        for (y, row) in picture.planes_mut()[0].chunks_exact_mut(width).enumerate() {
            for (x, luma) in row.iter_mut().enumerate() {
                let block = (60..140).contains(&y) && (number * 4..number * 4 + 80).contains(&x);
                *luma = if block { 220 } else { 40 + (x / 8 + y / 4) as u8 % 120 };
            }
        }
        picture
    }

    fn psnr(one: &[u8], two: &[u8]) -> f64 {
        let error: f64 = one.iter().zip(two).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
        10.0 * (255.0_f64.powi(2) * one.len() as f64 / error.max(1.0)).log10()
    }

    /// Codes `count` pictures; an IDR picture at each multiple of `period`.
    fn code(count: usize, period: usize) -> (Encoder, Vec<(Encoded, Vec<u8>)>) {
        let mut encoder = Encoder::new(SETTINGS).expect("an encoder");
        let samples = (0..count)
            .map(|number| {
                let mut out = BytesMut::new();
                let source = picture(number, SETTINGS.size);
                let coded = encoder
                    .encode(&source, number as i64, number % period == 0, &mut out)
                    .expect("every picture is coded");
                (coded, out.to_vec())
            })
            .collect();
        (encoder, samples)
    }

    fn annex_b(encoder: &Encoder, coded: Encoded, sample: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        h264::to_annex_b(sample, coded.sync.then_some(encoder.parameter_sets()), &mut out);
        out
    }

    fn at(number: usize) -> MediaTime {
        MediaTime::from_millis(1_800_000_000_000 + number as i64 * 1000 / 15)
    }

    #[test]
    fn equal_settings_give_equal_parameter_sets_and_samples_carry_none() {
        let (one, samples) = code(3, 3);
        let two = Encoder::new(SETTINGS).expect("an encoder");
        assert_eq!(one.parameter_sets(), two.parameter_sets());
        assert_eq!(one.parameter_sets().codec_string(), "avc1.640C16");
        for (coded, sample) in &samples {
            assert_eq!(coded.size as usize, sample.len());
            for nal in h264::sample_nals(sample) {
                assert!(![h264::NAL_SPS, h264::NAL_PPS, h264::NAL_AUD].contains(&h264::nal_type(nal)));
            }
        }
    }

    #[test]
    fn idr_pictures_stand_where_they_are_asked_for_and_what_goes_in_comes_out() {
        let (encoder, samples) = code(40, 15);
        let idrs: Vec<_> = (0..40).filter(|&number| samples[number].0.sync).collect();
        assert_eq!(idrs, [0, 15, 30]);
        let mut decoder = Decoder::new().expect("a decoder");
        let mut shown = Vec::new();
        let mut show = |pts, view: PictureView<'_>| {
            let mut copy = Picture::black(view.size);
            view.copy_to(&mut copy);
            shown.push((pts, copy));
        };
        for (number, (coded, sample)) in samples.iter().enumerate() {
            decoder
                .decode(&annex_b(&encoder, *coded, sample), at(number), &mut show)
                .expect("a sound sample");
        }
        decoder.flush(&mut show);
        assert_eq!(shown.len(), 40);
        for (number, (pts, copy)) in shown.iter().enumerate() {
            assert_eq!(*pts, at(number));
            let quality = psnr(copy.planes()[0], picture(number, SETTINGS.size).planes()[0]);
            assert!(quality > 32.0, "picture {number} has {quality:.1} dB");
        }
    }

    #[test]
    fn damage_gives_errors_and_no_pictures_until_the_next_idr() {
        let (encoder, samples) = code(40, 15);
        let mut decoder = Decoder::new().expect("a decoder");
        let mut shown = Vec::new();
        for (number, (coded, sample)) in samples.iter().enumerate().skip(3) {
            let mut unit = annex_b(&encoder, *coded, sample);
            match number {
                18 => unit.truncate(unit.len() / 2),
                19 => unit.iter_mut().skip(5).for_each(|byte| *byte ^= 0x5a),
                20 => unit = vec![0, 0, 1, 0x65, 0xff, 0xff],
                _ => {}
            }
            let _ = decoder.decode(&unit, at(number), &mut |pts, _| shown.push(pts));
        }
        decoder.flush(&mut |pts, _| shown.push(pts));
        assert_eq!(shown.first(), Some(&at(15)), "nothing before the first IDR");
        assert!((30..40).all(|number| shown.contains(&at(number))), "all is well after the next IDR");
    }

    #[test]
    fn a_picture_of_another_size_is_refused() {
        let mut encoder = Encoder::new(SETTINGS).expect("an encoder");
        let small = Picture::black(PictureSize { width: 64, height: 64 });
        assert!(encoder.encode(&small, 0, true, &mut BytesMut::new()).is_err());
    }
}
