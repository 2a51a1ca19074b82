//! From units as they arrive to frames as the ladder wants them. Sans-IO.
//!
//! # Contract
//! Hand every [`Unit`] to [`Intake::push`] in the order of arrival, every sender report to
//! [`Intake::sender_report`]; call [`Intake::broken`] when something was lost that no unit tells of. Frames
//! come out in the same order:
//! * the first one is an IDR picture, sound before it is dropped;
//! * after a loss, pictures up to the next IDR picture come without their bytes, so that whoever shows them can
//!   hold the last good one; sound goes on;
//! * frames of the first half second are held back until the timeline is settled.

use std::sync::Arc;

use bytes::Bytes;

use super::timeline::{RtpInstant, Timeline};
use crate::media::{MediaTime, SourceFrame, Track, TrackFormat};

/// Frames held back at most; a server that bursts more than this has shown its live edge.
const HELD: usize = 200;

/// One access unit as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) rtp: RtpInstant,
    pub(super) arrival: MediaTime,
    /// A length-prefixed H.264 access unit without parameter sets, delimiters and filler, or raw AAC.
    pub(super) data: Bytes,
    /// Decoding can start here.
    pub(super) sync: bool,
    /// RTP packets lost before it.
    pub(super) lost: u16,
    pub(super) format: Arc<TrackFormat>,
}

impl Unit {
    pub(super) fn track(&self) -> Track {
        self.format.track()
    }
}

/// See the module's contract.
#[derive(Debug)]
pub(super) struct Intake {
    timeline: Timeline,
    /// A picture was let through.
    begun: bool,
    /// Pictures wait for an IDR picture.
    waiting: bool,
    format: Option<Arc<TrackFormat>>,
    /// The timeline is not settled, and few enough frames have come.
    holding: bool,
    held: Vec<Unit>,
}

impl Intake {
    pub(super) fn new(lattice_fps: u32) -> Self {
        Self {
            timeline: Timeline::new(lattice_fps),
            begun: false,
            waiting: true,
            format: None,
            holding: true,
            held: Vec::new(),
        }
    }

    /// Takes a unit in and hands all frames that are ready to `out`.
    pub(super) fn push(&mut self, unit: Unit, mut out: impl FnMut(SourceFrame)) {
        self.timeline.observe(unit.track(), unit.rtp, unit.arrival);
        let unit = match self.admits(&unit) {
            true => unit,
            false if self.begun && !self.holding => Unit { data: Bytes::new(), ..unit },
            false => return,
        };
        self.holding &= !self.timeline.is_settled() && self.held.len() < HELD;
        if self.holding {
            self.held.push(unit);
            return;
        }
        for unit in std::mem::take(&mut self.held).into_iter().chain([unit]) {
            let pts = self.timeline.place(unit.track(), unit.rtp);
            out(SourceFrame { pts, data: unit.data, sync: unit.sync, format: unit.format });
        }
    }

    /// Takes an RTCP sender report in: `ntp` (32.32 bits) was `rtp`.
    pub(super) fn sender_report(&mut self, track: Track, rtp: RtpInstant, ntp: u64) {
        self.timeline.sender_report(track, rtp, ntp);
    }

    /// Something of the picture was lost.
    pub(super) fn broken(&mut self) {
        self.waiting = true;
    }

    /// A picture has been let through.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The timeline, for its gauges.
    pub(super) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn admits(&mut self, unit: &Unit) -> bool {
        if unit.track() == Track::Audio {
            return self.begun;
        }
        // New parameter sets without an IDR picture, or lost packets: what follows cannot be decoded.
        let changed = self.format.as_ref().is_some_and(|format| *format != unit.format);
        self.waiting |= unit.lost > 0 || changed;
        if unit.sync {
            self.waiting = false;
            self.begun = true;
            self.format = Some(Arc::clone(&unit.format));
        }
        !self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{AudioFormat, AudioSpecificConfig, ParameterSets};

    const IDR: (bool, u16) = (true, 0);
    const P: (bool, u16) = (false, 0);

    fn h264(sps: u8) -> Arc<TrackFormat> {
        let parameter_sets = ParameterSets { sps: vec![sps].into(), pps: Bytes::new() };
        Arc::new(TrackFormat::H264(parameter_sets))
    }

    fn picture(n: i64, (sync, lost): (bool, u16), format: &Arc<TrackFormat>) -> Unit {
        Unit {
            rtp: RtpInstant { ticks: n * 6000, clock_rate: 90_000 },
            arrival: MediaTime::from_millis(1_795_000_000_000 + n * 200 / 3),
            data: Bytes::from(n.to_string()),
            sync,
            lost,
            format: Arc::clone(format),
        }
    }

    fn sound(n: i64) -> Unit {
        let format = AudioSpecificConfig::lc(AudioFormat { sample_rate: 48_000, channels: 2 });
        Unit {
            rtp: RtpInstant { ticks: n * 3200, clock_rate: 48_000 },
            format: Arc::new(TrackFormat::Aac(format)),
            ..picture(n, IDR, &h264(1))
        }
    }

    fn run(units: impl IntoIterator<Item = Unit>) -> Vec<(Track, String)> {
        let mut intake = Intake::new(15);
        let mut out = Vec::new();
        for unit in units {
            intake.push(unit, |frame| {
                out.push((frame.track(), String::from_utf8_lossy(&frame.data).into_owned()));
            });
        }
        out.retain(|(_, data)| !data.is_empty());
        out
    }

    #[test]
    fn a_picture_that_cannot_be_had_keeps_its_place() {
        let format = h264(1);
        let mut intake = Intake::new(15);
        let mut lens = Vec::new();
        let kinds = (0..60).map(|n| match n {
            0 | 50 => IDR,
            40 => (false, 1),
            _ => P,
        });
        for (n, kind) in kinds.enumerate() {
            intake.push(picture(n as i64, kind, &format), |frame| lens.push(frame.data.is_empty()));
        }
        assert_eq!(lens.len(), 60);
        assert!(lens.iter().enumerate().all(|(n, empty)| *empty == (40..50).contains(&n)), "{lens:?}");
    }

    fn pictures(kinds: &[(bool, u16)]) -> Vec<String> {
        let format = h264(1);
        let settled = (0..).zip(kinds).map(|(n, kind)| picture(n, *kind, &format));
        // Enough further pictures to settle the timeline and to show everything held.
        let count = kinds.len() as i64;
        let all = run(settled.chain((count..count + 10).map(|n| picture(n, P, &format))));
        all.into_iter().map(|(_, data)| data).filter(|n| n.parse::<i64>().unwrap() < count).collect()
    }

    #[test]
    fn it_begins_with_an_idr_picture_even_if_that_reports_a_loss() {
        assert_eq!(pictures(&[P, P, (true, 1), P]), ["2", "3"]);
    }

    #[test]
    fn after_a_loss_it_goes_on_with_an_idr_picture() {
        assert_eq!(pictures(&[IDR, P, (false, 2), P, IDR, P]), ["0", "1", "4", "5"]);
    }

    #[test]
    fn sound_waits_for_the_first_picture_and_survives_its_losses() {
        let format = h264(1);
        let out = run([
            sound(0),
            picture(0, IDR, &format),
            sound(1),
            picture(1, (false, 9), &format),
            sound(2),
            picture(20, P, &format),
            sound(21),
        ]);
        let out: Vec<_> = out.iter().map(|(track, n)| (*track, &**n)).collect();
        assert_eq!(
            out,
            [(Track::Video, "0"), (Track::Audio, "1"), (Track::Audio, "2"), (Track::Audio, "21")]
        );
    }

    #[test]
    fn new_parameter_sets_wait_for_their_idr_picture() {
        let (old, new) = (h264(1), h264(2));
        let out = run([
            picture(0, IDR, &old),
            picture(20, P, &old),
            picture(21, P, &new),
            picture(22, IDR, &new),
            picture(23, P, &new),
        ]);
        let numbers: Vec<_> = out.iter().map(|(_, n)| &**n).collect();
        assert_eq!(numbers, ["0", "20", "22", "23"]);
    }

    #[test]
    fn held_frames_are_bounded_and_none_is_lost() {
        let format = h264(1);
        // A server that sends 400 pictures within a moment.
        let burst = (0..400).map(|n| Unit {
            arrival: MediaTime::from_millis(1_795_000_000_000),
            ..picture(n, if n == 0 { IDR } else { P }, &format)
        });
        let out = run(burst);
        assert_eq!(out.len(), 400);
    }
}
