//! Peak and average bit rate of a rung, measured on its segments (RFC 8216 §4.3.4.2).
//!
//! A player reads BANDWIDTH once, when it opens the multivariant playlist, and may stay for a lecture. So the
//! measure has a long memory, at least a day and at most two: a channel that shows its waiting loop at
//! noon still states what the morning's lecture took, and a single outlier is forgotten the day after next.

use std::time::Duration;

use amphi_container::hls::BitRates;

/// How long a tally runs before a new one begins.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Rates are rounded up to a multiple of this, so that small growth does not change the playlist.
const STEP_BPS: u64 = 1000;

#[derive(Clone, Debug, Default)]
pub(super) struct BitrateMeter {
    current: BitrateTally,
    previous: BitrateTally,
    published: Option<BitRates>,
}

#[derive(Clone, Copy, Debug, Default)]
struct BitrateTally {
    peak_bps: u64,
    bytes: u64,
    time: Duration,
}

impl BitrateMeter {
    /// Counts one segment and says what the playlist should state.
    ///
    /// The rates stated before are kept while they are close enough: no segment above the stated peak, and both rates
    /// within a tenth of the measured ones. So the multivariant playlist rarely changes.
    pub(super) fn add(&mut self, bytes: usize, duration: Duration) -> BitRates {
        if self.current.time >= DAY {
            self.previous = std::mem::take(&mut self.current);
        }
        self.current.bytes += bytes as u64;
        self.current.time += duration;
        self.current.peak_bps = self.current.peak_bps.max(bits_per_second(bytes as u64, duration));
        let measured = self.measured();
        let rates = match self.published {
            Some(stated) if stands(stated, measured) => stated,
            _ => measured,
        };
        self.published = Some(rates);
        rates
    }

    fn measured(&self) -> BitRates {
        let (current, previous) = (&self.current, &self.previous);
        let average = bits_per_second(current.bytes + previous.bytes, current.time + previous.time);
        BitRates {
            peak_bps: current.peak_bps.max(previous.peak_bps).next_multiple_of(STEP_BPS),
            average_bps: average.next_multiple_of(STEP_BPS),
        }
    }
}

fn stands(stated: BitRates, measured: BitRates) -> bool {
    let within_a_tenth = |stated: u64, measured: u64| stated.abs_diff(measured) * 10 <= measured;
    stated.peak_bps >= measured.peak_bps
        && within_a_tenth(stated.peak_bps, measured.peak_bps)
        && within_a_tenth(stated.average_bps, measured.average_bps)
        && stated.average_bps <= stated.peak_bps
}

fn bits_per_second(bytes: u64, time: Duration) -> u64 {
    let bits = u128::from(bytes) * 8;
    (bits * 1_000_000_000).checked_div(time.as_nanos()).unwrap_or(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: Duration = Duration::from_secs(2);

    #[test]
    fn the_peak_is_stated_at_once_and_stays_over_quiet_times() {
        let mut meter = BitrateMeter::default();
        assert_eq!(meter.add(100_000, CELL), BitRates { peak_bps: 400_000, average_bps: 400_000 });
        assert_eq!(meter.add(200_001, CELL).peak_bps, 801_000);
        for _ in 0..DAY.as_secs() / 2 {
            assert_eq!(meter.add(10_000, CELL).peak_bps, 801_000);
        }
    }

    #[test]
    fn a_freak_is_forgotten_the_day_after_next() {
        let mut meter = BitrateMeter::default();
        meter.add(9_000_000, CELL);
        let cells = 2 * DAY.as_secs() / CELL.as_secs();
        let last = (0..=cells).map(|_| meter.add(100_000, CELL)).last().expect("many cells");
        assert_eq!(last, BitRates { peak_bps: 400_000, average_bps: 400_000 });
    }

    #[test]
    fn small_changes_do_not_show() {
        let mut meter = BitrateMeter::default();
        let first = meter.add(100_000, CELL);
        assert_eq!(meter.add(99_000, CELL), first);
        assert_eq!(meter.add(95_000, CELL), first);
        assert!(meter.add(20_000, CELL).average_bps < first.average_bps);
    }
}
