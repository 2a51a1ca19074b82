//! Headless Chromium as the viewer: hls.js, flowplayer and the browser's own HLS.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

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

    /// Waits for the end; what each player saw.
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

    /// Whether any look was like that.
    pub fn saw(&self, what: impl Fn(f64) -> bool) -> bool {
        self.shown().iter().filter_map(|sample| sample.luma).any(what)
    }

    /// From the first picture on: before it is painted, there is nothing to be judged.
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

/// Less is no picture: the waiting card's blue is brighter.
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
    // What a playlist still lists of the cells before.
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
