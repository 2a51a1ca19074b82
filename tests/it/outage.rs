//! Sources that go and come, servers that end and start again: one unbroken playlist.

use std::time::{Duration, SystemTime};

use crate::gstreamer::GstServer;
use crate::http;
use crate::judge::{judge, probe};
use crate::material::{ffmpeg, fixture, lecture};
use crate::server::{Server, eventually};
use crate::sources::one_hall;
use crate::stream::{Collected, Follower, collect};

/// Milliseconds of a cell.
const CELL_MS: i64 = 2000;

fn cell_now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    now.as_millis() as i64 / CELL_MS
}

/// What a segment shows: a hall's paper is bright, the waiting card is dark.
fn is_live(collected: &Collected, k: i64) -> bool {
    let file = tempfile::NamedTempFile::with_suffix(".mp4").expect("a file");
    let bytes = [&collected.init[..], &collected.segments[&k]].concat();
    std::fs::write(file.path(), bytes).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let first = [
        "-i",
        path,
        "-frames:v",
        "1",
        "-vf",
        "scale=1:1:flags=area",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-",
    ];
    ffmpeg(&first)[0] > 128
}

#[test]
#[ignore = "needs GStreamer and ffmpeg: tests/run"]
fn a_killed_source_leaves_and_returns_within_three_cells() {
    let clip = lecture("smp.mp4", "hall_a.mp4", &[]);
    let hall = GstServer::start(&clip, &[]);
    let port = hall.port;
    let server = Server::run(&one_hall(&hall.url("")));
    let mut viewer = Follower::new(server.http, "Live", "720p");
    viewer.until("the hall is on air", || server.on_air("Live").as_deref() == Some("hall"));

    let killed = cell_now();
    hall.kill();
    viewer.until("the waiting loop is on air", || server.on_air("Live").is_none());
    let _hall = GstServer::start(&clip, &["--port", &port.to_string()]);
    let back = cell_now();
    viewer.until("the hall is on air again", || server.on_air("Live").as_deref() == Some("hall"));
    viewer.follow(Duration::from_secs(6));

    let collected = viewer.collected;
    let shown: Vec<(i64, bool)> = collected.segments.keys().map(|&k| (k, is_live(&collected, k))).collect();
    let waits = shown.iter().filter(|(_, live)| !live).map(|(k, _)| *k).filter(|k| *k >= killed);
    let waits: Vec<i64> = waits.collect();
    let (first, last) = (waits.first().expect("it was seen"), waits.last().expect("it was seen"));
    assert!(first - killed <= 3, "killed in cell {killed}, waiting from {first}: {shown:?}");
    assert!(last - back < 3 + 1, "back in cell {back}, waiting until {last}: {shown:?}");
    assert_eq!(waits.len() as i64, last - first + 1, "once there and once back: {shown:?}");
    judge(&collected, Some((1280, 720)));
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn a_server_that_starts_again_goes_on_with_its_numbers_and_its_matrix() {
    // Nobody answers there: the override is what is looked at.
    let server = Server::run(&one_hall("rtsp://127.0.0.1:9/extron1"));
    eventually("the playlist is there", || http::get(server.http, "/Live/playlist.m3u8").status == 200);
    server.disconnect("Live");
    let before = collect(server.http, "Live", "720p", 7);
    let server = server.again();
    eventually("the playlist is there", || http::get(server.http, "/Live/playlist.m3u8").status == 200);
    let after = collect(server.http, "Live", "720p", 6);
    assert_eq!(
        (&before.init_name, &before.init),
        (&after.init_name, &after.init),
        "players keep what they have"
    );
    for (k, segment) in &after.segments {
        if let Some(same) = before.segments.get(k) {
            assert_eq!(same, segment, "cell {k} is the same from either server");
        }
    }
    let first_after = *after.segments.keys().next().expect("segments");
    let last_before = *before.segments.keys().next_back().expect("segments");
    assert!(first_after <= last_before + 1, "nothing is missing for a player: {last_before}, {first_after}");
    let matrix = server.matrix();
    assert_eq!(matrix["channels"][0]["desired"]["source"], serde_json::Value::Null, "{matrix}");
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn a_waiting_video_that_cannot_be_used_gives_way_to_a_plain_card() {
    let whole = std::fs::read(fixture("waiting.mp4")).expect("a fixture");
    let half = &whole[..whole.len() / 2];
    for (name, bytes) in
        [("missing.mp4", None), ("half.mp4", Some(half)), ("text.mp4", Some(&b"not a video"[..]))]
    {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).expect("written");
        }
        let good = one_hall("rtsp://127.0.0.1:9/extron1");
        let fixture = fixture("waiting.mp4").display().to_string();
        let server = Server::run(&good.replace(&fixture, path.to_str().expect("UTF-8")));
        let line = server.logged(|line| {
            line["waiting"].as_str().is_some()
                && line["message"].as_str().is_some_and(|m| m.contains("plain card"))
        });
        assert_eq!(line["channel"], "Live", "whose video it is");
        let collected = collect(server.http, "Live", "480p", 6);
        assert!(!probe(&collected.whole())["packets"].as_array().expect("packets").is_empty(), "{name}");
        assert_eq!(server.end(), Some(0));
    }
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn ffmpeg_reads_across_five_switches_without_a_word_about_timestamps() {
    let server = Server::demo();
    let is_live = || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A");
    eventually("the hall is on air", is_live);
    let url = format!("http://{}/Live_PAES/live_720p/playlist.m3u8", server.http);
    let reader = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-i", &url, "-t", "64", "-c", "copy", "-f", "null", "-"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    for switch in 0..5 {
        if switch % 2 == 0 {
            server.disconnect("Live_PAES");
            eventually("the waiting loop is on air", || !is_live());
        } else {
            server.connect("Live_PAES", "PS-Amphi_A");
            eventually("the hall is on air", is_live);
        }
        std::thread::sleep(Duration::from_secs(6));
    }
    let output = reader.wait_with_output().expect("ffmpeg ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for word in ["DTS", "dts", "timestamp", "iscontinuity", "nvalid", "rror"] {
        assert!(!said.contains(word), "{said}");
    }
    // And every rendition, whole.
    for (rung, size) in crate::judge::RUNGS {
        judge(&collect(server.http, "Live_PAES", rung, 6), size);
    }
}
