//! Headless Chromium as the viewer: hls.js, flowplayer and the browser's own HLS.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::faults::set_fault;
use crate::gstreamer::GstServer;
use crate::material::lecture;
use crate::server::{Server, eventually};
use crate::sources::one_hall;

/// What a player saw.
#[derive(Debug, Deserialize)]
pub struct Seen {
    pub errors: Vec<serde_json::Value>,
    pub stalls: u32,
    pub samples: Vec<Sample>,
    pub said: Vec<String>,
}

/// One look at the player.
#[derive(Debug, Deserialize)]
pub struct Sample {
    /// Milliseconds of unix time.
    pub at: i64,
    /// `currentTime`, in seconds.
    pub time: f64,
    /// Mean luma of the picture; none before the first one.
    pub luma: Option<f64>,
}

/// Players in a browser.
pub struct Viewing {
    child: Child,
}

impl Viewing {
    /// Opens `url` in every one of `players` and returns when all show a picture; they go on for `seconds`.
    pub fn start(url: &str, seconds: u32, players: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/watch.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .args([url, &seconds.to_string()])
            .args(players)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node is installed");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        log.read_line(&mut line).expect("a line");
        if line.trim() != "watching" {
            log.read_to_string(&mut line).expect("its log");
            panic!("the browser does not start: {line}");
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child }
    }

    /// Waits for the end; returns what each player saw.
    pub fn end(self) -> BTreeMap<String, Seen> {
        let output = self.child.wait_with_output().expect("node ends");
        serde_json::from_slice(&output.stdout).expect("a report")
    }
}

impl Seen {
    /// No error, and the time went on as fast as the clock, never back.
    pub fn is_smooth(&self, player: &str) {
        assert!(
            self.errors.is_empty() && self.said.is_empty(),
            "{player}: {:?} {:?}",
            self.errors,
            self.said
        );
        assert_eq!(self.stalls, 0, "{player} stalled");
        let shown = self.shown();
        let (first, last) = (shown.first().expect("a picture"), shown.last().expect("a picture"));
        let (wall, played) = ((last.at - first.at) as f64 / 1000.0, last.time - first.time);
        println!("{player}: {played:.2} s played in {wall:.2} s");
        assert!((played - wall).abs() < 0.5, "{player}: {played:.2} s in {wall:.2} s");
        for pair in shown.windows(2) {
            assert!(pair[1].time >= pair[0].time, "{player} went back");
        }
        assert!(
            shown.iter().all(|sample| sample.luma.is_some_and(|luma| luma > 20.0)),
            "{player} showed black"
        );
    }

    /// Whether `what` holds for the luma of any sample.
    pub fn saw(&self, what: impl Fn(f64) -> bool) -> bool {
        self.shown().iter().filter_map(|sample| sample.luma).any(what)
    }

    /// The longest time for which `currentTime` stood, in seconds.
    fn longest_stand(&self) -> f64 {
        let mut since = self.shown()[0].at;
        let mut longest = 0;
        for pair in self.shown().windows(2) {
            if pair[1].time > pair[0].time + 0.01 {
                since = pair[1].at;
            }
            longest = longest.max(pair[1].at - since);
        }
        longest as f64 / 1000.0
    }

    /// From the first picture on: before that there is nothing to judge.
    fn shown(&self) -> &[Sample] {
        let first = self.samples.iter().position(Sample::has_picture).expect("a picture");
        &self.samples[first..]
    }
}

impl Sample {
    fn has_picture(&self) -> bool {
        self.luma.is_some_and(|luma| luma > BLACK)
    }
}

/// Darker than this is no picture: the waiting card's blue is brighter.
const BLACK: f64 = 20.0;

/// The hall's paper is bright.
pub fn bright(luma: f64) -> bool {
    luma > 150.0
}

/// The waiting card is dark.
pub fn dark(luma: f64) -> bool {
    luma < 110.0
}

#[test]
#[ignore = "needs GStreamer and Chromium: tests/run"]
fn waiting_and_live_play_in_hls_js_and_in_the_browser_itself() {
    let hall = GstServer::start(&lecture("smp.mp4", "hall_a.mp4", &[]), &[]);
    let server = Server::run(&one_hall(&hall.url("")));
    let url = format!("http://{}/Live/playlist.m3u8", server.http);
    eventually("the hall is on air", || server.on_air("Live").as_deref() == Some("hall"));
    // Cells before that the playlist still lists.
    let window = Duration::from_secs(14);
    std::thread::sleep(window);
    let live = Viewing::start(&url, 20, &["hls.js", "native"]).end();
    server.disconnect("Live");
    eventually("the waiting loop is on air", || server.on_air("Live").is_none());
    std::thread::sleep(window);
    let waiting = Viewing::start(&url, 20, &["hls.js", "native"]).end();
    for (player, seen) in &live {
        seen.is_smooth(player);
        assert!(seen.saw(bright) && !seen.saw(dark), "{player} shows the hall");
    }
    for (player, seen) in &waiting {
        seen.is_smooth(player);
        assert!(seen.saw(dark) && !seen.saw(bright), "{player} shows the waiting card");
    }
}

/// Every way in which a hall leaves and comes back, watched for three minutes by three players at once.
#[test]
#[ignore = "needs Chromium: tests/run"]
fn players_do_not_notice_what_happens_to_a_hall() {
    let server = Server::demo();
    let is_live = || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A");
    eventually("the hall is on air", is_live);
    server.disconnect("Live_PAES");
    eventually("the waiting loop is on air", || !is_live());
    std::thread::sleep(Duration::from_secs(14));
    let url = format!("http://{}/Live_PAES/playlist.m3u8", server.http);
    let viewing = Viewing::start(&url, 180, &["hls.js", "flowplayer", "native"]);
    let pause = |seconds| std::thread::sleep(Duration::from_secs(seconds));
    pause(10);
    server.connect("Live_PAES", "PS-Amphi_A");
    eventually("live", is_live);
    pause(20);
    for fault in ["off", "freeze"] {
        set_fault(&server, "PS-Amphi_A", fault);
        eventually("the waiting loop", || !is_live());
        pause(15);
        set_fault(&server, "PS-Amphi_A", "");
        eventually("live again", is_live);
        pause(20);
    }
    for (player, seen) in &viewing.end() {
        seen.is_smooth(player);
        assert!(seen.saw(dark) && seen.saw(bright), "{player} has seen both");
    }
}

/// The same cells as MPEG-DASH.
#[test]
#[ignore = "needs Chromium: tests/run"]
fn dash_players_do_not_notice_a_switch() {
    let server = Server::demo();
    let is_live = || server.on_air("Live_PAES").as_deref() == Some("PS-Amphi_A");
    eventually("the hall is on air", is_live);
    server.disconnect("Live_PAES");
    eventually("the waiting loop is on air", || !is_live());
    std::thread::sleep(Duration::from_secs(14));
    let url = format!("http://{}/Live_PAES/manifest.mpd", server.http);
    let viewing = Viewing::start(&url, 45, &["dash.js", "shaka"]);
    std::thread::sleep(Duration::from_secs(8));
    server.connect("Live_PAES", "PS-Amphi_A");
    eventually("live", is_live);
    std::thread::sleep(Duration::from_secs(12));
    server.disconnect("Live_PAES");
    for (player, seen) in &viewing.end() {
        seen.is_smooth(player);
        assert!(seen.saw(dark) && seen.saw(bright), "{player} has seen both");
    }
    assert_eq!(server.end(), Some(0));
}

#[test]
#[ignore = "needs Chromium: tests/run"]
fn players_ride_over_a_restart_of_the_server() {
    let port = {
        let any = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        any.local_addr().expect("bound").port()
    };
    let server = Server::run_at(port, &one_hall("rtsp://127.0.0.1:9/extron1"));
    let url = format!("http://{}/Live/playlist.m3u8", server.http);
    eventually("the channel is there", || crate::http::get(server.http, "/Live/playlist.m3u8").status == 200);
    let viewing = Viewing::start(&url, 45, &["hls.js", "flowplayer", "native"]);
    std::thread::sleep(Duration::from_secs(12));
    let server = server.again();
    let seen = viewing.end();
    for (player, seen) in &seen {
        let fatal = seen.errors.iter().filter(|error| error["what"] != "error").count();
        assert_eq!((fatal, seen.said.len()), (0, 0), "{player}: {:?} {:?}", seen.errors, seen.said);
        let longest = seen.longest_stand();
        println!("{player}: stood for {longest:.1} s at most, played on");
        assert!(longest < 4.0, "{player} stood for {longest:.1} s");
        let shown = seen.shown();
        let last = shown.last().expect("samples");
        let before = shown.iter().rev().find(|sample| last.at - sample.at > 3000).expect("samples");
        assert!(last.time - before.time > 2.0, "{player} plays at the end");
    }
    assert_eq!(server.end(), Some(0));
}
