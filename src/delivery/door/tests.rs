//! One thing in all its spellings, asked for over sockets: HTTP by the fast path and without it, RTSP, and RTMP with the URL
//! cut at each of its slashes. The door hears of the same, once, and what it heard of is what is played.

mod players;
mod rights;

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tokio::time::Instant;

use super::*;
use crate::delivery::PublishedChannel;
use players::{K, Server};

/// How long a clock stands still in a test that would otherwise hang.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);

/// The same text with these of its bytes escaped, in either case, and those that HTTP has not; slashes stay.
pub(super) fn escaped(text: &str, which: &[bool]) -> String {
    let byte = |(at, byte): (usize, u8)| match which.get(at % which.len().max(1)) {
        Some(true) if byte != b'/' && at % 2 == 0 => format!("%{byte:02X}"),
        Some(true) if byte != b'/' => format!("%{byte:02x}"),
        _ if byte.is_ascii() && !b"%? ".contains(&byte) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().enumerate().map(byte).collect()
}

pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn a_recording_is_one_thing_in_every_spelling_and_protocol(
        folders in prop::collection::vec(prop_oneof![3 => "[a-zA-Z0-9 é%~_-]{0,6}[a-z]", 1 => Just("_definst_".to_owned())], 0..3),
        name in "[a-zA-Z0-9é%_-]{1,8}", extension in any::<bool>(), instances in 0..3_usize,
        prefix in select(vec!["", "mp4:", "flv:", "mp3:", "m4a:"]), before in any::<prop::sample::Index>(),
        escapes in prop::collection::vec(any::<bool>(), 1..9), is_closed in any::<bool>(),
    ) {
        // A prefix stands before the path, or before a part of it.
        let before = before.index(folders.len() + 1);
        prop_assume!(folders.first().is_none_or(|first| first != "_definst_") || (!prefix.is_empty() && before == 0));
        let mut parts = folders.clone();
        parts.push(if extension { format!("{name}.mp4") } else { name.clone() });
        parts[before] = format!("{prefix}{}", parts[before]);
        let spelled = format!("vod/{}{}", "_definst_/".repeat(instances), parts.join("/"));
        let path = format!("{}.mp4", folders.iter().chain([&name]).map(String::as_str).collect::<Vec<_>>().join("/"));
        let stream = RecordingStream::File(path.clone());
        let expected = format!("{:?}", Resolved::Recording { mount: "vod", stream: &stream });
        run(async {
            let server = Server::new(&path);
            server.close(is_closed);
            let mut ways = server.all_ways(&escaped(&spelled, &escapes)).await;
            // RTMP needs no escapes but those of their own sign.
            let raw = spelled.replace('%', "%25");
            let (app, stream) = raw.rsplit_once('/').expect("two parts");
            let is_played = server.rtmp(app, stream).await;
            ways.push(("RTMP, raw".to_owned(), server.heard(), is_played));
            for (way, heard, is_played) in ways {
                prop_assert_eq!(heard, [&*expected], "{} over {}", spelled, way);
                prop_assert_eq!(is_played, !is_closed, "{} over {}", spelled, way);
            }
            // What is escaped twice is the name of another file.
            let twice = escaped(&spelled, &escapes).replace('%', "%25");
            if twice.contains('%') {
                for (way, heard, _) in server.all_ways(&twice).await {
                    prop_assert!(!heard.contains(&expected), "{} over {}", twice, way);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_stream_is_its_channel_in_every_spelling_and_protocol(
        stream in select(vec!["", "vl1", "vl1.stream", "other_one"]), rung in select(vec!["", "480p", "720p"]),
        is_group in any::<bool>(), instances in 0..3_usize, prefix in select(vec!["", "mp4:", "flv:", "mp3:", "m4a:"]),
        escapes in prop::collection::vec(any::<bool>(), 1..9), is_closed in any::<bool>(),
    ) {
        let (text, rung) = match (stream, rung) {
            ("", _) => (String::new(), ""),
            _ if is_group => (format!("/ngrp:{stream}_all"), ""),
            (_, "") => (format!("/{prefix}{stream}"), ""),
            (_, rung) => (format!("/{prefix}{stream}_{rung}"), rung),
        };
        let spelled = escaped(&format!("hs-a{}{text}", "/_definst_".repeat(instances)), &escapes);
        let rungs = if rung.is_empty() { Selection::All } else { Selection::Rung(rung) };
        let expected = format!("{:?}", Resolved::Channel { channel: "hs-a", rungs });
        run(async {
            let server = Server::new("a.mp4");
            server.close(is_closed);
            for (way, heard, is_played) in server.all_ways(&spelled).await {
                prop_assert_eq!(heard, [&*expected], "{} over {}", spelled, way);
                prop_assert_eq!(is_played, !is_closed, "{} over {}", spelled, way);
            }
            if is_closed {
                return Ok(());
            }
            // Those rungs are played.
            let (_, list) = server.http(&format!("{spelled}/playlist.m3u8"), "").await;
            let listed: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
            let of = |rung: &str| format!("chunklist_{rung}.m3u8");
            let named = if rung.is_empty() { vec![of("720p"), of("480p")] } else { vec![of(rung)] };
            prop_assert_eq!(listed, named);
            let (_, description) = server.rtsp(&spelled).await;
            let pps = if rung == "480p" { "aAI=" } else { "aAE=" };
            prop_assert!(description.contains(pps), "{description}");
            Ok(())
        })?;
    }

    #[test]
    fn what_cannot_be_named_is_refused_by_all_before_the_door(
        app in select(vec!["vod", "hs-a"]), prefix in select(vec!["", "mp4:", "_definst_/", "_definst_/mp4:"]),
        bad in select(vec![
            "..", ".", "a/../b", "%2e%2e/b", "a//b", "a%2fb", "a%2F..%2Fb", "a%00", "%ff", "%", "%4", "%zz", "a%5cb",
            "a/%2e/b", "a/%2e%2e/b", "a/%2E./b",
        ]),
        after in select(vec!["", ".mp4"]),
    ) {
        let after = if bad.ends_with('.') { "" } else { after };
        let spelled = format!("{app}/{prefix}{bad}{after}");
        run(async {
            let server = Server::new("b.mp4");
            for (way, heard, is_played) in server.all_ways(&spelled).await {
                prop_assert!(heard.is_empty() && !is_played, "{} over {}: {:?}", spelled, way, heard);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_name_is_as_long_for_all(
        app in select(vec!["vod", "hs-a"]), prefix in select(vec!["", "mp4:"]), extension in any::<bool>(),
        len in prop_oneof![500..1100_usize, 1010..1030_usize], is_deep in any::<bool>(),
    ) {
        let name = if is_deep && app == "vod" { "a/".repeat(len / 2) + "b" } else { "a".repeat(len) };
        let end = if extension && app == "vod" { ".mp4" } else { "" };
        let spelled = format!("{app}/{prefix}{name}{end}");
        run(async {
            let server = Server::new("a.mp4");
            let mut all = Vec::new();
            for (way, fields) in [("HTTP, by the lane", ""), ("HTTP", "Range: bytes=0-\r\n")] {
                server.http(&format!("{spelled}/playlist.m3u8"), fields).await;
                all.push((way, server.heard()));
            }
            server.rtsp(&spelled).await;
            all.push(("RTSP", server.heard()));
            for (way, cut) in [("RTMP", spelled.split_once('/')), ("RTMP, cut late", spelled.rsplit_once('/'))] {
                let (app, stream) = cut.expect("two parts");
                server.rtmp(app, stream).await;
                all.push((way, server.heard()));
            }
            let len = name.len() + if app == "vod" { ".mp4".len() } else { 0 };
            for (way, heard) in all {
                prop_assert_eq!(heard.len(), usize::from(len <= 1023), "{} bytes over {}", len, way);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_rung_in_the_name_of_a_file_is_heard_of_too() {
    let server = Server::new("a.mp4");
    let (_, list) = server.http("hs-a/chunklist_480p.m3u8", "").await;
    let init = list.split('"').nth(1).expect("EXT-X-MAP").to_owned();
    server.heard();
    let of = |rungs| format!("{:?}", Resolved::Channel { channel: "hs-a", rungs });
    for (file, rungs) in [
        ("hs-a/chunklist_480p.m3u8".to_owned(), Selection::Rung("480p")),
        ("hs-a/vl1_720p/chunklist_480p.m3u8".to_owned(), Selection::Rung("480p")),
        ("hs-a/vl1_480p/chunklist_w7.m3u8".to_owned(), Selection::Rung("480p")),
        ("hs-a/vl1/chunklist_w7_b1.m3u8".to_owned(), Selection::Rung("480p")),
        ("hs-a/vl1/chunklist_b99999999999.m3u8".to_owned(), Selection::Rung("720p")),
        ("hs-a/vl1/chunklist.m3u8".to_owned(), Selection::All),
        ("hs-a/manifest.mpd".to_owned(), Selection::All),
        (format!("hs-a/other_one/{init}"), Selection::Rung("480p")),
        (format!("hs-a/media_480p_{K}.m4s"), Selection::Rung("480p")),
    ] {
        for fields in ["", "Range: bytes=0-\r\n"] {
            let (status, _) = server.http(&file, fields).await;
            assert!(matches!(status, 200 | 206), "{file}: {status}");
            assert_eq!(server.heard(), [of(rungs)], "{file} {fields:?}");
        }
    }
    // What is not there is asked about by its address, whatever file of it.
    for file in
        ["hs-a/vl1/chunklist_x.m3u8", "hs-a/vl1/init_480p_0.mp4", "hs-a/vl2/playlist.m3u8", "x/playlist.m3u8"]
    {
        let (status, _) = server.http(file, "").await;
        let heard = server.heard();
        assert!(
            status == 404 && heard.len() == 1 && heard[0].starts_with("Nothing"),
            "{file}: {status} {heard:?}"
        );
    }
}

/// The clock stands still in it, so whoever waits for the channel is not answered.
#[tokio::test(start_paused = true)]
async fn who_is_refused_does_not_wait_for_a_channel() {
    // A paused clock goes on to the next timer when there is nothing else to do, but not while a blocking task runs.
    let (until, ended) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || ended.recv_timeout(GIVEN_UP_AFTER));
    let server = Server::new("a.mp4");
    server.close(true);
    let starting = PublishedChannel { streams: vec!["vl1".to_owned()], window: None, air: None };
    server.delivery.registry().insert("hs-a", starting);
    let begun = Instant::now();
    let expected = format!("{:?}", Resolved::Channel { channel: "hs-a", rungs: Selection::Rung("480p") });
    for (way, heard, is_played) in server.all_ways("hs-a/vl1_480p").await {
        assert_eq!((heard, is_played), (vec![expected.clone()], false), "{way}");
    }
    for file in ["media_480p_7.m4s", "media_480p.v_7.m4s", "init_480p_0123.mp4"] {
        let (status, _) = server.http(&format!("hs-a/{file}"), "").await;
        assert_eq!((status, server.heard()), (403, vec![expected.clone()]), "{file}");
    }
    let (status, _) = server.send("POST /hs-a/playlist.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((status, server.heard()), (405, vec![]));
    assert_eq!(begun.elapsed(), Duration::ZERO, "somebody has waited");
    drop(until);
}

#[tokio::test]
async fn the_lane_refuses_as_the_ordinary_way_does() {
    let server = Server::new("a.mp4");
    server.close(true);
    let by_lane = server.http("hs-a/vl1/playlist.m3u8", "").await;
    let ordinary = server.http("hs-a/vl1/playlist.m3u8", "Range: bytes=0-\r\n").await;
    assert_eq!((by_lane.0, &by_lane), (403, &ordinary));
    assert!(by_lane.1.contains("not for you"), "{}", by_lane.1);
    assert_eq!(server.heard().len(), 2);
}
