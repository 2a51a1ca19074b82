//! Every task and thread of a running server is ended by its name, one after the other: no viewer stalls, and its work
//! is done again within five seconds.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http;
use crate::server::{Server, eventually};
use crate::stream::Follower;

/// The time within which each must be back.
const WITHIN: Duration = Duration::from_secs(5);
/// The longest time without a new segment: a player has three segments of two seconds.
const STALL: Duration = Duration::from_secs(6);

fn health(server: &Server) -> Vec<Value> {
    let health: Value = serde_json::from_str(http::get(server.admin, "/api/v1/health").text()).expect("JSON");
    health["tasks"].as_array().expect("tasks").clone()
}

fn task(server: &Server, name: &str) -> Option<(u64, bool)> {
    let task = health(server).into_iter().find(|task| task["name"] == name)?;
    Some((task["restarts"].as_u64().expect("a count"), task["state"] == "running"))
}

fn strike(server: &Server, name: &str) {
    let path = format!("/demo/tasks/{}/panic", name.replace(' ', "%20"));
    assert_eq!(http::request(server.admin, "POST", &path, "", "").status, 204, "{name}");
}

fn has_alarm(server: &Server, name: &str) -> bool {
    let alarms: Value = serde_json::from_str(http::get(server.admin, "/api/v1/alarms").text()).expect("JSON");
    let mut alarms = alarms.as_array().expect("a list").iter();
    alarms.any(|alarm| alarm["kind"] == "task" && alarm["about"] == name)
}

/// A viewer, and the longest time without a new segment.
struct Viewer {
    follower: Follower,
    newest: Option<i64>,
    at: Instant,
    longest: Duration,
}

impl Viewer {
    fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) -> Duration {
        let begun = Instant::now();
        eventually(what, || {
            self.follower.read();
            let newest = self.follower.collected.segments.keys().next_back().copied();
            if newest != self.newest {
                (self.newest, self.at) = (newest, Instant::now());
            }
            self.longest = self.longest.max(self.at.elapsed());
            done()
        });
        begun.elapsed()
    }
}

/// Whether what the task does is done.
fn works(server: &Server, name: &str) -> bool {
    let (kind, of) = name.split_once(' ').unwrap_or((name, ""));
    let ok = |address, path: &str| http::get(address, path).status == 200;
    let state = |source: &str| {
        let matrix = server.matrix();
        let mut sources = matrix["sources"].as_array().expect("sources").clone().into_iter();
        sources.find(|it| it["name"] == source).expect("the source")["state"].clone()
    };
    match (kind, of) {
        ("source" | "report", "PS-Amphi_A") => state(of) == "live",
        ("matrix", _) => {
            server.connect("Live_L2", "PS-Amphi_C");
            server.disconnect("Live_L2");
            true
        }
        ("calendar", _) => ok(server.admin, "/api/v1/schedule"),
        ("observer", _) => http::get(server.admin, "/api/v1/vitals").text().contains("\"fps\":1"),
        ("thumbnails", _) => ok(server.admin, "/api/v1/channels/Live_PAES/thumbnail.jpg"),
        ("portal", _) => ok(server.http, "/api/public/now.json"),
        ("port", "media") => ok(server.media, "/Live_PAES/playlist.m3u8"),
        ("rehearser", _) => http::request(server.admin, "POST", "/api/v1/rehearsal", "", "").status == 202,
        _ => true,
    }
}

#[test]
fn every_task_is_ended_by_its_name_and_viewers_do_not_notice() {
    let server = Server::demo();
    let is_live = || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A");
    let follower = Follower::new(server.http, "Live_PAES", "720p");
    let mut viewer = Viewer { follower, newest: None, at: Instant::now(), longest: Duration::ZERO };
    eventually("the hall is on air", is_live);
    // RTMP players, served by a fan-out group.
    let url = format!("rtmp://{}/Live_PAES/live_720p", server.media);
    let players = Command::new(env!("CARGO_BIN_EXE_amphi"))
        .args(["loadtest", &url, "--players", "3", "--ramp", "1", "--duration", "30"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut players = players.expect("amphi starts");
    viewer.until("a row", || task(&server, "rtmp row Live_PAES 720p").is_some());
    viewer.at = Instant::now();

    let mut names: Vec<String> =
        health(&server).iter().map(|task| task["name"].as_str().expect("a name").to_owned()).collect();
    // The group exists while its players are there.
    names.sort_by_key(|name| !name.starts_with("rtmp row"));
    for expected in [
        "audit",
        "calendar",
        "channel Live_PAES",
        "conductor",
        "ladder PS-Amphi_A lecture 720p",
        "ladder PS-Amphi_A lecture decoding",
        "matrix",
        "observer",
        "painter Live_L2",
        "port admin",
        "port http",
        "port media",
        "portal",
        "rehearser",
        "report PS-Amphi_B",
        "signals",
        "source PS-Amphi_A",
        "thumbnails",
        "watchman",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not among {names:?}");
    }
    let mut table = Vec::new();
    for name in &names {
        let (before, _) = task(&server, name).expect("it is listed");
        strike(&server, name);
        let back = viewer.until(name, || task(&server, name) == Some((before + 1, true)));
        let done = back + viewer.until(name, || works(&server, name));
        let alarm = viewer.until("the alarm", || has_alarm(&server, name));
        let on_air = viewer.until("the hall is on air", is_live);
        table.push(format!(
            "{name:<40} runs {:>5} ms, works {:>5} ms, alarm {:>5} ms, hall on air {:>5} ms",
            back.as_millis(),
            done.as_millis(),
            (done + alarm).as_millis(),
            (done + alarm + on_air).as_millis()
        ));
        assert!(done < WITHIN, "{name} is not back in time\n{}", table.join("\n"));
        let line = format!("amphi_task_restarts_total{{task=\"{name}\"}} 1");
        assert!(http::get(server.admin, "/metrics").text().contains(&line), "{line}");
    }
    println!("{}\nlongest time without a new segment: {:?}", table.join("\n"), viewer.longest);
    assert!(viewer.longest < STALL, "a viewer has stalled: {:?}", viewer.longest);
    // The work of the conductor and of the second channel.
    server.connect("Live_L2", "PS-Amphi_C");
    viewer.until("hall C is on air", || server.on_air("Live_L2").as_deref() == Some("PS-Amphi_C"));
    assert_eq!(http::get(server.admin, "/readyz").text(), "ready\n");
    assert!(players.wait().expect("it ends").success(), "RTMP players stalled");
    assert_eq!(server.end(), Some(0));
}
