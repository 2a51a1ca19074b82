//! Real samples in our boxes, checked with ffmpeg.

use std::process::Command;

use bytes::{Bytes, BytesMut};

use super::{init_section, segment};
use amphi_media::h264::{self, NAL_PPS, NAL_SPS};
use amphi_media::{
    AudioFormat, AudioTrack, CellIndex, Grid, MediaTime, ParameterSets, Parts, PictureSize, RungTracks,
    SampleEntry, TrackCell, VIDEO_TIMESCALE, VideoTrack,
};

const FPS: u32 = 15;
const RATE: u32 = 48_000;

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn track(start: i64, samples: &[Vec<u8>], duration: u32, sync: impl Fn(&[u8]) -> bool) -> TrackCell {
    let entries = samples.iter().map(|s| SampleEntry { size: s.len() as u32, duration, sync: sync(s) });
    TrackCell { start, samples: entries.collect(), data: samples.concat().into() }
}

/// Pictures of one slice, so that each slice is an access unit.
fn coded_video(start: MediaTime) -> (ParameterSets, TrackCell) {
    let stream = run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=320x240:rate=15",
            "-t",
            "2",
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-bf",
            "0",
            "-g",
            "30",
            "-f",
            "h264",
            "-",
        ],
    );
    let mut sets = ParameterSets { sps: Bytes::new(), pps: Bytes::new() };
    let mut samples = Vec::new();
    for nal in h264::annex_b_nals(&stream) {
        match h264::nal_type(nal) {
            NAL_SPS => sets.sps = Bytes::copy_from_slice(nal),
            NAL_PPS => sets.pps = Bytes::copy_from_slice(nal),
            1 | 5 => {
                let mut sample = BytesMut::new();
                h264::push_sample_nal(&mut sample, nal);
                samples.push(sample.to_vec());
            }
            _ => {}
        }
    }
    let sync = |sample: &[u8]| h264::sample_nals(sample).any(|nal| h264::nal_type(nal) == h264::NAL_IDR);
    let duration = VIDEO_TIMESCALE.0 / FPS;
    (sets, track(start.to_ticks(VIDEO_TIMESCALE), &samples, duration, sync))
}

/// ADTS frames without their 7-byte headers (ISO/IEC 13818-7 §6.2).
fn coded_audio(first_frame: i64) -> TrackCell {
    let stream = run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "sine=r=48000:d=2",
            "-ac",
            "2",
            "-c:a",
            "aac",
            "-f",
            "adts",
            "-",
        ],
    );
    let mut samples = Vec::new();
    let mut rest = &stream[..];
    while let [_, _, _, a, b, c, ..] = rest {
        let length = usize::from(a & 3) << 11 | usize::from(*b) << 3 | usize::from(*c) >> 5;
        let (frame, tail) = rest.split_at(length);
        samples.push(frame[7..].to_vec());
        rest = tail;
    }
    track(first_frame * 1024, &samples, 1024, |_| true)
}

#[test]
#[ignore = "needs ffmpeg"]
fn ffprobe_reads_an_initialization_section_and_a_segment() {
    let (grid, k) = (Grid::new(2000), CellIndex(897_500_000));
    let (parameter_sets, video) = coded_video(grid.start(k));
    let audio = coded_audio(grid.first_audio_frame(k, RATE));
    let tracks = RungTracks {
        name: "240p".to_owned(),
        video: Some(VideoTrack {
            size: PictureSize { width: 320, height: 240 },
            fps: FPS,
            bitrate_bps: 300_000,
            parameter_sets,
        }),
        video_index: Some(0),
        audio: AudioTrack { format: AudioFormat { sample_rate: RATE, channels: 2 }, bitrate_bps: 96_000 },
    };
    let mut bytes = init_section(&tracks, Parts::All).expect("a valid rung").to_vec();
    bytes.extend(segment(k, Some(&video), Some(&audio)).pieces().concat());
    let file = tempfile::NamedTempFile::with_suffix(".mp4").expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("room for it");
    let path = file.path().to_str().expect("a plain path");

    let probe = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=codec_name,profile,width,start_pts,time_base,nb_read_frames",
            "-of",
            "json",
            path,
        ],
    );
    let probe: serde_json::Value = serde_json::from_slice(&probe).expect("JSON");
    let [picture, sound] = [&probe["streams"][0], &probe["streams"][1]];
    assert_eq!((&picture["codec_name"], &picture["width"]), (&"h264".into(), &320.into()), "{probe}");
    assert_eq!((&picture["time_base"], &picture["start_pts"]), (&"1/90000".into(), &video.start.into()));
    assert_eq!(picture["nb_read_frames"], "30");
    assert_eq!((&sound["codec_name"], &sound["profile"]), (&"aac".into(), &"LC".into()), "{probe}");
    assert_eq!((&sound["time_base"], &sound["start_pts"]), (&"1/48000".into(), &audio.start.into()));
    assert_eq!(sound["nb_read_frames"], audio.samples.len().to_string());

    let complaints = Command::new("ffmpeg").args(["-v", "warning", "-i", path, "-f", "null", "-"]).output();
    let complaints = complaints.expect("ffmpeg is installed").stderr;
    assert!(complaints.is_empty(), "{}", String::from_utf8_lossy(&complaints));
}
