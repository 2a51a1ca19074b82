//! From access units as they arrive to frames as the ladder takes them. Sans-IO.
//!
//! # Contract
//! Hand every [`ArrivedUnit`] to [`Intake::push`] in the order of arrival, every sender report to
//! [`Intake::sender_report`]; call [`Intake::broken`] when something was lost that no unit reports. Frames
//! come out in the same order:
//! * the first one is an IDR picture or a recovery point, and sound before it is dropped;
//! * where neither comes for [`PATIENCE_MS`], a picture of I slices alone counts as one, as it does for ffmpeg and VLC;
//! * after a loss, pictures up to the next one of these come without their bytes, so that the ladder can
//!   hold the last good one; sound goes on;
//! * frames of the first half second are held back until the timeline is settled.

use std::sync::Arc;

use bytes::Bytes;

use super::timeline::{RtpInstant, Timeline};
use amphi_media::{MediaTime, SourceFrame, Track, TrackFormat, h264};

/// Frames held back at most; a server that sends more than this in a burst has reached its live edge.
const HELD: usize = 200;

/// Without an IDR picture and a recovery point for so long, I pictures are taken for recovery points. Not sooner: encoders
/// that send recovery points do so every 1 to 4 s, and what follows a plain I picture may refer to what was before it.
const PATIENCE_MS: i64 = 5_000;

/// What operators are told where decoding cannot begin.
const NO_ENTRY: &str = "pictures come, but no IDR picture and no recovery point, without which decoding cannot begin: \
    switch open GOP or intra refresh off in the encoder, or set a key frame interval of 2 s";

/// One access unit as it arrived.
#[derive(Clone, Debug)]
pub(super) struct ArrivedUnit {
    pub(super) rtp: RtpInstant,
    pub(super) arrival: MediaTime,
    /// A length-prefixed H.264 access unit without parameter sets, delimiters and filler, or raw AAC.
    pub(super) data: Bytes,
    /// Decoding can begin with it.
    pub(super) sync: bool,
    /// RTP packets lost before it.
    pub(super) lost: u16,
    pub(super) format: Arc<TrackFormat>,
}

impl ArrivedUnit {
    pub(super) fn track(&self) -> Track {
        self.format.track()
    }
}

#[derive(Debug)]
pub(super) struct Intake {
    timeline: Timeline,
    /// A picture was let through.
    begun: bool,
    /// Pictures are kept back until one comes with which decoding can begin.
    waiting: bool,
    /// When a picture came last with which decoding can begin (or the first picture), and when any picture came last.
    entries: Option<(MediaTime, MediaTime)>,
    format: Option<Arc<TrackFormat>>,
    /// The timeline is not settled, and few enough frames have come.
    holding: bool,
    held: Vec<ArrivedUnit>,
}

impl Intake {
    pub(super) fn new(lattice_fps: u32) -> Self {
        Self {
            timeline: Timeline::new(lattice_fps),
            begun: false,
            waiting: true,
            entries: None,
            format: None,
            holding: true,
            held: Vec::new(),
        }
    }

    /// Takes a unit and gives all frames that are ready to `out`.
    pub(super) fn push(&mut self, unit: ArrivedUnit, mut out: impl FnMut(SourceFrame)) {
        self.timeline.observe(unit.track(), unit.rtp, unit.arrival);
        let unit = ArrivedUnit { sync: self.is_entry(&unit), ..unit };
        let unit = match self.admits(&unit) {
            true => unit,
            false if self.begun && !self.holding => ArrivedUnit { data: Bytes::new(), ..unit },
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

    /// Takes an RTCP sender report: `ntp` (32.32 bits, RFC 3550 §6.4.1) was `rtp` on this track.
    pub(super) fn sender_report(&mut self, track: Track, rtp: RtpInstant, ntp: u64) {
        self.timeline.sender_report(track, rtp, ntp);
    }

    /// Something of a picture was lost: the next ones cannot be decoded.
    pub(super) fn broken(&mut self) {
        self.waiting = true;
    }

    /// Whether a picture has been let through.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether pictures are let through at the moment.
    pub(super) fn flows(&self) -> bool {
        self.begun && !self.waiting
    }

    /// Why nothing is let through although pictures come, in words for operators.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        let (since, last) = self.entries?;
        (!self.begun && last.nanos_since(since) >= PATIENCE_MS * 1_000_000).then_some(NO_ENTRY)
    }

    /// Whether decoding can begin with `unit`.
    fn is_entry(&mut self, unit: &ArrivedUnit) -> bool {
        if unit.track() == Track::Audio {
            return unit.sync;
        }
        let (since, last) = self.entries.get_or_insert((unit.arrival, unit.arrival));
        *last = unit.arrival;
        if unit.sync {
            *since = unit.arrival;
        }
        let late = unit.arrival.nanos_since(*since) >= PATIENCE_MS * 1_000_000;
        unit.sync || (late && h264::is_intra(&unit.data))
    }

    /// The timeline, for its gauges.
    pub(super) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn admits(&mut self, unit: &ArrivedUnit) -> bool {
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
    use amphi_media::{AudioFormat, AudioSpecificConfig, ParameterSets};

    const IDR: (bool, u16) = (true, 0);
    const P: (bool, u16) = (false, 0);

    fn h264(sps: u8) -> Arc<TrackFormat> {
        let parameter_sets = ParameterSets { sps: vec![sps].into(), pps: Bytes::new() };
        Arc::new(TrackFormat::H264(parameter_sets))
    }

    fn picture(n: i64, (sync, lost): (bool, u16), format: &Arc<TrackFormat>) -> ArrivedUnit {
        ArrivedUnit {
            rtp: RtpInstant { ticks: n * 6000, clock_rate: 90_000 },
            arrival: MediaTime::from_millis(1_795_000_000_000 + n * 200 / 3),
            data: Bytes::from(n.to_string()),
            sync,
            lost,
            format: Arc::clone(format),
        }
    }

    fn sound(n: i64) -> ArrivedUnit {
        let format = AudioSpecificConfig::lc(AudioFormat { sample_rate: 48_000, channels: 2 });
        ArrivedUnit {
            rtp: RtpInstant { ticks: n * 3200, clock_rate: 48_000 },
            format: Arc::new(TrackFormat::Aac(format)),
            ..picture(n, IDR, &h264(1))
        }
    }

    fn run(units: impl IntoIterator<Item = ArrivedUnit>) -> Vec<(Track, String)> {
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
        // Enough further pictures to settle the timeline, so that all that was held comes out.
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
    fn i_pictures_are_taken_where_nothing_better_comes() {
        let format = h264(1);
        // ue(0), then slice type 7 (I) or 5 (P); 15 a second, an I picture each two seconds.
        let unit = |n: i64, sync: bool| {
            let slice: &[u8] =
                if n % 30 == 9 { &[0, 0, 0, 3, 0x41, 0x88, 0x80] } else { &[0, 0, 0, 2, 0x41, 0x9a] };
            ArrivedUnit { data: slice.into(), sync, ..picture(n, P, &format) }
        };
        let run = |kinds: &dyn Fn(i64) -> bool| {
            let (mut intake, mut syncs, mut trouble) = (Intake::new(15), Vec::new(), None);
            for n in 0..200 {
                let mut sync = false;
                intake.push(unit(n, kinds(n)), |frame| sync |= frame.sync);
                syncs.extend(sync.then_some(n));
                trouble = trouble.or(intake.trouble().map(|_| n));
            }
            (syncs, trouble)
        };
        assert_eq!(run(&|_| false), (vec![99, 129, 159, 189], Some(75)), "not before 5 s");
        let (syncs, trouble) = run(&|n| n % 60 == 30);
        assert_eq!(trouble, None);
        assert!(!NO_ENTRY.contains("  "));
        assert!(syncs.iter().all(|n| n % 60 == 30 || *n < 40), "those that are meant suffice: {syncs:?}");
    }

    #[test]
    fn held_frames_are_bounded_and_none_is_lost() {
        let format = h264(1);
        // A server that sends 400 pictures within a moment.
        let burst = (0..400).map(|n| ArrivedUnit {
            arrival: MediaTime::from_millis(1_795_000_000_000),
            ..picture(n, if n == 0 { IDR } else { P }, &format)
        });
        let out = run(burst);
        assert_eq!(out.len(), 400);
    }
}
