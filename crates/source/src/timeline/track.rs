//! One track's RTP clock: the delays seen on it, its last frame, its last sender report.

use std::collections::VecDeque;

use super::{Nanos, RtpInstant};

const SECOND: Nanos = 1_000_000_000;

/// How long a delay is remembered. Longer than congestion in a campus network usually lasts; at 200 ppm of
/// skew the smallest delay of so long a time is wrong by 6 ms, which nobody sees.
const WINDOW_SECONDS: Nanos = 30;

/// An RTP step that disagrees with the wall clock by more is a jump of the source's clock.
pub(super) const JUMP: Nanos = SECOND;

/// Frames that come over [`JUMP`] late for so long are not late: the source's clock stood still.
const LATE_FOR: Nanos = 2 * SECOND;

/// The smallest delay of the last [`WINDOW_SECONDS`], in one bucket per second.
#[derive(Clone, Debug, Default)]
pub(super) struct DelayWindow {
    /// Second of arrival and smallest delay in it; never more than the window has seconds.
    buckets: VecDeque<(Nanos, Nanos)>,
    smallest: Option<Nanos>,
    since: Option<Nanos>,
}

impl DelayWindow {
    pub(super) fn push(&mut self, arrival: Nanos, delay: Nanos) {
        self.since.get_or_insert(arrival);
        let second = arrival.div_euclid(SECOND);
        match self.buckets.back_mut() {
            Some((last, smallest)) if *last >= second => *smallest = delay.min(*smallest),
            _ => {
                self.buckets.push_back((second, delay));
                while self.buckets.front().is_some_and(|(first, _)| *first <= second - WINDOW_SECONDS) {
                    self.buckets.pop_front();
                }
                self.smallest = self.buckets.iter().map(|(_, delay)| *delay).min();
            }
        }
        self.smallest = Some(self.smallest.map_or(delay, |smallest| smallest.min(delay)));
    }

    pub(super) fn smallest(&self) -> Option<Nanos> {
        self.smallest
    }

    /// Whether delays have been seen for a whole window.
    pub(super) fn is_full(&self, now: Nanos) -> bool {
        self.since.is_some_and(|since| now - since >= WINDOW_SECONDS * SECOND)
    }
}

/// What an RTCP sender report says: the NTP time of RTP time zero (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct SenderReport {
    pub(super) ntp_of_zero: Nanos,
    pub(super) heard: Nanos,
}

/// One track. Wall-clock time = RTP time + `shift` + the offset that both tracks share.
#[derive(Clone, Debug, Default)]
pub(super) struct TrackClock {
    pub(super) shift: Nanos,
    /// Delays: arrival minus RTP time, without shift and offset.
    pub(super) delays: DelayWindow,
    pub(super) report: Option<SenderReport>,
    /// When the first frame arrived, if it stood at RTP time zero.
    pub(super) zero_arrived: Option<Nanos>,
    last: Option<Nanos>,
    late_since: Option<Nanos>,
}

impl TrackClock {
    pub(super) fn is_seen(&self) -> bool {
        self.last.is_some()
    }

    /// Takes note of a frame; returns the RTP step from the frame before, and whether the clock jumped.
    pub(super) fn observe(&mut self, rtp: RtpInstant, arrival: Nanos) -> Observed {
        let time = rtp.nanos();
        let delay = arrival - time;
        if self.last.is_none() {
            self.zero_arrived = (rtp.ticks == 0).then_some(arrival);
        }
        let step = self.last.replace(time).map(|last| time - last);
        let jumped = self.has_jumped(step, delay, arrival);
        if jumped {
            let before = self.delays.smallest().unwrap_or(delay);
            self.shift += delay - before;
            self.delays = DelayWindow::default();
            self.report = None;
            self.late_since = None;
        }
        self.delays.push(arrival, delay);
        Observed { step, jumped }
    }

    /// RTP time that runs ahead of every delay in the window, or that goes back further than pictures are
    /// reordered, has jumped. RTP time that falls behind may be a stalled network that will catch up, so
    /// it counts as a jump only after a while.
    fn has_jumped(&mut self, step: Option<Nanos>, delay: Nanos, arrival: Nanos) -> bool {
        let (Some(step), Some(smallest)) = (step, self.delays.smallest()) else { return false };
        if delay < smallest - JUMP || step < -JUMP {
            return true;
        }
        if delay <= smallest + JUMP {
            self.late_since = None;
            return false;
        }
        arrival - *self.late_since.get_or_insert(arrival) > LATE_FOR
    }
}

/// What [`TrackClock::observe`] found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    pub(super) step: Option<Nanos>,
    pub(super) jumped: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets() {
        let mut window = DelayWindow::default();
        for second in 0..100 {
            window.push(second * SECOND, second);
            assert!(window.buckets.len() <= WINDOW_SECONDS as usize);
        }
        assert_eq!(window.smallest(), Some(70));
        assert!(window.is_full(100 * SECOND));
    }
}
