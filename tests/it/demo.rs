//! The demo as a newcomer meets it.

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
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.headers.contains("cache-control: no-store"), "{path}");
    }
    assert!(http::get(server.http, "/Live_L2/media_720p_1.m4s").body.is_empty(), "as Wowza answers");
    let page = http::get(server.admin, "/");
    assert!(page.text().contains("<title>Amphi</title>"));
}

#[test]
fn the_demo_shows_a_day() {
    let any = "127.0.0.1:0";
    let server = Server::start(&["demo", "--listen", any, "--http-listen", any, "--admin-listen", any]);
    eventually("the first lecture is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    let matrix = server.matrix();
    let channel = |n: usize| &matrix["channels"][n];
    let reason = channel(0)["desired"]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("event 1000 'UE3 Biophysique' "), "{reason}");
    assert_eq!(channel(0)["desired"]["by"], "schedule");
    assert_eq!(
        (&channel(1)["desired"]["source"], &channel(1)["notice"]["place"]),
        (&serde_json::Value::Null, &"Amphi C".into())
    );
    let plan: serde_json::Value =
        serde_json::from_str(http::get(server.admin, "/api/v1/schedule").text()).expect("JSON");
    assert_eq!((&plan["feed"]["ok"], &plan["conflicts"][0]["kind"]), (&true.into(), &"no_series".into()));
    eventually("the conflict is an alarm", || {
        http::get(server.admin, "/api/v1/alarms").text().contains("belongs to no series")
    });
    assert_eq!(server.end(), Some(0));
}
