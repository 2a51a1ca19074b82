//! RTMP on the media port: ffmpeg and GStreamer play, ffmpeg publishes.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::http;
use crate::material::{ffmpeg, fixture, lecture};
use crate::server::{Server, eventually};
use crate::sources::one_hall;

/// A channel whose source publishes to the server.
fn multicam() -> String {
    one_hall("rtsp://127.0.0.1:9/x").replace("url = \"rtsp://127.0.0.1:9/x\"", "publish_key = \"chalk\"")
}

fn publisher(server: &Server, clip: &str, key: &str) -> Child {
    publisher_to(&format!("rtmp://{}/publish/hall?key={key}", server.media), clip)
}

fn publisher_to(url: &str, clip: &str) -> Child {
    Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-re", "-i", clip, "-c", "copy", "-f", "flv", url])
        .stderr(Stdio::null())
        .spawn()
        .expect("ffmpeg is installed")
}

/// A source's entry in the matrix.
fn source(server: &Server, name: &str) -> serde_json::Value {
    let matrix = server.matrix();
    let sources = matrix["sources"].as_array().cloned().unwrap_or_default();
    sources.into_iter().find(|source| source["name"] == name).expect("it is there")
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn a_key_is_taken_from_the_path_and_as_user_and_password_and_why_it_left_is_said() {
    let server = Server::run(&multicam());
    eventually("the playlist is there", || http::get(server.http, "/Live/playlist.m3u8").status == 200);
    let clip = fixture("hall_a.mp4");
    let clip = clip.to_str().expect("UTF-8");
    let media = server.media;
    for url in [
        format!("rtmp://{media}/publish/hall/chalk"),
        format!("rtmp://{media}/publish?key=chalk/hall"),
        format!("rtmp://hall:chalk@{media}/publish-auth/hall"),
    ] {
        let mut publisher = publisher_to(&url, clip);
        eventually("the publisher is on air", || server.on_air("Live").as_deref() == Some("hall"));
        assert_eq!(source(&server, "hall")["media"]["width"], 1280, "{url}");
        let _ = publisher.kill();
        let _ = publisher.wait();
        eventually("it has left", || source(&server, "hall")["state"] == "idle");
        let reason = source(&server, "hall")["reason"].to_string();
        assert!(reason.contains("waits for a publisher; the last one left at"), "{reason}");
        eventually("the waiting loop is on air", || server.on_air("Live").is_none());
    }
    for url in [
        format!("rtmp://{media}/publish/hall/cheese"),
        format!("rtmp://hall:cheese@{media}/publish-auth/hall"),
        format!("rtmp://{media}/publish/hall"),
    ] {
        assert!(!publisher_to(&url, clip).wait().expect("it ends").success(), "{url}");
    }
    assert_eq!(server.end(), Some(0));
}

/// Stock ffmpeg begins with an empty AAC configuration whenever it copies from MPEG-TS.
#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn an_empty_configuration_does_not_end_a_publication() {
    let server = Server::run(&multicam());
    eventually("the playlist is there", || http::get(server.http, "/Live/playlist.m3u8").status == 200);
    let file = tempfile::NamedTempFile::with_suffix(".ts").expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let clip = fixture("hall_a.mp4");
    ffmpeg(&["-y", "-i", clip.to_str().expect("UTF-8"), "-c", "copy", "-f", "mpegts", path]);
    let mut publisher = publisher(&server, path, "chalk");
    eventually("the publisher is on air", || server.on_air("Live").as_deref() == Some("hall"));
    let media = source(&server, "hall")["media"].clone();
    assert!(media["audio_codec"].as_str().is_some_and(|codec| codec.starts_with("mp4a")), "{media}");
    let _ = publisher.kill();
    let _ = publisher.wait();
    assert_eq!(server.end(), Some(0));
}

/// Picture times in milliseconds of what ffmpeg takes over RTMP in `seconds`.
fn played(server: &Server, stream: &str, seconds: u32) -> Vec<i64> {
    let file = tempfile::NamedTempFile::with_suffix(".mkv").expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let url = format!("rtmp://{}/{stream}", server.media);
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-y", "-i", &url, "-t", &seconds.to_string(), "-c", "copy", path])
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("timestamp") && !said.contains("DTS"), "{said}");
    let times = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v",
            "-show_entries",
            "packet=pts_time",
            "-of",
            "csv=p=0",
            path,
        ])
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8_lossy(&times.stdout).into_owned();
    // Every picture can be decoded, too.
    ffmpeg(&["-i", path, "-f", "null", "-"]);
    text.lines()
        .filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok())
        .map(|s| (s * 1000.0) as i64)
        .collect()
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn every_rung_is_played_across_a_switch() {
    let server = Server::demo();
    eventually("the hall is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    std::thread::scope(|scope| {
        let playing = scope.spawn(|| played(&server, "Live_PAES/live_720p", 24));
        std::thread::sleep(Duration::from_secs(5));
        server.disconnect("Live_PAES");
        eventually("the waiting loop", || server.on_air("Live_PAES").is_none());
        server.connect("Live_PAES", "PS-Amphi_A");
        let times = playing.join().expect("it plays");
        assert!(times.len() >= 24 * 15 - 15, "{} pictures in 24 s", times.len());
        for pair in times.windows(2) {
            assert!(
                (65..=68).contains(&(pair[1] - pair[0])),
                "pictures on their lattice, to the millisecond: {pair:?}"
            );
        }
    });
    assert!(played(&server, "Live_PAES/live_480p", 4).len() >= 45);
    assert!(played(&server, "Live_PAES/_definst_/live", 4).len() >= 45);
    // Sound alone.
    let url = format!("rtmp://{}/Live_PAES/live_160p", server.media);
    let sound = ffmpeg(&["-i", &url, "-t", "4", "-f", "s16le", "-ac", "1", "-ar", "8000", "-"]);
    assert!(sound.len() >= 3 * 16_000, "{} bytes of sound", sound.len());
    // HTTP on the same port.
    assert_eq!(http::get(server.media, "/Live_PAES/playlist.m3u8").status, 200);
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs GStreamer: tests/run"]
fn gstreamer_plays() {
    let server = Server::demo();
    eventually("the playlist is there", || http::get(server.http, "/Live_L2/playlist.m3u8").status == 200);
    let location = format!("location=rtmp://{}/Live_L2/live_480p", server.media);
    let output = Command::new("gst-launch-1.0")
        .args([
            "-q",
            "rtmp2src",
            &location,
            "!",
            "flvdemux",
            "name=d",
            "d.video",
            "!",
            "queue",
            "!",
            "h264parse",
            "!",
        ])
        .args(["avdec_h264", "!", "identity", "eos-after=40", "!", "fakesink"])
        .output()
        .expect("GStreamer is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs GStreamer: tests/run"]
fn gstreamer_publishes() {
    let server = Server::run(&multicam());
    let file = format!("location={}", fixture("hall_a.mp4").display());
    let sink = format!("location=rtmp://{}/publish/hall?key=chalk", server.media);
    let mut publisher = Command::new("gst-launch-1.0")
        .args(["-q", "filesrc", &file, "!", "qtdemux", "name=d", "flvmux", "name=m", "streamable=true", "!"])
        .args([
            "identity",
            "sync=true",
            "!",
            "rtmp2sink",
            &sink,
            "d.video_0",
            "!",
            "queue",
            "!",
            "h264parse",
            "!",
        ])
        .args(["m.video", "d.audio_0", "!", "queue", "!", "aacparse", "!", "m.audio"])
        .spawn()
        .expect("GStreamer is installed");
    eventually("the publisher is on air", || server.on_air("Live").as_deref() == Some("hall"));
    let collected = crate::stream::collect(server.http, "Live", "480p", 5);
    crate::judge::judge(&collected, Some((854, 480)));
    let _ = publisher.kill();
    let _ = publisher.wait();
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn a_publisher_goes_on_air_and_leaves_for_the_waiting_video() {
    let server = Server::run(&multicam());
    eventually("the playlist is there", || http::get(server.http, "/Live/playlist.m3u8").status == 200);
    let clip = lecture("b_pictures.mp4", "hall_a.mp4", &["-bf", "3", "-b_strategy", "0"]);
    let clip = clip.to_str().expect("UTF-8");
    let mut stranger = publisher(&server, clip, "cheese");
    assert!(!stranger.wait().expect("it ends").success(), "a wrong key is refused");
    assert_eq!(server.on_air("Live"), None);

    let mut first = publisher(&server, clip, "chalk");
    eventually("the publisher is on air", || server.on_air("Live").as_deref() == Some("hall"));
    let mut second = publisher(&server, fixture("hall_b.mp4").to_str().expect("UTF-8"), "chalk");
    assert!(!second.wait().expect("it ends").success(), "a second publisher is refused");
    let collected = crate::stream::collect(server.http, "Live", "720p", 8);
    crate::judge::judge(&collected, Some((1280, 720)));
    let _ = first.kill();
    let _ = first.wait();
    eventually("the waiting loop is on air", || server.on_air("Live").is_none());
    assert_eq!(server.end(), Some(0));
}
