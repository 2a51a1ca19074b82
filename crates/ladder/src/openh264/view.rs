//! A borrowed I420 picture with row strides, as decoders lend it.

use amphi_media::{Picture, PictureSize, SampleAspect};

/// A borrowed 8-bit I420 picture: Y, U, V.
///
/// Plane *i* holds at least `strides[i]` bytes for each of its rows, the last one included.
#[derive(Clone, Copy)]
pub struct PictureView<'a> {
    /// Width and height in luma samples; both are even.
    pub size: PictureSize,
    /// The samples of Y, U and V.
    pub planes: [&'a [u8]; 3],
    /// Bytes from one row to the next, per plane.
    pub strides: [usize; 3],
    /// The shape of its samples, from the SPS.
    pub sar: SampleAspect,
}

impl std::fmt::Debug for PictureView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PictureView({}, strides {:?})", self.size, self.strides)
    }
}

impl<'a> From<&'a Picture> for PictureView<'a> {
    fn from(picture: &'a Picture) -> Self {
        let chroma = picture.size().chroma().width as usize;
        Self {
            size: picture.size(),
            planes: picture.planes(),
            strides: [picture.size().width as usize, chroma, chroma],
            sar: picture.sar(),
        }
    }
}

impl<'a> PictureView<'a> {
    /// Width and height of plane `index` (0 luma, 1 and 2 chroma).
    pub const fn plane_size(&self, index: usize) -> PictureSize {
        if index == 0 { self.size } else { self.size.chroma() }
    }

    /// The size at which it is shown, in square samples.
    pub fn shown_size(&self) -> PictureSize {
        self.sar.shown(self.size)
    }

    /// The rows of each plane without their padding.
    pub fn rows(self) -> [impl Iterator<Item = &'a [u8]>; 3] {
        [0, 1, 2].map(|index| {
            let PictureSize { width, height } = self.plane_size(index);
            let (plane, stride) = (self.planes[index], self.strides[index].max(1));
            plane.chunks(stride).take(height as usize).filter_map(move |row| row.get(..width as usize))
        })
    }

    /// Copies the samples unchanged into `out`; what does not fit there is left out.
    pub fn copy_to(self, out: &mut Picture) {
        let widths = [0, 1, 2].map(|index| out.plane_size(index).width.max(1) as usize);
        for ((plane, rows), width) in out.planes_mut().into_iter().zip(self.rows()).zip(widths) {
            for (out, row) in plane.chunks_exact_mut(width).zip(rows) {
                let width = width.min(row.len());
                out[..width].copy_from_slice(&row[..width]);
            }
        }
    }

    /// A copy that owns its samples.
    pub fn to_picture(self) -> Picture {
        let mut picture = Picture::black(self.size);
        picture.set_sar(self.sar);
        self.copy_to(&mut picture);
        picture
    }
}
