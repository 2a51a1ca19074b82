//! One plane of samples scaled into another, sixteen rows of the result at a time.
//!
//! Columns first: each of the sixteen rows is the weighted sum of some rows of the source, sixteen samples at a time.
//! Then the strip is transposed, so that what was a column of sixteen samples is one vector, and the rows are
//! scaled by the same means. All that is touched more than once lies in the first-level cache.
//!
//! Arithmetic is in 16 bits: weights of 1/128 times samples, counted from mid-grey. With the overshoot of a cubic filter
//! that stays within ±21 000; sums on the way may wrap, the last one is right.
//!
//! All of it is compiled a second time for processors with AVX2, which sum sixteen samples at once. The compiler does so with
//! what is inlined alone, and forgets it where arrays of vectors are made by closures, which then are copied at every step: hence
//! the plain loops.

#![expect(clippy::inline_always, reason = "what is not inlined is not compiled for AVX2")]

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use wide::u8x16;

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
    #[inline(always)]
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
            Arch::new().dispatch(Scaling {
                kernels: [&across, &down],
                buffers: self,
                source,
                out,
                stride,
                width,
            });
        }
        self.kernels = Some([across, down]);
    }
}

/// What [`PlaneScaler::scale`] does, for one kind of processor.
struct Scaling<'a> {
    /// Across and down.
    kernels: [&'a Kernel; 2],
    buffers: &'a mut PlaneScaler,
    source: Rows<'a>,
    out: &'a mut [u8],
    stride: usize,
    width: usize,
}

impl WithSimd for Scaling<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { kernels: [across, down], buffers, source, out, stride, width } = self;
        let PlaneScaler { strip, columns, scaled, .. } = buffers;
        let vectors = source.width.div_ceil(LANES);
        strip.resize(LANES * vectors, u8x16::ZERO);
        columns.resize(LANES * vectors, u8x16::ZERO);
        scaled.resize(width.next_multiple_of(LANES), u8x16::ZERO);
        let mut windows = down.windows();
        for out in out.chunks_mut(LANES * stride) {
            let mut rows = 0;
            for ((first, weights), sums) in windows.by_ref().zip(strip.chunks_exact_mut(vectors)).take(LANES)
            {
                blend(source, first, weights, sums);
                rows += 1;
            }
            if rows == 0 {
                return;
            }
            for (x, columns) in columns.chunks_exact_mut(LANES).enumerate() {
                let mut block = [u8x16::ZERO; LANES];
                for (to, from) in block.iter_mut().zip(strip.iter().skip(x).step_by(vectors)) {
                    *to = *from;
                }
                columns.copy_from_slice(&transposed(block));
            }
            sum_columns(columns, across, scaled);
            for (x, block) in scaled.as_chunks().0.iter().enumerate() {
                write(&transposed(*block), rows, x * LANES..width.min((x + 1) * LANES), out, stride);
            }
        }
    }
}

/// Writes the first `rows` of `block` to `columns` of rows that stand `stride` apart.
#[inline(always)]
fn write(block: &[u8x16; LANES], rows: usize, columns: Range<usize>, out: &mut [u8], stride: usize) {
    for (row, out) in block.iter().zip(out.chunks_mut(stride)).take(rows) {
        let (row, len) = (row.to_array(), columns.len());
        match out.get_mut(columns.clone()) {
            // A length that the compiler knows is one store.
            Some(out) if len == LANES => out.copy_from_slice(&row),
            Some(out) => out.copy_from_slice(&row[..len]),
            None => {}
        }
    }
}

/// Each of `scaled` is the weighted sum of the columns in its window.
#[inline(always)]
fn sum_columns(columns: &[u8x16], across: &Kernel, scaled: &mut [u8x16]) {
    match across.taps() {
        4 => sum_some::<4>(columns, across, scaled),
        6 => sum_some::<6>(columns, across, scaled),
        8 => sum_some::<8>(columns, across, scaled),
        _ => {
            for ((first, weights), scaled) in across.windows().zip(scaled) {
                *scaled = weighted(columns[first..].iter().copied(), weights);
            }
        }
    }
}

#[inline(always)]
fn sum_some<const TAPS: usize>(columns: &[u8x16], across: &Kernel, scaled: &mut [u8x16]) {
    for ((first, weights), scaled) in across.windows().zip(scaled) {
        let columns = columns.get(first..).and_then(<[_]>::first_chunk::<TAPS>);
        if let (Some(columns), Some(weights)) = (columns, weights.first_chunk::<TAPS>()) {
            *scaled = weighted(columns.iter().copied(), weights);
        }
    }
}

/// The weighted sum of the rows from `first` on.
#[inline(always)]
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

#[inline(always)]
fn blend_some<const TAPS: usize>(source: Rows<'_>, first: usize, weights: [i16; TAPS], sums: &mut [u8x16]) {
    let rows: [&[[u8; LANES]]; TAPS] = std::array::from_fn(|row| source.row(first + row).as_chunks().0);
    let rows = rows.map(|row| &row[..sums.len().min(row.len())]);
    for (x, sum) in sums.iter_mut().enumerate() {
        *sum = weighted(rows.iter().map(|row| u8x16::from(row[x])), &weights);
    }
}

/// A vector of up to sixteen samples, filled up with zeros.
#[inline(always)]
fn load(samples: &[u8]) -> u8x16 {
    let mut some = [0; LANES];
    for (to, from) in some.iter_mut().zip(samples) {
        *to = *from;
    }
    u8x16::from(some)
}

/// The sum of vectors of samples, each times its weight, rounded.
#[inline(always)]
fn weighted(samples: impl Iterator<Item = u8x16>, weights: &[i16]) -> u8x16 {
    let mut sums = [START; LANES];
    for (samples, &weight) in samples.zip(weights) {
        for (sum, sample) in sums.iter_mut().zip(samples.to_array()) {
            *sum = sum.wrapping_add(i16::from(sample).wrapping_mul(weight));
        }
    }
    let mut out = [0; LANES];
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = ((sum >> SHIFT) + GREY).clamp(0, 255) as u8;
    }
    u8x16::from(out)
}

/// Rows become columns: four times the rows of the upper half are interleaved with those of the lower half.
#[inline(always)]
fn transposed(mut block: [u8x16; LANES]) -> [u8x16; LANES] {
    for _ in 0..4 {
        let mut next = block;
        for n in 0..LANES / 2 {
            let (upper, lower) = (block[n], block[n + LANES / 2]);
            next[2 * n] = u8x16::unpack_low(upper, lower);
            next[2 * n + 1] = u8x16::unpack_high(upper, lower);
        }
        block = next;
    }
    block
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulp::Scalar;

    use super::*;

    /// The weighted sum of samples, as [`weighted`] has it.
    fn sum(samples: impl Iterator<Item = u8>, weights: &[i16]) -> u8 {
        let sum = samples
            .zip(weights)
            .fold(START, |sum, (sample, weight)| sum.wrapping_add(i16::from(sample).wrapping_mul(*weight)));
        ((sum >> SHIFT) + GREY).clamp(0, 255) as u8
    }

    /// The same picture, sample by sample.
    fn plainly([across, down]: [&Kernel; 2], source: Rows<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for (first, weights) in down.windows() {
            let rows: Vec<&[u8]> = (first..first + weights.len()).map(|y| source.row(y)).collect();
            let row: Vec<u8> =
                (0..source.width).map(|x| sum(rows.iter().map(|row| row[x]), weights)).collect();
            out.extend(across.windows().map(|(first, weights)| sum(row[first..].iter().copied(), weights)));
        }
        out
    }

    proptest! {
        #[test]
        fn vectors_sum_as_numbers_do_on_every_processor(
            [width, height, to_width, to_height] in prop::array::uniform4(1..70_usize),
            pad in 0..20_usize,
            samples in prop::collection::vec(any::<u8>(), 90 * 70),
        ) {
            let stride = width + pad;
            let source = Rows { samples: &samples[..stride * height], stride, width, height };
            let kernels = [Kernel::new(width, to_width), Kernel::new(height, to_height)];
            let kernels = [&kernels[0], &kernels[1]];
            let expected = plainly(kernels, source);
            for is_scalar in [true, false] {
                let (mut buffers, mut out) = (PlaneScaler::default(), vec![0; to_width * to_height]);
                let buffers = &mut buffers;
                let scaling =
                    Scaling { kernels, buffers, source, out: &mut out, stride: to_width, width: to_width };
                if is_scalar { scaling.with_simd(Scalar) } else { Arch::new().dispatch(scaling) }
                prop_assert_eq!(&out, &expected);
            }
        }
    }
}
