//! The console and the public pages in headless Chromium: what appears, what clicks do, what axe-core says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::day::{Calendar, EVIL, Hall, by_the_calendar};
use crate::http;
use crate::material::fixture;
use crate::server::{Server, eventually};

/// What a script saw.
#[derive(Debug, Deserialize)]
pub struct Report {
    /// Errors that pages have logged.
    errors: Vec<String>,
    /// Requests to other hosts.
    outside: Vec<String>,
    /// Serious faults of accessibility, by page.
    pub axe: BTreeMap<String, Vec<String>>,
    /// What was tried, and whether it succeeded: neither false nor null.
    pub steps: Vec<Step>,
    /// Milliseconds from a change in the server until the page shows it.
    #[serde(default)]
    appeared_ms: BTreeMap<String, u64>,
    /// The Content-Security-Policy of the first page.
    policy: String,
}

#[derive(Debug, Deserialize)]
pub struct Step {
    pub name: String,
    pub value: serde_json::Value,
}

pub fn run(script: &str, arguments: &[&str]) -> Report {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(script);
    let output = Command::new("node").arg(script).args(arguments).output().expect("node is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Report =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    for Step { name, value } in &report.steps {
        println!("{name}: {value}");
        let is_well = value.as_bool() == Some(true)
            || value.as_str().is_some_and(|text| !text.is_empty())
            || value.as_array().is_some_and(|list| !list.is_empty());
        assert!(is_well, "{name}: {value}");
    }
    assert!(report.errors.is_empty(), "pages complain: {:#?}", report.errors);
    assert!(report.outside.is_empty(), "other hosts were asked: {:?}", report.outside);
    for (page, faults) in &report.axe {
        assert!(faults.is_empty(), "{page}: {faults:#?}");
    }
    for word in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'"] {
        assert!(report.policy.contains(word), "{}", report.policy);
    }
    report
}

#[test]
fn the_console_is_served_with_a_strict_policy() {
    let server = Server::demo();
    let page = http::get(server.admin, "/");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("script-src 'self'; style-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(policy.contains(&format!("frame-src http://127.0.0.1:{}", server.http.port())), "{policy}");
    for line in page.text().lines().filter(|line| line.contains("src=") || line.contains("<link")) {
        let Some((_, rest)) = line.split_once("=\"/console/") else { continue };
        let name = rest.split('"').next().expect("a name");
        assert_eq!(http::get(server.admin, &format!("/console/{name}")).status, 200, "{name}");
    }
    let picture = || http::get(server.admin, "/api/v1/channels/Live_L2/thumbnail.jpg");
    eventually("a picture of the channel", || picture().status == 200);
    assert!(picture().body.starts_with(&[0xff, 0xd8, 0xff]));

    let list = http::get(server.http, "/");
    assert!(list.header("content-security-policy").is_some_and(|it| it.ends_with("frame-ancestors *")));
    for (path, status) in [
        ("/watch/Live_L2", 200),
        ("/watch/vod/engage-player_1042_presenter.smil", 200),
        ("/watch/None", 404),
        ("/watch/Live_L2/more", 404),
        ("/watch/", 404),
        ("/assets/hls.light.min.mjs", 200),
        ("/assets/none.js", 404),
    ] {
        let answer = http::get(server.http, path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(http::request(server.media, "HEAD", path, "", "").status, status, "HEAD {path}");
    }
    let again = http::get_with(
        server.http,
        "/assets/pages.css",
        &[("If-None-Match", http::get(server.http, "/assets/pages.css").header("etag").expect("a tag"))],
    );
    assert_eq!(again.status, 304);
    assert_eq!(server.end(), Some(0));
}

/// Also by a console that did not ask while the source was live, but was told that there is a picture.
#[test]
fn a_source_that_has_left_is_shown_as_it_was_last_seen() {
    let server = Server::demo();
    let of_hall = |list: serde_json::Value| {
        let all = list["sources"].as_array().expect("sources").clone();
        all.into_iter().find(|it| it["name"] == "PS-Amphi_A").unwrap_or_default()
    };
    let vitals =
        || of_hall(serde_json::from_slice(&http::get(server.admin, "/api/v1/vitals").body).expect("JSON"));
    eventually("there is a picture of the hall", || !vitals()["picture_at"].is_null());
    server.disconnect("Live_PAES");
    eventually("the hall is let go", || of_hall(server.matrix())["state"] == "idle");
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(http::get(server.admin, "/api/v1/sources/PS-Amphi_A/thumbnail.jpg").status, 200);
    }
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn operators_work_with_the_console_in_a_browser() {
    let server = Server::demo();
    eventually("hall A is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    let report = run("console.mjs", &[&format!("http://{}", server.admin)]);
    println!("{:?}", report.appeared_ms);
    assert!(report.appeared_ms.len() >= 5);
    for (what, ms) in &report.appeared_ms {
        assert!(*ms < 2000, "{what} appeared after {ms} ms");
    }
    assert_eq!(report.axe.len(), 4, "every page was judged");
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn the_day_is_drawn_in_a_browser() {
    let any = "127.0.0.1:0";
    let server = Server::start(&["demo", "--listen", any, "--http-listen", any, "--admin-listen", any]);
    let report = run("day.mjs", &[&format!("http://{}", server.admin)]);
    assert_eq!(report.axe.len(), 1, "the page was judged");
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn operators_sign_in_and_look_at_the_day_and_the_log_in_a_browser() {
    let hall = Hall::start();
    let calendar = Calendar::new(&[
        ("1", "UE3 Biophysique", -60, 3600),
        ("2", "UE1 Chimie", 7200, 10_800),
        ("3", "UE2 Histologie", 9000, 12_600),
        ("4", EVIL, 14_400, 18_000),
    ]);
    let tokens = "[admin]\ntoken = \"operators-token\"\nviewer_token = \"viewers-token\"\n";
    let server = Server::run(&(by_the_calendar(&hall.url(), &calendar.path(), "") + tokens));
    let admin = format!("http://{}", server.admin);
    let report = run("operator.mjs", &[&admin, "operators-token", "viewers-token", EVIL]);
    assert_eq!(report.axe.len(), 2, "both pages were judged");
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn viewers_watch_the_public_pages_in_a_browser() {
    let server = Server::demo();
    eventually("hall A is on air", || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A"));
    let vod = "vod/engage-player_1042_presenter.smil";
    run("public.mjs", &[&format!("http://{}", server.http), "Live_PAES", vod]);
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn a_recording_has_subtitles_and_chapters_in_a_browser() {
    let nas = tempfile::tempdir().expect("a folder");
    std::fs::copy(fixture("hall_a.mp4"), nas.path().join("a b.mp4")).expect("copied");
    let write = |name: &str, text: &str| std::fs::write(nas.path().join(name), text).expect("written");
    write("a b.fr.vtt", "WEBVTT\n\n00:01.000 --> 00:19.000\nBonjour <b>à tous</b>\n");
    write(
        "a b.chapters.vtt",
        "WEBVTT\n\n00:00.000 --> 00:10.000\nPlan\n\n00:10.000 --> 00:20.000\n&lt;img src=x&gt;\n",
    );
    let config = format!("[[vod]]\nname = \"vod\"\nroot = '{}'\n", nas.path().display());
    let server = Server::run(&(config + &crate::sources::one_hall("rtsp://127.0.0.1:9/extron1")));
    eventually("the channel is there", || http::get(server.http, "/Live/playlist.m3u8").status == 200);
    let report = run("public.mjs", &[&format!("http://{}", server.http), "Live", "vod/a%20b.mp4"]);
    let step =
        |name: &str| report.steps.iter().find(|step| step.name == name).map(|step| step.value.to_string());
    assert!(step("subtitles").is_some_and(|text| text.contains("Bonjour")), "{:?}", report.steps);
    assert!(step("chapters").is_some_and(|text| text.contains("0:10 <img src=x>")), "{:?}", report.steps);
    assert_eq!(server.end(), Some(0));
}
