//! ffprobe and ffmpeg as judges of what a viewer has collected.

use std::process::Command;

use serde_json::Value;

use crate::material::ffmpeg;
use crate::stream::Collected;

/// The lattices of the lecture's ladder.
const PICTURES: usize = 30;
const PICTURE_TICKS: i64 = 6000;
const SOUND_TICKS: i64 = 1024;

/// What ffprobe says of a file.
pub fn probe(bytes: &[u8]) -> Value {
    let file = tempfile::NamedTempFile::with_suffix(".mp4").expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-of", "json", "-show_streams", "-show_packets"])
        .arg(file.path())
        .output()
        .expect("ffprobe is installed");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "ffprobe has nothing to complain about");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).expect("a number")
}

fn packets<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = report["packets"].as_array().expect("packets");
    all.iter().filter(|packet| packet["codec_type"] == kind).collect()
}

fn stream<'a>(report: &'a Value, kind: &str) -> Option<&'a Value> {
    report["streams"].as_array().expect("streams").iter().find(|stream| stream["codec_type"] == kind)
}

/// A rung's picture size; `None` for sound alone.
pub type Size = Option<(i64, i64)>;

/// The rungs of the ladder that the tests use.
pub const RUNGS: [(&str, Size); 3] =
    [("720p", Some((1280, 720))), ("480p", Some((854, 480))), ("160p", None)];

/// Checks consecutive segments: codec, size, frame rate, exact durations, IDR pictures, sound on its lattice,
/// and each segment alone.
pub fn judge(collected: &Collected, size: Size) {
    let report = probe(&collected.whole());
    judge_sound(&report);
    if let Some(size) = size {
        judge_pictures(&report, size, collected.segments.len());
    } else {
        assert!(stream(&report, "video").is_none(), "sound alone");
    }
    for segment in collected.segments.values() {
        judge_alone(&[&collected.init[..], segment].concat(), size.is_some());
    }
}

fn judge_sound(report: &Value) {
    let sound = stream(report, "audio").expect("sound");
    assert_eq!((&sound["codec_name"], &sound["profile"]), (&"aac".into(), &"LC".into()));
    assert_eq!((number(&sound["sample_rate"]), number(&sound["channels"])), (48_000, 2));
    let packets = packets(report, "audio");
    assert_eq!(number(&packets[0]["pts"]) % SOUND_TICKS, 0, "sound on the lattice of unix time");
    for pair in packets.windows(2) {
        assert_eq!(number(&pair[1]["pts"]) - number(&pair[0]["pts"]), SOUND_TICKS, "no sound is missing");
    }
}

fn judge_pictures(report: &Value, (width, height): (i64, i64), segments: usize) {
    let video = stream(report, "video").expect("pictures");
    assert_eq!((&video["codec_name"], &video["profile"]), (&"h264".into(), &"High".into()));
    assert_eq!((number(&video["width"]), number(&video["height"])), (width, height));
    assert_eq!(video["avg_frame_rate"], "15/1");
    let packets = packets(report, "video");
    assert_eq!(packets.len(), segments * PICTURES, "every segment has its pictures");
    let cell_ticks = PICTURE_TICKS * PICTURES as i64;
    assert_eq!(number(&packets[0]["dts"]) % cell_ticks, 0, "a segment begins with its cell");
    for pair in packets.windows(2) {
        assert_eq!(
            number(&pair[1]["dts"]) - number(&pair[0]["dts"]),
            PICTURE_TICKS,
            "pictures on their lattice"
        );
    }
    for (index, packet) in packets.iter().enumerate() {
        assert_eq!(packet["pts"], packet["dts"], "no picture is shown in another order");
        let is_key = packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K'));
        assert!(is_key || index % PICTURES != 0, "segment {} begins with an IDR picture", index / PICTURES);
    }
}

/// A segment after its initialization section, without the segments before it.
fn judge_alone(bytes: &[u8], has_pictures: bool) {
    let file = tempfile::NamedTempFile::with_suffix(".mp4").expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    ffmpeg(&["-i", path, "-f", "null", "-"]);
    if has_pictures {
        let luma =
            ffmpeg(&["-i", path, "-an", "-vf", "scale=16:16", "-f", "rawvideo", "-pix_fmt", "gray", "-"]);
        assert_eq!(luma.len(), PICTURES * 16 * 16, "every picture of a segment can be decoded alone");
    }
}
