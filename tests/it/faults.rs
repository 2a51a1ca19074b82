//! Every fault that a simulated hall can have, over real RTSP, and what viewers see of it. The table in
//! `tests/README.md` is this file's.

use std::time::Duration;

use crate::http;
use crate::judge::judge;
use crate::server::{Server, eventually};
use crate::stream::Follower;

/// What viewers see.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The hall stays on air.
    Stays,
    /// The waiting video, until the hall is mended.
    Leaves,
    /// At most some cells of the waiting video; the hall comes back by itself, failing or not.
    Returns,
}
use Outcome::{Leaves, Returns, Stays};

struct Case {
    fault: &'static str,
    outcome: Outcome,
    /// How long it is looked at, in seconds.
    seconds: u64,
}

const fn case(fault: &'static str, outcome: Outcome, seconds: u64) -> Case {
    Case { fault, outcome, seconds }
}

/// Over TCP.
const HALL_A: [Case; 14] = [
    case("freeze", Leaves, 8),
    case("reset", Returns, 12),
    case("no-video", Leaves, 8),
    case("no-audio", Stays, 8),
    case("still", Stays, 10),
    case("black", Stays, 6),
    case("silent", Stays, 6),
    case("jump=3600", Stays, 8),
    case("jump=-3600", Stays, 8),
    case("video-reset", Stays, 8),
    case("wrap", Returns, 18),
    case("skew=200", Returns, 14),
    case("skew=-200", Returns, 14),
    case("garbage", Stays, 8),
];

/// Over TCP, too: what takes its time.
const HALL_B: [Case; 6] = [
    case("resize", Stays, 10),
    case("mono", Returns, 14),
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
        "loss" | "reorder" => Some("loss"),
        _ => None,
    }
}

/// With its channel, its source, its beginning, and a sentence.
fn has_alarm(server: &Server, channel: &str, hall: &str, kind: &str) -> bool {
    let alarms = http::get(server.admin, "/api/v1/alarms");
    let alarms: serde_json::Value = serde_json::from_str(alarms.text()).expect("JSON");
    alarms.as_array().expect("a list").iter().any(|alarm| {
        let is_said = [&alarm["since"], &alarm["sentence"]].iter().all(|it| it.as_str().is_some());
        alarm["kind"] == kind && alarm["source"] == hall && alarm["channel"] == channel && is_said
    })
}

fn go_through(server: &Server, channel: &str, hall: &str, cases: &[Case]) {
    let is_live = || server.on_air(channel).as_deref() == Some(hall);
    let mut viewer = Follower::new(server.http, channel, "720p");
    viewer.until("the hall is on air", is_live);
    for Case { fault, outcome, seconds } in cases {
        println!("{hall} {fault}");
        set_fault(server, hall, fault);
        match outcome {
            Stays => {
                for _ in 0..*seconds {
                    viewer.follow(Duration::from_secs(1));
                    assert!(is_live(), "{fault}: the hall stays on air: {}", server.matrix());
                }
            }
            Leaves => {
                viewer.until("the waiting video", || !is_live());
                viewer.follow(Duration::from_secs(*seconds));
                assert!(!is_live(), "{fault}: it does not come back by itself");
            }
            Returns => {
                viewer.follow(Duration::from_secs(*seconds));
                viewer.until("the hall is back by itself", is_live);
            }
        }
        if let Some(kind) = alarm_of(fault) {
            viewer.until("the alarm", || has_alarm(server, channel, hall, kind));
        }
        set_fault(server, hall, "");
        viewer.until("the mended hall is on air", is_live);
        viewer.follow(Duration::from_secs(3));
        eventually("and stays", is_live);
    }
    judge(&viewer.collected, Some((1280, 720)));
}

#[test]
#[ignore = "needs ffmpeg: tests/run"]
fn every_fault_of_a_hall_ends_as_the_table_says() {
    let server = Server::demo();
    server.connect("Live_L2", "PS-Amphi_C");
    std::thread::scope(|scope| {
        scope.spawn(|| go_through(&server, "Live_PAES", "PS-Amphi_A", &HALL_A));
        scope.spawn(|| {
            go_through(&server, "Live_L2", "PS-Amphi_C", &HALL_C);
            server.connect("Live_L2", "PS-Amphi_B");
            go_through(&server, "Live_L2", "PS-Amphi_B", &HALL_B);
        });
    });
    // Its next try comes after a minute: not waited for here.
    set_fault(&server, "PS-Amphi_A", "expire");
    eventually("nobody is let in any more", || has_alarm(&server, "Live_PAES", "PS-Amphi_A", "refused"));
    eventually("the waiting video", || server.on_air("Live_PAES").is_none());
    assert_eq!(server.end(), Some(0));
}
