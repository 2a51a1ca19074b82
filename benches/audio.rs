//! What sound costs a live source: a frame that is passed through, and a second that is transcoded.

#![expect(clippy::expect_used, reason = "a bench stops at the first fault")]

use std::hint::black_box;
use std::sync::Arc;

use amphi::ladder::audio::{AudioLane, loop_frames};
use amphi::media::{
    AudioFormat, AudioSpecificConfig, AudioTrack, MediaTime, SourceFrame, Timescale, TrackFormat,
};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const TARGET: AudioTrack =
    AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 };
const NOON: MediaTime = MediaTime::from_millis(1_795_000_000_000);

/// Access units of noise, the most expensive sound to code.
fn noise(format: AudioFormat, count: usize) -> Vec<Bytes> {
    let encoder = fdk_aac::enc::Encoder::new(fdk_aac::enc::EncoderParams {
        bit_rate: fdk_aac::enc::BitRate::Cbr(64_000),
        sample_rate: format.sample_rate,
        transport: fdk_aac::enc::Transport::Raw,
        channels: if format.channels == 1 {
            fdk_aac::enc::ChannelMode::Mono
        } else {
            fdk_aac::enc::ChannelMode::Stereo
        },
        audio_object_type: fdk_aac::enc::AudioObjectType::Mpeg4LowComplexity,
    })
    .expect("a usual format");
    let mut random = fastrand::Rng::with_seed(1);
    let mut out = [0; 2048];
    (0..count)
        .map(|_| {
            let block: Vec<i16> =
                (0..1024 * usize::from(format.channels)).map(|_| random.i16(-8000..8000)).collect();
            let done = encoder.encode(&block, &mut out).expect("good samples");
            Bytes::copy_from_slice(&out[..done.output_size])
        })
        .collect()
}

fn frame(format: &Arc<TrackFormat>, rate: u32, i: i64, data: &Bytes) -> SourceFrame {
    let pts = NOON.offset_nanos(MediaTime::from_ticks(i * 1024, Timescale(rate)).as_nanos());
    SourceFrame { pts, data: data.clone(), sync: true, format: format.clone() }
}

fn pass_through(c: &mut Criterion) {
    let units = noise(TARGET.format, 64);
    let format = Arc::new(TrackFormat::Aac(AudioSpecificConfig::lc(TARGET.format)));
    let mut lane = AudioLane::new(TARGET).expect("a usual format");
    let (mut i, mut taken) = (0_i64, NOON.to_ticks(Timescale(48_000)) / 1024);
    let mut group = c.benchmark_group("audio");
    group.throughput(Throughput::Elements(1));
    group.bench_function("pass_through_frame", |b| {
        b.iter(|| {
            lane.push(&frame(&format, 48_000, i, &units[i as usize % units.len()])).expect("a good unit");
            i += 1;
            let covered = lane.covered_until().unwrap_or(taken);
            if covered - taken >= 94 {
                black_box(lane.take(taken..covered));
                taken = covered;
            }
        });
    });
    group.finish();
}

fn transcode(c: &mut Criterion) {
    let mut group = c.benchmark_group("audio");
    for (name, rate, channels) in [
        ("transcode_second_44k1_mono", 44_100, 1),
        ("transcode_second_48k_mono", 48_000, 1),
        ("transcode_second_44k1_stereo", 44_100, 2),
    ] {
        let source = AudioFormat { sample_rate: rate, channels };
        let units = noise(source, 64);
        let format = Arc::new(TrackFormat::Aac(AudioSpecificConfig::lc(source)));
        let mut lane = AudioLane::new(TARGET).expect("a usual format");
        let (mut i, mut second) = (0_i64, 0_i64);
        group.bench_function(name, |b| {
            b.iter(|| {
                second += i64::from(rate);
                while i * 1024 < second {
                    lane.push(&frame(&format, rate, i, &units[i as usize % units.len()]))
                        .expect("a good unit");
                    i += 1;
                }
                let covered = lane.covered_until().unwrap_or(0);
                black_box(lane.take(covered - 47..covered))
            });
        });
    }
    group.finish();
}

fn clip(c: &mut Criterion) {
    let source = AudioFormat { sample_rate: 44_100, channels: 2 };
    let units = noise(source, 44 * 10);
    let config = AudioSpecificConfig::lc(source);
    let mut group = c.benchmark_group("audio");
    group.sample_size(10);
    group.bench_function("loop_of_ten_seconds", |b| {
        b.iter(|| loop_frames(TARGET, config, black_box(&units), 469).expect("frames"));
    });
    group.finish();
}

criterion_group!(benches, pass_through, transcode, clip);
criterion_main!(benches);
