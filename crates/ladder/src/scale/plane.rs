//! One plane of samples scaled into another, sixteen rows of the result at a time.
//!
//! Columns first: each of the sixteen rows is the weighted sum of some rows of the source, sixteen samples at a time.
//! Then the strip is transposed, so that what was a column of sixteen samples is one vector, and the rows are
//! scaled by the same means. All that is touched more than once lies in the first-level cache.
//!
//! Arithmetic is in 16 bits: weights of 1/128 times samples, counted from mid-grey. With the overshoot of a cubic filter
//! that stays within ±21 000; sums on the way may wrap, the last one is right.

use wide::{i16x8, u8x16};

use super::kernel::{Kernel, SHIFT};

/// Rows of a strip, and samples of a vector.
const LANES: usize = 16;
/// Half a unit for rounding, less mid-grey.
const START: i16 = (1 << (SHIFT - 1)) - (GREY << SHIFT);
const GREY: i16 = 128;

/// Samples in rows that stand `stride` bytes apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) samples: &'a [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl<'a> Rows<'a> {
    /// Row `y`; empty if it is not there.
    fn row(self, y: usize) -> &'a [u8] {
        let from = y * self.stride;
        self.samples.get(from..from + self.width).unwrap_or_default()
    }
}

/// The buffers of one plane's scaling, kept from picture to picture.
#[derive(Debug, Default)]
pub(super) struct PlaneScaler {
    kernels: Option<[Kernel; 2]>,
    /// The sixteen rows of a strip, each as many vectors as cover it.
    strip: Vec<u8x16>,
    /// The strip, transposed: one vector for each column.
    columns: Vec<u8x16>,
    /// The columns of the result, one vector each.
    scaled: Vec<u8x16>,
}

impl PlaneScaler {
    /// Scales `source` to `width` x `height` samples, which are written at the beginning of `out`'s rows of `stride`.
    pub(super) fn scale(
        &mut self,
        source: Rows<'_>,
        out: &mut [u8],
        stride: usize,
        [width, height]: [usize; 2],
    ) {
        let fits =
            |[across, down]: &[Kernel; 2]| across.is(source.width, width) && down.is(source.height, height);
        let [across, down] = match self.kernels.take().filter(fits) {
            Some(kernels) => kernels,
            None => [Kernel::new(source.width, width), Kernel::new(source.height, height)],
        };
        if across.is_identity() && down.is_identity() {
            for (y, out) in out.chunks_mut(stride).take(height).enumerate() {
                out[..width].copy_from_slice(source.row(y));
            }
        } else {
            self.scale_with([&across, &down], source, out, stride, width);
        }
        self.kernels = Some([across, down]);
    }

    fn scale_with(
        &mut self,
        [across, down]: [&Kernel; 2],
        source: Rows<'_>,
        out: &mut [u8],
        stride: usize,
        width: usize,
    ) {
        let vectors = source.width.div_ceil(LANES);
        self.strip.resize(LANES * vectors, u8x16::ZERO);
        self.columns.resize(LANES * vectors, u8x16::ZERO);
        self.scaled.resize(width.next_multiple_of(LANES), u8x16::ZERO);
        let mut windows = down.windows();
        for out in out.chunks_mut(LANES * stride) {
            let mut rows = 0;
            for ((first, weights), sums) in
                windows.by_ref().zip(self.strip.chunks_exact_mut(vectors)).take(LANES)
            {
                blend(source, first, weights, sums);
                rows += 1;
            }
            if rows == 0 {
                return;
            }
            for (x, columns) in self.columns.chunks_exact_mut(LANES).enumerate() {
                let block = std::array::from_fn(|y| self.strip[y * vectors + x]);
                columns.copy_from_slice(&transposed(block));
            }
            for ((first, weights), scaled) in across.windows().zip(&mut self.scaled) {
                *scaled = weighted(self.columns[first..].iter().copied(), weights);
            }
            for (x, block) in self.scaled.chunks_exact(LANES).enumerate() {
                let block = transposed(std::array::from_fn(|column| block[column]));
                let (from, to) = (x * LANES, width.min((x + 1) * LANES));
                for (row, out) in block.iter().zip(out.chunks_mut(stride)).take(rows) {
                    if let Some(out) = out.get_mut(from..to) {
                        out.copy_from_slice(&row.to_array()[..to - from]);
                    }
                }
            }
        }
    }
}

/// The weighted sum of the rows from `first` on.
fn blend(source: Rows<'_>, first: usize, weights: &[i16], sums: &mut [u8x16]) {
    const MOST: usize = 8;
    let whole = source.width / LANES;
    let (full, rest) = sums.split_at_mut(whole);
    // A slice of known length for each row lets the compiler check bounds once.
    if let Some(weights) = weights.first_chunk::<MOST>().filter(|_| weights.len() == MOST) {
        blend_some(source, first, *weights, full);
    } else if let Ok(weights) = <[i16; 6]>::try_from(weights) {
        blend_some(source, first, weights, full);
    } else if let Ok(weights) = <[i16; 4]>::try_from(weights) {
        blend_some(source, first, weights, full);
    } else {
        for (x, sum) in full.iter_mut().enumerate() {
            let samples = |row: usize| load(&source.row(first + row)[x * LANES..]);
            *sum = weighted((0..weights.len()).map(samples), weights);
        }
    }
    if let Some(last) = rest.first_mut() {
        let samples = |row: usize| load(&source.row(first + row)[whole * LANES..]);
        *last = weighted((0..weights.len()).map(samples), weights);
    }
}

fn blend_some<const TAPS: usize>(source: Rows<'_>, first: usize, weights: [i16; TAPS], sums: &mut [u8x16]) {
    let rows: [&[[u8; LANES]]; TAPS] = std::array::from_fn(|row| source.row(first + row).as_chunks().0);
    let rows = rows.map(|row| &row[..sums.len().min(row.len())]);
    for (x, sum) in sums.iter_mut().enumerate() {
        *sum = weighted(rows.iter().map(|row| u8x16::from(row[x])), &weights);
    }
}

/// A vector of up to sixteen samples, filled up with zeros.
fn load(samples: &[u8]) -> u8x16 {
    let mut some = [0; LANES];
    for (to, from) in some.iter_mut().zip(samples) {
        *to = *from;
    }
    u8x16::from(some)
}

#[expect(clippy::inline_always, reason = "a call per sixteen samples would cost as much as they do")]
#[inline(always)]
fn weighted(samples: impl Iterator<Item = u8x16>, weights: &[i16]) -> u8x16 {
    let (mut low, mut high) = (i16x8::splat(START), i16x8::splat(START));
    for (samples, &weight) in samples.zip(weights) {
        let weight = i16x8::splat(weight);
        low += i16x8::from_u8x16_low(samples) * weight;
        high += i16x8::from_u8x16_high(samples) * weight;
    }
    let grey = i16x8::splat(GREY);
    u8x16::narrow_i16x8((low >> SHIFT as i32) + grey, (high >> SHIFT as i32) + grey)
}

/// Rows become columns: four times the rows of the upper half are interleaved with those of the lower half.
#[expect(clippy::inline_always, reason = "the block stays in registers")]
#[inline(always)]
fn transposed(mut block: [u8x16; LANES]) -> [u8x16; LANES] {
    for _ in 0..4 {
        block = std::array::from_fn(|n| {
            let (upper, lower) = (block[n / 2], block[n / 2 + LANES / 2]);
            if n % 2 == 0 { u8x16::unpack_low(upper, lower) } else { u8x16::unpack_high(upper, lower) }
        });
    }
    block
}
