//! Helpers that make and measure sound, and the tests of the lane as a whole.

mod kinds;
mod lattice;
mod sound;

use std::sync::Arc;

use bytes::Bytes;

use super::decoder::AudioDecoder;
use super::*;
use amphi_media::{AAC_FRAME_SAMPLES, AudioFormat, AudioSpecificConfig, Timescale};
use amphi_sound::AacEncoder;

const FRAME: usize = AAC_FRAME_SAMPLES as usize;
/// Noon of a lecture day, in nanoseconds.
const NOON: i64 = 1_795_000_000_000_000_000;

pub(super) const STEREO_48: AudioTrack = track(48_000, 2, 96_000);

const fn track(sample_rate: u32, channels: u8, bitrate_bps: u32) -> AudioTrack {
    AudioTrack { format: AudioFormat { sample_rate, channels }, bitrate_bps }
}

/// Codes `sound`, a function of the sample number, in `format`: `count` access units, of which unit *i*
/// decodes to the samples from i·1024 on.
pub(super) fn coded(format: AudioFormat, count: usize, sound: impl Fn(usize) -> f64) -> Vec<Bytes> {
    let mut encoder =
        AacEncoder::new(AudioTrack { format, bitrate_bps: 64_000 * u32::from(format.channels) })
            .expect("a usual format");
    let mut units = Vec::new();
    for block in 0.. {
        let samples = (0..FRAME).flat_map(|i| {
            let sample = (sound(block * FRAME + i) * 32_000.0) as i16;
            std::iter::repeat_n(sample, usize::from(format.channels))
        });
        units.extend(encoder.encode(&samples.collect::<Vec<_>>()).expect("good samples"));
        if units.len() == count {
            break;
        }
    }
    units
}

/// Unit `i` of a stream in `format` that begins at `start`.
pub(super) fn unit(format: AudioFormat, start: MediaTime, i: usize, data: &Bytes) -> SourceFrame {
    let ticks = (i * FRAME) as i64;
    let late = MediaTime::from_ticks(ticks, Timescale(format.sample_rate)).as_nanos();
    SourceFrame {
        pts: start.offset_nanos(late),
        data: data.clone(),
        sync: true,
        format: Arc::new(TrackFormat::Aac(AudioSpecificConfig::lc(format))),
    }
}

/// The first channel of a cell, decoded after `before` (whose end rings into it).
pub(super) fn decoded<'a>(format: AudioFormat, units: impl IntoIterator<Item = &'a Bytes>) -> Vec<f64> {
    let pcm = heard(&TrackFormat::Aac(AudioSpecificConfig::lc(format)), format.channels, units);
    pcm.chunks(usize::from(format.channels)).map(|samples| f64::from(samples[0])).collect()
}

/// Units decoded to so many channels, interleaved, without the decoder's delay.
pub(super) fn heard<'a>(
    format: &TrackFormat,
    channels: u8,
    units: impl IntoIterator<Item = &'a Bytes>,
) -> Vec<f32> {
    let mut decoder = AudioDecoder::new(format).expect("a usual format");
    let mut pcm = Vec::new();
    for unit in units {
        decoder.decode(unit).expect("a good unit");
        decoder.copy_to(channels, &mut pcm);
    }
    let delay = decoder.delay() * usize::from(channels);
    pcm.extend(std::iter::repeat_n(0.0, delay));
    pcm.drain(..delay);
    pcm
}

/// The lattice frame that covers `time`.
pub(super) fn frame_at(time: MediaTime, sample_rate: u32) -> i64 {
    time.to_ticks(Timescale(sample_rate)).div_euclid(FRAME as i64)
}

/// Amplitude of the part of `samples` at `hertz` (Goertzel).
pub(super) fn amplitude(samples: &[f64], hertz: f64, sample_rate: u32) -> f64 {
    let step = 2.0 * std::f64::consts::PI * hertz / f64::from(sample_rate);
    let (mut one, mut two) = (0.0, 0.0);
    for sample in samples {
        (one, two) = (sample + 2.0 * step.cos() * one - two, one);
    }
    let power = one * one + two * two - 2.0 * step.cos() * one * two;
    2.0 * power.sqrt() / samples.len() as f64
}

/// A tone of amplitude one half.
pub(super) fn tone(hertz: f64, sample_rate: u32) -> impl Fn(usize) -> f64 {
    move |i| 0.5 * (2.0 * std::f64::consts::PI * hertz * i as f64 / f64::from(sample_rate)).sin()
}
