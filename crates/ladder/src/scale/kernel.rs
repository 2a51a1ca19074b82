//! What each sample of a scaled line is made of: where its window begins in the source line, and the weights in it.

/// Weights are whole numbers of 1/128.
pub(super) const ONE: i16 = 1 << SHIFT;
/// Fractional bits of a weight.
pub(super) const SHIFT: u32 = 7;

/// The windows of a line of one length that is scaled to another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    from: usize,
    to: usize,
    taps: usize,
    starts: Vec<usize>,
    weights: Vec<i16>,
}

impl Kernel {
    /// Catmull-Rom, widened by the ratio where the line becomes shorter. Samples stand in the middle of their
    /// intervals; beyond its ends a line goes on with its first and last sample.
    pub(super) fn new(from: usize, to: usize) -> Self {
        let ratio = from as f64 / to.max(1) as f64;
        let widening = ratio.max(1.0);
        // The outermost weights are next to nothing.
        let wanted = (4.0 * widening - 0.05).ceil() as usize;
        let taps = wanted.min(from).max(1);
        let (mut starts, mut weights) = (Vec::with_capacity(to), Vec::with_capacity(to * taps));
        let mut window = vec![0.0; taps];
        for n in 0..to {
            let centre = (n as f64 + 0.5) * ratio - 0.5;
            let first = (centre - wanted as f64 / 2.0).ceil() as i64;
            let last_start = (from - taps) as i64;
            let start = first.clamp(0, last_start);
            window.fill(0.0);
            for place in first..first + wanted as i64 {
                let inside = (place - start).clamp(0, taps as i64 - 1) as usize;
                window[inside] += catmull_rom((place as f64 - centre) / widening);
            }
            starts.push(start as usize);
            weights.extend(quantized(&window));
        }
        Self { from, to, taps, starts, weights }
    }

    /// Whether it scales lines of length `from` to `to`.
    pub(super) const fn is(&self, from: usize, to: usize) -> bool {
        self.from == from && self.to == to
    }

    /// Whether it leaves a line as it is.
    pub(super) const fn is_identity(&self) -> bool {
        self.from == self.to
    }

    /// The number of weights of each window.
    pub(super) const fn taps(&self) -> usize {
        self.taps
    }

    /// Each window: where it begins, and its weights, which add up to [`ONE`].
    #[expect(clippy::inline_always, reason = "what is not inlined is not compiled for AVX2")]
    #[inline(always)]
    pub(super) fn windows(&self) -> impl Iterator<Item = (usize, &[i16])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.taps))
    }
}

/// Keys's cubic convolution with a = -1/2.
fn catmull_rom(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// Whole 1/128 that add up to one: what rounding leaves goes to the largest weight.
fn quantized(window: &[f64]) -> Vec<i16> {
    let sum: f64 = window.iter().sum();
    let mut whole: Vec<i16> =
        window.iter().map(|weight| (weight / sum * f64::from(ONE)).round() as i16).collect();
    let left = ONE - whole.iter().sum::<i16>();
    if let Some(largest) = whole.iter_mut().max_by_key(|weight| **weight) {
        *largest += left;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lengths_change_nothing() {
        let kernel = Kernel::new(20, 20);
        for (n, (start, weights)) in kernel.windows().enumerate() {
            for (place, &weight) in (start..).zip(weights) {
                assert_eq!(weight, if place == n { ONE } else { 0 }, "{n}");
            }
        }
    }

    #[test]
    fn windows_lie_inside_and_add_up_to_one_and_stay_where_they_are() {
        for (from, to) in
            [(1280, 854), (720, 480), (640, 427), (480, 1280), (1920, 640), (2, 100), (100, 2), (1, 7)]
        {
            let kernel = Kernel::new(from, to);
            let mut count = 0;
            for (n, (start, weights)) in kernel.windows().enumerate() {
                count += 1;
                assert!(start + weights.len() <= from, "{from} to {to}");
                assert_eq!(weights.iter().sum::<i16>(), ONE);
                let centre: f64 = (start..)
                    .zip(weights)
                    .map(|(place, &weight)| place as f64 * f64::from(weight) / f64::from(ONE))
                    .sum();
                let wanted = (n as f64 + 0.5) * from as f64 / to as f64 - 0.5;
                // At the ends the line is folded into itself.
                let edge = 3.0 * from as f64 / to as f64 + 2.0;
                if wanted > edge && wanted < from as f64 - 1.0 - edge {
                    assert!((centre - wanted).abs() < 0.05, "{from} to {to}: {centre} for {wanted}");
                }
            }
            assert_eq!(count, to);
        }
    }
}
