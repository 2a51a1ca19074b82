//! What a viewer collects: segments of one rung, in a row.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::http;
use crate::server::eventually;

/// Collected segments of one rung.
pub struct Collected {
    pub init: Vec<u8>,
    pub init_name: String,
    pub segments: BTreeMap<i64, Vec<u8>>,
}

fn line<'a>(playlist: &'a str, prefix: &str) -> &'a str {
    playlist.lines().find_map(|line| line.strip_prefix(prefix)).expect(prefix)
}

/// Follows a media playlist until it has `count` segments; every playlist on the way must be unbroken.
pub fn collect(address: SocketAddr, channel: &str, rung: &str, count: usize) -> Collected {
    let path = format!("/{channel}/chunklist_{rung}.m3u8");
    let mut collected = Collected { init: Vec::new(), init_name: String::new(), segments: BTreeMap::new() };
    let mut sequence = 0;
    eventually("enough segments", || {
        let answer = http::get(address, &path);
        if answer.status == 503 {
            return false;
        }
        assert_eq!(answer.status, 200);
        let playlist = answer.text();
        assert!(!playlist.contains("DISCONTINUITY"), "one timeline: {playlist}");
        let first: i64 = line(playlist, "#EXT-X-MEDIA-SEQUENCE:").parse().expect("a number");
        assert!(first >= sequence, "the sequence never goes back");
        sequence = first;
        let init = line(playlist, "#EXT-X-MAP:URI=").trim_matches('"').to_owned();
        if collected.init_name.is_empty() {
            collected.init = http::get(address, &format!("/{channel}/{init}")).body;
            collected.init_name.clone_from(&init);
        }
        assert_eq!(collected.init_name, init, "one initialization section for ever");
        let names = playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        for (name, k) in names.zip(first..) {
            assert!(name.ends_with(&format!("_{k}.m4s")), "{name} is segment {k}");
            collected.segments.entry(k).or_insert_with(|| {
                let answer = http::get(address, &format!("/{channel}/{name}"));
                assert_eq!(answer.status, 200, "{name} is listed");
                answer.body
            });
        }
        collected.segments.len() >= count
    });
    let keys: Vec<_> = collected.segments.keys().copied().collect();
    assert!(keys.windows(2).all(|pair| pair[1] == pair[0] + 1), "no number is left out: {keys:?}");
    collected
}

impl Collected {
    /// Everything in one file, as a player would have it.
    pub fn whole(&self) -> Vec<u8> {
        let segments = self.segments.values().flatten();
        self.init.iter().chain(segments).copied().collect()
    }
}
