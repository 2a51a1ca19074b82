//! Recorded lectures: the demo's small NAS, and one that the test writes, over HTTP and in browsers.

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
    assert_eq!(broken.status, 415);
    assert!(broken.text().contains("box moov at byte 8: it has no track"), "{}", broken.text());
    let broken = http::get(server.http, "/vod/smil:broken.smil/playlist.m3u8");
    assert!(broken.status == 500 && broken.text().contains("line 2: video without src"), "{}", broken.text());
    drop(nas);
    assert_eq!(server.end(), Some(0));
}

/// Whatever a stranger asks for, there is no way out of the mount, and the log says so.
#[test]
fn names_that_lead_elsewhere_are_not_there() {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let outside = tempfile::tempdir().expect("a folder");
    copy("hall_a.mp4", &outside.path().join("secret.mp4"));
    let secret = outside.path().join("secret.mp4").display().to_string();
    let (server, nas) = with_nas(|nas| {
        copy("hall_a.mp4", &nas.join("in/a.mp4"));
        std::os::unix::fs::symlink(outside.path(), nas.join("out")).expect("linked");
        std::os::unix::fs::symlink("/dev/zero", nas.join("zero.mp4")).expect("linked");
        mknodat(CWD, nas.join("fifo.mp4"), FileType::Fifo, Mode::RUSR, 0).expect("made");
        drop(std::os::unix::net::UnixListener::bind(nas.join("socket.mp4")).expect("made"));
        // Only root may make a device; for other users there is `zero.mp4`.
        let _ = mknodat(CWD, nas.join("device.mp4"), FileType::CharacterDevice, Mode::RUSR, makedev(1, 5));
    });
    for (path, why) in [
        ("/vod/mp4:fifo.mp4/playlist.m3u8", "it is no plain file"),
        ("/vod/mp4:out/secret.mp4/playlist.m3u8", "it leads out of the root, or is closed to us"),
        ("/vod/mp4:in/../../secret.mp4/playlist.m3u8", "it may lead out of the root"),
        ("/vod/mp4:in%2fa.mp4/playlist.m3u8", "an encoded slash, a backslash or NUL"),
    ] {
        // Strangers cause one line a second at most.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert_eq!(http::get(server.http, path).status, 404, "{path}");
        let line = server.logged(|line| line["message"] == "a name is refused");
        assert_eq!(line["why"], why, "{path}: {line}");
    }
    for name in [
        "zero.mp4",
        "socket.mp4",
        "device.mp4",
        "in",
        "in/",
        "in//a.mp4",
        "./in/a.mp4",
        "%2e%2e/secret.mp4",
        "in%2F..%2F..%2Fsecret.mp4",
        "in/a.mp4%00.mp4",
        "..%5csecret.mp4",
        &secret,
        &secret.replace('/', "%2f"),
        "%zz.mp4",
        "%ff.mp4",
    ] {
        for file in ["playlist.m3u8", "manifest.mpd", "download", "poster.jpg"] {
            let path = format!("/vod/mp4:{name}/{file}");
            assert_eq!(http::get(server.http, &path).status, 404, "{path}");
        }
        let path = format!("/vod/smil:{name}.smil/playlist.m3u8");
        assert_eq!(http::get(server.http, &path).status, 404, "{path}");
    }
    assert_eq!(http::get(server.http, "/vod/mp4:in/a.mp4/playlist.m3u8").status, 200);
    drop(nas);
    assert_eq!(server.end(), Some(0));
}

/// The sentence of a refusal.
fn detail(answer: &http::Answer) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem");
    problem["detail"].as_str().expect("a sentence").to_owned()
}

#[test]
fn damaged_files_end_in_a_sentence_and_a_changed_playlist_is_seen() {
    let whole = std::fs::read(fixture("hall_a.mp4")).expect("read");
    let moov = whole.windows(4).position(|window| window == b"moov").expect("there") - 4;
    let stts: Vec<usize> =
        (4..whole.len()).filter(|&at| whole[at..].starts_with(b"stts")).map(|at| at - 4).collect();
    let [first, second] = stts[..] else { panic!("two tracks: {stts:?}") };
    let mut half_lying = whole.clone();
    half_lying[first..first + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    let mut lying = half_lying.clone();
    lying[second..second + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    let (server, nas) = with_nas(|nas| {
        copy("hall_a.mp4", &nas.join("a.mp4"));
        let write = |name: &str, bytes: &[u8]| std::fs::write(nas.join(name), bytes).expect("written");
        write("lying.mp4", &lying);
        write("half_lying.mp4", &half_lying);
        write("half.mp4", &whole[..whole.len() / 2]);
        write("text.mp4", b"Not a film at all, but a text that says so.");
        write("empty.mp4", b"");
        write(
            "list.smil",
            b"<smil><body><switch><video src='mp4:gone'/><video src='mp4:lying'/></switch></body></smil>",
        );
    });
    let reaches = "it reaches beyond the end of the box around it";
    let lie = format!(
        "lying.mp4: box moov at byte {moov}: no track can be played: track 1 (picture): box stts at byte {first}: {reaches}; \
         track 2 (sound): box stts at byte {second}: {reaches}"
    );
    for (name, status, said) in [
        ("mp4:lying.mp4", 415, lie.as_str()),
        ("smil:list.smil", 415, lie.as_str()),
        ("mp4:text.mp4", 415, "text.mp4: not an mp4 file"),
        ("mp4:empty.mp4", 503, "empty.mp4: it has no moov box: it is not finished"),
    ] {
        for file in ["playlist.m3u8", "manifest.mpd", "poster.jpg"] {
            let answer = http::get(server.http, &format!("/vod/{name}/{file}"));
            assert_eq!((answer.status, detail(&answer).as_str()), (status, said), "{name}/{file}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
    // A fault is its track's: the sound is played.
    let sound = http::get(server.http, "/vod/mp4:half_lying.mp4/playlist.m3u8");
    assert!(sound.status == 200 && sound.text().contains("CODECS=\"mp4a.40.2\""), "{}", sound.text());
    let half = http::get(server.http, "/vod/mp4:half.mp4/playlist.m3u8");
    assert_eq!((half.status, half.header("retry-after")), (503, Some("2")), "{}", half.text());

    // The encode is done, and Opencast writes its playlist again, in place: seen within seconds, never half of it.
    let path = "/vod/smil:list.smil/playlist.m3u8";
    let variants = || match http::get(server.http, path) {
        answer if answer.status == 200 => lines(answer.text(), "#EXT-X-STREAM-INF:").len(),
        _ => 0,
    };
    let list = "<smil><body><switch><video src='mp4:a'/></switch></body></smil>";
    std::fs::write(nas.path().join("list.smil"), list).expect("written");
    crate::server::eventually("the change is seen", || variants() == 1);
    std::fs::write(nas.path().join("list.smil"), &list[..40]).expect("written");
    for _ in 0..30 {
        assert_eq!(variants(), 1, "half a playlist");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    server.logged(|line| line["message"] == "answered from the last good reading");
    let longer =
        list.replace("</switch>", "<video src='mp4:half'/><video src='mp4:a.mp4' begin='4'/></switch>");
    std::fs::write(nas.path().join("list.smil"), longer).expect("written");
    crate::server::eventually("the whole playlist is seen", || variants() == 2);
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_mount_offers_what_its_configuration_says() {
    let nas = tempfile::tempdir().expect("a folder");
    copy("hall_a.mp4", &nas.path().join("a.mp4"));
    std::fs::write(nas.path().join("a.smil"), "<smil title='Optique'><body><video src='a'/></body></smil>")
        .expect("written");
    std::fs::write(nas.path().join("a.xml"), "<dublincore><isPartOf>S1</isPartOf></dublincore>")
        .expect("written");
    let root = nas.path().display();
    let server = Server::run(&format!(
        "[[vod]]\nname = \"open\"\nroot = '{root}'\nindex = true\n\
         [[vod]]\nname = \"closed\"\nroot = '{root}'\ndownload = false\nposter = false\n"
    ));
    for file in ["mp4:a.mp4/download", "mp4:a.mp4/poster.jpg", "index.json"] {
        assert_eq!(http::get(server.http, &format!("/open/{file}")).status, 200, "{file}");
        assert_eq!(http::get(server.http, &format!("/closed/{file}")).status, 404, "{file}");
    }
    assert_eq!(http::get(server.http, "/closed/mp4:a.mp4/playlist.m3u8").status, 200);

    let index = http::get(server.http, "/open/index.json");
    let list: serde_json::Value = serde_json::from_slice(&index.body).expect("JSON");
    assert_eq!((&list[0]["title"], &list[0]["series"]), (&"Optique".into(), &"S1".into()), "{list}");
    let etag = index.header("etag").expect("a tag").to_owned();
    let again = http::get_with(server.http, "/open/index.json", &[("If-None-Match", &etag)]);
    assert_eq!((again.status, again.body.len()), (304, 0), "known already");
    let hls = list[0]["hls"].as_str().expect("an address");
    assert_eq!(http::get(server.http, &format!("/open/{hls}")).status, 200, "relative to the mount");
    let series = |name: &str| {
        let answer = http::get(server.http, &format!("/open/index.json?series={name}"));
        serde_json::from_slice::<Vec<serde_json::Value>>(&answer.body).expect("a list").len()
    };
    assert_eq!((series("S1"), series("S2")), (1, 0));

    let head = http::request(server.http, "HEAD", "/open/mp4:a.mp4/download", "", "");
    let whole = std::fs::metadata(fixture("hall_a.mp4")).expect("there").len().to_string();
    assert_eq!((head.header("content-length"), head.header("accept-ranges")), (Some(&*whole), Some("bytes")));
    let behind = http::get_with(server.http, "/open/mp4:a.mp4/download", &[("Range", "bytes=99999999-")]);
    assert_eq!((behind.status, behind.header("content-range")), (416, Some(&*format!("bytes */{whole}"))));
    assert_eq!(server.end(), Some(0));
}

/// A part of a recording: picture, sound and subtitles begin together, over HLS and DASH.
#[test]
fn a_part_has_its_subtitles_over_hls_and_dash() {
    let (server, nas) = with_nas(|nas| {
        copy("hall_a.mp4", &nas.join("a.mp4"));
        let text = "WEBVTT\n\n00:02.000 --> 00:05.000\nBefore\n\n00:11.500 --> 00:13.000\nWithin\n";
        std::fs::write(nas.join("a.fr.vtt"), text).expect("written");
        let smil = "<smil><body><switch><video src='a' begin='11' dur='4'/><video src='a' begin='11' dur='4'>\
                    <param name='audioOnly' value='true'/></video></switch></body></smil>";
        std::fs::write(nas.join("part.smil"), smil).expect("written");
    });
    let asked = "/vod/mp4:a.mp4/{}?wowzaplaystart=11000&wowzaplayduration=4000";
    for address in [asked, "/vod/smil:part.smil/{}"] {
        let folder = address.split("/{}").next().expect("a folder");
        let get = |file: &str| http::get(server.http, &address.replace("{}", file));
        let list = get("playlist.m3u8");
        let uri = list.text().split("URI=\"text_").nth(1).and_then(|rest| rest.split('"').next());
        let uri = uri.expect("subtitles");
        let texts = http::get(server.http, &format!("{folder}/text_{uri}"));
        let (names, _) = uri.split_once("_t").expect("a part");
        assert!(
            texts.text().contains(&format!("#EXTINF:6.000,\ntext_{names}_0.vtt\n")),
            "from 10 s to 16 s: {}",
            texts.text()
        );

        let manifest = get("manifest.mpd");
        let text = manifest.text();
        assert!(text.contains("mediaPresentationDuration=\"PT6.000S\""), "{text}");
        assert!(text.contains("presentationTimeOffset=\"153600\""), "10 s of the picture's ticks: {text}");
        let whole =
            text.split("<BaseURL>").nth(1).and_then(|rest| rest.split('<').next()).expect("subtitles");
        let cues = http::get(server.http, &format!("{folder}/{whole}"));
        assert_eq!(cues.text(), "WEBVTT\n\n00:00:01.500 --> 00:00:03.000\nWithin\n");
        // Every segment that the manifest names is there.
        let document = roxmltree::Document::parse(text).expect("XML");
        for template in document
            .descendants()
            .filter(|it| it.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", "SegmentTemplate")))
        {
            let mut time = 0;
            for entry in template.descendants().filter(|it| it.tag_name().name() == "S") {
                time = entry.attribute("t").and_then(|it| it.parse::<u64>().ok()).unwrap_or(time);
                for _ in 0..=entry.attribute("r").map_or(0, |it| it.parse().expect("a number")) {
                    let media =
                        template.attribute("media").expect("named").replace("$Time$", &time.to_string());
                    assert_eq!(http::get(server.http, &format!("{folder}/{media}")).status, 200, "{media}");
                    time += entry.attribute("d").and_then(|it| it.parse::<u64>().ok()).expect("a duration");
                }
            }
        }
    }
    let list = http::get(server.http, "/vod/smil:part.smil/playlist.m3u8");
    let variants = lines(list.text(), "#EXT-X-STREAM-INF:");
    assert!(variants[0].contains("RESOLUTION=") && !variants[1].contains("RESOLUTION="), "{}", list.text());
    assert!(variants[1].contains("CODECS=\"mp4a.40.2\""), "sound alone: {}", variants[1]);
    let sound = lines(list.text(), "chunklist_")[1].to_owned();
    assert!(sound.contains("_a0_t11000-4000"), "{sound}");
    assert_eq!(http::get(server.http, &format!("/vod/smil:part.smil/{sound}")).status, 200);
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
        if player != "native" {
            assert_eq!(seen.widths, [640, 1280], "{player}: the rendition is chosen by hand");
        }
        if ["dash.js", "shaka"].contains(&player) {
            assert_eq!(seen.captions, ["Bonjour à tous"], "{player}");
        }
    }
    drop(nas);
    assert_eq!(server.end(), Some(0));
}
