//! Fitting a picture of any size into a rung: aspect ratio kept, centred, black around it.
//!
//! Samples of the source may be of any shape, those of a rung are square. What does *not* belong here: which sizes are
//! wanted, frame rates, colours (range and matrix pass through).

mod kernel;
mod plane;

use plane::{PlaneScaler, Rows};

use super::openh264::PictureView;
use amphi_media::{Picture, PictureSize};

/// Limited-range black of Y, U and V.
const BLACK: [u8; 3] = [16, 128, 128];

/// Why a picture could not be fitted: its planes do not hold what its size and strides say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plane {plane} of a {size} picture is shorter than its size and stride say")]
pub struct ScaleError {
    /// The plane at fault: 0 luma, 1 and 2 chroma.
    pub plane: usize,
    /// The picture's size in luma samples.
    pub size: PictureSize,
}

/// Fits pictures into one size. Keeps its buffers from one picture to the next.
#[derive(Debug)]
pub struct Scaler {
    target: PictureSize,
    /// One each for Y, U and V.
    planes: [PlaneScaler; 3],
}

/// Where the shown part of a picture lies in a larger one, in luma samples; all even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CropWindow {
    left: u32,
    top: u32,
    size: PictureSize,
}

impl Scaler {
    /// A scaler that fits pictures into `target`.
    pub fn new(target: PictureSize) -> Self {
        Self { target, planes: Default::default() }
    }

    /// Fills `out` with `source`, letterboxed. `out` gets the target size if it has another. The source's
    /// size may change from picture to picture.
    pub fn fit(&mut self, source: PictureView<'_>, out: &mut Picture) -> Result<(), ScaleError> {
        if out.size() != self.target {
            *out = Picture::black(self.target);
        }
        let window = CropWindow::of(source.shown_size(), self.target);
        let sizes = [0, 1, 2].map(|index| out.plane_size(index));
        for (plane, samples) in out.planes_mut().into_iter().enumerate() {
            let failed = ScaleError { plane, size: source.size };
            let window = if plane == 0 { window } else { window.chroma() };
            if window.size != sizes[plane] {
                paint_bars(samples, sizes[plane], window, BLACK[plane]);
            }
            self.fit_plane(source, plane, samples, sizes[plane], window).ok_or(failed)?;
        }
        Ok(())
    }

    fn fit_plane(
        &mut self,
        source: PictureView<'_>,
        plane: usize,
        out: &mut [u8],
        out_size: PictureSize,
        window: CropWindow,
    ) -> Option<()> {
        let PictureSize { width, height } = source.plane_size(plane);
        let (width, height, stride) = (width as usize, height as usize, source.strides[plane]);
        let samples = source.planes[plane].get(..stride.checked_mul(height)?)?;
        let from = Rows { samples, stride, width, height };
        let CropWindow { left, top, size: PictureSize { width, height } } = window;
        let out_stride = out_size.width as usize;
        let onto = out.get_mut(top as usize * out_stride + left as usize..)?;
        let size = [width as usize, height as usize];
        (stride >= from.width && stride > 0).then(|| self.planes[plane].scale(from, onto, out_stride, size))
    }
}

impl CropWindow {
    /// The largest window in `target` with the shape of `source`, to the nearest even size.
    fn of(source: PictureSize, target: PictureSize) -> Self {
        let even = |length: u64, of: u64, max: u32| {
            let nearest = (length + of) / (2 * of) * 2;
            u32::try_from(nearest).unwrap_or(max).clamp(2.min(max), max)
        };
        let [sw, sh, tw, th] = [source.width, source.height, target.width, target.height].map(u64::from);
        let size = if sw * th >= sh * tw {
            PictureSize { width: target.width, height: even(tw * sh, sw.max(1), target.height) }
        } else {
            PictureSize { width: even(th * sw, sh.max(1), target.width), height: target.height }
        };
        let offset = |outer: u32, inner: u32| (outer - inner) / 4 * 2;
        Self { left: offset(target.width, size.width), top: offset(target.height, size.height), size }
    }

    const fn chroma(self) -> Self {
        Self { left: self.left / 2, top: self.top / 2, size: self.size.chroma() }
    }
}

/// Paints what lies around `window`.
fn paint_bars(plane: &mut [u8], size: PictureSize, window: CropWindow, black: u8) {
    let rows = window.top..window.top + window.size.height;
    let (from, to) = (window.left as usize, (window.left + window.size.width) as usize);
    for (y, row) in (0..).zip(plane.chunks_exact_mut(size.width.max(1) as usize)) {
        if rows.contains(&y) && to <= row.len() {
            row[..from].fill(black);
            row[to..].fill(black);
        } else {
            row.fill(black);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_media::SampleAspect;
    use proptest::prelude::*;

    const fn size(width: u32, height: u32) -> PictureSize {
        PictureSize { width, height }
    }

    fn grey(size: PictureSize, luma: u8) -> Picture {
        let mut picture = Picture::black(size);
        let [y, u, v] = picture.planes_mut();
        y.fill(luma);
        u.fill(90);
        v.fill(160);
        picture
    }

    fn sample(picture: &Picture, plane: usize, x: u32, y: u32) -> u8 {
        picture.planes()[plane][(y * picture.plane_size(plane).width + x) as usize]
    }

    #[test]
    fn windows_have_the_shape_of_the_source() {
        let of = CropWindow::of;
        assert_eq!(of(size(1280, 720), size(854, 480)), CropWindow { left: 0, top: 0, size: size(854, 480) });
        assert_eq!(
            of(size(1024, 768), size(1280, 720)),
            CropWindow { left: 160, top: 0, size: size(960, 720) }
        );
        assert_eq!(
            of(size(1280, 720), size(640, 480)),
            CropWindow { left: 0, top: 60, size: size(640, 360) }
        );
        assert_eq!(
            of(size(720, 1280), size(854, 480)),
            CropWindow { left: 292, top: 0, size: size(270, 480) }
        );
        assert_eq!(of(size(4096, 2), size(640, 360)), CropWindow { left: 0, top: 178, size: size(640, 2) });
    }

    #[test]
    fn four_to_three_gets_pillars_that_overwrite_what_was_there() {
        let mut out = grey(size(1280, 720), 200);
        Scaler::new(size(1280, 720)).fit((&grey(size(640, 480), 77)).into(), &mut out).unwrap();
        for y in [0, 359, 719] {
            let row = [0, 159, 160, 1119, 1120, 1279].map(|x| sample(&out, 0, x, y));
            assert_eq!(row, [16, 16, 77, 77, 16, 16]);
        }
        assert_eq!([79, 80, 559, 560].map(|x| sample(&out, 1, x, 0)), [128, 90, 90, 128]);
        assert_eq!([79, 80, 559, 560].map(|x| sample(&out, 2, x, 359)), [128, 160, 160, 128]);
    }

    #[test]
    fn equal_sizes_are_copied_and_padding_is_not() {
        let (width, height) = (34_u32, 6_u32);
        let mut padded = vec![255; 40 * 6];
        for (i, row) in padded.chunks_mut(40).enumerate() {
            for (x, sample) in row[..34].iter_mut().enumerate() {
                *sample = (i * 34 + x) as u8;
            }
        }
        let chroma = vec![100; 20 * 3];
        let view = PictureView {
            size: size(width, height),
            planes: [&padded, &chroma, &chroma],
            strides: [40, 20, 20],
            sar: SampleAspect::SQUARE,
        };
        let mut out = Picture::black(size(2, 2));
        Scaler::new(view.size).fit(view, &mut out).unwrap();
        assert!(out.planes()[0].iter().enumerate().all(|(i, &sample)| sample == i as u8));
        assert_eq!(out, view.to_picture());
    }

    #[test]
    fn samples_that_are_not_square_are_shown_in_their_shape() {
        let mut source = grey(size(720, 576), 77);
        source.set_sar(SampleAspect::new(64, 45));
        let mut out = Picture::black(size(640, 480));
        Scaler::new(out.size()).fit((&source).into(), &mut out).unwrap();
        // 1024x576 is 16:9: 640x360, and black above and below.
        assert_eq!([59, 60, 419, 420].map(|y| sample(&out, 0, 320, y)), [16, 77, 77, 16]);
        assert_eq!(sample(&out, 0, 0, 240), 77);
    }

    #[test]
    fn padding_does_not_bleed_into_a_scaled_picture() {
        let mut luma = vec![255; 1344 * 720];
        luma.chunks_mut(1344).for_each(|row| row[..1280].fill(50));
        let chroma = vec![60; 672 * 360];
        let view = PictureView {
            size: size(1280, 720),
            planes: [&luma, &chroma, &chroma],
            strides: [1344, 672, 672],
            sar: SampleAspect::SQUARE,
        };
        let mut out = Picture::black(size(854, 480));
        Scaler::new(out.size()).fit(view, &mut out).unwrap();
        assert!(out.planes()[0].iter().all(|&sample| sample == 50));
        assert_eq!(out.planes()[1].len(), 427 * 240);
        assert!(out.planes()[1].iter().all(|&sample| sample == 60));
    }

    #[test]
    fn a_gradient_stays_where_it_was() {
        let mut source = Picture::black(size(1280, 720));
        source.planes_mut()[0].chunks_mut(1280).for_each(|row| {
            for (x, sample) in row.iter_mut().enumerate() {
                *sample = (x / 5) as u8;
            }
        });
        let mut out = Picture::black(size(854, 480));
        Scaler::new(out.size()).fit((&source).into(), &mut out).unwrap();
        for x in 2..852 {
            let wanted = (f64::from(x) + 0.5) * 1280.0 / 854.0 / 5.0 - 0.5;
            assert!((f64::from(sample(&out, 0, x, 240)) - wanted).abs() < 1.5, "column {x}");
        }
    }

    #[test]
    fn a_lying_view_is_an_error() {
        let plane = [0; 64];
        let view = PictureView {
            size: size(16, 16),
            planes: [&plane; 3],
            strides: [16, 8, 8],
            sar: SampleAspect::SQUARE,
        };
        let error = ScaleError { plane: 0, size: size(16, 16) };
        assert_eq!(Scaler::new(size(8, 8)).fit(view, &mut Picture::black(size(8, 8))), Err(error));
        let narrow = PictureView { strides: [2, 2, 2], ..view };
        assert_eq!(Scaler::new(size(8, 8)).fit(narrow, &mut Picture::black(size(8, 8))), Err(error));
    }

    proptest! {
        #[test]
        fn windows_lie_inside_on_even_samples(
            (sw, sh) in (1..2048_u32, 1..1152_u32), (tw, th) in (1..1024_u32, 1..640_u32)
        ) {
            let (source, target) = (size(2 * sw, 2 * sh), size(2 * tw, 2 * th));
            let window = CropWindow::of(source, target);
            let PictureSize { width, height } = window.size;
            prop_assert!(window.left + width <= target.width && window.top + height <= target.height);
            for length in [window.left, window.top, width, height] { prop_assert_eq!(length % 2, 0); }
            prop_assert!(width == target.width || height == target.height);
            prop_assert!(width >= 2 && height >= 2);
        }

        #[test]
        fn any_shape_fits(sw in 1..80_u32, sh in 1..80_u32, tw in 1..80_u32, th in 1..80_u32) {
            let source = grey(size(2 * sw, 2 * sh), 99);
            let mut out = Picture::black(size(2 * tw, 2 * th));
            Scaler::new(out.size()).fit((&source).into(), &mut out).unwrap();
            prop_assert!(out.planes()[0].iter().all(|sample| [16, 99].contains(sample)));
            prop_assert!(out.planes()[0].contains(&99));
        }
    }
}
