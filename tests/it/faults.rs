//! Every fault that a simulated hall can have, over real RTSP, and what viewers see of it. `tests/README.md` has the same
//! as a table.

use std::time::{Duration, Instant};

use crate::air_log::{AirLog, CELL_MS, next_cell, now_ms, state_since};
use crate::http;
use crate::judge::judge;
use crate::server::{Server, eventually};
use crate::stream::Follower;

/// What viewers see, with the bounds of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The hall stays on air: not one cell of the waiting loop.
    Stays,
    /// The waiting loop from the next cell on after a second without a picture, until the hall is mended.
    Leaves,
    /// At most so many cells of the waiting loop; the hall comes back by itself, failing or not.
    Returns(i64),
    /// The device begins anew, and then fails: from there on not one cell of the waiting loop.
    Begins,
}
use Outcome::{Begins, Leaves, Returns, Stays};

pub struct Case {
    fault: &'static str,
    outcome: Outcome,
    /// How long the viewer watches the fault, in seconds.
    seconds: u64,
}

pub const fn case(fault: &'static str, outcome: Outcome, seconds: u64) -> Case {
    Case { fault, outcome, seconds }
}

/// Over TCP.
const HALL_A: [Case; 14] = [
    case("freeze", Leaves, 8),
    case("reset", Returns(4), 12),
    case("no-video", Leaves, 8),
    case("no-audio", Stays, 8),
    case("still", Stays, 10),
    case("black", Stays, 6),
    case("silent", Stays, 6),
    case("jump=3600", Stays, 8),
    case("jump=-3600", Stays, 8),
    case("video-reset", Stays, 8),
    case("wrap", Begins, 14),
    case("skew=200", Begins, 14),
    case("skew=-200", Begins, 14),
    case("garbage", Stays, 8),
];

/// Over TCP, too: faults that take longer.
const HALL_B: [Case; 6] = [
    case("resize", Stays, 10),
    case("mono", Returns(4), 14),
    case("timeout=20", Stays, 45),
    case("reports", Stays, 45),
    case("off", Leaves, 8),
    case("deaf", Stays, 10),
];

/// Over UDP.
const HALL_C: [Case; 5] = [
    case("loss=0.1", Stays, 10),
    case("loss=1", Stays, 12),
    case("loss=5", Stays, 12),
    case("reorder", Stays, 12),
    case("freeze", Leaves, 8),
];

/// A cell is begun with the picture before it if that came so shortly before the cell, or its slot is so much later than its
/// arrival.
const HELD_MS: i64 = 1000 + 300;
/// The longest time from the first picture of a source that is back to its first cell on air: the rest of an open cell, a
/// whole one, and one in which the splicer decides.
const BACK_CELLS: i64 = 3;

/// Makes a hall of the demo fail; an empty name mends it.
pub fn set_fault(server: &Server, hall: &str, fault: &str) {
    let answer = http::request(server.admin, "PUT", &format!("/demo/halls/{hall}/fault"), "", fault);
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// The alarm that must be there while the fault lasts.
fn alarm_of(fault: &str) -> Option<&'static str> {
    match fault.split('=').next()? {
        "black" => Some("black"),
        "silent" => Some("silent"),
        "still" => Some("frozen"),
        "off" => Some("offline"),
        "freeze" | "no-video" => Some("stalled"),
        // A lost packet in a thousand is one every ten seconds.
        "loss" if fault == "loss=0.1" => None,
        "loss" => Some("loss"),
        _ => None,
    }
}

/// Checks that an alarm has its channel, its source, its start, and a sentence.
fn has_alarm(server: &Server, channel: &str, hall: &str, kind: &str) -> bool {
    let alarms = http::get(server.admin, "/api/v1/alarms");
    let alarms: serde_json::Value = serde_json::from_str(alarms.text()).expect("JSON");
    alarms.as_array().expect("a list").iter().any(|alarm| {
        let is_said = [&alarm["since"], &alarm["sentence"]].iter().all(|it| it.as_str().is_some());
        alarm["kind"] == kind && alarm["source"] == hall && alarm["channel"] == channel && is_said
    })
}

/// One hall with its channel and a viewer.
struct Hall<'a> {
    server: &'a Server,
    channel: &'a str,
    name: &'a str,
    /// Makes it fail; an empty name mends it.
    fail: &'a dyn Fn(&str),
    viewer: Follower,
    log: AirLog<'a>,
}

impl Hall<'_> {
    fn until(&mut self, what: &str, mut done: impl FnMut(Option<&str>) -> bool) {
        let Self { viewer, log, .. } = self;
        viewer.until(what, || done(log.look().as_deref()));
    }

    fn until_live(&mut self, what: &str) {
        let name = self.name;
        self.until(what, |on_air| on_air == Some(name));
    }

    fn follow(&mut self, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        self.until("time passes", |_| Instant::now() >= end);
    }

    /// The first cell of the waiting loop after `mark`.
    fn left_at(&self, mark: usize) -> i64 {
        let left = self.log.after(mark).iter().find(|change| change.source.is_none());
        left.expect("it has left").since_ms
    }

    /// It is back in time after its first picture at `live`.
    fn in_time(&self, mark: usize, live: i64) {
        let back = self.log.after(mark).last().map_or(live, |change| change.since_ms);
        let bound = next_cell(live) + (BACK_CELLS - 1) * CELL_MS;
        assert!(back <= bound, "{}: back {} ms after its bound", self.name, back - bound);
    }

    fn go_through(&mut self, Case { fault, outcome, seconds }: &Case) {
        println!("{} {fault}", self.name);
        let mark = self.log.mark();
        (self.fail)(fault);
        let begun = now_ms();
        match outcome {
            Stays => self.follow(*seconds),
            Leaves => {
                self.until("the waiting video", |on_air| on_air.is_none());
                let (left, bound) = (self.left_at(mark), next_cell(begun + HELD_MS));
                assert!(left <= bound, "{fault}: it left {} ms after its bound", left - bound);
                let away = self.log.mark();
                self.follow(*seconds);
                assert_eq!(self.log.after(away), [], "{fault}: it does not come back by itself");
            }
            Returns(cells) => {
                self.follow(*seconds);
                self.until_live("the hall is back by itself");
                let waited = self.log.waiting_cells(mark);
                assert!(waited <= *cells, "{fault}: {waited} cells of the waiting loop");
            }
            Begins => {
                self.follow(*seconds);
                let live = state_since(self.server, self.name, "live").expect("the device has begun anew");
                let left = self.log.after(mark).iter().filter(|change| change.source.is_none());
                let last = left.map(|change| change.since_ms).max();
                assert!(last <= Some(next_cell(live)), "{fault}: {:?}", self.log.after(mark));
                self.until_live("the hall is back by itself");
                self.in_time(mark, live);
            }
        }
        if let Some(kind) = alarm_of(fault) {
            let (server, channel, name) = (self.server, self.channel, self.name);
            self.until("the alarm", |_| has_alarm(server, channel, name, kind));
        }
        (self.fail)("");
        self.until_live("the mended hall is on air");
        match outcome {
            Stays => assert_eq!(self.log.after(mark), [], "{fault}: no cell of the waiting loop"),
            Leaves => {
                let live = state_since(self.server, self.name, "live").expect("it is on air");
                self.in_time(mark, live);
            }
            Returns(_) | Begins => {}
        }
        self.follow(3);
        let name = self.name;
        eventually("and stays", || self.log.look().as_deref() == Some(name));
    }
}

/// Makes a hall that is connected to `channel` fail in all these ways, one after the other, and judges what its viewer got.
pub fn go_through(server: &Server, channel: &str, name: &str, cases: &[Case], fail: &dyn Fn(&str)) {
    let viewer = Follower::new(server.http, channel, "720p");
    let mut hall = Hall { server, channel, name, fail, viewer, log: AirLog::new(server, channel) };
    hall.until_live("the hall is on air");
    for case in cases {
        hall.go_through(case);
    }
    judge(&hall.viewer.collected, Some((1280, 720)));
}

/// The same with a hall of the demo.
fn demo_hall(server: &Server, channel: &str, name: &str, cases: &[Case]) {
    go_through(server, channel, name, cases, &|fault| set_fault(server, name, fault));
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn every_fault_of_a_hall_ends_as_the_table_says() {
    let server = Server::demo();
    server.connect("Live_L2", "PS-Amphi_C");
    std::thread::scope(|scope| {
        scope.spawn(|| demo_hall(&server, "Live_PAES", "PS-Amphi_A", &HALL_A));
        scope.spawn(|| {
            demo_hall(&server, "Live_L2", "PS-Amphi_C", &HALL_C);
            server.connect("Live_L2", "PS-Amphi_B");
            demo_hall(&server, "Live_L2", "PS-Amphi_B", &HALL_B);
        });
    });
    // Its next try comes after a minute, for which this test does not wait.
    set_fault(&server, "PS-Amphi_A", "expire");
    eventually("nobody is let in any more", || has_alarm(&server, "Live_PAES", "PS-Amphi_A", "refused"));
    eventually("the waiting video", || server.on_air("Live_PAES").is_none());
    assert_eq!(server.end(), Some(0));
}
