//! Maps a source's RTP time to the wall clock.
//!
//! # Contract
//! Call [`Timeline::observe`] for every frame of both tracks in the order of arrival, also for frames that
//! will not be used, and [`Timeline::sender_report`] for every RTCP sender report. [`Timeline::place`] says
//! when a frame is shown; [`Timeline::map`] is both at once. Until [`Timeline::is_settled`] (half a second
//! from the first picture) the mapping is still being found and may step: hold frames back, then place them.
//! From then on it moves by at most 2 ms per second, but for jumps of a track's own clock.
//!
//! # How
//! Wall-clock time = RTP time + the track's shift + one offset for both tracks.
//! * **Shifts align the tracks.** Sender reports give each track's RTP time in NTP time (RFC 3550 §6.4.1);
//!   the picture keeps its shift, the sound follows. Before reports come, the RTP times that RTP-Info calls
//!   the start (RFC 2326 §12.33) are one instant. Where neither is available or plausible, tracks are aligned
//!   as they arrive. Without reports the alignment is held by the tracks' smallest delays, so that two
//!   clocks that drift apart do not move the sound away from the picture.
//! * **The offset follows the smallest delay** (arrival minus RTP time) of all frames of the last half
//!   minute. So the earliest frames are shown as they arrive, late ones and B pictures (whose RTP times step
//!   back) do not move it, and the clocks' skew does.
//! * **Pictures stand on slots.** A picture's distance to its slot does not depend on skew (RTP time counts
//!   the source's own ticks), so an offset that puts pictures on slots goes on doing so. It is kept until the
//!   smallest delay is over 0.6 of a slot away; then it slips to the next slot. That is one repeated or
//!   dropped picture for each slot that the clocks drifted apart, and never a picture that stays on the
//!   border between two slots.
//! * **A jump** of over a second re-anchors that track alone, where its frames would have been.
//!
//! What does not belong here: sockets, clocks, RTP wrap-around (the times are unwrapped), frames' bytes.

mod lattice;
mod skew;
#[cfg(test)]
mod tests;
mod track;

use self::lattice::SlotLattice;
use self::skew::Skew;
use self::track::{SenderReport, TrackClock};
use amphi_media::{MediaTime, Track};

/// Nanoseconds; 128 bits wide, because a peer chooses RTP times and clock rates.
type Nanos = i128;

const SECOND: Nanos = 1_000_000_000;

/// How fast the sound moves to its picture: 2 ms per second, so an error of a frame (21 ms) is gone in ten seconds.
const SLEW_PER_SECOND: Nanos = 2_000_000;

/// How fast both move to their goal: 1 ms per second. Five times the worst skew of a cheap crystal (200 ppm); a slot of 15
/// pictures per second is crossed in 67 s. Resampled sound lags by 4 ms (4 s of time constant), which with half a
/// slot stays within 40 ms.
const SLIP_PER_SECOND: Nanos = 1_000_000;

/// From the first picture until the mapping may no longer step. Long enough for two pictures at 5 fps, for
/// a reordered picture, and for the burst of a server that sends its last group of pictures first.
const SETTLE: Nanos = SECOND / 2;

/// An alignment is believed if it puts the tracks' arrivals no further apart. Encoders hold one track back
/// by up to three seconds; wrong values are off by hours.
const BELIEVED: Nanos = 5 * SECOND;

/// Without RTP-Info, the first packets count as simultaneous up to this difference of arrival.
const SIMULTANEOUS: Nanos = SECOND / 10;

/// Sender reports older than this are not used (they come every five seconds, RFC 3550 §6.2).
const REPORT_LIFE: Nanos = 60 * SECOND;

/// Without reports, alignment is corrected from this error on: half of what viewers begin to notice
/// (ITU-R BT.1359-1: 45 ms), and more than smallest delays vary.
const HELD_WITHIN: Nanos = SECOND / 50;

/// A track's RTP time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpInstant {
    /// Unwrapped ticks since the start that RTP-Info names, or since the track's first packet.
    pub ticks: i64,
    /// Ticks per second of the RTP clock.
    pub clock_rate: u32,
}

impl RtpInstant {
    fn nanos(self) -> Nanos {
        Nanos::from(self.ticks) * SECOND / Nanos::from(self.clock_rate.max(1))
    }
}

/// Maps both tracks of one connection to the wall clock. See the module's contract.
#[derive(Clone, Debug)]
pub struct Timeline {
    lattice: SlotLattice,
    video: TrackClock,
    audio: TrackClock,
    /// Added to the times of both tracks.
    offset: Nanos,
    /// Where the offset is going: the nearest value to the smallest delay that puts pictures on slots.
    goal: Nanos,
    /// Arrival of the first picture.
    began: Option<Nanos>,
    settled: bool,
    /// The least time between two pictures while settling.
    interval: Option<Nanos>,
    /// The sound's smallest delay minus the picture's, aligned, as long as it was known for certain.
    lead: Option<Nanos>,
    now: Option<Nanos>,
    skew: Skew,
    jumps: u64,
}

impl Timeline {
    /// A timeline whose pictures are to stand on a lattice of `lattice_fps` slots per second.
    pub fn new(lattice_fps: u32) -> Self {
        Self {
            lattice: SlotLattice::new(lattice_fps),
            video: TrackClock::default(),
            audio: TrackClock::default(),
            offset: 0,
            goal: 0,
            began: None,
            settled: false,
            interval: None,
            lead: None,
            now: None,
            skew: Skew::default(),
            jumps: 0,
        }
    }

    /// Takes note of a frame that arrived at `arrival`, and says when it is shown.
    pub fn map(&mut self, track: Track, rtp: RtpInstant, arrival: MediaTime) -> MediaTime {
        self.observe(track, rtp, arrival);
        self.place(track, rtp)
    }

    /// Takes note of a frame that arrived at `arrival`.
    pub fn observe(&mut self, track: Track, rtp: RtpInstant, arrival: MediaTime) {
        let arrival = Nanos::from(arrival.as_nanos());
        let first = !self.clock(track).is_seen();
        let elapsed = self.now.map_or(0, |now| (arrival - now).max(0));
        self.now = Some(self.now.map_or(arrival, |now| now.max(arrival)));

        let observed = self.clock_mut(track).observe(rtp, arrival);
        self.jumps += u64::from(observed.jumped);
        if track == Track::Video {
            self.began.get_or_insert(arrival);
        }
        if self.settled {
            if first {
                self.align_at_once();
            }
            self.slew(elapsed);
            if track == Track::Video {
                self.aim(rtp);
            }
        } else {
            if let (Track::Video, Some(step)) = (track, observed.step)
                && step != 0
            {
                let interval = step.abs();
                self.interval = Some(self.interval.map_or(interval, |least| least.min(interval)));
            }
            self.align_at_once();
            self.offset = self.smallest_delay().unwrap_or(0);
            if self.began.is_some_and(|began| arrival - began >= SETTLE) && track == Track::Video {
                self.settle(rtp);
            }
        }
        if let (true, Some(now), Some(delay)) = (self.settled, self.now, self.smallest_delay()) {
            self.skew.observe(now, delay);
        }
    }

    /// When a frame at `rtp` is shown.
    pub fn place(&self, track: Track, rtp: RtpInstant) -> MediaTime {
        let nanos = rtp.nanos() + self.clock(track).shift + self.offset;
        MediaTime::from_nanos(nanos.clamp(Nanos::from(i64::MIN), Nanos::from(i64::MAX)) as i64)
    }

    /// Takes note of an RTCP sender report: `ntp` (32.32 bits, RFC 3550 §4) was `rtp` on this track. Zero is
    /// the sender's way to say that it has no clock.
    pub fn sender_report(&mut self, track: Track, rtp: RtpInstant, ntp: u64) {
        if ntp == 0 {
            return;
        }
        let ntp = (Nanos::from(ntp) * SECOND) >> 32;
        let heard = self.now.unwrap_or(0);
        self.clock_mut(track).report = Some(SenderReport { ntp_of_zero: ntp - rtp.nanos(), heard });
        if !self.settled {
            self.align_at_once();
        }
    }

    /// Whether the mapping has been found and no longer steps.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// How much faster the source's clock runs than the wall clock, in parts per million; known after a
    /// minute.
    pub fn skew(&self) -> Option<f64> {
        self.skew.ppm()
    }

    /// How late the sound is against the picture by the sender reports, in nanoseconds: what is still being
    /// corrected.
    pub fn av_offset(&self) -> Option<i64> {
        Some((self.audio.shift - self.shift_by_reports()?) as i64)
    }

    /// How often a track was re-anchored because its clock jumped.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    fn clock(&self, track: Track) -> &TrackClock {
        match track {
            Track::Video => &self.video,
            Track::Audio => &self.audio,
        }
    }

    fn clock_mut(&mut self, track: Track) -> &mut TrackClock {
        match track {
            Track::Video => &mut self.video,
            Track::Audio => &mut self.audio,
        }
    }

    /// The offset that shows the earliest frames as they arrive.
    fn smallest_delay(&self) -> Option<Nanos> {
        let delay = |clock: &TrackClock| Some(clock.delays.smallest()? - clock.shift);
        delay(&self.video).into_iter().chain(delay(&self.audio)).min()
    }

    /// The sound's smallest delay minus the picture's, without shifts.
    fn arrival_difference(&self) -> Option<Nanos> {
        Some(self.audio.delays.smallest()? - self.video.delays.smallest()?)
    }

    /// The sound's shift, if both tracks have believable sender reports.
    fn shift_by_reports(&self) -> Option<Nanos> {
        let (now, arrivals) = (self.now?, self.arrival_difference()?);
        let (video, audio) = (self.video.report?, self.audio.report?);
        let apart = audio.ntp_of_zero - video.ntp_of_zero;
        let fresh = [video, audio].iter().all(|report| now - report.heard < REPORT_LIFE);
        (fresh && (apart - arrivals).abs() < BELIEVED).then_some(self.video.shift + apart)
    }

    /// Aligns the sound by a step: while settling, and when it begins late.
    fn align_at_once(&mut self) {
        let Some(arrivals) = self.arrival_difference() else { return };
        // Without RTP-Info each track's first packet is its zero, whenever it came.
        let zeros = self.audio.zero_arrived.zip(self.video.zero_arrived).map(|(audio, video)| audio - video);
        self.audio.shift = if let Some(shift) = self.shift_by_reports() {
            shift
        } else if let Some(apart) = zeros.filter(|apart| apart.abs() > SIMULTANEOUS) {
            self.video.shift + apart
        } else if arrivals.abs() < BELIEVED {
            self.video.shift
        } else {
            self.video.shift + arrivals
        };
    }

    /// Ends the settling: the offset goes to the nearest slot by a last step.
    fn settle(&mut self, rtp: RtpInstant) {
        if let Some(interval) = self.interval {
            self.lattice.set_interval(interval);
        }
        self.offset -= self.lattice.error(rtp.nanos() + self.video.shift + self.offset);
        self.goal = self.offset;
        self.settled = true;
    }

    /// Keeps the goal on the slots and near the smallest delay, at each picture.
    fn aim(&mut self, rtp: RtpInstant) {
        // A 64th of the error per picture: RTP times that jitter by milliseconds do not move the goal.
        self.goal -= self.lattice.error(rtp.nanos() + self.video.shift + self.goal) / 64;
        let Some(delay) = self.smallest_delay() else { return };
        let (away, step) = (delay - self.goal, self.lattice.step());
        if away.abs() * 10 > step * 6 {
            self.goal += (away + step / 2).div_euclid(step) * step;
        }
    }

    /// Moves the offset to its goal and the sound to the picture, as far as `elapsed` allows.
    fn slew(&mut self, elapsed: Nanos) {
        let reach = SLEW_PER_SECOND * elapsed / SECOND;
        let slip = SLIP_PER_SECOND * elapsed / SECOND;
        self.offset += (self.goal - self.offset).clamp(-slip, slip);
        let Some(now) = self.now else { return };
        let full = self.video.delays.is_full(now) && self.audio.delays.is_full(now);
        let arrivals = self.arrival_difference().filter(|_| full);
        let wanted = if let Some(shift) = self.shift_by_reports() {
            self.lead =
                arrivals.map(|arrivals| arrivals - (self.audio.shift - self.video.shift)).or(self.lead);
            shift
        } else if let Some(arrivals) = arrivals {
            let lead = *self.lead.get_or_insert(arrivals - (self.audio.shift - self.video.shift));
            let wanted = self.video.shift + arrivals - lead;
            if (wanted - self.audio.shift).abs() < HELD_WITHIN {
                return;
            }
            wanted
        } else {
            return;
        };
        self.audio.shift += (wanted - self.audio.shift).clamp(-reach, reach);
    }
}
