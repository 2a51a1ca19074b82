//! Raw pictures: 8-bit I420 (planar YUV 4:2:0), tightly packed.

use std::fmt;

/// Width and height in luma samples; both even.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureSize {
    /// Luma samples per row.
    pub width: u32,
    /// Rows of luma.
    pub height: u32,
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl PictureSize {
    /// Samples in the luma plane.
    pub const fn luma_len(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Width and height of each chroma plane.
    #[must_use]
    pub const fn chroma(self) -> Self {
        Self { width: self.width.div_ceil(2), height: self.height.div_ceil(2) }
    }
}

/// An I420 picture: Y, then U, then V, rows without padding, limited range.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    size: PictureSize,
    data: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({})", self.size)
    }
}

impl Picture {
    /// A black picture.
    pub fn black(size: PictureSize) -> Self {
        let luma = size.luma_len();
        let mut data = vec![128; luma + 2 * size.chroma().luma_len()];
        data[..luma].fill(16);
        Self { size, data }
    }

    /// The size in luma samples.
    pub const fn size(&self) -> PictureSize {
        self.size
    }

    /// Y, U and V.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, chroma) = self.data.split_at(self.size.luma_len());
        let (u, v) = chroma.split_at(self.size.chroma().luma_len());
        [y, u, v]
    }

    /// Y, U and V, to be written.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (y, chroma) = self.data.split_at_mut(self.size.luma_len());
        let (u, v) = chroma.split_at_mut(self.size.chroma().luma_len());
        [y, u, v]
    }

    /// Width and height of plane `index` (0 luma, 1 and 2 chroma).
    pub const fn plane_size(&self, index: usize) -> PictureSize {
        if index == 0 { self.size } else { self.size.chroma() }
    }
}
