//! What is heard: alignment, pitch, level, silence.

use super::*;
use amphi_media::SampleEntry;

/// A short beep in a quiet room, `at` samples from the beginning.
fn beep(at: usize, sample_rate: u32) -> impl Fn(usize) -> f64 {
    let length = sample_rate as usize / 50;
    let tone = tone(2000.0, sample_rate);
    move |i| if (at..at + length).contains(&i) { 1.8 * tone(i) } else { 0.0 }
}

/// Where the beep lies in `samples`: the centre of its energy, in seconds.
fn centre(samples: &[f64], sample_rate: u32) -> f64 {
    let energy: f64 = samples.iter().map(|sample| sample * sample).sum();
    let moment: f64 = samples.iter().enumerate().map(|(i, sample)| i as f64 * sample * sample).sum();
    moment / energy / f64::from(sample_rate)
}

/// Sends a beep through a lane and says by how many seconds it comes out later than it should.
fn beep_error(from: AudioFormat, target: AudioTrack, start: MediaTime) -> f64 {
    let mut lane = AudioLane::new(target).expect("a usual format");
    let at = from.sample_rate as usize;
    for (i, data) in coded(from, 130, beep(at, from.sample_rate)).iter().enumerate() {
        lane.push(&unit(from, start, i, data)).expect("a good unit");
    }
    let rate = target.format.sample_rate;
    let first = frame_at(start, rate);
    let last = lane.covered_until().expect("units were pushed");
    let cell = lane.take(first..last);
    let samples = decoded(target.format, &cell.sample_bytes().collect::<Vec<_>>());
    let heard = centre(&samples, rate);
    let cell_start = MediaTime::from_ticks(cell.start, Timescale(rate));
    let expected = 1.0 + 0.01 + start.nanos_since(cell_start) as f64 / 1e9;
    heard - expected
}

#[test]
fn a_beep_is_heard_when_it_was_made() {
    for (rate, channels) in [(44_100, 1), (44_100, 2), (48_000, 1), (32_000, 2), (24_000, 1), (16_000, 1)] {
        for offset in [0, 3_333_333, 17_000_001] {
            let from = AudioFormat { sample_rate: rate, channels };
            let error = beep_error(from, STEREO_48, MediaTime::from_nanos(NOON + offset));
            assert!(error.abs() < 0.0005, "{from:?} at +{offset} ns: {error} s");
        }
    }
    let from = AudioFormat { sample_rate: 48_000, channels: 2 };
    let error = beep_error(from, track(44_100, 1, 64_000), MediaTime::from_nanos(NOON + 5_000_000));
    assert!(error.abs() < 0.0005, "{error} s");
}

#[test]
fn a_beep_passes_through_within_half_a_frame_and_to_the_sample_on_the_lattice() {
    let frame_s = FRAME as f64 / 48_000.0;
    let n = frame_at(MediaTime::from_nanos(NOON), 48_000);
    let start = MediaTime::from_ticks(n * FRAME as i64, Timescale(48_000));
    let error = beep_error(STEREO_48.format, STEREO_48, start);
    assert!(error.abs() < 0.0005, "{error} s");
    for part in [0.2, 0.45, 0.7] {
        let error =
            beep_error(STEREO_48.format, STEREO_48, start.offset_nanos((part * frame_s * 1e9) as i64));
        assert!(error.abs() <= frame_s / 2.0 + 0.0005, "{error} s");
    }
}

#[test]
fn pitch_and_level_survive_the_change_of_rate_and_channels() {
    let from = AudioFormat { sample_rate: 44_100, channels: 1 };
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
    let start = MediaTime::from_nanos(NOON);
    for (i, data) in coded(from, 150, tone(1000.0, 44_100)).iter().enumerate() {
        lane.push(&unit(from, start, i, data)).expect("a good unit");
    }
    let first = frame_at(start, 48_000) + 20;
    let cell = lane.take(first..first + 100);
    let units: Vec<_> = cell.sample_bytes().collect();
    let pcm = heard(&TrackFormat::Aac(AudioSpecificConfig::lc(STEREO_48.format)), 2, &units);
    for channel in 0..2 {
        let samples: Vec<f64> =
            pcm.iter().skip(channel).step_by(2).skip(4800).take(48_000).map(|&s| f64::from(s)).collect();
        let level = amplitude(&samples, 1000.0, 48_000);
        assert!((level / 0.488 - 1.0).abs() < 0.03, "channel {channel}: {level}");
        let crossings = samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        assert!((999..=1001).contains(&crossings), "{crossings}");
    }
    assert_eq!(lane.counts().silent, 0);
}

#[test]
fn stereo_becomes_mono_at_the_same_level() {
    let mut lane = AudioLane::new(track(48_000, 1, 64_000)).expect("a usual format");
    let start = MediaTime::from_nanos(NOON);
    for (i, data) in coded(STEREO_48.format, 100, tone(1000.0, 48_000)).iter().enumerate() {
        lane.push(&unit(STEREO_48.format, start, i, data)).expect("a good unit");
    }
    let first = frame_at(start, 48_000) + 20;
    let cell = lane.take(first..first + 60);
    let samples =
        decoded(AudioFormat { sample_rate: 48_000, channels: 1 }, &cell.sample_bytes().collect::<Vec<_>>());
    let level = amplitude(&samples[4800..52_800], 1000.0, 48_000);
    assert!((level / 0.488 - 1.0).abs() < 0.03, "{level}");
}

#[test]
fn silence_is_silent_however_often_it_is_repeated() {
    for target in [STEREO_48, track(44_100, 1, 64_000), track(48_000, 1, 48_000), track(32_000, 2, 64_000)] {
        let unit = silence(target).expect("a usual format");
        let samples = decoded(target.format, std::iter::repeat_n(&unit, 100));
        assert!(samples.iter().all(|&sample| sample == 0.0), "{target:?}");
        println!("{target:?}: {} bytes", unit.len());
    }
}

#[test]
fn a_lane_that_nobody_pushes_to_is_silent() {
    let mut lane = AudioLane::new(STEREO_48).expect("a usual format");
    assert_eq!(lane.covered_until(), None);
    let cell = lane.take(84_140_625_000..84_140_625_094);
    assert_eq!(cell.duration(), 94 * 1024);
    let samples = decoded(STEREO_48.format, &cell.sample_bytes().collect::<Vec<_>>());
    assert!(samples.iter().all(|&sample| sample == 0.0));
    assert_eq!(lane.counts().silent, 94);
}

#[test]
fn a_clip_in_the_ladders_format_is_used_as_it_is() {
    let units = coded(STEREO_48.format, 10, tone(440.0, 48_000));
    let config = AudioSpecificConfig::lc(STEREO_48.format);
    assert_eq!(loop_frames(STEREO_48, config, &units, 7).expect("frames"), units[..7]);
    let padded = loop_frames(STEREO_48, config, &units, 12).expect("frames");
    assert_eq!(padded[..10], units);
    assert_eq!(padded[10..], vec![silence(STEREO_48).expect("silence"); 2]);
}

#[test]
fn a_clip_in_another_format_is_aligned_cut_and_padded() {
    let from = AudioFormat { sample_rate: 44_100, channels: 1 };
    let config = AudioSpecificConfig::lc(from);
    let clip = coded(from, 100, beep(44_100, 44_100));
    let frames = loop_frames(STEREO_48, config, &clip, 100).expect("frames");
    assert_eq!(frames.len(), 100);
    let heard = centre(&decoded(STEREO_48.format, &frames), 48_000);
    assert!((heard - 1.01).abs() < 0.0005, "{heard}");

    let short = loop_frames(STEREO_48, config, &clip[..10], 50).expect("frames");
    let samples = decoded(STEREO_48.format, &short);
    assert!(samples[20 * FRAME..].iter().all(|sample| sample.abs() < 0.001));
    assert!(loop_frames(STEREO_48, config, &[], 3).expect("frames").len() == 3);
    assert!(loop_frames(STEREO_48, config, &clip, 0).expect("frames").is_empty());
}

/// The largest sample, and the largest step from one sample to the next, of decoded frames.
fn peak_and_step(frames: &[Bytes]) -> (f32, f32) {
    let pcm = heard(&TrackFormat::Aac(AudioSpecificConfig::lc(STEREO_48.format)), 1, frames);
    let steps = pcm.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    (pcm.iter().fold(0.0, |peak, sample| peak.max(sample.abs())), steps.fold(0.0, f32::max))
}

#[test]
fn a_seam_between_two_encoders_is_no_louder_than_the_programme() {
    for (before, after) in [(220.0, 3_000.0), (440.0, 441.0), (1000.0, 50.0)] {
        let one = coded(STEREO_48.format, 60, tone(before, 48_000));
        let other = coded(STEREO_48.format, 60, tone(after, 48_000));
        let (one, other) = (&one[2..30], &other[30..58]);
        let programme: Vec<_> = [one, other].map(peak_and_step).to_vec();
        let (peak, step) =
            programme.iter().fold((0.0_f32, 0.0_f32), |max, it| (max.0.max(it.0), max.1.max(it.1)));
        let samples =
            other.iter().map(|frame| SampleEntry { size: frame.len() as u32, duration: 1024, sync: true });
        let cell = TrackCell { start: 0, data: other.concat().into(), samples: samples.collect() };
        let joined = joined(&cell, &silence(STEREO_48).expect("a usual format"));
        assert_eq!((joined.start, joined.samples.len()), (0, other.len()));
        let frames: Vec<Bytes> = one.iter().cloned().chain(joined.sample_bytes()).collect();
        let (seam_peak, seam_step) = peak_and_step(&frames);
        // One decibel: coding alone moves peaks by half of that. Without the silent frame it is up to four.
        assert!(
            seam_peak < peak * 1.12 && seam_step < step * 1.12,
            "{before} Hz to {after} Hz: {seam_peak} of {peak}"
        );
    }
}
