//! Every task and thread of a running server is ended by its name, one after the other: no viewer stalls, and its work
//! is done again within five seconds.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use amphi::tasks::TaskState;
use serde_json::Value;

use crate::http;
use crate::push;
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
    viewer.until("a fan-out group", || task(&server, "rtmp fan-out Live_PAES 720p").is_some());
    viewer.at = Instant::now();

    let mut names: Vec<String> =
        health(&server).iter().map(|task| task["name"].as_str().expect("a name").to_owned()).collect();
    // The group exists while its players are there.
    names.sort_by_key(|name| !name.starts_with("rtmp fan-out"));
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
        "recordings",
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

/// Somebody who is told of alarms: their bodies.
fn listener() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let (told, bodies) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|_| line.trim_end() != "") {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            reader.into_inner().write_all(answer).expect("it waits for an answer");
            if told.send(serde_json::from_slice(&body).expect("JSON")).is_err() {
                return;
            }
        }
    });
    (url, bodies)
}

/// The demo has neither of them, and only the demo ends tasks for whoever asks: this server runs in the test itself.
#[test]
fn pushes_and_webhooks_are_ended_by_their_names() {
    let taker = Server::run(&push::channel("publish_key = \"chalk\""));
    let (hook, told) = listener();
    let state = tempfile::tempdir().expect("a directory");
    let any = "127.0.0.1:0";
    let text = format!(
        "[server]\nlisten = \"{any}\"\nhttp_listen = \"{any}\"\nadmin_listen = \"{any}\"\nstate_dir = \"{}\"\n{}\n\
         [[push]]\nname = \"away\"\nchannel = \"Live\"\nrung = \"480p\"\nurl = \"rtmp://{}/publish/hall?key=chalk\"\n\
         [[alarm.webhook]]\nurl = \"{hook}\"\n",
        state.path().join("state").display(),
        push::channel("publish_key = \"other\""),
        taker.media
    );
    let config = amphi::config::Config::parse(&text, "config.toml").expect("a configuration");
    let clocks = amphi::clock::Clocks::system();
    let tasks = amphi::tasks::Tasks::new(Arc::clone(&clocks.wall));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let pusher = runtime.block_on(amphi::server::Server::start(config, clocks, tasks.clone(), None));
    let pusher = pusher.expect("it starts");
    let admin = pusher.addresses().admin.expect("it listens");
    let push = || -> Value {
        serde_json::from_str::<Value>(http::get(admin, "/api/v1/pushes").text()).expect("JSON")[0].clone()
    };
    let shown = || taker.on_air("Live").as_deref() == Some("hall");
    eventually("it is published", || push()["state"] == "publishing");
    eventually("it is on air", shown);
    let runs_again = |name: &str| {
        let mut all = tasks.all().into_iter();
        all.any(|it| &*it.name == name && it.state == TaskState::Running && it.restarts == 1)
    };
    let is_told = |name: &str| {
        while let Ok(message) = told.try_recv() {
            let alarm = &message["alarm"];
            if message["event"] == "raised" && alarm["kind"] == "task" && alarm["about"] == name {
                return true;
            }
        }
        false
    };

    // Of the second one's fall it tells itself.
    for name in ["push away", "webhook 1"] {
        let connects = push()["connects"].as_u64().expect("a count");
        let begun = Instant::now();
        assert!(tasks.strike(name), "{name} runs");
        eventually("it runs again", || runs_again(name));
        if name == "push away" {
            eventually("it is published again", || {
                push()["state"] == "publishing" && push()["connects"] == connects + 1
            });
            eventually("the taker has it", shown);
        }
        assert!(begun.elapsed() < WITHIN, "{name} took {:?}", begun.elapsed());
        eventually("the alarm is told", || is_told(name));
        assert!(begun.elapsed() < WITHIN, "{name} was told after {:?}", begun.elapsed());
    }
    runtime.block_on(pusher.end());
    eventually("the waiting loop is on air", || taker.on_air("Live").is_none());
    assert_eq!(taker.end(), Some(0));
}
