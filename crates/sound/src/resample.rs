//! Changes the sample rate of a piece of sound so that the result depends on the times of the samples alone, and not on where
//! the piece begins: a filter of windowed sinc, evaluated at each time.

/// Zero crossings of the filter on each side.
const ZEROS: usize = 24;
/// Most different positions between two samples for which the filter is computed.
const PHASES_MAX: u64 = 2048;

/// Samples of the source on each side that a sample at the new rate is made of.
pub(super) fn reach(from: u32, to: u32) -> i64 {
    let scale = f64::from(from.max(1)) / f64::from(to.max(1));
    (ZEROS as f64 * scale.max(1.0)).ceil() as i64 + 1
}

/// The samples `at..at + count` at the rate `to` of sound at the rate `from`: `pcm` has its samples from number `first` on, in
/// `channels` channels, interleaved. Both are counted from the same moment.
pub(super) fn resample(
    (pcm, first): (&[f32], i64),
    channels: usize,
    (from, to): (u32, u32),
    (at, count): (i64, usize),
) -> Vec<f32> {
    let (from, to) = (u64::from(from.max(1)), u64::from(to.max(1)));
    let divisor = greatest_divisor(from, to);
    let phases = (to / divisor).clamp(1, PHASES_MAX);
    // Below the lower of the two Nyquist frequencies.
    let cutoff = (to as f64 / from as f64).min(1.0) * 0.94;
    let reach = reach(from as u32, to as u32);
    let taps = 2 * reach as usize;
    let filters: Vec<Vec<f32>> =
        (0..phases).map(|phase| filter(phase as f64 / phases as f64, reach, cutoff)).collect();
    let mut out = Vec::with_capacity(count * channels);
    for sample in at..at.saturating_add(count as i64) {
        let position = i128::from(sample) * i128::from(from);
        let whole = position.div_euclid(i128::from(to)) as i64;
        let part = position.rem_euclid(i128::from(to)) as u64;
        let filter = filters.get((part * phases / to) as usize).map_or(&[][..], |filter| filter);
        let begin = whole - reach + 1 - first;
        for channel in 0..channels {
            let tap = |(tap, weight): (usize, &f32)| {
                let place = usize::try_from(begin + tap as i64).ok()? * channels + channel;
                Some(pcm.get(place)? * weight)
            };
            out.push(filter.iter().take(taps).enumerate().filter_map(tap).sum());
        }
    }
    out
}

/// The weights of the samples around a position `part` of the way from one sample to the next.
fn filter(part: f64, reach: i64, cutoff: f64) -> Vec<f32> {
    let weights: Vec<f64> = (1 - reach..=reach)
        .map(|offset| {
            let distance = offset as f64 - part;
            let angle = std::f64::consts::PI * distance * cutoff;
            let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
            // Blackman's window over the whole reach.
            let turn = std::f64::consts::PI * distance / reach as f64;
            sinc * (0.42 + 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

fn greatest_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { greatest_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_keeps_its_time_and_level() {
        let tone = |rate: u32| {
            move |n: i64| (std::f64::consts::TAU * 997.0 * n as f64 / f64::from(rate)).sin() as f32 * 0.5
        };
        for (from, to) in [(192_000, 48_000), (37_800, 48_000), (11_127, 48_000), (176_400, 44_100)] {
            let pcm: Vec<f32> = (0..20_000).map(tone(from)).flat_map(|it| [it, -it]).collect();
            let all = resample((&pcm, 0), 2, (from, to), (1000, 2000));
            let meant = (1000..3000).map(tone(to));
            let off =
                all.chunks(2).zip(meant).map(|(is, meant)| (is[0] - meant).abs().max((is[1] + meant).abs()));
            assert!(off.fold(0.0, f32::max) < 2e-3, "{from} to {to}");
            // The same samples out of a later piece.
            let part = resample((&pcm[2 * 100..], 100), 2, (from, to), (2000, 500));
            assert_eq!(part, all[2 * 1000..2 * 1500], "{from} to {to}");
        }
    }
}
