//! Keeps one source connected while it is wanted.
//!
//! # States
//! ```text
//! Idle ──wanted──▶ Connecting ─first whole picture──▶ Live ──nothing comes──▶ Stalled
//!   ▲                 │ ▲                              │                        │
//!   │              fault│ delay over                 fault                  torn down
//!   │                 ▼ │                              ▼                        │
//!   └──unwanted── BackingOff, Refused ◀────────────────┴────────────────────────┘
//! ```
//! A delay goes on while the source is not wanted, so that flapping wishes do not cause a storm of attempts, and a
//! refused account rests for its minute. Every change of state is one value in the `status` watch.
//!
//! What does not belong here: RTSP (`session`), time (`timeline`), what to do without the source (channels).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::address::SourceAddress;
use super::fault::SourceFault;
use super::gauges::{Mute, SourceGauges};
use super::intake::Intake;
use super::session::{SessionEvent, SourceSession};
use super::silence::Silence;
use amphi_config::Source;
use amphi_control::matrix::{SourceState, SourceStatus};
use amphi_media::Track;
use amphi_media::clock::{Clocks, Leap};
use amphi_media::feed::FeedWriter;
use amphi_media::retry::{BackOff, Urgency};

/// Everything that the task of one source needs. A clone can go on after a run has panicked.
#[derive(Clone)]
pub struct SourceTask {
    /// The source's configuration. A publishing source (without `url`) stays idle here.
    pub source: Source,
    /// Pictures per second of the lattice that its pictures are to stand on.
    pub lattice_fps: u32,
    /// Whether a channel wants it. `keep_open` sources are pulled regardless.
    pub wanted: watch::Receiver<bool>,
    /// The feed that its frames go to.
    pub feed: FeedWriter,
    /// The source's state, which the matrix shows.
    pub status: watch::Sender<SourceStatus>,
    /// The source's counters and gauges.
    pub gauges: Arc<SourceGauges>,
    /// Media time for frames, the machine's clock for times that are shown to people.
    pub clocks: Clocks,
    /// Ends [`SourceTask::run`] within about a second.
    pub shutdown: CancellationToken,
}

/// Why a connection or a wait ended.
enum SourceEnd {
    Shutdown,
    Unwanted,
    Fault(SourceFault),
}

impl SourceTask {
    /// Keeps the source connected while it is wanted, until `shutdown`. When it returns, TEARDOWN is done or
    /// has been given a second.
    pub async fn run(mut self) {
        let address = match self.source.url.reveal() {
            "" => {
                self.report(SourceState::Idle, "waits for a publisher");
                return self.shutdown.cancelled().await;
            }
            url => match SourceAddress::parse(url) {
                Ok(address) => address.trusting(&self.source.ca_file),
                Err(fault) => {
                    tracing::error!(source = self.source.name, %fault, "cannot be pulled");
                    self.report(SourceState::Idle, &fault.to_string());
                    return self.shutdown.cancelled().await;
                }
            },
        };
        let mut back_off = BackOff::default();
        // After a fault: no new attempt before this instant, wanted or not.
        let mut rest: Option<(Instant, SourceFault)> = None;
        loop {
            if !self.is_wanted() {
                self.report(SourceState::Idle, "");
                self.gauges.clear();
                self.gauges.stalled.set(0);
                tokio::select! {
                    () = self.shutdown.cancelled() => return,
                    () = wanted(&mut self.wanted, true) => {}
                }
            }
            if let Some((until, fault)) = &rest {
                self.report(resting_state(fault), &fault.to_string());
                tokio::select! {
                    () = self.shutdown.cancelled() => return,
                    () = unwanted(&mut self.wanted, self.source.keep_open) => continue,
                    () = tokio::time::sleep_until(*until) => {}
                }
            }
            let mut live_since = None;
            let ending = self.pull(&address, &mut live_since).await;
            back_off.flowed(live_since.map_or(Duration::ZERO, |since: Instant| since.elapsed()));
            rest = match ending {
                SourceEnd::Shutdown => return,
                SourceEnd::Unwanted => None,
                SourceEnd::Fault(fault) => {
                    // A host that has frozen does not answer from then on, so it counts as stalled still.
                    let still = matches!(fault, SourceFault::NoAnswer(_)) && self.gauges.stalled.get() > 0;
                    self.gauges.stalled.set(u64::from(fault.is_stall() || still));
                    let delay = back_off.delay(fault.retry(), fastrand::f64());
                    let again_in_ms = delay.as_millis() as u64;
                    tracing::warn!(source = self.source.name, again_in_ms, "{fault}");
                    Some((Instant::now() + delay, fault))
                }
            };
        }
    }

    /// A run has ended by a panic, which is a fault of ours: it is reported as the source's state, and the source is tried again.
    pub fn fell(&self, why: &str) {
        self.gauges.clear();
        self.report(SourceState::BackingOff, &format!("internal error: {why}"));
    }

    /// One connection, from the first packet to the last. Sets `live_since` when the first frame has gone out.
    async fn pull(&mut self, address: &SourceAddress, live_since: &mut Option<Instant>) -> SourceEnd {
        self.report(SourceState::Connecting, "");
        self.gauges.clear();
        let opened = tokio::select! {
            () = self.shutdown.cancelled() => return SourceEnd::Shutdown,
            () = unwanted(&mut self.wanted, self.source.keep_open) => return SourceEnd::Unwanted,
            opened = SourceSession::open(address, self.source.transport, Arc::clone(&self.clocks.media)) => opened,
        };
        let mut session = match opened {
            Ok(session) => session,
            Err(fault) => return SourceEnd::Fault(fault),
        };
        for skipped in session.skipped() {
            tracing::warn!(
                source = self.source.name,
                "{skipped} is not used: it can be neither decoded nor passed on"
            );
        }
        if let Some(why) = session.unheard() {
            self.gauges
                .sound_fault
                .set(&format!("the sound, {why}, cannot be used; set the encoder to AAC-LC"));
        }
        self.status.send_modify(|status| {
            status.connects += 1;
            status.media = Some(session.media());
        });
        self.report(SourceState::Connecting, "waits for the first picture");
        let ending = self.read(&mut session, live_since).await;
        if let SourceEnd::Fault(fault) = &ending
            && fault.is_stall()
        {
            self.report(SourceState::Stalled, &fault.to_string());
        }
        session.close().await;
        ending
    }

    /// Reads from `session` until something ends it.
    async fn read(&mut self, session: &mut SourceSession, live_since: &mut Option<Instant>) -> SourceEnd {
        let began = Instant::now();
        let mut intake = Intake::new(self.lattice_fps);
        let mut silence = Silence::default();
        let (mut leap, mut mute) = (Leap::default(), Mute::default());
        loop {
            let event = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return SourceEnd::Shutdown,
                () = unwanted(&mut self.wanted, self.source.keep_open) => return SourceEnd::Unwanted,
                event = session.next() => event,
                () = tokio::time::sleep_until(began + silence.deadline()) => {
                    match silence.verdict(began.elapsed()) {
                        Some(fault) => return SourceEnd::Fault(fault),
                        None => continue,
                    }
                }
            };
            if leap.has_come(&*self.clocks.media) {
                // The machine has slept: what was known of the source's clock no longer holds.
                intake = Intake::new(self.lattice_fps);
            }
            match event {
                Err(fault) => return SourceEnd::Fault(fault),
                Ok(SessionEvent::Nothing) => {}
                Ok(SessionEvent::Broken { track, missing, why, sequence }) => {
                    tracing::debug!(source = self.source.name, sequence, why, "a packet was not understood");
                    self.gauges.broken.increment();
                    if track == Track::Audio {
                        mute.broken(&why, &self.gauges.sound_fault);
                    }
                    if missing {
                        intake.broken();
                    }
                }
                Ok(SessionEvent::Report { track, rtp, ntp }) => intake.sender_report(track, rtp, ntp),
                Ok(SessionEvent::Unit(unit)) => {
                    let (track, sync) = (unit.track(), unit.sync);
                    silence.heard(track, began.elapsed());
                    self.gauges.count(&unit);
                    if track == Track::Audio {
                        mute.heard(&self.gauges.sound_fault);
                    }
                    intake.push(unit, |frame| self.feed.publish(&frame));
                    if track == Track::Video {
                        self.gauges.show(intake.timeline());
                        if intake.flows() {
                            silence.flowed(began.elapsed());
                            // True again after a leap of the clock.
                            if self.status.borrow().state != SourceState::Live {
                                self.live();
                            }
                            live_since.get_or_insert_with(Instant::now);
                        } else if let Some(trouble) = intake.trouble() {
                            self.report(SourceState::Connecting, trouble);
                        }
                    }
                    if track == Track::Video && sync {
                        self.media_changed(session);
                    }
                }
            }
            // Sound alone keeps `next` ready, so the timer above never fires; a missing picture must be noticed all the same.
            if let Some(fault) = silence.verdict(began.elapsed()) {
                return SourceEnd::Fault(fault);
            }
        }
    }

    fn live(&self) {
        self.gauges.stalled.set(0);
        self.report(SourceState::Live, "");
    }

    fn media_changed(&self, session: &SourceSession) {
        self.status.send_if_modified(|status| {
            let media = Some(session.media());
            let changed = status.media != media;
            status.media = media;
            changed
        });
    }

    fn is_wanted(&self) -> bool {
        self.source.keep_open || *self.wanted.borrow()
    }

    fn report(&self, state: SourceState, reason: &str) {
        let now = self.clocks.wall.now();
        self.status.send_if_modified(|status| {
            let changed = status.state != state || status.reason != reason;
            if status.state != state {
                tracing::info!(source = self.source.name, ?state, reason, "source");
                status.state = state;
                status.since = now;
            }
            reason.clone_into(&mut status.reason);
            changed
        });
    }
}

fn resting_state(fault: &SourceFault) -> SourceState {
    if fault.retry() == Urgency::Refused { SourceState::Refused } else { SourceState::BackingOff }
}

/// Ends when the receiver has the value `wish`; never, if its sender is gone.
async fn wanted(receiver: &mut watch::Receiver<bool>, wish: bool) {
    if receiver.wait_for(|wanted| *wanted == wish).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn unwanted(receiver: &mut watch::Receiver<bool>, keep_open: bool) {
    if keep_open {
        std::future::pending::<()>().await;
    }
    wanted(receiver, false).await;
}
