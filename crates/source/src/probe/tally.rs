//! Counts what a probe receives, and says what is wrong with it. Sans-IO.

use std::sync::Arc;

use super::report::{AudioReport, ProbeReport, VideoReport};
use crate::fault::SourceFault;
use crate::intake::ArrivedUnit;
use crate::timeline::{RtpInstant, Timeline};
use amphi_control::matrix::SourceMedia;
use amphi_media::{MediaTime, Track, TrackFormat};

/// The timeline is used only to align the tracks, so its lattice does not matter.
const ANY_LATTICE: u32 = 15;
/// IDR pictures that are farther apart than this make starting and recovering slow.
const LONG_GOP_SECONDS: f64 = 4.0;
/// More jitter than this takes half of the time that a live cell may be late.
const MUCH_JITTER_MS: f64 = 500.0;

#[derive(Debug)]
pub(super) struct ProbeTally {
    timeline: Timeline,
    video: TrackTally,
    audio: TrackTally,
    broken: u64,
    b_frames: bool,
    highest: Option<i64>,
    since_idr: Option<u32>,
    gop: Option<(u32, u32)>,
    format: Option<Arc<TrackFormat>>,
    formats: u32,
    /// Smallest and largest arrival minus RTP time of a picture, in nanoseconds.
    delays: Option<(i64, i64)>,
}

#[derive(Debug, Default)]
struct TrackTally {
    units: u64,
    bytes: u64,
    lost: u64,
    reports: u64,
    first: Option<RtpInstant>,
    /// RTP time of the first unit in seconds; `span`: the most since then.
    from: f64,
    span: f64,
}

impl Default for ProbeTally {
    fn default() -> Self {
        Self {
            timeline: Timeline::new(ANY_LATTICE),
            video: TrackTally::default(),
            audio: TrackTally::default(),
            broken: 0,
            b_frames: false,
            highest: None,
            since_idr: None,
            gop: None,
            format: None,
            formats: 0,
            delays: None,
        }
    }
}

impl TrackTally {
    fn unit(&mut self, unit: &ArrivedUnit) {
        // A loss before the first unit only means that the stream did not start where PLAY said.
        self.lost += if self.units == 0 { 0 } else { u64::from(unit.lost) };
        self.units += 1;
        self.bytes += unit.data.len() as u64;
        let seconds = unit.rtp.ticks as f64 / f64::from(unit.rtp.clock_rate.max(1));
        if self.first.is_none() {
            self.first = Some(unit.rtp);
            self.from = seconds;
        }
        self.span = self.span.max(seconds - self.from);
    }

    /// Units per second: the last unit's duration is not in the span.
    fn rate(&self) -> f64 {
        if self.span > 0.0 { self.units.saturating_sub(1) as f64 / self.span } else { 0.0 }
    }

    fn bitrate_bps(&self) -> u64 {
        let duration = if self.rate() > 0.0 { self.units as f64 / self.rate() } else { return 0 };
        (self.bytes as f64 * 8.0 / duration) as u64
    }
}

impl ProbeTally {
    pub(super) fn unit(&mut self, unit: &ArrivedUnit) {
        self.timeline.observe(unit.track(), unit.rtp, unit.arrival);
        match unit.track() {
            Track::Audio => self.audio.unit(unit),
            Track::Video => self.picture(unit),
        }
    }

    pub(super) fn sender_report(&mut self, track: Track, rtp: RtpInstant, ntp: u64) {
        match track {
            Track::Video => self.video.reports += 1,
            Track::Audio => self.audio.reports += 1,
        }
        self.timeline.sender_report(track, rtp, ntp);
    }

    pub(super) fn broken(&mut self) {
        self.broken += 1;
    }

    fn picture(&mut self, unit: &ArrivedUnit) {
        self.video.unit(unit);
        self.b_frames |= self.highest.is_some_and(|highest| unit.rtp.ticks < highest);
        self.highest = self.highest.max(Some(unit.rtp.ticks));
        if unit.sync
            && let Some(length) = self.since_idr.replace(0)
        {
            let (min, max) = self.gop.unwrap_or((length, length));
            self.gop = Some((min.min(length), max.max(length)));
        }
        self.since_idr = self.since_idr.map(|length| length + 1);
        if self.format.as_ref() != Some(&unit.format) {
            self.format = Some(Arc::clone(&unit.format));
            self.formats += 1;
        }
        let ticks = i128::from(unit.rtp.ticks) * 1_000_000_000 / i128::from(unit.rtp.clock_rate.max(1));
        let delay = unit.arrival.as_nanos().wrapping_sub(ticks as i64);
        let (least, most) = self.delays.unwrap_or((delay, delay));
        self.delays = Some((least.min(delay), most.max(delay)));
    }

    /// The report. `ended`: why the source ended before the probe did, if so.
    pub(super) fn report(
        &self,
        media: &SourceMedia,
        skipped: &[String],
        ended: Option<&SourceFault>,
    ) -> ProbeReport {
        let place = |track, instant| Some(self.timeline.place(track, instant?));
        let starts = place(Track::Video, self.video.first).zip(place(Track::Audio, self.audio.first));
        let ms = |nanos: i64| nanos as f64 / 1e6;
        let mut report = ProbeReport {
            video: self.video_report(media),
            audio: self.audio_report(media),
            lost_packets: self.video.lost + self.audio.lost,
            broken_packets: self.broken,
            video_sender_reports: self.video.reports,
            audio_sender_reports: self.audio.reports,
            jitter_ms: self.delays.map(|(least, most)| ms(most.saturating_sub(least))),
            audio_starts_after_ms: starts.map(|(video, audio): (MediaTime, _)| ms(audio.nanos_since(video))),
            report_correction_ms: self.timeline.av_offset().map(|late| ms(-late)),
            faults: Vec::new(),
        };
        report.faults = self.faults(&report, skipped, ended);
        report
    }

    fn video_report(&self, media: &SourceMedia) -> Option<VideoReport> {
        let TrackFormat::H264(sets) = self.format.as_deref()? else { return None };
        let byte = |index: usize| sets.sps.get(index).copied().unwrap_or_default();
        Some(VideoReport {
            codec: sets.codec_string(),
            profile: profile(byte(1), byte(2)).to_owned(),
            level: format!("{}.{}", byte(3) / 10, byte(3) % 10),
            width: media.width.unwrap_or_default(),
            height: media.height.unwrap_or_default(),
            fps: self.video.rate(),
            bitrate_bps: self.video.bitrate_bps(),
            gop_min: self.gop.map(|(min, _)| min),
            gop_max: self.gop.map(|(_, max)| max),
            b_frames: self.b_frames,
            pictures: self.video.units,
        })
    }

    fn audio_report(&self, media: &SourceMedia) -> Option<AudioReport> {
        if self.audio.units == 0 {
            return None;
        }
        Some(AudioReport {
            codec: media.audio_codec.clone()?,
            sample_rate: media.sample_rate?,
            channels: media.channels?,
            bitrate_bps: self.audio.bitrate_bps(),
            frames: self.audio.units,
        })
    }

    fn faults(&self, report: &ProbeReport, skipped: &[String], ended: Option<&SourceFault>) -> Vec<String> {
        let mut faults: Vec<_> = ended.map(ToString::to_string).into_iter().collect();
        let mut fault = |holds: bool, text: &str| faults.extend(holds.then(|| text.to_owned()));
        fault(report.video.is_none(), "no picture came");
        fault(report.audio.is_none(), "no usable sound came: viewers will hear silence");
        fault(report.lost_packets > 0, "packets were lost: use TCP, or repair the network");
        fault(self.broken > 0, "some packets could not be understood");
        fault(self.formats > 1, "the parameter sets changed while watching");
        let silent = self.video.reports == 0 || (self.audio.units > 0 && self.audio.reports == 0);
        fault(silent, "sender reports are missing: lip-sync rests on RTP-Info or on arrival");
        let jitter = report.jitter_ms.unwrap_or(0.0);
        fault(!self.b_frames && jitter > MUCH_JITTER_MS, "pictures come very unevenly");
        if let Some(video) = &report.video {
            let gop =
                f64::from(self.gop.map_or(0, |(_, max)| max)).max(f64::from(self.since_idr.unwrap_or(0)));
            fault(self.since_idr.is_none(), "no IDR picture came: nothing can be decoded");
            let long = gop > LONG_GOP_SECONDS * video.fps && video.fps > 0.0;
            fault(long, "IDR pictures are over 4 s apart: starting and recovering take that long");
            fault(video.b_frames, "B pictures: they add delay, and our decoder shows some inexactly");
        }
        faults.extend(skipped.iter().map(|track| format!("not used: {track}")));
        faults
    }
}

/// `profile_idc` and constraint flags by name (ITU-T H.264 Annex A.2).
const fn profile(profile_idc: u8, constraints: u8) -> &'static str {
    match profile_idc {
        66 if constraints & 0x40 != 0 => "Constrained Baseline",
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4 Predictive",
        _ => "unknown profile",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use amphi_media::ParameterSets;

    fn tally(order: &[i64], sync: impl Fn(i64) -> bool) -> ProbeTally {
        let sets = ParameterSets { sps: Bytes::from_static(&[0x67, 100, 0, 41]), pps: Bytes::new() };
        let format = Arc::new(TrackFormat::H264(sets));
        let mut tally = ProbeTally::default();
        for n in 0..61 {
            let group = n / order.len() as i64 * order.len() as i64;
            let shown = group + order[(n - group) as usize];
            tally.unit(&ArrivedUnit {
                rtp: RtpInstant { ticks: shown * 6000, clock_rate: 90_000 },
                arrival: MediaTime::from_millis(1_795_000_000_000 + n * 200 / 3),
                data: Bytes::from(vec![0; 6250]),
                sync: sync(n),
                lost: u16::from(n == 0),
                format: Arc::clone(&format),
            });
        }
        tally
    }

    #[test]
    fn rates_and_groups_are_measured() {
        let report = tally(&[0], |n| n % 30 == 0).report(&SourceMedia::default(), &[], None);
        let video = report.video.unwrap();
        assert!((video.fps - 15.0).abs() < 0.001);
        assert_eq!((video.bitrate_bps, video.gop_min, video.gop_max), (750_000, Some(30), Some(30)));
        assert_eq!((&*video.codec, &*video.profile, &*video.level), ("avc1.640029", "High", "4.1"));
        assert!(!video.b_frames);
        assert_eq!(report.lost_packets, 0);
    }

    #[test]
    fn reordered_pictures_and_missing_idr_pictures_are_told() {
        let report = tally(&[0, 3, 1, 2], |_| false).report(
            &SourceMedia::default(),
            &["x".into()],
            Some(&SourceFault::Closed),
        );
        assert!(report.video.is_some_and(|video| video.b_frames && video.gop_max.is_none()));
        let faults = report.faults.join("\n");
        for word in [
            "B pictures",
            "no IDR picture",
            "closed the connection",
            "not used: x",
            "sender reports are missing",
        ] {
            assert!(faults.contains(word), "{word} in {faults}");
        }
    }

    #[test]
    fn the_table_is_aligned() {
        let report = tally(&[0], |n| n % 30 == 0).report(&SourceMedia::default(), &[], None);
        insta::assert_snapshot!(report, @r"
        video               H.264 High@4.1 (avc1.640029), 0x0
        pictures            15.00 per second, 61 in all
        GOP                 30 pictures
        B pictures          no
        video bitrate       750 kbit/s
        packets             0 lost, 0 not understood
        sender reports      0 for video, 0 for audio
        arrival jitter      0.7 ms
        fault               no usable sound came: viewers will hear silence
        fault               sender reports are missing: lip-sync rests on RTP-Info or on arrival
        ");
    }
}
