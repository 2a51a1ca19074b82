//! Converts between timescales.

/// Shorter differences between picture and sound are what every encoder leaves, in milliseconds.
pub const UNNOTICED_MS: i64 = 200;

/// Larger media times, in ticks, are cut to this, so that the sum of two of them does not overflow.
pub(super) const FAR: i64 = 1 << 60;

/// Converts `value` from one timescale to another, rounded down. Saturates.
pub fn rescale(value: i64, from: u32, to: u32) -> i64 {
    let scaled = (i128::from(value) * i128::from(to)).div_euclid(i128::from(from.max(1)));
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}
