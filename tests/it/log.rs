//! The reader of the log goes away or stops reading, and no viewer notices.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http;
use crate::server::eventually;
use crate::stream::Follower;

struct Talker {
    child: Child,
    log: Option<BufReader<ChildStderr>>,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Talker {
    /// A server that logs a lot, whose log is read until it listens.
    fn start() -> Self {
        let any = "127.0.0.1:0";
        let addresses = ["--listen", any, "--http-listen", any, "--admin-listen", any];
        let mut child = Command::new(env!("CARGO_BIN_EXE_amphi"))
            .args(["--log-format", "json", "--log-level", "debug", "demo", "--no-schedule"])
            .args(addresses)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("amphi starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log"));
        let mut address = |service: &str| loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).expect("a line") > 0, "it ended");
            let line: Value = serde_json::from_str(&line).expect("a line is an object of JSON");
            if line["fields"]["message"] == "listening" && line["fields"]["service"] == service {
                let address = line["fields"]["address"].as_str().expect("an address");
                break address.parse().expect("an address");
            }
        };
        let (http, admin) = (address("http"), address("admin"));
        Self { child, log: Some(log), http, admin }
    }

    /// Makes it log more than a pipe holds.
    fn annoy(&self) {
        for n in 0..1500 {
            let _ = http::get(self.http, &format!("/vod/mp4:no-{n}-{:->200}.mp4/playlist.m3u8", ""));
        }
    }

    fn goes_on(&self) {
        let mut viewer = Follower::new(self.http, "Live_PAES", "480p");
        let mut first = None;
        eventually("new segments come", || {
            viewer.read();
            let newest = viewer.collected.segments.keys().next_back().copied();
            newest > *first.get_or_insert(newest)
        });
        assert_eq!(http::get(self.admin, "/readyz").status, 200);
    }

    fn ends(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let begun = Instant::now();
        eventually("it ends", || self.child.try_wait().expect("a child").is_some());
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(self.child.wait().expect("it ended").code(), Some(0));
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn a_reader_of_the_log_that_stands_still_holds_up_nothing() {
    let server = Talker::start();
    server.annoy();
    server.goes_on();
    server.ends();
}

#[test]
fn a_log_whose_pipe_is_closed_is_counted_and_nothing_more() {
    let mut server = Talker::start();
    server.log = None;
    server.annoy();
    server.goes_on();
    eventually("lost lines are counted", || {
        let metrics = http::get(server.admin, "/metrics");
        let line = metrics.text().lines().find_map(|line| line.strip_prefix("amphi_log_dropped_total"));
        let count = line.and_then(|line| line.rsplit(' ').next());
        count.and_then(|count| count.parse::<f64>().ok()).is_some_and(|count| count > 0.0)
    });
    server.ends();
}
