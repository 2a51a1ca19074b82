//! Changes the sample rate of a piece of sound so that the result depends on the times of the samples alone, and not on where
//! the piece begins: a filter of windowed sinc, evaluated at each time.

/// Zero crossings of the filter on each side.
const ZEROS: usize = 24;
/// Most different positions between two samples for which the filter is computed.
const PHASES_MAX: u32 = 2048;

/// Samples of the source on each side that a sample at the new rate is made of.
pub(super) fn reach(from: u32, to: u32) -> i64 {
    let scale = f64::from(from.max(1)) / f64::from(to.max(1));
    (ZEROS as f64 * scale.max(1.0)).ceil() as i64 + 1
}

/// The filters between two rates.
pub(super) struct Resampler {
    /// Samples per second of the source.
    pub from: u32,
    to: u32,
    reach: i64,
    /// One for each position between two samples of the source.
    filters: Vec<Vec<f32>>,
}

impl Resampler {
    pub(super) fn new(from: u32, to: u32) -> Self {
        let (from, to) = (from.max(1), to.max(1));
        let phases = (to / greatest_divisor(from, to)).clamp(1, PHASES_MAX);
        // Below the lower of the two Nyquist frequencies.
        let cutoff = (f64::from(to) / f64::from(from)).min(1.0) * 0.94;
        let reach = reach(from, to);
        let filters = (0..phases).map(|phase| filter(f64::from(phase) / f64::from(phases), reach, cutoff));
        Self { from, to, reach, filters: filters.collect() }
    }

    /// The samples `at..at + count` at the new rate: `pcm` has those of the source from number `first` on, in `channels`
    /// channels, interleaved. Both are counted from the same moment.
    pub(super) fn resample(
        &self,
        (pcm, first): (&[f32], i64),
        channels: usize,
        (at, count): (i64, usize),
    ) -> Vec<f32> {
        let (from, to, phases) = (u64::from(self.from), u64::from(self.to), self.filters.len() as u64);
        let mut out = Vec::with_capacity(count * channels);
        for sample in at..at.saturating_add(count as i64) {
            let position = i128::from(sample) * i128::from(from);
            let whole = position.div_euclid(i128::from(to)) as i64;
            let part = position.rem_euclid(i128::from(to)) as u64;
            let filter = self.filters.get((part * phases / to) as usize).map_or(&[][..], |filter| filter);
            let begin = whole - self.reach + 1 - first;
            for channel in 0..channels {
                let tap = |(tap, weight): (usize, &f32)| {
                    let place = usize::try_from(begin + tap as i64).ok()? * channels + channel;
                    Some(pcm.get(place)? * weight)
                };
                out.push(filter.iter().enumerate().filter_map(tap).sum());
            }
        }
        out
    }
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

fn greatest_divisor(a: u32, b: u32) -> u32 {
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
            let resampler = Resampler::new(from, to);
            let all = resampler.resample((&pcm, 0), 2, (1000, 2000));
            let meant = (1000..3000).map(tone(to));
            let off =
                all.chunks(2).zip(meant).map(|(is, meant)| (is[0] - meant).abs().max((is[1] + meant).abs()));
            assert!(off.fold(0.0, f32::max) < 2e-3, "{from} to {to}");
            // The same samples out of a later piece.
            let part = resampler.resample((&pcm[2 * 100..], 100), 2, (2000, 500));
            assert_eq!(part, all[2 * 1000..2 * 1500], "{from} to {to}");
        }
    }
}
