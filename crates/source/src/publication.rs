//! A source that publishes to us: one publisher at a time; its frames are mapped to the wall clock as a pulled source's are.
//!
//! A second publisher is refused or takes over, as the source is configured. One that takes over begins a timeline of its
//! own; nothing more is taken from the one before, and when that one leaves nothing changes.
//!
//! What a publisher sends is shown in the matrix as a pulled source's media is, and so is the reason why the last one
//! left, or why one was not let in.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use amphi_media::Lock;
use bytes::Bytes;
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::described::described;
use super::gauges::SourceGauges;
use super::intake::{ArrivedUnit, Intake};
use super::presence::Presence;
use super::timeline::RtpInstant;
use amphi_config::SecondPublisher;
use amphi_control::matrix::{SourceState, SourceStatus};
use amphi_media::clock::{Clocks, Leap};
use amphi_media::feed::FeedWriter;
use amphi_media::{MediaTime, Track, TrackFormat};

/// RTMP's timestamps are milliseconds.
const CLOCK_RATE: u32 = 1000;
/// The shortest time between two refusals that are shown: strangers may try as often as they like.
const REFUSAL_EVERY: Duration = Duration::from_secs(10);
const WAITS: &str = "waits for a publisher";

/// What the publishers of one source share.
pub struct Inlet {
    /// Pictures per second of the lattice that pictures are to stand on.
    pub lattice_fps: u32,
    /// The feed that frames go to.
    pub feed: FeedWriter,
    /// The source's state, which the matrix shows.
    pub status: watch::Sender<SourceStatus>,
    /// The source's counters and gauges.
    pub gauges: Arc<SourceGauges>,
    /// Media time for frames, the machine's clock for times that are shown to people.
    pub clocks: Clocks,
    /// The zone of the times that are shown to people.
    pub zone: TimeZone,
    /// Whether a second publisher is refused or takes over.
    pub second: SecondPublisher,
    /// The one who publishes, if anybody does.
    pub publisher: Current,
}

/// The publisher of this moment; cancelled when another takes over.
#[derive(Debug, Default)]
pub struct Current {
    who: Lock<Option<CancellationToken>>,
    refused: Lock<Option<MediaTime>>,
}

impl Current {
    fn lock(&self) -> MutexGuard<'_, Option<CancellationToken>> {
        self.who.lock()
    }

    /// Whether a refusal at `now` is to be shown.
    fn tells(&self, now: MediaTime) -> bool {
        let mut last = self.refused.lock();
        let tells = last.is_none_or(|last| now.saturating_since(last) >= REFUSAL_EVERY);
        if tells {
            *last = Some(now);
        }
        tells
    }
}

/// One publisher, from its admission until it leaves (when this is dropped).
pub struct Publication {
    inlet: Arc<Inlet>,
    taken_over: CancellationToken,
    intake: Intake,
    presence: Presence,
    leap: Leap,
    /// The formats of the last picture and sound.
    formats: [Option<Arc<TrackFormat>>; 2],
    /// Of picture and sound, whether the last message could not be used.
    faulty: [bool; 2],
    /// Why it leaves, once that is known.
    why: Option<String>,
}

impl Inlet {
    /// Says that nobody publishes yet.
    pub fn wait(&self) {
        self.report(SourceState::Idle, WAITS);
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
        self.gauges.clear();
        self.report(SourceState::Connecting, "waits for the first picture");
        let (inlet, intake) = (Arc::clone(self), Intake::new(self.lattice_fps));
        let presence = Presence::new(self.clocks.media.now());
        Some(Publication {
            inlet,
            taken_over,
            intake,
            presence,
            leap: Leap::default(),
            formats: [None, None],
            faulty: [false; 2],
            why: None,
        })
    }

    /// Somebody was not let in, and why. Shown while nobody else publishes, at most once in ten seconds.
    pub fn refused(&self, why: &str) {
        let publisher = self.publisher.lock();
        if publisher.is_none() && self.publisher.tells(self.clocks.media.now()) {
            let at = self.time_of_day(self.clocks.wall.now());
            self.report(SourceState::Idle, &format!("{WAITS}; one was refused at {at}: {why}"));
        }
    }

    fn time_of_day(&self, at: MediaTime) -> String {
        at.timestamp().to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    fn report(&self, state: SourceState, reason: &str) {
        let now = self.clocks.wall.now();
        self.status.send_if_modified(|status| {
            let changed = status.state != state || status.reason != reason;
            status.connects +=
                u64::from(state == SourceState::Live && status.state == SourceState::Connecting);
            if status.state != state {
                status.since = now;
            }
            status.state = state;
            reason.clone_into(&mut status.reason);
            changed
        });
    }
}

impl Publication {
    /// Cancelled when another publisher has taken over.
    pub fn taken_over(&self) -> CancellationToken {
        self.taken_over.clone()
    }

    /// The next access unit; it is shown or heard `pts_ms` milliseconds after the publisher's beginning.
    pub fn frame(&mut self, pts_ms: i64, sync: bool, data: Bytes, format: Arc<TrackFormat>) {
        if self.taken_over.is_cancelled() {
            return;
        }
        if self.leap.has_come(&*self.inlet.clocks.media) {
            // The machine has slept: what was known of the publisher's clock no longer holds.
            self.intake = Intake::new(self.inlet.lattice_fps);
        }
        let now = self.inlet.clocks.media.now();
        let rtp = RtpInstant { ticks: pts_ms, clock_rate: CLOCK_RATE };
        let unit = ArrivedUnit { rtp, arrival: now, data, sync, lost: 0, format };
        let track = unit.track();
        self.inlet.gauges.count(&unit);
        self.presence.frame(track, now);
        self.describe(&unit);
        self.mend(track);
        self.intake.push(unit, |frame| self.inlet.feed.publish(&frame));
        if track == Track::Video {
            self.inlet.gauges.show(self.intake.timeline());
            if self.intake.has_begun() && self.inlet.status.borrow().state != SourceState::Live {
                self.presence.begin();
                self.look();
            } else if let Some(trouble) = self.intake.trouble() {
                self.presence.trouble(trouble.to_owned());
            }
        }
    }

    /// A message came, whether or not it could be used.
    pub fn heard(&mut self) {
        self.presence.heard(self.inlet.clocks.media.now());
    }

    /// A message of `track` could not be used. `harmless`: nothing that is shown or heard is affected.
    pub fn passed_over(&mut self, track: Track, why: &str, harmless: bool) {
        if self.taken_over.is_cancelled() {
            return;
        }
        self.inlet.gauges.passed_over.increment();
        if harmless {
            return;
        }
        self.faulty[track as usize] = true;
        match track {
            Track::Audio => self.inlet.gauges.sound_fault.set(why),
            Track::Video => {
                self.inlet.gauges.picture_fault.set(why);
                self.presence.trouble(why.to_owned());
            }
        }
    }

    /// A picture is missing: what follows cannot be decoded until one comes with which decoding can begin.
    pub fn lost(&mut self) {
        self.intake.broken();
    }

    /// Reports the publisher's state; to be called about once a second.
    pub fn look(&mut self) {
        if !self.taken_over.is_cancelled() {
            let (state, reason) = self.presence.verdict(self.inlet.clocks.media.now());
            self.inlet.report(state, &reason);
        }
    }

    /// The publisher is about to leave, and why.
    pub fn left(&mut self, why: &str) {
        self.why = Some(why.to_owned());
    }

    /// A message of `track` could be used: its fault, if any, is over.
    fn mend(&mut self, track: Track) {
        if std::mem::take(&mut self.faulty[track as usize]) {
            match track {
                Track::Video => self.inlet.gauges.picture_fault.clear(),
                Track::Audio => self.inlet.gauges.sound_fault.clear(),
            }
        }
    }

    /// Reports the format of `unit` if it differs from the one before.
    fn describe(&mut self, unit: &ArrivedUnit) {
        let Some(known) = self.formats.get_mut(unit.track() as usize) else { return };
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &unit.format)) {
            return;
        }
        *known = Some(Arc::clone(&unit.format));
        let [video, audio] = &self.formats;
        let media = Some(described(video.as_deref(), audio.as_deref()));
        self.inlet.status.send_if_modified(|status| {
            let changed = status.media != media;
            status.media = media;
            changed
        });
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut publisher = self.inlet.publisher.lock();
        if !self.taken_over.is_cancelled() {
            *publisher = None;
            self.inlet.gauges.clear();
            let at = self.inlet.time_of_day(self.inlet.clocks.wall.now());
            let why = self.why.as_deref().unwrap_or("its connection ended");
            self.inlet.report(SourceState::Idle, &format!("{WAITS}; the last one left at {at}: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_control::matrix::SourceStatus;
    use amphi_media::clock::ManualClock;
    use amphi_media::{MediaTime, ParameterSets};

    const NOW: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn inlet(second: SecondPublisher) -> Arc<Inlet> {
        inlet_at(second, Arc::new(ManualClock::at(NOW)))
    }

    fn inlet_at(second: SecondPublisher, clock: Arc<ManualClock>) -> Arc<Inlet> {
        Arc::new(Inlet {
            lattice_fps: 15,
            feed: FeedWriter::default(),
            status: watch::Sender::new(SourceStatus::idle(NOW)),
            gauges: Arc::default(),
            clocks: Clocks { media: clock.clone(), wall: clock },
            zone: TimeZone::UTC,
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
    fn what_it_sends_and_why_it_left_stand_in_the_matrix() {
        let clock = Arc::new(ManualClock::at(NOW));
        let inlet = inlet_at(SecondPublisher::Refuse, Arc::clone(&clock));
        let said = || (inlet.status.borrow().state, inlet.status.borrow().reason.clone());
        inlet.refused("the key is not the right one");
        let knocked = "waits for a publisher; one was refused at 11:06:40: the key is not the right one";
        assert_eq!(said(), (SourceState::Idle, knocked.to_owned()));
        clock.advance(Duration::from_secs(9));
        inlet.refused("again");
        assert_eq!(said().1, knocked, "once in ten seconds");

        let mut publication = inlet.open().expect("nobody before");
        publication.passed_over(Track::Video, "the publisher sends HEVC video; H.264 is needed", false);
        publication.look();
        assert_eq!(
            said(),
            (SourceState::Connecting, "the publisher sends HEVC video; H.264 is needed".to_owned())
        );
        assert!(inlet.gauges.picture_fault.get().is_some());
        pictures(&mut publication, 1);
        assert_eq!(said(), (SourceState::Live, String::new()));
        assert_eq!(inlet.gauges.picture_fault.get(), None);
        let media = inlet.status.borrow().media.clone().expect("it is known");
        assert_eq!(media.video_codec.as_deref(), Some("avc1.42C01F"));
        inlet.refused("somebody else");
        assert_eq!(said().0, SourceState::Live);

        clock.advance(Duration::from_secs(4));
        publication.look();
        assert_eq!(said(), (SourceState::Stalled, "nothing came for 4 s on the open connection".to_owned()));
        pictures(&mut publication, 1);
        assert_eq!((said().0, inlet.status.borrow().connects), (SourceState::Live, 1));
        publication.left("it closed the connection");
        drop(publication);
        assert_eq!(
            said().1,
            "waits for a publisher; the last one left at 11:06:53: it closed the connection"
        );
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
