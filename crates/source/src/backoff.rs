//! How long to wait before the next try. Sans-IO: chance and time are arguments.
//!
//! # Contract
//! Ask [`BackOff::delay`] once after each ending; tell [`BackOff::flowed`] how long media had come before
//! it. A connection that dies young does not reset the delay, so a source that accepts and drops is not
//! hammered.

use std::time::Duration;

use super::fault::Retry;

const FIRST: Duration = Duration::from_millis(500);
/// Each delay is so much longer than the one before, and thus about a third of the outage so far: a source that
/// is back after six seconds is noticed within three, and one that is off for the night is asked four times
/// a minute.
const GROWTH: f64 = 1.35;
const LONGEST: Duration = Duration::from_secs(15);
/// After a refusal, so that wrong credentials do not lock the device's account, and where only a person can
/// mend the matter.
const SLOW: Duration = Duration::from_secs(60);
/// Media must have come for so long to call a connection good.
const GOOD: Duration = Duration::from_secs(10);

/// The delay's state.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackOff {
    tries: u32,
}

impl BackOff {
    /// The delay before the next try. `chance` in 0..1 spreads sources that failed together over a quarter
    /// of the delay.
    pub fn delay(&mut self, retry: Retry, chance: f64) -> Duration {
        let spread = 0.25 * chance.clamp(0.0, 1.0);
        match retry {
            Retry::Soon => {
                let whole = FIRST.mul_f64(GROWTH.powi(self.tries.min(20) as i32)).min(LONGEST);
                self.tries = self.tries.saturating_add(1);
                whole.mul_f64(1.0 - spread).max(FIRST.mul_f64(0.75))
            }
            Retry::Slowly | Retry::Refused => SLOW.mul_f64(1.0 + spread),
        }
    }

    /// Media came for `how_long` before the connection ended.
    pub fn flowed(&mut self, how_long: Duration) {
        if how_long >= GOOD {
            self.tries = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_grows_to_fifteen_seconds() {
        let mut back_off = BackOff::default();
        let delays: Vec<_> = (0..14).map(|_| back_off.delay(Retry::Soon, 0.0).as_millis()).collect();
        assert_eq!(delays[..5], [500, 675, 911, 1230, 1660]);
        assert_eq!(delays[12..], [15_000; 2]);
        let noticed = |outage: u128| {
            let tried = delays
                .iter()
                .scan(0, |at, delay| {
                    *at += delay;
                    Some(*at)
                })
                .find(|at| *at >= outage);
            tried.expect("a try after the outage") - outage
        };
        assert!((1000..30_000).step_by(100).all(|outage| noticed(outage) <= outage * 35 / 100 + 500));
    }

    #[test]
    fn only_a_good_connection_resets_it() {
        let mut back_off = BackOff::default();
        for _ in 0..4 {
            back_off.delay(Retry::Soon, 0.0);
            back_off.flowed(Duration::from_secs(3));
        }
        assert!(back_off.delay(Retry::Soon, 0.0) > 3 * FIRST);
        back_off.flowed(Duration::from_secs(10));
        assert_eq!(back_off.delay(Retry::Soon, 0.0), FIRST);
    }

    #[test]
    fn a_refusal_is_retried_after_a_minute_and_does_not_count() {
        let mut back_off = BackOff::default();
        assert_eq!(back_off.delay(Retry::Refused, 0.0), SLOW);
        assert_eq!(back_off.delay(Retry::Soon, 0.0), FIRST);
    }

    proptest! {
        #[test]
        fn delays_stay_in_bounds(chances in prop::collection::vec(-1.0..2.0_f64, 1..200)) {
            let mut back_off = BackOff::default();
            for chance in chances {
                let delay = back_off.delay(Retry::Soon, chance);
                prop_assert!(delay >= FIRST.mul_f64(0.75) && delay <= LONGEST);
            }
        }
    }
}
