//! Counting in other timescales.

/// Media times beyond this, in ticks, are taken for this: sums of two of them are still numbers.
pub(super) const FAR: i64 = 1 << 60;

/// `value` in another timescale, rounded down.
pub fn rescale(value: i64, from: u32, to: u32) -> i64 {
    let scaled = (i128::from(value) * i128::from(to)).div_euclid(i128::from(from.max(1)));
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}
