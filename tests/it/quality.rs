//! What comes out compared with what went in: the picture, the bit rate, and lip sync.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::gstreamer::GstServer;
use crate::judge::probe;
use crate::material::{clip, ffmpeg, fixture};
use crate::server::{Server, eventually};
use crate::sources::one_hall;
use crate::stream::{Collected, collect};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
/// Pictures in a hall's loop, numbered by its strip.
const LOOP: usize = 300;

/// The least PSNR of the luma, in dB, and the bit rate at which it is asked for, in bit/s.
const LEAST_PSNR: f64 = 37.0;
const RATE: f64 = 750_000.0;
const RATE_TOLERANCE: f64 = 0.08;

/// Hall A with slides that change in mid-cell, and beside them a film that always moves, as a speaker's camera does;
/// one loop of 20 s, coded as an SMP 351 would, five times over.
fn busy_lecture() -> PathBuf {
    let hall = fixture("hall_a.mp4");
    let film = "[1:v]noise=alls=5:allf=t[film];[0:v][film]overlay=x=860:y=320,format=yuv420p";
    let smp = "-t 20 -r 15 -c:v libx264 -preset medium -profile:v high -level 4.1 -b:v 750k -maxrate 750k \
               -bufsize 1500k -g 30 -bf 0 -c:a copy -bitexact";
    let input = ["-i", hall.to_str().expect("UTF-8"), "-f", "lavfi", "-i", "mandelbrot=size=400x300:rate=15"];
    let smp: Vec<_> = smp.split_whitespace().collect();
    let once = clip("busy_once.mp4", &[&input[..], &["-filter_complex", film], &smp].concat());
    let once = once.to_str().expect("UTF-8");
    clip("busy.mp4", &["-stream_loop", "4", "-i", once, "-c", "copy"])
}

/// The luma plane of every picture.
fn luma(path: &Path, options: &[&str]) -> Vec<u8> {
    let path = path.to_str().expect("UTF-8");
    let raw = ["-an", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"];
    let yuv = ffmpeg(&[&["-i", path], options, &raw].concat());
    let pictures = yuv.chunks_exact(WIDTH * HEIGHT * 3 / 2);
    pictures.flat_map(|picture| &picture[..WIDTH * HEIGHT]).copied().collect()
}

/// The number that the ten blocks at the top left encode.
fn number_of(picture: &[u8]) -> usize {
    (0..10).fold(0, |number, bit| number << 1 | usize::from(picture[16 * WIDTH + bit * 32 + 16] > 128))
}

fn squared_error(one: &[u8], other: &[u8]) -> f64 {
    let sum: u64 = one.iter().zip(other).map(|(&one, &other)| u64::from(one.abs_diff(other)).pow(2)).sum();
    sum as f64
}

fn written(collected: &Collected) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".mp4").expect("a file");
    std::fs::write(file.path(), collected.whole()).expect("written");
    file
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn pictures_come_out_as_they_went_in() {
    let sent = busy_lecture();
    let hall = GstServer::start(&sent, &[]);
    let server = Server::run(&one_hall(&hall.url("")));
    eventually("the hall is on air", || server.on_air("Live").as_deref() == Some("hall"));
    // The first cell may have begun before the hall.
    let collected = collect_live(&server, "720p", 10);

    let before = luma(&sent, &["-t", "20"]);
    let after = luma(written(&collected).path(), &[]);
    let before: Vec<_> = before.chunks_exact(WIDTH * HEIGHT).collect();
    assert_eq!(before.len(), LOOP);
    let after: Vec<_> = after.chunks_exact(WIDTH * HEIGHT).collect();
    let error: f64 = after
        .iter()
        .map(|picture| squared_error(picture, before.get(number_of(picture)).expect("a number of the loop")))
        .sum();
    let mean = error / (after.len() * WIDTH * HEIGHT) as f64;
    let psnr = 10.0 * (255.0 * 255.0 / mean).log10();

    let report = probe(&collected.whole());
    let size = |packet: &Value| packet["size"].as_str().and_then(|size| size.parse::<u64>().ok());
    let packets = report["packets"].as_array().expect("packets");
    let bytes: u64 = packets.iter().filter(|packet| packet["codec_type"] == "video").filter_map(size).sum();
    let rate = bytes as f64 * 8.0 / (collected.segments.len() as f64 * 2.0);
    println!("PSNR-Y {psnr:.2} dB at {rate:.0} bit/s over {} pictures", after.len());
    assert!(psnr >= LEAST_PSNR, "PSNR-Y {psnr:.2} dB");
    assert!((rate / RATE - 1.0).abs() <= RATE_TOLERANCE, "{rate:.0} bit/s");

    let numbers: Vec<_> = after.iter().map(|picture| number_of(picture)).collect();
    let steps = numbers.windows(2).map(|pair| (pair[1] + LOOP - pair[0]) % LOOP);
    let wrong = steps.filter(|&step| step != 1).count();
    assert!(wrong <= 2, "pictures are repeated or left out: {numbers:?}");
}

/// The next segments that are live from their first picture on.
fn collect_live(server: &Server, rung: &str, count: usize) -> Collected {
    let mut collected = collect(server.http, "Live", rung, count + 8);
    while collected.segments.len() > count {
        collected.segments.pop_first();
    }
    collected
}

/// When the flash of each cell begins, in seconds of media time.
fn flashes(path: &Path) -> Vec<f64> {
    let path = path.to_str().expect("UTF-8");
    let raw = ffmpeg(&[
        "-i",
        path,
        "-an",
        "-vf",
        "scale=2:2:flags=area",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-",
    ]);
    let bright: Vec<bool> = raw.chunks_exact(4).map(|picture| picture[0] > 128).collect();
    (1..bright.len()).filter(|&n| bright[n] && !bright[n - 1]).map(|n| n as f64 / 15.0).collect()
}

/// When each beep begins, in seconds of media time.
fn beeps(path: &Path) -> Vec<f64> {
    let path = path.to_str().expect("UTF-8");
    let raw = ffmpeg(&["-i", path, "-vn", "-ac", "1", "-f", "s16le", "-"]);
    let samples = raw.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    let loud: Vec<usize> =
        samples.enumerate().filter(|(_, sample)| sample.unsigned_abs() > 4000).map(|(n, _)| n).collect();
    let begins = (0..loud.len()).filter(|&at| at == 0 || loud[at] - loud[at - 1] > 24_000);
    begins.map(|at| loud[at] as f64 / 48_000.0).collect()
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn a_flash_and_its_beep_stay_together() {
    let fixture = fixture("flash_beep.mp4");
    let sent =
        clip("flash_beep.mp4", &["-stream_loop", "4", "-i", fixture.to_str().expect("UTF-8"), "-c", "copy"]);
    let hall = GstServer::start(&sent, &[]);
    let server = Server::run(&one_hall(&hall.url("")));
    eventually("the hall is on air", || server.on_air("Live").as_deref() == Some("hall"));
    let collected = collect_live(&server, "720p", 8);
    let file = written(&collected);
    // A file's two tracks do not begin at the same time: the sound's first frame starts within the cell.
    let report = probe(&collected.whole());
    let start = |kind: &str| -> f64 {
        let streams = report["streams"].as_array().expect("streams");
        let stream = streams.iter().find(|stream| stream["codec_type"] == kind).expect("a track");
        stream["start_time"].as_str().and_then(|time| time.parse().ok()).expect("a time")
    };
    let late = start("audio") - start("video");
    let (flashes, beeps) = (flashes(file.path()), beeps(file.path()));
    assert!(flashes.len() >= 6 && beeps.len() >= 6, "{flashes:?} {beeps:?}");
    for flash in &flashes {
        let distance = |beep: &f64| (beep + late - flash).abs();
        let beep = beeps.iter().min_by(|one, other| distance(one).total_cmp(&distance(other))).expect("some");
        let offset_ms = (beep + late - flash) * 1000.0;
        println!("beep {offset_ms:+.1} ms after its flash");
        // The first beep may have begun before the first picture.
        assert!(offset_ms.abs() < 40.0 || *flash < 0.2, "{offset_ms:+.1} ms");
    }
}
