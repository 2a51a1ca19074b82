//! When to try again what has failed: waits that grow up to a bound. Sans-IO: chance and time are arguments.
//!
//! * [`Retry`] is for work on this machine, such as writing a file: its waits double.
//! * [`BackOff`] is for connections to other machines. Call [`BackOff::delay`] once after each connection has ended, and
//!   before that [`BackOff::flowed`] with how long media flowed over it. A connection that ends soon does not reset the
//!   delay, so a peer that accepts and drops is not flooded with connections.

use std::time::{Duration, Instant};

/// After so many failures the wait no longer grows: it has long reached its bound.
const GROWING: u32 = 20;

/// The wait after `before` earlier ones, each `growth` times as long as the one before.
fn grown(first: Duration, growth: f64, before: u32, longest: Duration) -> Duration {
    first.mul_f64(growth.powi(before.min(GROWING) as i32)).min(longest)
}

/// Waits that double, without jitter.
#[derive(Debug)]
pub struct Retry {
    first: Duration,
    longest: Duration,
    /// How many times it has failed in a row, and when to try again.
    failing: Option<(u32, Instant)>,
}

impl Retry {
    /// The wait is `first` after the first failure, doubles with each further one, and never exceeds `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failing: None }
    }

    /// Counts a failure at `now` and sets the next wait.
    pub fn failed(&mut self, now: Instant) {
        let before = self.failing.map_or(0, |(failures, _)| failures);
        let wait = grown(self.first, 2.0, before, self.longest);
        self.failing = Some((before.saturating_add(1), now + wait));
    }

    /// It has worked, so the next wait is `first` again. Returns `true` if it had failed before.
    pub fn worked(&mut self) -> bool {
        self.failing.take().is_some()
    }

    /// How long until the next try; `None` if nothing has failed.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        self.failing.map(|(_, until)| until.saturating_duration_since(now))
    }
}

const FIRST: Duration = Duration::from_millis(500);
/// Each delay is longer than the one before by this factor, so a delay is about a third of the outage so far. A source that
/// is back after six seconds is noticed within three; one that is off for the night is asked four times a minute.
const GROWTH: f64 = 1.35;
const LONGEST: Duration = Duration::from_secs(15);
/// The delay after a refusal, so that wrong credentials do not lock the device's account, and after faults that only a
/// person can fix.
const SLOW: Duration = Duration::from_secs(60);
/// Media must have flowed for so long before a connection counts as good.
const GOOD: Duration = Duration::from_secs(10);

/// How urgently a connection is to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// With growing delays, up to 15 seconds.
    Soon,
    /// After a minute: only a person can fix it.
    Slowly,
    /// After a minute: more tries may lock the account.
    Refused,
}

/// Delays between tries to connect to another machine; see the module's text.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackOff {
    tries: u32,
}

impl BackOff {
    /// The delay before the next try. `chance` in 0..1 spreads connections that failed together over a quarter of the delay.
    pub fn delay(&mut self, urgency: Urgency, chance: f64) -> Duration {
        let spread = 0.25 * chance.clamp(0.0, 1.0);
        match urgency {
            Urgency::Soon => {
                let whole = grown(FIRST, GROWTH, self.tries, LONGEST);
                self.tries = self.tries.saturating_add(1);
                whole.mul_f64(1.0 - spread).max(FIRST.mul_f64(0.75))
            }
            Urgency::Slowly | Urgency::Refused => SLOW.mul_f64(1.0 + spread),
        }
    }

    /// Media flowed for `how_long` over the connection that has just ended.
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
    fn waits_double_up_to_a_bound_and_begin_anew_when_it_has_worked() {
        let (mut retry, mut now) =
            (Retry::new(Duration::from_secs(1), Duration::from_secs(5)), Instant::now());
        assert_eq!((retry.wait(now), retry.worked()), (None, false));
        for seconds in [1, 2, 4, 5, 5] {
            retry.failed(now);
            assert_eq!(retry.wait(now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(retry.wait(now), Some(Duration::ZERO));
        }
        assert!(retry.worked());
        retry.failed(now);
        assert_eq!(retry.wait(now), Some(Duration::from_secs(1)));
    }

    #[test]
    fn it_grows_to_fifteen_seconds() {
        let mut back_off = BackOff::default();
        let delays: Vec<_> = (0..14).map(|_| back_off.delay(Urgency::Soon, 0.0).as_millis()).collect();
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
            back_off.delay(Urgency::Soon, 0.0);
            back_off.flowed(Duration::from_secs(3));
        }
        assert!(back_off.delay(Urgency::Soon, 0.0) > 3 * FIRST);
        back_off.flowed(Duration::from_secs(10));
        assert_eq!(back_off.delay(Urgency::Soon, 0.0), FIRST);
    }

    #[test]
    fn a_refusal_is_retried_after_a_minute_and_does_not_count() {
        let mut back_off = BackOff::default();
        assert_eq!(back_off.delay(Urgency::Refused, 0.0), SLOW);
        assert_eq!(back_off.delay(Urgency::Soon, 0.0), FIRST);
    }

    proptest! {
        #[test]
        fn delays_stay_in_bounds(chances in prop::collection::vec(-1.0..2.0_f64, 1..200)) {
            let mut back_off = BackOff::default();
            for chance in chances {
                let delay = back_off.delay(Urgency::Soon, chance);
                prop_assert!(delay >= FIRST.mul_f64(0.75) && delay <= LONGEST);
            }
        }
    }
}
