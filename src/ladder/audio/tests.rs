//! The lane against sound made here: where a beep lands, what is missing, what is too much.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::media::{AudioFormat, Timescale};

const STEREO: AudioTrack =
    AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 };
const MONO: AudioTrack =
    AudioTrack { format: AudioFormat { sample_rate: 44_100, channels: 1 }, bitrate_bps: 64_000 };
const EPOCH: i64 = 1_800_000_000;

/// `seconds` of sound coded in `track`, beginning at `EPOCH`, by the function of time in seconds.
fn coded(track: AudioTrack, seconds: f64, sound: impl Fn(f64) -> f32) -> Vec<SourceFrame> {
    let rate = f64::from(track.format.sample_rate);
    let pcm: Vec<f32> = (0..(seconds * rate) as usize)
        .flat_map(|index| vec![sound(index as f64 / rate); usize::from(track.format.channels)])
        .collect();
    let mut coder = Coder::new(track).expect("a coder");
    let mut out = Vec::new();
    let begin = MediaTime::from_millis(EPOCH * 1000);
    coder.push(begin, &pcm, 0, &mut out).expect("coded");
    let format = Arc::new(TrackFormat::Aac(AudioSpecificConfig::lc(track.format)));
    let frame = |(n, data): (i64, Bytes)| SourceFrame {
        pts: MediaTime::from_ticks(n * 1024, Timescale(track.format.sample_rate)),
        data,
        sync: true,
        format: Arc::clone(&format),
    };
    out.into_iter().map(frame).collect()
}

/// Decodes a cell to the first channel's samples.
fn decoded(cell: &TrackCell, track: AudioTrack) -> Vec<f32> {
    let config = AudioSpecificConfig::lc(track.format);
    let mut decoder = PcmDecoder::new(config, track.format).expect("a decoder");
    let mut out = Vec::new();
    for bytes in cell.sample_bytes() {
        let pcm = decoder.decode(&bytes).expect("decodable");
        out.extend(pcm.iter().step_by(usize::from(track.format.channels)));
    }
    out
}

fn beep(t: f64) -> f32 {
    if (1.0..1.1).contains(&t) { (t * 1000.0 * std::f64::consts::TAU).sin() as f32 * 0.5 } else { 0.0 }
}

/// Seconds after `EPOCH` at which the cell's sound first gets loud.
fn onset(cell: &TrackCell, track: AudioTrack) -> f64 {
    let samples = decoded(cell, track);
    let at = samples.iter().position(|sample| sample.abs() > 0.2).expect("a beep");
    let rate = i64::from(track.format.sample_rate);
    (cell.start + at as i64 - EPOCH * rate) as f64 / rate as f64
}

fn two_seconds(target: AudioTrack) -> Range<i64> {
    let first = (EPOCH * i64::from(target.format.sample_rate)) / 1024 + 3;
    first..first + i64::from(target.format.sample_rate) * 2 / 1024 - 8
}

#[test]
fn a_beep_stays_where_it_was_through_both_paths() {
    for source in [STEREO, MONO] {
        let mut lane = AudioLane::new(STEREO).expect("a lane");
        for frame in coded(source, 2.5, beep) {
            lane.push(&frame).expect("good sound");
        }
        let cell = lane.take(two_seconds(STEREO));
        let error = onset(&cell, STEREO) - 1.0;
        // Passing through costs up to half a frame of the lattice; coding anew costs less than a millisecond.
        let allowed = if source == STEREO { 0.011 } else { 0.001 };
        assert!(error.abs() < allowed, "{source:?}: {error} s");
    }
}

#[test]
fn pitch_and_level_survive_resampling() {
    let mut lane = AudioLane::new(STEREO).expect("a lane");
    for frame in coded(MONO, 2.5, |t| (t * 440.0 * std::f64::consts::TAU).sin() as f32 * 0.5) {
        lane.push(&frame).expect("good sound");
    }
    let samples = decoded(&lane.take(two_seconds(STEREO)), STEREO);
    let middle = &samples[10_000..58_000];
    let crossings = middle.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    assert!((439..=441).contains(&crossings), "{crossings} Hz");
    let peak = middle.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!((0.45..0.55).contains(&peak), "peak {peak}");
}

#[test]
fn no_sound_is_silence() {
    let mut lane = AudioLane::new(STEREO).expect("a lane");
    assert_eq!(lane.covered_until(), None);
    let samples = decoded(&lane.take(1000..1050), STEREO);
    assert!(samples.iter().all(|sample| sample.abs() < 1e-4));
}

#[test]
fn garbage_leaves_the_lane_going() {
    let mut lane = AudioLane::new(STEREO).expect("a lane");
    for (index, mut frame) in coded(MONO, 2.5, beep).into_iter().enumerate() {
        if index % 5 == 0 {
            frame.data = Bytes::from_static(&[0xff; 7]);
        }
        let _ = lane.push(&frame);
    }
    let range = two_seconds(STEREO);
    assert_eq!(lane.take(range.clone()).samples.len() as i64, range.end - range.start);
}

#[test]
fn a_change_of_format_goes_on_on_the_lattice() {
    let mut lane = AudioLane::new(STEREO).expect("a lane");
    for frame in coded(STEREO, 1.0, beep).into_iter().chain(coded(MONO, 2.5, beep).into_iter().skip(40)) {
        lane.push(&frame).expect("good sound");
    }
    let error = onset(&lane.take(two_seconds(STEREO)), STEREO) - 1.0;
    assert!(error.abs() < 0.2, "the beep's start may fall into the change: {error}");
}

#[test]
fn unusable_sound_is_refused_once() {
    let surround = AudioSpecificConfig {
        channels: 6,
        ..AudioSpecificConfig::lc(AudioFormat { sample_rate: 48_000, channels: 6 })
    };
    let mut frame = coded(STEREO, 0.5, beep).remove(0);
    frame.format = Arc::new(TrackFormat::Aac(surround));
    let mut lane = AudioLane::new(STEREO).expect("a lane");
    assert!(matches!(lane.push(&frame), Err(AudioError::Unsupported(config)) if config == surround));
    assert!(lane.push(&frame).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_lattice_is_followed_through_jitter_and_skew(
        jitter_ms in prop::collection::vec(-20..20_i64, 3000), ppm in -300..300_i64,
    ) {
        let mut pass = pass::PassThrough::new(48_000);
        let mut last = None;
        for (index, jitter) in jitter_ms.iter().enumerate() {
            let samples = EPOCH * 48_000 + index as i64 * 1024 * (1_000_000 + ppm) / 1_000_000;
            let pts = MediaTime::from_ticks(samples, Timescale(48_000));
            if let Some(n) = pass.place(pts.offset_nanos(jitter * 1_000_000)) {
                prop_assert!(last.is_none_or(|last| n > last), "frames rise");
                prop_assert!((n * 1024 - samples).abs() <= 2 * 1024 + 960, "within two frames");
                last = Some(n);
            }
        }
    }

    #[test]
    fn any_ranges_in_a_row_are_whole(counts in prop::collection::vec(0..100_i64, 1..10)) {
        let mut lane = AudioLane::new(STEREO).expect("a lane");
        for frame in coded(STEREO, 1.0, beep) {
            lane.push(&frame).expect("good sound");
        }
        let mut at = EPOCH * 48_000 / 1024 - 20;
        for count in counts {
            let cell = lane.take(at..at + count);
            prop_assert_eq!(cell.samples.len() as i64, count);
            prop_assert_eq!(cell.start, at * 1024);
            let bytes: u64 = cell.samples.iter().map(|sample| u64::from(sample.size)).sum();
            prop_assert_eq!(bytes, cell.data.len() as u64);
            at += count;
        }
    }
}
