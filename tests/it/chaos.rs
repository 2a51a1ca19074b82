//! Every fault of every kind at random, one viewer per protocol, and no viewer stalls.
//!
//! Halls fail, operators switch, strangers send nonsense, the log's reader stops, and every supervised task
//! is ended by a panic, in an order that the seed decides. The viewers are the load test's players over HLS, RTMP and
//! RTSP, a reader of DASH, and a follower that judges every playlist. Two minutes by default; `tests/chaos` does 20.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::faults::set_fault;
use crate::http;
use crate::server::{Server, eventually};
use crate::soak::size;
use crate::stream::Follower;

const CHANNEL: &str = "Live_PAES";
const OTHER: &str = "Live_L2";
const HALLS: [&str; 3] = ["PS-Amphi_A", "PS-Amphi_B", "PS-Amphi_C"];
const FAULTS: [&str; 23] = [
    "off",
    "reset",
    "freeze",
    "no-video",
    "no-audio",
    "still",
    "black",
    "silent",
    "loss=1",
    "loss=5",
    "reorder",
    "jump=3600",
    "jump=-3600",
    "video-reset",
    "wrap",
    "skew=200",
    "skew=-200",
    "resize",
    "garbage",
    "deaf",
    "timeout=20",
    "reports",
    "mono",
];
/// How old the newest media of a viewer may be: two cells, one that is awaited, and the transport.
const LATE: Duration = Duration::from_secs(8);

/// A sequence that the seed decides.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A player of the load test: a process of its own.
struct Player {
    child: Child,
    url: String,
}

impl Player {
    fn start(url: String, seconds: u64) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_amphi"))
            .args(["loadtest", &url, "--players", "1", "--ramp", "0", "--json", "-", "--duration"])
            .arg(seconds.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the load test starts");
        Self { child, url }
    }

    /// Its report, in JSON.
    fn report(mut self) -> Value {
        let mut text = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut text).expect("a text");
        let _ = self.child.wait();
        let report: Value = serde_json::from_str(&text).expect("a report");
        println!(
            "{}: {} stalls of {} s, {} s of media, errors {}",
            self.url, report["stalls"], report["stalled_s"], report["media_s"], report["errors"]
        );
        report
    }
}

/// A reader of the picture's lowest representation: every segment of its timeline, once and in a row.
struct DashReader {
    address: SocketAddr,
    /// The end of the last segment that was read, in ticks.
    end: Option<u64>,
    fresh: Instant,
    oldest: Duration,
}

impl DashReader {
    fn new(address: SocketAddr) -> Self {
        Self { address, end: None, fresh: Instant::now(), oldest: Duration::ZERO }
    }

    fn read(&mut self) {
        let answer = http::get(self.address, &format!("/{CHANNEL}/manifest.mpd"));
        if answer.status == 200 {
            self.segments(answer.text());
        }
        self.oldest = self.oldest.max(self.fresh.elapsed());
    }

    fn segments(&mut self, manifest: &str) {
        let document = roxmltree::Document::parse(manifest).expect("XML");
        let named = |name: &'static str| {
            document.descendants().filter(move |it| it.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", name)))
        };
        let video = named("AdaptationSet")
            .find(|it| it.attribute("contentType") == Some("video"))
            .expect("a picture");
        let within = |name: &str| {
            video.descendants().find(|it| it.tag_name().name() == name).expect("of a live manifest")
        };
        let (template, id) =
            (within("SegmentTemplate"), within("Representation").attribute("id").expect("an id"));
        let number = |node: roxmltree::Node<'_, '_>, name: &str| {
            node.attribute(name).and_then(|it| it.parse::<u64>().ok())
        };
        let media = template.attribute("media").expect("names").replace("$RepresentationID$", id);
        let (mut time, mut place) = (0, number(template, "startNumber").unwrap_or(1));
        for entry in template.descendants().filter(|it| it.tag_name().name() == "S") {
            time = number(entry, "t").unwrap_or(time);
            let duration = number(entry, "d").expect("a duration");
            for _ in 0..=number(entry, "r").unwrap_or(0) {
                if self.end.is_none_or(|end| time >= end) {
                    assert!(
                        self.end.is_none_or(|end| time == end),
                        "DASH: a hole before {time}: {:?}",
                        self.end
                    );
                    let name =
                        media.replace("$Number$", &place.to_string()).replace("$Time$", &time.to_string());
                    assert_eq!(http::get(self.address, &format!("/{CHANNEL}/{name}")).status, 200, "{name}");
                    self.end = Some(time + duration);
                    self.fresh = Instant::now();
                }
                time += duration;
                place += 1;
            }
        }
    }
}

/// What is done to the server, with counts for the report.
struct Mischief<'a> {
    server: &'a Server,
    chance: Chance,
    tasks: Vec<String>,
    done: BTreeMap<String, u32>,
}

impl Mischief<'_> {
    fn count(&mut self, what: impl Into<String>) {
        *self.done.entry(what.into()).or_default() += 1;
    }

    /// Does one thing, of any kind.
    fn act(&mut self) {
        match self.chance.below(10) {
            0..=3 => {
                let (hall, fault) = (self.chance.one(&HALLS), self.chance.one(&FAULTS));
                set_fault(self.server, hall, fault);
                self.count(format!("hall: {fault}"));
            }
            4 | 5 => {
                set_fault(self.server, self.chance.one(&HALLS), "");
                self.count("hall: mended");
            }
            6 => self.people(),
            7 => self.stranger(),
            8 => {
                // For longer than the pipe can hold what is logged meanwhile.
                self.server.pause_log(Duration::from_secs(4));
                self.count("log: not read");
            }
            _ => self.end_a_task(),
        }
    }

    fn people(&mut self) {
        let (channel, hall) = (self.chance.one(&[CHANNEL, OTHER]), self.chance.one(&HALLS));
        let source = format!("/api/v1/channels/{channel}/source");
        let body = format!("{{\"source\":\"{hall}\"}}");
        let json = "Content-Type: application/json\r\n";
        let (method, path, extra, body) = match self.chance.below(4) {
            0 => ("DELETE", source, "", ""),
            1 => ("DELETE", format!("/api/v1/channels/{channel}/override"), "", ""),
            _ => ("PUT", source, json, body.as_str()),
        };
        // The matrix's task may just have been ended; the next action gives its command again.
        let status = http::request(self.server.admin, method, &path, extra, body).status;
        assert!(matches!(status, 200 | 204 | 404 | 409 | 500 | 503), "{method} {path}: {status}");
        self.count(format!("people: {method}"));
    }

    fn stranger(&mut self) {
        let address = self.chance.one(&[self.server.media, self.server.http, self.server.admin]);
        let heads: [&[u8]; 6] = [
            b"",
            b"\x03",
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
            b"DESCRIBE rtsp://x/Live_PAES RTSP/1.0\r\nCSeq: 1\r\n\r\n$\x00\xff\xff",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"token\":\"x\"}",
        ];
        let (head, count) = (self.chance.one(&heads), self.chance.below(4000));
        let tail = self.chance.bytes(count);
        if let Ok(mut stream) = TcpStream::connect(address) {
            // The server may close it at any byte.
            let _ = stream.write_all(head).and_then(|()| stream.write_all(&tail));
        }
        self.count("stranger: nonsense");
    }

    fn end_a_task(&mut self) {
        if self.tasks.is_empty() {
            return;
        }
        let place = self.chance.below(self.tasks.len());
        let name = self.tasks[place].clone();
        let status = end_task(self.server, &name);
        // A task that comes and goes with its hall may not be running.
        assert!(matches!(status, 204 | 404 | 409), "{name}: {status}");
        self.count(format!("ended: {name}"));
    }
}

/// Has a supervised task panic; gives the answer's status.
fn end_task(server: &Server, name: &str) -> u16 {
    let path = format!("/demo/tasks/{}/panic", name.replace(' ', "%20"));
    http::request(server.admin, "POST", &path, "", "").status
}

/// The names of all supervised tasks.
fn tasks(server: &Server) -> Vec<String> {
    let answer = http::get(server.admin, "/api/v1/health");
    let health: Value = serde_json::from_str(answer.text()).expect("JSON");
    let tasks = health["tasks"].as_array().expect("tasks");
    tasks.iter().map(|task| task["name"].as_str().expect("a name").to_owned()).collect()
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
#[ignore = "takes two minutes: tests/run"]
fn chaos_stalls_no_viewer() {
    let minutes = setting("AMPHI_CHAOS_MINUTES");
    // The short form does the same each time.
    let by_chance = || minutes.map_or(1_795_728_590_278, |_| crate::air_log::now_ms() as u64);
    let seed = setting("AMPHI_CHAOS_SEED").unwrap_or_else(by_chance);
    let minutes = minutes.unwrap_or(2);
    println!("seed {seed}");
    let server = Server::demo();
    server.connect(OTHER, "PS-Amphi_B");
    let mut viewer = Follower::new(server.http, CHANNEL, "480p");
    viewer.until("hall A is on air", || server.on_air(CHANNEL).is_some());
    viewer.follow(Duration::from_secs(10));
    let mut dash = DashReader::new(server.http);
    let seconds = 60 * minutes + 15;
    let media = server.media;
    let players = [
        Player::start(format!("http://{}/{CHANNEL}/playlist.m3u8", server.http), seconds),
        Player::start(format!("rtmp://{media}/{CHANNEL}/live"), seconds),
        Player::start(format!("rtsp://{media}/{CHANNEL}/live"), seconds),
    ];
    // Each segment that is watched has a descriptor, for as long as it is listed.
    let end = Instant::now() + Duration::from_secs(15);
    viewer.until("everybody watches", || {
        dash.read();
        Instant::now() >= end
    });
    let before = size(&server);
    let mut mischief =
        Mischief { server: &server, chance: Chance(seed), tasks: tasks(&server), done: BTreeMap::new() };
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    while Instant::now() < end {
        mischief.act();
        for _ in 0..2 + mischief.chance.below(4) {
            viewer.follow(Duration::from_millis(500));
            dash.read();
        }
        // Only what is on air is kept: this viewer's memory is not what is tested.
        while viewer.collected.segments.len() > 12 {
            viewer.collected.segments.pop_first();
        }
    }
    for (what, count) in &mischief.done {
        println!("{count:4} {what}");
    }
    let reports = players.map(Player::report);
    // A channel's task that is ended twice within ten seconds starts without its state: RTMP players miss the rest of a
    // cell. Nothing else may delay a viewer.
    let ended = mischief.done.iter().filter(|(what, _)| what.starts_with("ended: channel"));
    let bound = 2.0 * ended.map(|(_, count)| f64::from(count.saturating_sub(1))).sum::<f64>();
    for report in &reports {
        let (url, media) = (&report["url"], report["media_s"].as_f64().expect("seconds"));
        let stalled = report["stalled_s"].as_f64().expect("seconds");
        assert!(stalled <= bound, "{url} stood still for {stalled} s");
        assert!(media > seconds as f64 * 0.9, "{url}: {media} s of media in {seconds} s");
    }
    println!("DASH: its newest segment was at most {:.1} s old when looked at", dash.oldest.as_secs_f64());
    assert!(dash.oldest < LATE, "DASH stood still for {:?}", dash.oldest);
    for hall in HALLS {
        set_fault(&server, hall, "");
    }
    server.connect(CHANNEL, "PS-Amphi_A");
    server.connect(OTHER, "PS-Amphi_B");
    let is_live = || server.on_air(CHANNEL).is_some() && server.on_air(OTHER).is_some();
    viewer.until("both halls are back", is_live);
    eventually("it is ready", || http::get(server.admin, "/readyz").status == 200);
    let after = size(&server);
    println!("resident bytes, threads, tasks, descriptors: {before:?} -> {after:?}");
    assert_eq!(server.end(), Some(0));
}
