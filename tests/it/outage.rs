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
    // Nobody answers there; the test looks at the override alone.
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

/// Commands given to the matrix are on disk, whole, whenever the power is cut.
#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn a_server_that_is_killed_in_mid_cell_goes_on() {
    let mut server = Server::run(&one_hall("rtsp://127.0.0.1:9/extron1"));
    let mut collected = Collected::default();
    for round in 0..3 {
        eventually("the playlist is there", || http::get(server.http, "/Live/playlist.m3u8").status == 200);
        if round > 0 {
            let desired = &server.matrix()["channels"][0]["desired"];
            assert_eq!(desired["by"], "manual", "what was said by hand is kept: {desired}");
        }
        let more = collect(server.http, "Live", "480p", 6);
        assert!(round == 0 || more.init == collected.init, "one initialization section for ever");
        for (k, segment) in more.segments {
            let before = collected.segments.entry(k).or_insert_with(|| segment.clone());
            assert_eq!(*before, segment, "cell {k} is the same from every server");
        }
        collected.init = more.init;
        // Its state is written again and again until it dies, at some point of some cell.
        let admin = server.admin;
        let writing = std::thread::spawn(move || {
            let write = |method: &str| {
                let path = "/api/v1/channels/Live/source";
                let mut stream = std::net::TcpStream::connect(admin)?;
                std::io::Write::write_all(
                    &mut stream,
                    format!("{method} {path} HTTP/1.1\r\nHost: {admin}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                        .as_bytes(),
                )?;
                std::io::copy(&mut stream, &mut std::io::sink())
            };
            while write("DELETE").is_ok() {}
        });
        std::thread::sleep(Duration::from_millis(1100 + 370 * round));
        server = server.killed();
        writing.join().expect("it ends with the server");
        let state = server.home().join("state");
        let text = std::fs::read_to_string(state.join("overrides.json")).expect("there");
        serde_json::from_str::<serde_json::Value>(&text).expect("whole");
        let corrupt = std::fs::read_dir(state).expect("there").flatten();
        assert!(!corrupt.into_iter().any(|it| it.file_name().to_string_lossy().ends_with(".corrupt")));
    }
    let keys: Vec<_> = collected.segments.keys().collect();
    assert!(keys.windows(2).all(|pair| *pair[1] == pair[0] + 1), "no number is left out: {keys:?}");
    judge(&collected, Some((854, 480)));
    assert_eq!(server.end(), Some(0));
}

/// Reading this waiting video never returns, as from storage that hangs.
#[test]
fn a_server_that_is_still_starting_ends_when_it_is_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("waiting.mp4");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .expect("made");
    let fixture = fixture("waiting.mp4").display().to_string();
    let config = one_hall("rtsp://127.0.0.1:9/extron1").replace(&fixture, fifo.to_str().expect("UTF-8"));
    let server = Server::run(&config);
    assert_eq!(http::get(server.admin, "/readyz").status, 503);
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
    let is_on_air = || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A");
    eventually("the hall is on air", is_on_air);
    // In every rendition.
    let readers = crate::judge::RUNGS.map(|(rung, _)| {
        let url = format!("http://{}/Live_PAES/live_{rung}/playlist.m3u8", server.http);
        std::process::Command::new("ffmpeg")
            .args(["-nostdin", "-v", "warning", "-i", &url, "-t", "64", "-c", "copy", "-f", "null", "-"])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("ffmpeg is installed")
    });
    let mut viewers = crate::judge::RUNGS.map(|(rung, _)| Follower::new(server.http, "Live_PAES", rung));
    let mut until = |what: &str, done: &mut dyn FnMut() -> bool| {
        eventually(what, || {
            viewers.iter_mut().for_each(Follower::read);
            done()
        });
    };
    for switch in 0..5 {
        if switch % 2 == 0 {
            server.disconnect("Live_PAES");
            until("the waiting loop is on air", &mut || !is_on_air());
        } else {
            server.connect("Live_PAES", "PS-Amphi_A");
            until("the hall is on air", &mut || is_on_air());
        }
        let end = std::time::Instant::now() + Duration::from_secs(6);
        until("time passes", &mut || std::time::Instant::now() >= end);
    }
    // Until every reader has had its 64 s, so that the cells of the last switch have been listed and read.
    let end = std::time::Instant::now() + Duration::from_secs(6);
    until("time passes", &mut || std::time::Instant::now() >= end);
    for reader in readers {
        let output = reader.wait_with_output().expect("ffmpeg ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        for word in ["DTS", "dts", "timestamp", "iscontinuity", "nvalid", "rror"] {
            assert!(!said.contains(word), "{said}");
        }
    }
    // And what each has read, across the switches, has no gap and no overlap.
    let [_, _, sound] = &viewers;
    let cells: Vec<_> = sound.collected.segments.keys().copied().collect();
    assert!(cells.len() >= 15, "{cells:?}");
    for (viewer, (_, size)) in viewers.iter().zip(crate::judge::RUNGS) {
        judge(&viewer.collected, size);
    }
    // All renditions switch in the same cell.
    let [high, low, _] = &viewers;
    let both = high.collected.segments.keys().filter(|k| low.collected.segments.contains_key(k));
    let live: Vec<_> = both.map(|&k| (k, is_live(&high.collected, k), is_live(&low.collected, k))).collect();
    assert!(live.iter().all(|(_, high, low)| high == low), "{live:?}");
    let switches = live.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    assert!(switches >= 5, "{live:?}");
}
