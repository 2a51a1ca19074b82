//! Raw pictures: 8-bit I420 (planar YUV 4:2:0), tightly packed.

use std::fmt;

/// Width and height of a picture in luma samples. What is decoded and coded has even ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureSize {
    /// Luma samples per row.
    pub width: u32,
    /// Number of rows of luma samples.
    pub height: u32,
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl PictureSize {
    /// Number of samples in the luma plane.
    pub const fn luma_len(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Width and height of each chroma plane (4:2:0).
    #[must_use]
    pub const fn chroma(self) -> Self {
        Self { width: self.width.div_ceil(2), height: self.height.div_ceil(2) }
    }
}

/// Sample aspect ratio: width to height of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleAspect {
    width: u32,
    height: u32,
}

impl SampleAspect {
    /// Samples are as wide as high.
    pub const SQUARE: Self = Self { width: 1, height: 1 };
    /// Largest ratio that is believed, either way; no known camera or encoder has a larger one.
    const MOST: u32 = 4;

    /// A sample of this shape; square if it is not given (0) or not believable.
    pub fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width.min(u32::from(u16::MAX)), height.min(u32::from(u16::MAX)));
        let odd = width == 0 || height == 0 || width > height * Self::MOST || height > width * Self::MOST;
        if odd || width == height { Self::SQUARE } else { Self { width, height } }
    }

    /// Whether samples are as wide as high.
    pub const fn is_square(self) -> bool {
        self.width == self.height
    }

    /// Size of the picture when it is shown with square samples; the height is kept.
    #[must_use]
    pub fn shown(self, size: PictureSize) -> PictureSize {
        let (of, by) = (u64::from(self.width), u64::from(self.height));
        let width = (u64::from(size.width) * of + by / 2) / by;
        PictureSize { width: u32::try_from(width).unwrap_or(u32::MAX), ..size }
    }
}

impl fmt::Display for SampleAspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.width, self.height)
    }
}

/// An I420 picture: Y, U and V one after the other, rows without padding, limited range, BT.709.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    size: PictureSize,
    sar: SampleAspect,
    data: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({})", self.size)
    }
}

impl Picture {
    /// A black picture of this size, with square samples.
    pub fn black(size: PictureSize) -> Self {
        let luma = size.luma_len();
        let mut data = vec![128; luma + 2 * size.chroma().luma_len()];
        data[..luma].fill(16);
        Self { size, sar: SampleAspect::SQUARE, data }
    }

    /// Size in luma samples.
    pub const fn size(&self) -> PictureSize {
        self.size
    }

    /// Shape of its samples.
    pub const fn sar(&self) -> SampleAspect {
        self.sar
    }

    /// Sets the shape of its samples; the samples stay.
    pub const fn set_sar(&mut self, sar: SampleAspect) {
        self.sar = sar;
    }

    /// The planes Y, U and V.
    pub fn planes(&self) -> [&[u8]; 3] {
        let (y, chroma) = self.data.split_at(self.size.luma_len());
        let (u, v) = chroma.split_at(self.size.chroma().luma_len());
        [y, u, v]
    }

    /// The planes Y, U and V, for writing.
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
