//! The demo as a newcomer meets it.

use std::process::Command;

use serde_json::Value;

use crate::http;
use crate::server::{Server, eventually};
use crate::stream::collect;

#[test]
fn a_hall_is_connected_and_disconnected_on_one_unbroken_timeline() {
    let server = Server::demo();
    eventually("hall A is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    let live = collect(server.http, "Live_PAES", "720p", 6);
    assert_eq!(server.on_air("Live_L2"), None);
    server.connect("Live_L2", "PS-Amphi_C");
    eventually("hall C is on air, over UDP", || server.on_air("Live_L2").as_deref() == Some("PS-Amphi_C"));
    server.disconnect("Live_PAES");
    eventually("the waiting loop is on air", || server.on_air("Live_PAES").is_none());
    let waiting = collect(server.http, "Live_PAES", "720p", 6);
    assert_eq!(live.init, waiting.init, "the same initialization section, live and waiting");
    assert_eq!(server.end(), Some(0));
}

#[test]
fn every_form_of_address_answers_and_errors_are_as_players_need_them() {
    let server = Server::demo();
    eventually("the playlist is there", || http::get(server.http, "/Live_L2/playlist.m3u8").status == 200);
    for path in [
        "/Live_L2/live/playlist.m3u8",
        "/Live_L2/_definst_/live/playlist.m3u8",
        "/Live_L2/ngrp:live_all/playlist.m3u8",
        "/Live_L2/live_480p/playlist.m3u8",
        "/Live_L2/chunklist_w123456_b400000.m3u8",
    ] {
        let answer = http::get(server.http, path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.headers.contains("access-control-allow-origin: *"), "{path}");
    }
    for path in ["/Live_L2/other/playlist.m3u8", "/None/playlist.m3u8", "/Live_L2/media_720p_1.m4s"] {
        let answer = http::get(server.http, path);
        assert_eq!((answer.status, answer.body.len()), (404, 0), "{path}");
        assert!(answer.headers.contains("cache-control: no-store"), "{path}");
    }
    let page = http::get(server.admin, "/");
    assert!(page.text().contains("<title>Amphi demo</title>"));
}

/// One frame of what a viewer sees, and what ffprobe says of ten segments of each rung.
#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn ten_live_segments_of_each_rung_pass_ffprobe() {
    let server = Server::demo();
    eventually("hall A is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    for (rung, size) in [("720p", Some((1280, 720))), ("480p", Some((854, 480))), ("160p", None)] {
        let collected = collect(server.http, "Live_PAES", rung, 10);
        let file = tempfile::NamedTempFile::with_suffix(".mp4").expect("a file");
        std::fs::write(file.path(), collected.whole()).expect("written");
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-of", "json", "-show_streams", "-show_packets"])
            .arg(file.path())
            .output()
            .expect("ffprobe runs");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "ffprobe has nothing to say against {rung}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let count = collected.segments.len();
        judge(&report, size, count);
    }
}

fn judge(report: &Value, size: Option<(u64, u64)>, segments: usize) {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok()).expect("a number");
    let packets = |kind: &str| -> Vec<Value> {
        let all = report["packets"].as_array().expect("packets");
        all.iter().filter(|packet| packet["codec_type"] == kind).cloned().collect()
    };
    let sound = packets("audio");
    for pair in sound.windows(2) {
        assert_eq!(number(&pair[1]["pts"]) - number(&pair[0]["pts"]), 1024, "sound on its lattice");
    }
    let pictures = packets("video");
    let Some((width, height)) = size else {
        assert!(pictures.is_empty());
        return;
    };
    let stream = &report["streams"][0];
    assert_eq!((number(&stream["width"]), number(&stream["height"])), (width as i64, height as i64));
    assert_eq!(pictures.len(), segments * 30, "thirty pictures a segment");
    for (index, packet) in pictures.iter().enumerate() {
        if index % 30 == 0 {
            assert!(packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K')), "IDR first");
        }
    }
    for pair in pictures.windows(2) {
        assert_eq!(number(&pair[1]["dts"]) - number(&pair[0]["dts"]), 6000, "pictures on their lattice");
    }
}
