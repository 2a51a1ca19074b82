//! Recorded lectures: the demo's small NAS, and one of our own, over HTTP and in browsers.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::http;
use crate::material::fixture;
use crate::server::Server;

const LECTURE: &str = "/vod/smil:engage-player_1042_presenter.smil";

/// A server with a NAS that `fill` writes, and no channel.
fn with_nas(fill: impl Fn(&Path)) -> (Server, tempfile::TempDir) {
    let nas = tempfile::tempdir().expect("a folder");
    fill(nas.path());
    let config = format!("[[vod]]\nname = \"vod\"\nroot = '{}'\nsegment_ms = 4000\n", nas.path().display());
    (Server::run(&config), nas)
}

fn copy(name: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
    std::fs::copy(fixture(name), to).expect("copied");
}

fn lines<'a>(text: &'a str, start: &'a str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn a_lecture_is_served_from_its_smil() {
    let server = Server::demo();
    let list = http::get(server.http, &format!("{LECTURE}/playlist.m3u8"));
    assert_eq!(list.status, 200, "{}", list.text());
    assert_eq!(list.header("content-type"), Some("application/vnd.apple.mpegurl"));
    let variants = lines(list.text(), "#EXT-X-STREAM-INF:");
    assert_eq!(variants.len(), 2, "{}", list.text());
    assert!(variants[0].contains("RESOLUTION=640x360") && variants[1].contains("RESOLUTION=1280x720"));
    assert!(
        variants.iter().all(|it| it.contains("CODECS=\"avc1.") && it.contains("FRAME-RATE=15")),
        "{variants:?}"
    );
    let same = http::get(server.media, &format!("/vod/_definst_{}/playlist.m3u8", &LECTURE[4..]));
    assert_eq!(same.text(), list.text(), "with the instance, on the media port");

    let chunklists = lines(list.text(), "chunklist_");
    let media = http::get(server.http, &format!("{LECTURE}/{}", chunklists[0]));
    let segments = lines(media.text(), "media_");
    // 20 s, key frames every 2 s, cut at about 6 s.
    assert_eq!(segments.len(), 4, "{}", media.text());
    assert!(media.text().ends_with("#EXT-X-ENDLIST\n"));
    let path = format!("{LECTURE}/{}", segments[1]);
    let segment = http::get(server.http, &path);
    assert_eq!((segment.status, segment.header("content-type")), (200, Some("video/mp4")));
    assert!(segment.header("cache-control").is_some_and(|value| value.contains("immutable")));
    assert_eq!(segment.header("access-control-allow-origin"), Some("*"));
    let part = http::get_with(server.http, &path, &[("Range", "bytes=100-4099")]);
    assert_eq!((part.status, &part.body[..]), (206, &segment.body[100..4100]));
    let gone = format!("{LECTURE}/{}", segments[0].replace("_av_0-", "_av_1-"));
    assert_eq!(http::get(server.http, &gone).status, 404, "not from a key frame");

    // One file by its own name, trimmed.
    let file = "/vod/mp4:engage-player/1042/presenter/PAES_hd/playlist.m3u8?wowzaplaystart=5000&wowzaplayduration=3000";
    let list = http::get(server.http, file);
    let chunklist = lines(list.text(), "chunklist_")[0].to_owned();
    let folder = "/vod/mp4:engage-player/1042/presenter/PAES_hd";
    let media = http::get(server.http, &format!("{folder}/{chunklist}"));
    let durations: f64 = lines(media.text(), "#EXTINF:")
        .iter()
        .map(|line| line[8..].trim_end_matches(',').parse::<f64>().expect("seconds"))
        .sum();
    assert!((durations - 4.0).abs() < 0.01, "from 4 s to 8 s: {}", media.text());

    let download = http::get_with(server.http, &format!("{folder}.mp4/download"), &[("Range", "bytes=-10")]);
    let whole = std::fs::read(fixture("hall_a.mp4")).expect("read");
    assert_eq!((download.status, &download.body[..]), (206, &whole[whole.len() - 10..]));
    assert_eq!(download.header("content-disposition"), Some("attachment; filename=\"paes_hd.mp4\""));

    for path in [
        "/vod/mp4:../state/matrix.json/playlist.m3u8",
        "/vod/mp4:none.mp4/playlist.m3u8",
        "/vod/smil:none.smil/playlist.m3u8",
    ] {
        assert_eq!(http::get(server.http, path).status, 404, "{path}");
    }
    assert_eq!(server.end(), Some(0));
}

#[test]
fn subtitles_and_chapters_stand_beside_a_file() {
    let (server, nas) = with_nas(|nas| {
        copy("hall_a.mp4", &nas.join("a.mp4"));
        std::fs::write(nas.join("a.fr.srt"), "1\n00:00:01,000 --> 00:00:04,000\nBonjour à tous\n")
            .expect("written");
        std::fs::write(nas.join("a.chapters.vtt"), "WEBVTT\n\n00:00.000 --> 00:10.000\nPlan\n")
            .expect("written");
        std::fs::write(nas.join("broken.mp4"), b"\0\0\0\x08ftyp\0\0\0\x10moov\0\0\0\x00mvhd")
            .expect("written");
        std::fs::write(nas.join("broken.smil"), "<smil>\n<video/></smil>").expect("written");
    });
    let list = http::get(server.http, "/vod/mp4:a.mp4/playlist.m3u8");
    assert!(
        list.text().contains("TYPE=SUBTITLES") && list.text().contains("LANGUAGE=\"fr\""),
        "{}",
        list.text()
    );
    let text = http::get(server.http, "/vod/mp4:a.mp4/text_0_0.vtt");
    assert!(
        text.text().contains("X-TIMESTAMP-MAP=") && text.text().ends_with("00:00:04.000\nBonjour à tous\n")
    );
    let chapters = http::get(server.http, "/vod/mp4:a.mp4/chapters.json");
    assert_eq!(chapters.text(), r#"[{"start_ms":0,"end_ms":10000,"text":"Plan"}]"#);
    let poster = http::get(server.http, "/vod/mp4:a.mp4/poster.jpg?t=12&width=320");
    assert_eq!((poster.status, poster.header("content-type")), (200, Some("image/jpeg")));
    assert!(poster.body.starts_with(&[0xff, 0xd8, 0xff]) && poster.body.ends_with(&[0xff, 0xd9]));
    assert_eq!(http::get(server.http, "/vod/index.json").status, 404, "off by default");
    let broken = http::get(server.http, "/vod/mp4:broken.mp4/playlist.m3u8");
    assert_eq!(broken.status, 500);
    assert!(broken.text().contains("box mvhd at byte 16"), "{}", broken.text());
    let broken = http::get(server.http, "/vod/smil:broken.smil/playlist.m3u8");
    assert!(broken.status == 500 && broken.text().contains("line 2: video without src"), "{}", broken.text());
    drop(nas);
    assert_eq!(server.end(), Some(0));
}

/// What `seek.mjs` reports.
#[derive(Debug, Deserialize)]
struct Report {
    places: Vec<serde_json::Value>,
    widths: Vec<u32>,
    captions: Vec<String>,
    errors: Vec<serde_json::Value>,
    said: Vec<String>,
}

fn sought(url: &str, player: &str) -> Report {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/seek.mjs");
    let output = Command::new("node")
        .arg(script)
        .args([url, player, "12", "3", "17", "8.5", "0.5"])
        .output()
        .expect("node is installed");
    let report: Report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{player}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(report.errors.is_empty() && report.said.is_empty(), "{player}: {report:?}");
    assert_eq!(report.places.len(), 5);
    for place in &report.places {
        assert!(place["stuck"].is_null(), "{player}: {place}");
    }
    report
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn browser_players_seek_in_a_recording() {
    let (server, nas) = with_nas(|nas| {
        copy("hall_a.mp4", &nas.join("engage-player/1042/presenter/PAES_hd.mp4"));
        copy("hall_a_low.mp4", &nas.join("engage-player/1042/presenter/PAES_low.mp4"));
        copy("opencast.smil", &nas.join("a.smil"));
        let subtitles = nas.join("engage-player/1042/presenter/PAES_hd.fr.vtt");
        std::fs::write(subtitles, "WEBVTT\n\n00:01.000 --> 00:09.000\nBonjour à tous\n").expect("written");
    });
    let hls = format!("http://{}/vod/smil:a.smil/playlist.m3u8", server.http);
    let dash = format!("http://{}/vod/smil:a.smil/manifest.mpd", server.http);
    let seen = sought(&hls, "hls.js");
    assert_eq!(seen.widths, [640, 1280], "the rendition is chosen by hand");
    assert_eq!(seen.captions, ["Bonjour à tous"]);
    for (player, url) in
        [("flowplayer", &hls), ("native", &hls), ("dash.js", &dash), ("shaka", &dash), ("shaka", &hls)]
    {
        let seen = sought(url, player);
        if ["dash.js", "shaka"].contains(&player) {
            assert_eq!(seen.widths, [640, 1280], "{player}: the rendition is chosen by hand");
        }
    }
    drop(nas);
    assert_eq!(server.end(), Some(0));
}
