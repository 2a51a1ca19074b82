//! Lecture halls of every kind, played by GStreamer, checked with ffprobe on every rung.

use std::path::Path;

use crate::gstreamer::GstServer;
use crate::judge::{RUNGS, judge};
use crate::material::{fixture, lecture};
use crate::server::{Server, eventually};
use crate::stream::collect;

/// A configuration with one source and one channel that shows it.
pub fn one_hall(url: &str) -> String {
    let waiting = fixture("waiting.mp4");
    format!(
        r#"
        [[source]]
        name = "hall"
        url = "{url}"
        [[ladder]]
        name = "lecture"
        audio = {{ bitrate = 96000, sample_rate = 48000, channels = 2 }}
        rung = [
            {{ name = "720p", width = 1280, height = 720, fps = 15, bitrate = 750000 }},
            {{ name = "480p", width = 854, height = 480, fps = 15, bitrate = 400000 }},
            {{ name = "160p", audio_only = true }},
        ]
        [[channel]]
        name = "Live"
        streams = ["live"]
        ladder = "lecture"
        waiting = "{}"
        source = "hall"
        "#,
        waiting.display()
    )
}

fn a_hall_passes(clip: &Path, options: &[&str], user: &str) {
    let hall = GstServer::start(clip, options);
    let server = Server::run(&one_hall(&hall.url(user)));
    eventually("the hall is on air", || server.on_air("Live").as_deref() == Some("hall"));
    // All rungs at once: they are of the same cells.
    std::thread::scope(|scope| {
        for (rung, size) in RUNGS {
            let address = server.http;
            scope.spawn(move || judge(&collect(address, "Live", rung, 10), size));
        }
    });
    assert_eq!(server.on_air("Live").as_deref(), Some("hall"), "it was live all the time");
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn an_smp_351() {
    a_hall_passes(&lecture("smp.mp4", "hall_a.mp4", &[]), &[], "");
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn with_b_pictures() {
    a_hall_passes(&lecture("b_pictures.mp4", "hall_a.mp4", &["-bf", "3", "-b_strategy", "0"]), &[], "");
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn with_25_pictures_a_second() {
    a_hall_passes(&lecture("fps25.mp4", "hall_b.mp4", &["-r", "25", "-g", "50"]), &[], "");
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn with_mono_sound_of_44_1_khz() {
    a_hall_passes(&lecture("mono.mp4", "hall_c.mp4", &["-ar", "44100", "-ac", "1"]), &[], "");
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn without_sound() {
    a_hall_passes(&lecture("smp.mp4", "hall_a.mp4", &[]), &["--no-audio"], "");
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn behind_digest() {
    a_hall_passes(&lecture("smp.mp4", "hall_a.mp4", &[]), &["--digest", "extron:chalk"], "extron:chalk@");
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn with_a_gop_of_ten_seconds() {
    let options = ["-g", "150", "-keyint_min", "150", "-sc_threshold", "0"];
    a_hall_passes(&lecture("gop10.mp4", "hall_b.mp4", &options), &[], "");
}
