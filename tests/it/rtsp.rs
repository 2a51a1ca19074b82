//! RTSP on the media port: ffmpeg, GStreamer and the server's own RTSP client read channels and recordings.

use std::process::Command;
use std::time::Duration;

use crate::material::{ffmpeg, fixture};
use crate::server::{Server, eventually};

const SMIL: &str = "engage-player_1042_presenter.smil";

/// Picture or sound times in milliseconds of what ffmpeg takes in `seconds`, with these options before the URL. Without
/// that of the first packet: ffmpeg does not know it and makes one up.
fn played(url: &str, options: &[&str], kind: &str, seconds: u32) -> Vec<i64> {
    let file = tempfile::NamedTempFile::with_suffix(".mkv").expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-y"])
        .args(options)
        .args(["-i", url, "-t", &seconds.to_string(), "-c", "copy", path])
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    let bad = ["missed", "non monoton", "Non-monoton", "out of order", "DTS", "max delay", "concealing"];
    assert!(output.status.success() && !bad.iter().any(|bad| said.contains(bad)), "{said}");
    let times = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            kind,
            "-show_entries",
            "packet=pts_time",
            "-of",
            "csv=p=0",
            path,
        ])
        .output()
        .expect("ffprobe is installed");
    ffmpeg(&["-i", path, "-f", "null", "-"]);
    let text = String::from_utf8_lossy(&times.stdout).into_owned();
    let seconds = text.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok());
    seconds.skip(1).map(|seconds| (seconds * 1000.0).round() as i64).collect()
}

fn judge(times: &[i64], least: usize, step: std::ops::RangeInclusive<i64>) {
    assert!(times.len() >= least, "{} of {least}", times.len());
    for pair in times.windows(2) {
        assert!(step.contains(&(pair[1] - pair[0])), "one timeline, nothing missing: {pair:?}");
    }
}

#[test]
#[ignore = "needs ffmpeg and GStreamer: tests/run"]
fn every_rung_is_read_over_tcp_and_udp_across_a_switch() {
    let server = Server::demo();
    eventually("the hall is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    let url = |stream: &str| format!("rtsp://{}/Live_PAES/{stream}", server.media);
    std::thread::scope(|scope| {
        let read = |transport: &'static str, stream: &str| {
            let url = url(stream);
            scope.spawn(move || played(&url, &["-rtsp_transport", transport], "v", 24))
        };
        let players = [read("tcp", "live_720p"), read("udp", "live_480p"), read("udp", "ngrp:live_all")];
        let gstreamer = scope.spawn(|| {
            let location = format!("location={}", url("live_480p"));
            let pictures = ["!", "rtph264depay", "!", "h264parse", "!", "avdec_h264", "!"];
            Command::new("gst-launch-1.0")
                .args(["-q", "rtspsrc", &location, "protocols=udp", "name=r", "r."])
                .args(pictures)
                .args(["identity", "eos-after=200", "!", "fakesink"])
                .output()
                .expect("GStreamer is installed")
        });
        std::thread::sleep(Duration::from_secs(6));
        server.disconnect("Live_PAES");
        eventually("the waiting loop", || server.on_air("Live_PAES").is_none());
        server.connect("Live_PAES", "PS-Amphi_A");
        for player in players {
            judge(&player.join().expect("it plays"), 24 * 15 - 15, 65..=68);
        }
        let output = gstreamer.join().expect("it plays");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{}", server.said());
    });
    judge(&played(&url("live_160p"), &["-rtsp_transport", "tcp"], "a", 4), 170, 20..=23);
    // The server's own RTSP client.
    let output = Command::new(env!("CARGO_BIN_EXE_amphi")).args(["probe", &url("live_720p")]).output();
    let output = output.expect("amphi runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1280") && said.contains("0 lost"), "{said}");
    assert_eq!(server.end(), Some(0));
}

/// What ffprobe says of the pictures of a URL: width of the stream, and the number of pictures.
fn pictures(url: &str) -> (String, usize) {
    let show = |entries: &str| {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "v", "-show_entries", entries, "-of", "csv=p=0", url])
            .output()
            .expect("ffprobe is installed");
        assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let width = show("stream=width").lines().next().unwrap_or_default().trim_matches(',').to_owned();
    (width, show("packet=size").lines().filter(|line| !line.is_empty()).count())
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn a_playlist_means_the_same_over_rtmp_and_rtsp() {
    let nas = tempfile::tempdir().expect("a folder");
    for (from, to) in [("hall_a_low.mp4", "low.mp4"), ("hall_a.mp4", "a.mp4")] {
        std::fs::copy(fixture(from), nas.path().join(to)).expect("copied");
    }
    let smil = "<smil><body><switch><video src='low' begin='5' dur='6.5'/><video src='a' begin='5' dur='6.5'/>\
                </switch></body></smil>";
    std::fs::write(nas.path().join("part é.smil"), smil).expect("written");
    let config = format!("[[vod]]\nname = \"vod\"\nroot = '{}'\n", nas.path().display());
    let server = Server::run(&config);
    let all: Vec<_> = ["rtmp", "rtsp"]
        .map(|scheme| pictures(&format!("{scheme}://{}/vod/smil:part%20%C3%A9.smil", server.media)))
        .into();
    // From the sync sample before second 5 to the one after 11.5.
    assert_eq!(all, [("1280".to_owned(), 120), ("1280".to_owned(), 120)]);
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs ffmpeg and GStreamer: tests/run"]
fn recordings_are_read_from_anywhere() {
    let server = Server::demo();
    let file = "engage-player/1042/presenter/PAES_hd.mp4";
    let url = format!("rtsp://{}/vod/mp4:{file}", server.media);
    // 20 s, and an end.
    let whole = played(&url, &["-rtsp_transport", "tcp"], "v", 60);
    judge(&whole, 299, 65..=68);
    // Times as they are, because samples before second 13 would have negative ones.
    let later = played(&url, &["-rtsp_transport", "udp", "-ss", "13", "-copyts", "-an"], "v", 60);
    assert!((12_000..12_100).contains(&later[0]), "it begins at the sync sample before: {} ms", later[0]);
    judge(&later, 7 * 15 - 1, 65..=68);
    let smil = format!("rtsp://{}/vod/smil:{SMIL}", server.media);
    judge(&played(&smil, &["-rtsp_transport", "tcp"], "v", 3), 40, 65..=68);
    let location = format!("location={url}");
    let output = Command::new("gst-launch-1.0")
        .args(["-q", "rtspsrc", &location, "protocols=tcp", "!", "rtph264depay", "!", "h264parse", "!"])
        .args(["avdec_h264", "!", "identity", "eos-after=30", "!", "fakesink"])
        .output()
        .expect("GStreamer is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.end(), Some(0));
}
