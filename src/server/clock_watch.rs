//! Watches the machine's clock: whether it was stepped, whether it is far from media time, whether the machine slept.

use std::time::Duration;

use tracing::warn;

use amphi_control::alarm::{AlarmKind, Condition};
use amphi_media::clock::{self, Clocks};

/// A step of more than this is logged, in nanoseconds; a leap second is not.
const SAID: i64 = 1_050_000_000;
/// A greater offset between media time and the machine's clock is an alarm, in nanoseconds.
const ALARMING: i64 = 5_000_000_000;

/// Called once a second.
#[derive(Debug)]
pub(super) struct ClockWatch {
    /// The machine's clock minus media time at the last look, in nanoseconds.
    offset: i64,
    slept: Duration,
}

/// What has happened since the last look.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ClockEvent {
    /// Forward, or back if negative.
    Stepped {
        seconds: f64,
    },
    Slept {
        seconds: f64,
    },
}

impl ClockWatch {
    pub(super) fn new() -> Self {
        Self { offset: 0, slept: clock::slept() }
    }

    /// Logs what has happened since the last look; returns what may become an alarm.
    pub(super) fn look(&mut self, clocks: &Clocks) -> Option<Condition> {
        let offset = clocks.offset_nanos();
        for event in self.observe(offset, clock::slept()) {
            match event {
                ClockEvent::Stepped { seconds } => warn!(
                    seconds,
                    "the machine's clock was stepped {} by {:.1} s: schedule, expiries, audit and logs follow at once, \
                     media time by 1 ms per second",
                    direction(seconds),
                    seconds.abs()
                ),
                ClockEvent::Slept { seconds } => warn!(
                    seconds,
                    "the machine has slept for {seconds:.1} s: the cells between are missing, channels go on with the \
                     cell of this moment"
                ),
            }
        }
        far_off(offset)
    }

    fn observe(&mut self, offset: i64, slept: Duration) -> impl Iterator<Item = ClockEvent> + use<> {
        let step = offset.saturating_sub(self.offset);
        let nap = slept.saturating_sub(self.slept);
        (self.offset, self.slept) = (offset, slept);
        let stepped = (step.abs() > SAID).then(|| ClockEvent::Stepped { seconds: in_seconds(step) });
        let slept =
            (nap.as_nanos() > SAID as u128).then_some(ClockEvent::Slept { seconds: nap.as_secs_f64() });
        stepped.into_iter().chain(slept)
    }
}

fn far_off(offset: i64) -> Option<Condition> {
    (offset.abs() > ALARMING).then(|| {
        let (ahead, seconds) = (if offset > 0 { "ahead of" } else { "behind" }, in_seconds(offset).abs());
        let sentence = format!(
            "the machine's clock is {seconds:.0} s {ahead} media time: the schedule goes by the machine, and players are \
             shown times that are {seconds:.0} s off; restart the server at a quiet moment, or let it be: media time \
             follows by 1 ms per second"
        );
        Condition { kind: AlarmKind::Clock, source: None, channel: None, about: None, sentence, since: None }
    })
}

fn direction(seconds: f64) -> &'static str {
    if seconds < 0.0 { "back" } else { "forward" }
}

fn in_seconds(nanos: i64) -> f64 {
    nanos as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn seen(watch: &mut ClockWatch, offset: i64, slept: u64) -> Vec<ClockEvent> {
        watch.observe(offset, Duration::from_secs(slept)).collect()
    }

    #[test]
    fn a_step_is_said_once_and_a_leap_second_or_a_slow_correction_is_not() {
        let mut watch = ClockWatch { offset: 0, slept: Duration::ZERO };
        for offset in [0, 300_000_000, -SECOND / 2, SECOND / 2] {
            assert_eq!(seen(&mut watch, offset, 0), []);
        }
        assert_eq!(seen(&mut watch, 3600 * SECOND, 0).len(), 1);
        // It is slewed from then on.
        for second in 1..100 {
            assert_eq!(seen(&mut watch, 3600 * SECOND - second * 1_000_000, 0), []);
        }
        assert_eq!(seen(&mut watch, 0, 0).len(), 1, "and back");
    }

    #[test]
    fn sleep_is_told_from_a_step() {
        let mut watch = ClockWatch { offset: 0, slept: Duration::from_secs(70) };
        assert_eq!(seen(&mut watch, 0, 70), []);
        assert_eq!(seen(&mut watch, 20_000_000, 3670), [ClockEvent::Slept { seconds: 3600.0 }]);
        assert_eq!(seen(&mut watch, 20_000_000, 3670), []);
    }

    #[test]
    fn more_than_five_seconds_are_an_alarm_that_says_what_to_do() {
        assert_eq!(far_off(5 * SECOND), None);
        let said = far_off(-3600 * SECOND).expect("an alarm").sentence;
        assert!(said.starts_with("the machine's clock is 3600 s behind media time"), "{said}");
        assert!(said.contains("restart the server at a quiet moment, or let it be"), "{said}");
    }
}
