//! A day that runs itself: a calendar's file, a simulated hall, a real server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amphi::clock::SystemClock;
use amphi::container::clip::Clip;
use amphi::simulator::{Simulator, SimulatorOptions, Spares};
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::http;
use crate::material::fixture;
use crate::server::{Server, eventually};
use crate::sources::one_hall;

/// A title that would become markup if a page did not treat it as text.
pub const EVIL: &str = r#"<img src=x onerror="window.pwned=1">"#;

/// A simulated hall that runs until it is dropped.
pub struct Hall {
    simulator: Simulator,
    _runtime: Runtime,
}

impl Hall {
    pub fn start() -> Self {
        let clip = |name: &str| {
            Clip::parse(&std::fs::read(fixture(name)).expect("a fixture").into()).expect("a clip")
        };
        let mono = clip("hall_c.mp4").audio.expect("sound");
        let options = SimulatorOptions {
            clip: Arc::new(clip("hall_a.mp4")),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            credentials: None,
            spares: Arc::new(Spares { black: clip("black.mp4"), small: clip("small.mp4"), mono }),
        };
        let runtime = Runtime::new().expect("a runtime");
        let starting = Simulator::start(options, Arc::new(SystemClock::default()));
        let simulator = runtime.block_on(starting).expect("a port");
        Self { simulator, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        self.simulator.url()
    }
}

/// A lecture in the hall: identifier, title, start and end in seconds from now.
pub type Lecture<'a> = (&'a str, &'a str, i64, i64);

/// A calendar's file.
pub struct Calendar {
    home: TempDir,
}

impl Calendar {
    pub fn new(lectures: &[Lecture<'_>]) -> Self {
        let calendar = Self { home: tempfile::tempdir().expect("a directory") };
        calendar.write(lectures);
        calendar
    }

    pub fn path(&self) -> PathBuf {
        self.home.path().join("plan.ics")
    }

    pub fn write(&self, lectures: &[Lecture<'_>]) {
        let now = Timestamp::now();
        let time = |seconds: i64| (now + seconds.seconds()).strftime("%Y%m%dT%H%M%SZ").to_string();
        let event = |(id, title, starts, ends): &Lecture<'_>| {
            format!(
                "BEGIN:VEVENT\r\nUID:{id}\r\nDTSTAMP:{}\r\nDTSTART:{}\r\nDTEND:{}\r\nSUMMARY:{title}\r\nLOCATION:hall\r\n\
                 END:VEVENT\r\n",
                time(0),
                time(*starts),
                time(*ends)
            )
        };
        let events: String = lectures.iter().map(event).collect();
        let text = format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//amphi//test//EN\r\n{events}END:VCALENDAR\r\n"
        );
        // Written in one piece, because the server may read it at any time.
        let draft = self.home.path().join("draft");
        std::fs::write(&draft, text).expect("written");
        std::fs::rename(draft, self.path()).expect("renamed");
    }
}

/// One hall and one channel, by the calendar.
pub fn by_the_calendar(url: &str, calendar: &Path, schedule: &str) -> String {
    let hall = one_hall(url).replace("source = \"hall\"", "source = \"\"");
    format!(
        "{hall}overrun_max_s = 600\n[schedule]\nurl = '{}'\npoll_s = 1\nlead_in_s = 0\nlead_out_s = 0\n\
         source_from_agent = \"{{agent}}\"\ntimezone = \"Pacific/Kiritimati\"\n{schedule}\n\
         [[schedule.rule]]\ntitle = \".\"\nchannel = \"Live\"\n",
        calendar.display()
    )
}

fn json(server: &Server, path: &str) -> Value {
    serde_json::from_str(http::get(server.admin, path).text()).expect("JSON")
}

#[test]
fn a_lecture_is_rehearsed_told_and_goes_on_after_its_end() {
    let hall = Hall::start();
    let next = ("2", EVIL, 7200, 10_800);
    let calendar = Calendar::new(&[("1", "UE3 Biophysique", -60, 3600), next]);
    let config = |schedule| by_the_calendar(&hall.url(), &calendar.path(), schedule);
    let server = Server::run(&config(""));
    let mut live = Value::Null;
    eventually("the lecture is on air", || {
        live = server.matrix()["channels"][0].clone();
        live["on_air"]["source"] == "hall"
    });

    // The reason, in the site's own time.
    let since: Timestamp = live["on_air"]["since"].as_str().and_then(|it| it.parse().ok()).expect("a time");
    let since = since.in_tz("Pacific/Kiritimati").expect("a zone").strftime("%H:%M").to_string();
    let why = live["explanation"].as_str().expect("a sentence");
    assert!(why.starts_with("live because event 1 'UE3 Biophysique' ") && why.contains(&since), "{why}");

    // What the portal polls.
    let portal = || http::get(server.http, "/api/public/now.json");
    eventually("the portal knows", || portal().text().contains("\"live\":true"));
    let answer = portal();
    let told: Value = serde_json::from_str(answer.text()).expect("JSON");
    let channel = &told["channels"][0];
    assert_eq!(
        (&channel["now"]["title"], &channel["next"]["title"], &channel["now"]["place"]),
        (&"UE3 Biophysique".into(), &EVIL.into(), &"hall".into())
    );
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let tag = answer.header("etag").expect("a tag");
    assert_eq!(http::get_with(server.http, "/api/public/now.json", &[("If-None-Match", tag)]).status, 304);

    // A rehearsal does not disturb what is on air.
    assert_eq!(http::request(server.admin, "POST", "/api/v1/rehearsal", "", "").status, 202);
    eventually("the rehearsal is over", || json(&server, "/api/v1/rehearsal")["state"] == "done");
    let report = json(&server, "/api/v1/rehearsal");
    let check = &report["checks"][0];
    assert_eq!((&report["faults"], &report["by"]), (&0.into(), &"local".into()), "{report}");
    assert_eq!((&check["source"], &check["facts"]["width"]), (&"hall".into(), &1280.into()), "{report}");
    assert!(check["facts"]["fps"].as_f64().is_some_and(|fps| fps > 10.0), "{report}");
    assert!(report["next"].is_string(), "every night: {report}");
    let wanted = || server.matrix()["channels"][0]["desired"]["source"].clone();
    assert_eq!(wanted(), "hall");

    // The lecture should end in a few seconds, and something still moves.
    calendar.write(&[("1", "UE3 Biophysique", -60, 15), next]);
    let why = || server.matrix()["channels"][0]["explanation"].as_str().expect("a sentence").to_owned();
    eventually("it goes on", || why().contains(", and longer since "));
    assert!(why().contains("; ends at the latest at "), "{}", why());
    let planned = json(&server, "/api/v1/schedule")["events"][0].clone();
    let time = |key: &str| planned[key].as_str().and_then(|it| it.parse::<Timestamp>().ok()).expect(key);
    eventually("the planned end is over", || Timestamp::now() > time("ends"));
    assert_eq!(wanted(), "hall");
    assert_eq!(time("may_last_until"), time("ends") + 600.seconds());

    // Without the guard it is over. The keys of rehearsals are taken over too.
    server.rewrite(&config("rehearsal = \"\"").replace("overrun_max_s = 600", "overrun_max_s = 0"));
    eventually("the waiting loop is on air", || server.on_air("Live").is_none());
    eventually("no night is rehearsed", || json(&server, "/api/v1/rehearsal")["next"].is_null());
    let log = json(&server, "/api/v1/audit");
    let log: Vec<_> = log.as_array().expect("a list").iter().rev().collect();
    let said =
        |key: &str| log.iter().map(|entry| entry[key].as_str().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(said("who"), ["schedule", "local", "schedule", "schedule", "configuration", "schedule"]);
    let what = said("what");
    assert_eq!(what, ["connect", "rehearsal", "connect", "prolong", "reload", "disconnect"]);
    assert_eq!(said("detail")[4], "taken over: [[channel]], [schedule]");
    assert_eq!(server.end(), Some(0));
}

#[test]
fn an_override_that_ends_by_itself_is_in_the_audit_log() {
    let server = Server::run(&one_hall("rtsp://127.0.0.1:9/extron1"));
    let until = (Timestamp::now() + 2.seconds()).to_string();
    let body = format!("{{\"source\":\"hall\",\"until\":\"{until}\"}}");
    let json_ = "Content-Type: application/json\r\n";
    let answer = http::request(server.admin, "PUT", "/api/v1/channels/Live/source", json_, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    eventually("it is over", || json(&server, "/api/v1/audit")[0]["what"] == "override_expired");
    let entry = json(&server, "/api/v1/audit")[0].clone();
    assert_eq!(
        (&entry["who"], &entry["channel"], &entry["source"]),
        (&"expiry".into(), &"Live".into(), &"hall".into())
    );
    let server = server.again();
    assert_eq!(json(&server, "/api/v1/audit")[0]["what"], "override_expired", "it outlives a restart");

    // A configuration that cannot be taken is noted too.
    server.rewrite("nonsense = 1\n");
    eventually("it is refused", || json(&server, "/api/v1/audit")[0]["what"] == "reload");
    let refused = json(&server, "/api/v1/audit")[0]["refused"].clone();
    assert!(refused.as_str().is_some_and(|why| why.contains("unknown key \"nonsense\"")), "{refused}");
    assert_eq!(server.end(), Some(0));
}
