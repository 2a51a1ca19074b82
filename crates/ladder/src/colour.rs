//! From a source's colours to the ladder's: limited range, BT.709 (ITU-T H.273 table 4, §8.3).
//!
//! A linear map on YCbCr values: luma gets a share of both chroma samples, these are turned and stretched, and full
//! range is scaled to limited range. Sources that have the ladder's colours need no [`Conversion`] and cost nothing.
//!
//! Where the SPS does not name a matrix, size decides, as it does in mpv, VLC and Chromium: up to 1279x576 BT.601,
//! above it BT.709. (ffmpeg's scaler takes BT.601 for all of them.) Primaries and transfer are left as they are: between
//! BT.601 and BT.709 they differ by less than displays do.
//!
//! What does not belong here: sizes, shapes, and what a decoder can do.

use super::openh264::PictureView;
use amphi_media::h264::VideoDescription;
use amphi_media::{Picture, PictureSize};

/// Fractional bits of a factor.
const SHIFT: i32 = 8;
const ONE: f64 = (1 << SHIFT) as f64;
const HALF: i32 = 1 << (SHIFT - 1);

/// The shares of red and blue in luma.
type Shares = [f64; 2];

/// BT.709, which the ladder codes.
const BT709: Shares = [0.2126, 0.0722];
const BT601: Shares = [0.299, 0.114];

/// The shares that `matrix_coefficients` (ITU-T H.264 table E-5) names in a picture of `size`; `None` if it names none.
fn shares(matrix: u8, size: PictureSize) -> Option<Shares> {
    Some(match matrix {
        1 => BT709,
        4 => [0.30, 0.11],
        5 | 6 => BT601,
        7 => [0.212, 0.087],
        9 | 10 => [0.2627, 0.0593],
        // 2 is unspecified, 3 reserved. Identity (RGB itself) and YCgCo do not come in 4:2:0 from any encoder.
        2 | 3 if size.width < 1280 && size.height <= 576 => BT601,
        _ => return None,
    })
}

/// How a source's samples become samples in the ladder's colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Luma's factor, and what it gets of Cb and Cr.
    luma: [i32; 3],
    /// What Cb becomes of Cb and Cr, and Cr likewise.
    chroma: [[i32; 2]; 2],
    full_range: bool,
}

impl Conversion {
    /// The conversion for pictures that `source` describes; `None` if they have the ladder's colours already.
    pub fn of(source: &VideoDescription) -> Option<Self> {
        let size = PictureSize { width: source.width, height: source.height };
        let from = shares(source.matrix, size).unwrap_or(BT709);
        if from == BT709 && !source.full_range {
            return None;
        }
        let [to_limited, to_luma, to_chroma] = if source.full_range {
            [219.0 / 255.0, 219.0 / 255.0, 224.0 / 255.0]
        } else {
            [1.0, 219.0 / 224.0, 1.0]
        };
        let whole = |factor: f64| (factor * ONE).round() as i32;
        let [cb, cr] = [[1.0, 0.0], [0.0, 1.0]].map(|[cb, cr]| turned(from, cb, cr));
        Some(Self {
            luma: [whole(to_limited), whole(cb[0] * to_luma), whole(cr[0] * to_luma)],
            chroma: [[cb[1], cr[1]], [cb[2], cr[2]]].map(|row| row.map(|factor| whole(factor * to_chroma))),
            full_range: source.full_range,
        })
    }

    /// Fills `out` with `view` in the ladder's colours. Both must have the same size; what does not fit is left out.
    pub fn convert(&self, view: PictureView<'_>, out: &mut Picture) {
        let widths = [0, 1].map(|plane| out.plane_size(plane).width.max(1) as usize);
        let mut shares = vec![0_i16; widths[0].next_multiple_of(2)];
        let [luma, cbs, crs] = view.rows();
        let [to_luma, to_cb, to_cr] = out.planes_mut();
        let mut luma = luma.zip(to_luma.chunks_exact_mut(widths[0]));
        let chroma = to_cb.chunks_exact_mut(widths[1]).zip(to_cr.chunks_exact_mut(widths[1]));
        for ((cb, cr), (to_cb, to_cr)) in cbs.zip(crs).zip(chroma) {
            self.chroma_row([cb, cr], [to_cb, to_cr], &mut shares);
            // Two rows of luma share one of chroma.
            for (row, out) in luma.by_ref().take(2) {
                self.luma_row(row, out, &shares);
            }
        }
    }

    /// Converts one row of chroma; `shares` gets what it adds to each sample of luma.
    fn chroma_row(&self, [cb, cr]: [&[u8]; 2], [to_cb, to_cr]: [&mut [u8]; 2], shares: &mut [i16]) {
        let [[bb, rb], [br, rr]] = self.chroma;
        let [_, b, r] = self.luma;
        let samples = cb.iter().zip(cr).zip(to_cb.iter_mut().zip(to_cr));
        for (((&cb, &cr), (to_cb, to_cr)), shares) in samples.zip(shares.chunks_exact_mut(2)) {
            let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
            *to_cb = (128 + ((bb * cb + rb * cr + HALF) >> SHIFT)).clamp(0, 255) as u8;
            *to_cr = (128 + ((br * cb + rr * cr + HALF) >> SHIFT)).clamp(0, 255) as u8;
            let share = ((b * cb + r * cr + HALF) >> SHIFT) as i16;
            shares.fill(share);
        }
    }

    fn luma_row(&self, row: &[u8], out: &mut [u8], shares: &[i16]) {
        let samples = row.iter().zip(out).zip(shares);
        if self.full_range {
            let factor = self.luma[0] as u16;
            for ((&from, to), &share) in samples {
                // 220 times 255, and one half (128) for rounding, stay below 2^16.
                let limited = (u16::from(from) * factor + HALF as u16) >> SHIFT;
                *to = (limited as i16 + 16 + share).clamp(0, 255) as u8;
            }
        } else {
            for ((&from, to), &share) in samples {
                *to = (i16::from(from) + share).clamp(0, 255) as u8;
            }
        }
    }
}

/// Y, Cb and Cr by BT.709 of a colour that has no luma and this chroma (±1/2) by other shares.
fn turned([kr, kb]: Shares, cb: f64, cr: f64) -> [f64; 3] {
    let red = 2.0 * (1.0 - kr) * cr;
    let blue = 2.0 * (1.0 - kb) * cb;
    let green = -(kr * red + kb * blue) / (1.0 - kr - kb);
    let [to_kr, to_kb] = BT709;
    let luma = to_kr * red + (1.0 - to_kr - to_kb) * green + to_kb * blue;
    [luma, (blue - luma) / (2.0 * (1.0 - to_kb)), (red - luma) / (2.0 * (1.0 - to_kr))]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use amphi_media::h264::describe;

    /// A plain 640x360 set of x264, with other colours.
    fn source(matrix: u8, full_range: bool, height: u32) -> VideoDescription {
        let sps = [
            0x67, 0x64, 0, 0x1e, 0xac, 0xb4, 5, 1, 0x7f, 0xcb, 0x80, 0x88, 0, 0, 3, 0, 8, 0, 0, 3, 1, 0x90,
            0x78, 0xb1, 0x75,
        ];
        let mut source = describe(&sps).expect("a set");
        (source.matrix, source.full_range) = (matrix, full_range);
        (source.width, source.height) = (height * 16 / 9, height);
        source
    }

    /// One colour, 8x4.
    fn coloured(sample: [u8; 3]) -> Picture {
        let mut picture = Picture::black(PictureSize { width: 8, height: 4 });
        picture.planes_mut().into_iter().zip(sample).for_each(|(plane, sample)| plane.fill(sample));
        picture
    }

    fn converted(conversion: &Conversion, sample: [u8; 3]) -> [u8; 3] {
        let picture = coloured(sample);
        let mut out = Picture::black(picture.size());
        conversion.convert((&picture).into(), &mut out);
        out.planes().map(|plane| {
            assert!(plane.iter().all(|sample| *sample == plane[0]), "one colour");
            plane[0]
        })
    }

    /// Red, green, blue (0 to 1) in these shares and this range.
    fn coded([red, green, blue]: [f64; 3], [kr, kb]: Shares, full_range: bool) -> [u8; 3] {
        let luma = kr * red + (1.0 - kr - kb) * green + kb * blue;
        let chroma = [(blue - luma) / (2.0 * (1.0 - kb)), (red - luma) / (2.0 * (1.0 - kr))];
        let [foot, of_luma, of_chroma] = if full_range { [0.0, 255.0, 255.0] } else { [16.0, 219.0, 224.0] };
        let sample = |value: f64| value.round().clamp(0.0, 255.0) as u8;
        [
            sample(foot + of_luma * luma),
            sample(128.0 + of_chroma * chroma[0]),
            sample(128.0 + of_chroma * chroma[1]),
        ]
    }

    #[test]
    fn plain_sources_cost_nothing() {
        assert_eq!(Conversion::of(&source(1, false, 1080)), None);
        assert_eq!(Conversion::of(&source(1, false, 360)), None);
        for matrix in [0, 2, 3, 8, 11, 255] {
            assert_eq!(Conversion::of(&source(matrix, false, 720)), None, "{matrix}");
        }
        assert!(Conversion::of(&source(2, false, 576)).is_some(), "small and not said: BT.601");
        assert!(Conversion::of(&source(6, false, 1080)).is_some());
    }

    #[test]
    fn full_range_becomes_limited() {
        let conversion = Conversion::of(&source(1, true, 720)).expect("a conversion");
        assert_eq!(converted(&conversion, [0, 128, 128]), [16, 128, 128]);
        assert_eq!(converted(&conversion, [255, 128, 128]), [235, 128, 128]);
        assert_eq!(converted(&conversion, [128, 0, 255]), [126, 16, 240]);
    }

    proptest! {
        #[test]
        fn colours_are_what_they_were(
            rgb in prop::array::uniform3(0.0..=1.0_f64), matrix in prop::sample::select(vec![1, 4, 5, 6, 7, 9]), full: bool
        ) {
            let source = source(matrix, full, 720);
            let shares = shares(matrix, PictureSize { width: 1280, height: 720 }).expect("shares");
            let from = coded(rgb, shares, full);
            let wanted = coded(rgb, BT709, false);
            let got = Conversion::of(&source).map_or(from, |conversion| converted(&conversion, from));
            for (got, wanted) in got.into_iter().zip(wanted) {
                prop_assert!(got.abs_diff(wanted) <= 2, "{from:?}: {got} for {wanted}");
            }
        }

        #[test]
        fn no_samples_and_no_size_make_it_panic(
            sample: [u8; 3], matrix: u8, full: bool, width in 1_u32..40, height in 1_u32..12, other in 1_u32..40
        ) {
            let size = PictureSize { width, height };
            let mut picture = Picture::black(size);
            picture.planes_mut().into_iter().zip(sample).for_each(|(plane, sample)| plane.fill(sample));
            if let Some(conversion) = Conversion::of(&source(matrix, full, 360)) {
                let mut out = Picture::black(PictureSize { width: other, height });
                conversion.convert((&picture).into(), &mut out);
                let mut out = Picture::black(size);
                conversion.convert((&picture).into(), &mut out);
                let [luma, ..] = out.planes();
                prop_assert!(luma.iter().all(|sample| *sample == luma[0]), "every sample");
            }
        }
    }
}
