//! A source that publishes to us: one publisher at a time, its frames put on the wall clock as a pulled source's are.
//!
//! A second publisher is refused or takes over, as the source is configured. One that takes over begins a timeline of its
//! own; of the one before it nothing is taken any more, and its leaving changes nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::gauges::SourceGauges;
use super::intake::{Intake, Unit};
use super::timeline::RtpInstant;
use crate::clock::{Clocks, Leap};
use crate::config::SecondPublisher;
use crate::feed::Publisher;
use crate::matrix::{SourceState, SourceStatus};
use crate::media::{Track, TrackFormat};

/// RTMP's timestamps are milliseconds.
const CLOCK_RATE: u32 = 1000;

/// Where publishers of one source come in.
pub struct Inlet {
    /// Pictures per second of the lattice that pictures are to stand on.
    pub lattice_fps: u32,
    /// Where frames go.
    pub feed: Publisher,
    /// How the source is.
    pub status: watch::Sender<SourceStatus>,
    /// What it counts.
    pub gauges: Arc<SourceGauges>,
    /// Media time for frames, the machine's for what is told of them.
    pub clocks: Clocks,
    /// What becomes of a second publisher.
    pub second: SecondPublisher,
    /// Who publishes.
    pub publisher: Current,
}

/// The publisher of this moment; cancelled when another takes over.
#[derive(Debug, Default)]
pub struct Current(Mutex<Option<CancellationToken>>);

impl Current {
    fn lock(&self) -> MutexGuard<'_, Option<CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One publisher's stay.
pub struct Publication {
    inlet: Arc<Inlet>,
    taken_over: CancellationToken,
    intake: Intake,
    since: Option<Instant>,
    leap: Leap,
}

impl Inlet {
    /// Says that nobody publishes yet.
    pub fn wait(&self) {
        self.report(SourceState::Idle, "waits for a publisher");
    }

    /// Lets a publisher in; `None` while there is another, unless this one may take over.
    pub fn open(self: &Arc<Self>) -> Option<Publication> {
        let mut publisher = self.publisher.lock();
        match (&*publisher, self.second) {
            (Some(_), SecondPublisher::Refuse) => return None,
            (Some(before), SecondPublisher::TakeOver) => before.cancel(),
            (None, _) => {}
        }
        let taken_over = CancellationToken::new();
        *publisher = Some(taken_over.clone());
        self.report(SourceState::Connecting, "");
        let (inlet, intake) = (Arc::clone(self), Intake::new(self.lattice_fps));
        Some(Publication { inlet, taken_over, intake, since: None, leap: Leap::default() })
    }

    fn report(&self, state: SourceState, reason: &str) {
        let now = self.clocks.wall.now();
        self.status.send_modify(|status| {
            status.connects += u64::from(state == SourceState::Live && status.state != SourceState::Live);
            if status.state != state {
                status.since = now;
            }
            status.state = state;
            reason.clone_into(&mut status.reason);
        });
    }
}

impl Publication {
    /// Cancelled when another publisher has taken over.
    pub fn taken_over(&self) -> CancellationToken {
        self.taken_over.clone()
    }

    /// The next access unit: shown or heard `pts_ms` after the publisher's beginning.
    pub fn frame(&mut self, pts_ms: i64, sync: bool, data: Bytes, format: Arc<TrackFormat>) {
        if self.taken_over.is_cancelled() {
            return;
        }
        if self.leap.has_come(&*self.inlet.clocks.media) {
            // The machine has slept: what was known of the publisher's clock is from before.
            self.intake = Intake::new(self.inlet.lattice_fps);
        }
        let rtp = RtpInstant { ticks: pts_ms, clock_rate: CLOCK_RATE };
        let unit = Unit { rtp, arrival: self.inlet.clocks.media.now(), data, sync, lost: 0, format };
        let track = unit.track();
        self.inlet.gauges.count(&unit);
        self.intake.push(unit, |frame| self.inlet.feed.publish(&frame));
        if track == Track::Video {
            self.inlet.gauges.show(self.intake.timeline());
            if self.intake.has_begun() && self.since.is_none() {
                self.since = Some(Instant::now());
                self.inlet.report(SourceState::Live, "");
            }
        }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut publisher = self.inlet.publisher.lock();
        if !self.taken_over.is_cancelled() {
            *publisher = None;
            self.inlet.gauges.clear();
            self.inlet.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::matrix::SourceStatus;
    use crate::media::{MediaTime, ParameterSets};

    const NOW: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn inlet(second: SecondPublisher) -> Arc<Inlet> {
        Arc::new(Inlet {
            lattice_fps: 15,
            feed: Publisher::default(),
            status: watch::Sender::new(SourceStatus::idle(NOW)),
            gauges: Arc::default(),
            clocks: Clocks { media: Arc::new(ManualClock::at(NOW)), wall: Arc::new(ManualClock::at(NOW)) },
            second,
            publisher: Current::default(),
        })
    }

    fn pictures(publication: &mut Publication, count: i64) {
        let sets = ParameterSets { sps: vec![0x67, 66, 0xc0, 31, 9].into(), pps: vec![0x68, 7].into() };
        let format = Arc::new(TrackFormat::H264(sets));
        for n in 0..count {
            publication.frame(n * 66, n == 0, vec![0, 0, 0, 2, 0x65, 1].into(), Arc::clone(&format));
        }
    }

    #[test]
    fn a_second_publisher_is_refused_until_the_first_has_left() {
        let inlet = inlet(SecondPublisher::Refuse);
        let mut first = inlet.open().expect("nobody before");
        assert!(inlet.open().is_none());
        pictures(&mut first, 3);
        assert!(!first.taken_over().is_cancelled());
        drop(first);
        assert_eq!(inlet.status.borrow().state, SourceState::Idle);
        assert!(inlet.open().is_some());
    }

    #[test]
    fn a_second_publisher_takes_over_and_the_first_changes_nothing_any_more() {
        let inlet = inlet(SecondPublisher::TakeOver);
        let mut first = inlet.open().expect("nobody before");
        pictures(&mut first, 2);
        let mut second = inlet.open().expect("it takes over");
        assert!(first.taken_over().is_cancelled() && !second.taken_over().is_cancelled());
        let before = inlet.gauges.pictures.get();
        pictures(&mut first, 5);
        assert_eq!(inlet.gauges.pictures.get(), before, "the first is not heard any more");
        pictures(&mut second, 5);
        assert_eq!(inlet.gauges.pictures.get(), before + 5);
        drop(first);
        assert_ne!(inlet.status.borrow().state, SourceState::Idle, "the second is still there");
        drop(second);
        assert_eq!(inlet.status.borrow().state, SourceState::Idle);
    }
}
