//! A source that publishes to us: one publisher at a time, its frames put on the wall clock as a pulled source's are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::watch;

use super::gauges::SourceGauges;
use super::intake::{Intake, Unit};
use super::timeline::RtpInstant;
use crate::clock::Clock;
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
    /// The wall clock that frames are put on.
    pub clock: Arc<dyn Clock>,
    /// Somebody publishes.
    pub taken: AtomicBool,
}

/// One publisher's stay.
pub struct Publication {
    inlet: Arc<Inlet>,
    intake: Intake,
    since: Option<Instant>,
}

impl Inlet {
    /// Says that nobody publishes yet.
    pub fn wait(&self) {
        self.report(SourceState::Idle, "waits for a publisher");
    }

    /// Lets a publisher in; `None` while there is another.
    pub fn open(self: &Arc<Self>) -> Option<Publication> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        self.report(SourceState::Connecting, "");
        Some(Publication { inlet: Arc::clone(self), intake: Intake::new(self.lattice_fps), since: None })
    }

    fn report(&self, state: SourceState, reason: &str) {
        let now = self.clock.now();
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
    /// The next access unit: shown or heard `pts_ms` after the publisher's beginning.
    pub fn frame(&mut self, pts_ms: i64, sync: bool, data: Bytes, format: Arc<TrackFormat>) {
        let rtp = RtpInstant { ticks: pts_ms, clock_rate: CLOCK_RATE };
        let unit = Unit { rtp, arrival: self.inlet.clock.now(), data, sync, lost: 0, format };
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
        self.inlet.gauges.clear();
        self.inlet.wait();
        self.inlet.taken.store(false, Ordering::Release);
    }
}
