//! The timeline against simulated encoders on a virtual clock.

mod network;

use super::*;
use amphi_media::Slot;

const FPS: u32 = 15;
const MS: i64 = 1_000_000;
const START: i64 = 1_795_000_000_123_456_789;

/// One track of an encoder: its clock's skew and its delay on the way to us.
#[derive(Clone, Copy)]
struct Encoder {
    track: Track,
    clock_rate: u32,
    /// Ticks per frame.
    frame: i64,
    /// RTP time of frame 0.
    first: i64,
    ppm: f64,
    /// From capture to arrival, without jitter.
    latency: i64,
}

impl Encoder {
    fn video() -> Self {
        Self { track: Track::Video, clock_rate: 90_000, frame: 6000, first: 4321, ppm: 0.0, latency: 90 * MS }
    }

    fn audio() -> Self {
        Self { track: Track::Audio, clock_rate: 48_000, frame: 1024, first: 777, ppm: 0.0, latency: 60 * MS }
    }

    fn rtp(&self, n: i64) -> RtpInstant {
        RtpInstant { ticks: self.first + n * self.frame, clock_rate: self.clock_rate }
    }

    /// When frame `n` is captured, on the wall clock.
    fn captured(&self, n: i64) -> i64 {
        let seconds = (n * self.frame) as f64 / f64::from(self.clock_rate) / (1.0 + self.ppm / 1e6);
        START + (seconds * 1e9) as i64
    }

    fn arrival(&self, n: i64) -> i64 {
        self.captured(n) + self.latency
    }

    /// The NTP time of frame `n`, as its sender report says it.
    fn ntp(&self, n: i64) -> u64 {
        let nanos = i128::from(self.captured(n)) + 2_208_988_800 * 1_000_000_000;
        ((nanos << 32) / 1_000_000_000) as u64
    }
}

/// Feeds both encoders' frames in the order of arrival. `frame` gets the encoder, the frame's number, its
/// arrival and its pts.
struct Run {
    timeline: Timeline,
    video: Encoder,
    audio: Encoder,
    next: [i64; 2],
    reports_from: Option<i64>,
}

impl Run {
    fn new(video: Encoder, audio: Encoder) -> Self {
        Self { timeline: Timeline::new(FPS), video, audio, next: [0, 0], reports_from: None }
    }

    fn with_reports(mut self) -> Self {
        self.reports_from = Some(START);
        self
    }

    fn until(&mut self, end: i64, mut frame: impl FnMut(&Encoder, i64, i64, i64)) {
        loop {
            let [v, a] = self.next;
            let video_first = self.video.arrival(v) <= self.audio.arrival(a);
            let (encoder, n) = if video_first { (self.video, v) } else { (self.audio, a) };
            let arrival = encoder.arrival(n);
            if arrival >= end {
                return;
            }
            self.next[usize::from(!video_first)] += 1;
            let pts =
                self.timeline.map(encoder.track, encoder.rtp(n), MediaTime::from_nanos(arrival)).as_nanos();
            let period = 5 * i64::from(encoder.clock_rate) / encoder.frame;
            if n % period == 0 && self.reports_from.is_some_and(|from| arrival >= from) {
                self.timeline.sender_report(encoder.track, encoder.rtp(n), encoder.ntp(n));
            }
            if self.timeline.is_settled() {
                frame(&encoder, n, arrival, pts);
            }
        }
    }
}

/// How late the sound is against the picture, by their captures.
#[derive(Default)]
struct Sync {
    video: Option<i64>,
    audio: Option<i64>,
}

impl Sync {
    fn error(&mut self, encoder: &Encoder, n: i64, pts: i64) -> i64 {
        let delay = Some(pts - encoder.captured(n));
        match encoder.track {
            Track::Video => self.video = delay,
            Track::Audio => self.audio = delay,
        }
        self.audio.zip(self.video).map_or(0, |(audio, video)| audio - video)
    }
}

fn slot(pts: i64) -> i64 {
    Slot::nearest(MediaTime::from_nanos(pts), FPS).0
}

/// Half a slot and the hysteresis: how far pts may be from the earliest arrivals.
const NEAR: i64 = 45 * MS;

fn day_at(ppm: f64, reports: bool) {
    let day = 24 * 3600 * 1_000_000_000;
    let mut run = Run::new(Encoder { ppm, ..Encoder::video() }, Encoder { ppm, ..Encoder::audio() });
    if reports {
        run = run.with_reports();
    }
    let (mut sync, mut last, mut uneven, mut slipped) = (Sync::default(), None, 0, 0);
    run.until(START + day, |encoder, n, arrival, pts| {
        assert!(sync.error(encoder, n, pts).abs() < 40 * MS);
        if encoder.track == Track::Video {
            // The earliest frames are the sound's, 30 ms ahead of the picture.
            assert!((pts - (arrival - 30 * MS)).abs() < NEAR + 10 * MS, "{}", pts - arrival);
            let step = last.map_or(1, |last| slot(pts) - last);
            uneven += i64::from(step != 1);
            slipped += step - 1;
            last = Some(slot(pts));
        }
    });
    let demanded = -(ppm * 1e-6 * 86_400.0 * f64::from(FPS)) as i64;
    assert!((slipped - demanded).abs() <= 1, "{slipped} slots slipped, {demanded} demanded");
    assert_eq!(uneven, slipped.abs(), "no picture hovers between two slots");
    let skew = run.timeline.skew().expect("a day is long enough");
    assert!((skew - ppm).abs() < 3.0, "{skew}");
}

#[test]
fn a_day_of_a_fast_clock() {
    day_at(200.0, true);
}

#[test]
fn a_day_of_a_slow_clock_without_reports() {
    day_at(-200.0, false);
}

#[test]
fn a_day_of_two_clocks() {
    for reports in [true, false] {
        let video = Encoder { ppm: 150.0, ..Encoder::video() };
        let mut run = Run::new(video, Encoder { ppm: -150.0, first: 410, ..Encoder::audio() });
        // Here RTP-Info's zero is one instant for both tracks: 4321/90000 s against 410/48000 s is 39 ms of error.
        if reports {
            run = run.with_reports();
        }
        let (mut sync, mut worst) = (Sync::default(), 0);
        run.until(START + 24 * 3600 * 1_000_000_000, |encoder, n, _, pts| {
            worst = worst.max(sync.error(encoder, n, pts).abs());
        });
        // Without reports the error of the beginning stays, and drift is held within the dead band.
        assert!(worst < if reports { 40 * MS } else { 80 * MS }, "{worst}");
    }
}

#[test]
fn pictures_stand_on_slots_and_sound_moves_with_them() {
    let mut run = Run::new(Encoder::video(), Encoder::audio()).with_reports();
    let mut sync = Sync::default();
    run.until(START + 60_000 * MS, |encoder, n, _, pts| {
        assert!(sync.error(encoder, n, pts).abs() < MS);
        if encoder.track == Track::Video {
            let centre = MediaTime::as_nanos(Slot(slot(pts)).time(FPS));
            assert!((pts - centre).abs() < 1000, "{}", pts - centre);
        }
    });
}

#[test]
fn two_pictures_per_slot_stay_two() {
    let video = Encoder { frame: 3000, ppm: 50.0, ..Encoder::video() };
    let mut run = Run::new(video, Encoder { ppm: 50.0, ..Encoder::audio() });
    let mut pictures = std::collections::BTreeMap::new();
    run.until(START + 600_000 * MS, |encoder, _, _, pts| {
        if encoder.track == Track::Video {
            *pictures.entry(slot(pts)).or_insert(0) += 1;
        }
    });
    let (first, last) = (*pictures.keys().next().unwrap(), *pictures.keys().last().unwrap());
    assert_eq!(last - first + 1, pictures.len() as i64, "no empty slot");
    let odd = pictures.values().filter(|&&count| count != 2).count();
    assert!(odd <= 3, "{odd} slots without exactly two pictures");
}

#[test]
fn a_late_report_corrects_80_ms_smoothly() {
    // By RTP-Info the sound is 80 ms off; the reports come after ten seconds.
    let mut run =
        Run::new(Encoder { first: 0, ..Encoder::video() }, Encoder { first: 3840, ..Encoder::audio() });
    run.reports_from = Some(START + 10_000 * MS);
    let (mut sync, mut before, mut at_start, mut at_end) = (Sync::default(), None, 0, 0);
    run.until(START + 90_000 * MS, |encoder, n, arrival, pts| {
        let error = sync.error(encoder, n, pts);
        if arrival < START + 10_000 * MS {
            at_start = error;
        }
        at_end = error;
        if encoder.track == Track::Audio {
            let delay = pts - encoder.captured(n);
            let step = before.map_or(0, |before: i64| (delay - before).abs());
            assert!(step <= 2 * 2 * MS * 22 / 1000, "a step of {step} ns");
            before = Some(delay);
        }
    });
    assert!((at_start - 80 * MS).abs() < MS, "{at_start}");
    assert!(at_end.abs() < MS, "{at_end}");
    assert!(run.timeline.av_offset().is_some_and(|offset| offset.abs() < MS));
}

#[test]
fn reports_before_the_first_picture_align_at_once() {
    let mut run =
        Run::new(Encoder { first: 0, ..Encoder::video() }, Encoder { first: 3840, ..Encoder::audio() })
            .with_reports();
    let mut sync = Sync::default();
    run.until(START + 20_000 * MS, |encoder, n, _, pts| {
        assert!(sync.error(encoder, n, pts).abs() < MS);
    });
}

#[test]
fn senseless_rtp_info_is_replaced_by_arrival() {
    let video = Encoder { first: 1_000_000_000, ..Encoder::video() };
    let mut run = Run::new(video, Encoder::audio());
    let mut sync = Sync::default();
    run.until(START + 5_000 * MS, |encoder, n, arrival, pts| {
        assert!(sync.error(encoder, n, pts).abs() <= 35 * MS);
        assert!((pts - arrival).abs() < 2 * NEAR);
    });
}

#[test]
fn without_rtp_info_late_sound_is_aligned_by_arrival() {
    // Sound comes two seconds after the picture; each track's first packet is its zero.
    let mut run = Run::new(Encoder { first: 0, ..Encoder::video() }, Encoder::audio());
    run.next[1] = 2 * 48_000 / 1024;
    run.audio.first = -run.next[1] * 1024;
    let mut sync = Sync::default();
    run.until(START + 10_000 * MS, |encoder, n, _, pts| {
        assert!(sync.error(encoder, n, pts).abs() <= 35 * MS);
    });
}

#[test]
fn a_jump_re_anchors_one_track_alone() {
    let hour = 3600 * 90_000;
    for jump in [hour, -hour, 2 * 90_000, -2 * 90_000] {
        for reports in [false, true] {
            let mut run = Run::new(Encoder::video(), Encoder { first: 2304, ..Encoder::audio() });
            if reports {
                run = run.with_reports();
            }
            let (mut sync, mut last) = (Sync::default(), [None; 2]);
            let mut check = |encoder: &Encoder, n: i64, arrival: i64, pts: i64| {
                assert!(sync.error(encoder, n, pts).abs() < 5 * MS);
                assert!((pts - arrival).abs() < 2 * NEAR);
                let last = &mut last[usize::from(encoder.track == Track::Audio)];
                let frame = encoder.frame * 1_000_000_000 / i64::from(encoder.clock_rate);
                let step = last.map_or(frame, |last| pts - last);
                assert!((step - frame).abs() < MS, "{:?} stepped by {step}", encoder.track);
                *last = Some(pts);
            };
            run.until(START + 20_000 * MS, &mut check);
            run.video.first += jump;
            run.until(START + 120_000 * MS, &mut check);
            assert_eq!(run.timeline.jumps(), 1);
        }
    }
}

#[test]
fn the_clock_of_the_picture_is_reset_while_sound_goes_on() {
    let mut run = Run::new(Encoder::video(), Encoder { first: 2304, ..Encoder::audio() });
    run.until(START + 50_000 * MS, |_, _, _, _| {});
    run.video.first -= run.video.rtp(run.next[0]).ticks;
    let mut sync = Sync::default();
    run.until(START + 100_000 * MS, |encoder, n, arrival, pts| {
        assert!(sync.error(encoder, n, pts).abs() < 5 * MS);
        assert!((pts - arrival).abs() < 2 * NEAR);
    });
}

#[test]
fn a_clock_that_stood_still_is_noticed() {
    let mut run = Run::new(Encoder::video(), Encoder::audio());
    run.until(START + 40_000 * MS, |_, _, _, _| {});
    run.video.first -= 5 * 90_000 / 2; // Two and a half seconds that RTP time does not count.
    run.until(START + 43_000 * MS, |_, _, _, _| {});
    run.until(START + 60_000 * MS, |_, _, arrival, pts| assert!((pts - arrival).abs() < 3 * NEAR));
}
