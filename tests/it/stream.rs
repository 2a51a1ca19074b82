//! What a viewer collects: segments of one rung, in a row.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::http;
use crate::server::eventually;

/// Collected segments of one rung.
#[derive(Default)]
pub struct Collected {
    pub init: Vec<u8>,
    pub init_name: String,
    pub segments: BTreeMap<i64, Vec<u8>>,
}

/// A viewer that reads one media playlist again and again; each playlist must continue the one before.
pub struct Follower {
    address: SocketAddr,
    channel: String,
    path: String,
    sequence: i64,
    pub collected: Collected,
}

fn line<'a>(playlist: &'a str, prefix: &str) -> &'a str {
    playlist.lines().find_map(|line| line.strip_prefix(prefix)).expect(prefix)
}

impl Follower {
    pub fn new(address: SocketAddr, channel: &str, rung: &str) -> Self {
        Self {
            address,
            channel: channel.to_owned(),
            path: format!("/{channel}/chunklist_{rung}.m3u8"),
            sequence: 0,
            collected: Collected::default(),
        }
    }

    /// Follows until `done` is true.
    pub fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        eventually(what, || {
            self.read();
            done()
        });
    }

    /// Follows for the given time.
    pub fn follow(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.until("time passes", || Instant::now() >= end);
    }

    /// Reads the playlist once, and the segments that are new.
    pub fn read(&mut self) {
        let answer = http::get(self.address, &self.path);
        if answer.status == 503 {
            return;
        }
        assert_eq!(answer.status, 200);
        let playlist = answer.text();
        assert!(!playlist.contains("DISCONTINUITY"), "one timeline: {playlist}");
        let first: i64 = line(playlist, "#EXT-X-MEDIA-SEQUENCE:").parse().expect("a number");
        assert!(first >= self.sequence, "the sequence never goes back");
        self.sequence = first;
        let init = line(playlist, "#EXT-X-MAP:URI=").trim_matches('"');
        let Self { address, channel, collected, .. } = self;
        if collected.init_name.is_empty() {
            collected.init = http::get(*address, &format!("/{channel}/{init}")).body;
            init.clone_into(&mut collected.init_name);
        }
        assert_eq!(collected.init_name, init, "one initialization section for ever");
        let names = playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        for (name, k) in names.zip(first..) {
            assert!(name.ends_with(&format!("_{k}.m4s")), "{name} is segment {k}");
            collected.segments.entry(k).or_insert_with(|| {
                let answer = http::get(*address, &format!("/{channel}/{name}"));
                assert_eq!(answer.status, 200, "{name} is listed");
                answer.body
            });
        }
        let keys: Vec<_> = collected.segments.keys().copied().collect();
        assert!(keys.windows(2).all(|pair| pair[1] == pair[0] + 1), "no number is left out: {keys:?}");
    }
}

/// Follows a media playlist until it has `count` segments.
pub fn collect(address: SocketAddr, channel: &str, rung: &str, count: usize) -> Collected {
    let mut viewer = Follower::new(address, channel, rung);
    eventually("enough segments", || {
        viewer.read();
        viewer.collected.segments.len() >= count
    });
    viewer.collected
}

impl Collected {
    /// Everything in one file, as a player would have it.
    pub fn whole(&self) -> Vec<u8> {
        let segments = self.segments.values().flatten();
        self.init.iter().chain(segments).copied().collect()
    }
}
