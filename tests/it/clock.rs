//! The machine's clock is stepped, and the machine sleeps: a whole server under clocks that the test moves.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use crate::day::{Calendar, Hall};
use crate::http;
use crate::server::{Server, eventually};
use crate::stream::Follower;

const HOUR: i64 = 3600;

/// Clocks of a process of its own, which the test moves.
struct FakeClocks {
    home: TempDir,
    shifts: File,
}

impl FakeClocks {
    /// `None` where there is no C compiler.
    fn new() -> Option<Self> {
        let home = tempfile::tempdir().expect("a directory");
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/clock_shim.c");
        let library = home.path().join("clock_shim.so");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(library).arg(source).status();
        let Ok(status) = built else { return None };
        assert!(status.success(), "the shim is C that compiles");
        let shifts = File::create(home.path().join("shifts")).expect("a file");
        let clocks = Self { home, shifts };
        clocks.shift(0, 0);
        Some(clocks)
    }

    /// Moves the wall clock, and the time since the machine's start, by seconds.
    fn shift(&self, wall: i64, since_start: i64) {
        let nanos = |seconds: i64| (seconds * 1_000_000_000).to_ne_bytes();
        self.shifts.write_all_at(&[nanos(wall), nanos(since_start)].concat(), 0).expect("written");
    }

    fn server(&self, configuration: &str) -> Server {
        let path = |name: &str| self.home.path().join(name).display().to_string();
        let (library, shifts) = (path("clock_shim.so"), path("shifts"));
        Server::run_in(&[("LD_PRELOAD", &library), ("FAKE_CLOCK", &shifts)], configuration)
    }
}

/// A channel that is cheap to code, and a hall.
fn configuration(url: &str) -> String {
    format!(
        r#"
        [[source]]
        name = "hall"
        url = "{url}"
        [[ladder]]
        name = "lecture"
        rung = [{{ name = "480p", width = 426, height = 240, fps = 15, bitrate = 200000 }}]
        [[channel]]
        name = "Live"
        streams = ["live"]
        ladder = "lecture"
        "#
    )
}

fn json(server: &Server, path: &str) -> Value {
    serde_json::from_str(http::get(server.admin, path).text()).expect("JSON")
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// How far `what` is from where it should be, in seconds.
fn off(what: Timestamp, shift: i64) -> f64 {
    what.duration_since(Timestamp::now() + SignedDuration::from_secs(shift)).as_secs_f64()
}

fn newest_cell(server: &Server) -> Timestamp {
    let playlist = http::get(server.http, "/Live/chunklist_480p.m3u8");
    let mut dates = playlist.text().lines().filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    time(dates.next_back().expect("a cell"))
}

fn date(address: SocketAddr) -> Timestamp {
    // Over the fast path, and over hyper.
    let answer = http::get(address, "/healthz");
    let text = answer.header("date").expect("a Date");
    let parsed = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S gmt", text).expect("a date");
    let utc = parsed.to_datetime().and_then(|it| it.to_zoned(jiff::tz::TimeZone::UTC));
    utc.expect("a date").timestamp()
}

fn offset_gauge(server: &Server) -> f64 {
    let metrics = http::get(server.admin, "/metrics");
    let line = metrics.text().lines().find_map(|line| line.strip_prefix("amphi_clock_offset_seconds "));
    line.and_then(|value| value.parse().ok()).expect("a gauge")
}

fn alarmed(server: &Server) -> bool {
    let alarms = json(server, "/api/v1/alarms");
    alarms.as_array().expect("a list").iter().any(|alarm| alarm["kind"] == "clock")
}

fn a_step_is_obeyed_by_the_calendar_and_not_by_media(step: i64) {
    let Some(clocks) = FakeClocks::new() else { return };
    // By the clock after the step the lecture has just begun.
    let calendar = Calendar::new(&[("1", "UE3", step - 5, step + 3000)]);
    let schedule = format!(
        "[schedule]\nurl = \"{}\"\npoll_s = 1\nlead_in_s = 0\nlead_out_s = 0\nrehearsal = \"\"\nsource_from_agent = \
         \"hall\"\n[[schedule.rule]]\ntitle = \".\"\nchannel = \"Live\"\n",
        calendar.path().display()
    );
    let server = clocks.server(&(configuration("rtsp://127.0.0.1:9/x") + &schedule));
    let mut viewer = Follower::new(server.http, "Live", "480p");
    viewer.until("the channel is there", || http::get(server.http, "/Live/playlist.m3u8").status == 200);
    viewer.until("and has cells", || http::get(server.http, "/Live/chunklist_480p.m3u8").status == 200);
    assert!(server.matrix()["channels"][0]["desired"]["source"].is_null(), "{}", server.matrix());
    assert!(offset_gauge(&server).abs() < 1.0);

    clocks.shift(step, 0);
    viewer.until("the lecture has begun", || server.matrix()["channels"][0]["desired"]["source"] == "hall");
    viewer.until("it is an alarm", || alarmed(&server));
    let line =
        server.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("clock was stepped")));
    let direction = if step > 0 { "forward" } else { "back" };
    assert!(line["message"].as_str().is_some_and(|text| text.contains(direction)), "{line}");
    assert!((offset_gauge(&server) - step as f64).abs() < 1.0);
    for address in [server.http, server.admin] {
        assert!(off(date(address), step).abs() < 3.0, "Date is the machine's");
    }
    let schedule = json(&server, "/api/v1/schedule");
    assert!(off(time(schedule["as_of"].as_str().expect("a time")), step).abs() < 5.0, "{schedule}");
    let since = server.matrix()["channels"][0]["desired"]["since"].clone();
    assert!(off(time(since.as_str().expect("a time")), step).abs() < 60.0, "{since}");
    assert!(off(newest_cell(&server), 0).abs() < 10.0, "media goes on as it was");

    // An override until a certain time ends at that time of the machine's clock.
    let until = Timestamp::now() + SignedDuration::from_secs(step + 4);
    let body = format!("{{\"source\":\"hall\",\"until\":\"{until}\"}}");
    let path = "/api/v1/channels/Live/source";
    let answer = http::request(server.admin, "PUT", path, "Content-Type: application/json\r\n", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    viewer.until("the override has ended", || server.matrix()["channels"][0]["desired"]["by"] == "schedule");
    let ended = off(until, step);
    assert!((-20.0..1.0).contains(&ended), "not before its time, and not long after: {ended}");
    let audit = json(&server, "/api/v1/audit");
    assert!(off(time(audit[0]["at"].as_str().expect("a time")), step).abs() < 60.0, "{audit}");

    clocks.shift(0, 0);
    viewer.until("the alarm is over", || !alarmed(&server));
    viewer.follow(Duration::from_secs(3));
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_clock_that_jumps_forward() {
    a_step_is_obeyed_by_the_calendar_and_not_by_media(HOUR);
}

#[test]
fn a_clock_that_jumps_back() {
    a_step_is_obeyed_by_the_calendar_and_not_by_media(-HOUR);
}

#[test]
fn a_leap_second_and_a_slow_correction_are_nobodys_business() {
    let Some(clocks) = FakeClocks::new() else { return };
    let server = clocks.server(&configuration("rtsp://127.0.0.1:9/x"));
    let mut viewer = Follower::new(server.http, "Live", "480p");
    viewer
        .until("the channel is there", || http::get(server.http, "/Live/chunklist_480p.m3u8").status == 200);
    clocks.shift(-1, 0);
    viewer.follow(Duration::from_secs(4));
    let offset = offset_gauge(&server);
    assert!((-1.001..-0.98).contains(&offset), "it is followed by 1 ms per second: {offset}");
    assert!(!alarmed(&server));
    let said = server.said();
    assert!(!said.contains("clock was stepped"), "{said}");
    assert_eq!(server.end(), Some(0));
}

#[test]
fn a_machine_that_sleeps_goes_on_with_the_cell_of_its_waking() {
    let Some(clocks) = FakeClocks::new() else { return };
    let hall = Hall::start();
    let server = clocks.server(&(configuration(&hall.url()) + "source = \"hall\"\n"));
    eventually("the hall is on air", || server.on_air("Live").as_deref() == Some("hall"));

    clocks.shift(HOUR, HOUR);
    eventually("there are new cells", || off(newest_cell(&server), HOUR).abs() < 10.0);
    server.logged(|line| line["message"].as_str().is_some_and(|text| text.contains("has slept")));
    // The hall has gone on meanwhile, and its pictures are current again.
    let mut viewer = Follower::new(server.http, "Live", "480p");
    viewer.until("the hall is on air again", || {
        server.on_air("Live").as_deref() == Some("hall") && off(newest_cell(&server), HOUR).abs() < 10.0
    });
    viewer.follow(Duration::from_secs(8));
    assert_eq!(server.on_air("Live").as_deref(), Some("hall"));
    assert!(!alarmed(&server) && offset_gauge(&server).abs() < 1.0, "{}", offset_gauge(&server));
    assert_eq!(server.end(), Some(0));
}
