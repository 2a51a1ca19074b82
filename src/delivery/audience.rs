//! The number of viewers of each channel and rung at this moment. Sans-IO but for atomics.
//!
//! A player fetches every cell of its rung once, whatever its address, its proxy or its connections. So the number of
//! times that a cell's segment was handed out *is* the number of viewers of its rung at that cell, and nothing needs
//! to be known of them: no address, no cookie. The newest cell is still being fetched, so the highest count of the three
//! cells before it is reported. A cache in front of the server hides the viewers behind it.
//!
//! DASH players fetch picture and sound apart: the picture counts for its rung, and as many are subtracted from the sound,
//! whose segments the audio-only rung of HLS shares. Protocols with a connection per viewer take a [`ViewerGuard`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use amphi_media::{CellIndex, ChannelName, RungName};

/// Cells counted, from the newest back.
const CELLS: usize = 8;
/// Bits of a count; the rest is the cell's number.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Viewers of all channels.
#[derive(Debug, Default)]
pub struct Audience {
    /// By channel, and by the name of the rung or representation: `720p`, `720p.v`.
    tallies: DashMap<ChannelName, HashMap<RungName, Arc<RungTally>>>,
}

/// Viewers of one rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungViewers {
    /// The rung's name, without the suffix of a part.
    pub rung: RungName,
    /// How many, over all protocols.
    pub viewers: u64,
    /// Those of them with a connection, in the order of [`ViewerProtocol::ALL`].
    pub connected: [u64; ViewerProtocol::ALL.len()],
}

/// Viewers of one channel, by protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewersByProtocol {
    /// HLS, including the audio-only rung: fetches of the last whole cells.
    pub hls: u64,
    /// DASH: fetches of picture segments of the last whole cells.
    pub dash: u64,
    /// RTMP connections that play.
    pub rtmp: u64,
    /// RTSP connections that play.
    pub rtsp: u64,
    /// Bytes of media sent to viewers since start; what viewers that left did not take is counted too.
    pub bytes: u64,
}

/// The protocol of a viewer with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerProtocol {
    /// A player in a fan-out group, or served by its connection.
    Rtmp,
    /// A player over TCP, UDP or both.
    Rtsp,
}

impl ViewerProtocol {
    /// All of them, in the order in which arrays of counts have them.
    pub const ALL: [Self; 2] = [Self::Rtmp, Self::Rtsp];

    /// The value of the label `protocol` in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Rtsp => "rtsp",
        }
    }
}

/// One viewer with a connection, until it is dropped.
#[derive(Debug)]
pub struct ViewerGuard(Arc<RungTally>, ViewerProtocol);

#[derive(Debug, Default)]
struct RungTally {
    /// Cell number and count, packed; a cell's index is its number modulo [`CELLS`].
    cells: [AtomicU64; CELLS],
    rtmp: AtomicU64,
    rtsp: AtomicU64,
    bytes: AtomicU64,
}

/// Viewers of one channel.
#[derive(Clone, Copy, Debug)]
pub struct ChannelAudience<'a> {
    audience: &'a Audience,
    channel: &'a str,
}

impl Audience {
    /// Those of the channel with this name.
    pub const fn of<'a>(&'a self, channel: &'a str) -> ChannelAudience<'a> {
        ChannelAudience { audience: self, channel }
    }

    /// Forgets the channels for which `is_there` is false.
    pub fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.tallies.retain(|channel, _| is_there(channel));
    }
}

impl ChannelAudience<'_> {
    /// Counts a segment of cell `k` of a rung that was handed out.
    pub fn fetched(&self, rung: &str, k: CellIndex) {
        self.with(rung, |tally| tally.count(k));
    }

    /// Counts bytes of a rung that were handed out.
    pub fn sent(&self, rung: &str, bytes: usize) {
        self.with(rung, |tally| tally.bytes.fetch_add(bytes as u64, Ordering::Relaxed));
    }

    /// Counts a viewer that is served through one connection, until the guard is dropped.
    pub fn enter(&self, rung: &str, protocol: ViewerProtocol) -> ViewerGuard {
        let tally = self.tally(rung);
        tally.connected(protocol).fetch_add(1, Ordering::Relaxed);
        ViewerGuard(tally, protocol)
    }

    /// The viewers of a channel by protocol. The arguments are those of [`ChannelAudience::viewers`], and so is the sum.
    pub fn by_protocol<'a>(
        &self,
        newest: CellIndex,
        rungs: impl IntoIterator<Item = (&'a str, bool)>,
    ) -> ViewersByProtocol {
        let of =
            |name: &str| self.audience.tallies.get(self.channel).and_then(|rungs| rungs.get(name).cloned());
        let mut viewers = ViewersByProtocol::default();
        for (rung, has_picture) in rungs {
            let apart = if has_picture { of(&format!("{rung}.v")) } else { None };
            let apart = apart.map_or(0, |tally| tally.fetching(newest));
            let Some(tally) = of(rung) else {
                viewers.dash += apart;
                continue;
            };
            let fetching = tally.fetching(newest);
            viewers.hls += if has_picture { fetching } else { fetching.saturating_sub(viewers.dash) };
            viewers.dash += apart;
            viewers.rtmp += tally.rtmp.load(Ordering::Relaxed);
            viewers.rtsp += tally.rtsp.load(Ordering::Relaxed);
        }
        if let Some(rungs) = self.audience.tallies.get(self.channel) {
            viewers.bytes = rungs.values().map(|tally| tally.bytes.load(Ordering::Relaxed)).sum();
        }
        viewers
    }

    /// Viewers of a channel by rung, given its newest cell and its rungs, best first: the name of each, and whether it has a
    /// picture.
    pub fn viewers<'a>(
        &self,
        newest: CellIndex,
        rungs: impl IntoIterator<Item = (&'a str, bool)>,
    ) -> Vec<RungViewers> {
        let of = |name: &str| {
            let tally = self.audience.tallies.get(self.channel).and_then(|rungs| rungs.get(name).cloned());
            tally.map_or((0, [0; ViewerProtocol::ALL.len()]), |tally| {
                (tally.fetching(newest), tally.all_connected())
            })
        };
        let mut pictures = 0;
        let mut found = Vec::new();
        for (rung, has_picture) in rungs {
            let (fetching, connected) = of(rung);
            let fetching = if has_picture {
                let (apart, _) = of(&format!("{rung}.v"));
                pictures += apart;
                fetching + apart
            } else {
                fetching.saturating_sub(pictures)
            };
            let viewers = fetching + connected.iter().sum::<u64>();
            found.push(RungViewers { rung: rung.into(), viewers, connected });
        }
        found
    }

    fn tally(&self, rung: &str) -> Arc<RungTally> {
        let mut rungs = self.audience.tallies.entry(self.channel.into()).or_default();
        Arc::clone(rungs.entry(rung.into()).or_default())
    }

    /// Only the first viewer of a rung allocates and takes a write lock.
    fn with<T>(&self, rung: &str, count: impl Fn(&RungTally) -> T) {
        let known = self
            .audience
            .tallies
            .get(self.channel)
            .and_then(|rungs| rungs.get(rung).map(|tally| count(tally)));
        if known.is_none() {
            count(&self.tally(rung));
        }
    }
}

impl ViewerGuard {
    /// Counts bytes that were sent to this viewer.
    pub fn sent(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl RungTally {
    const fn connected(&self, protocol: ViewerProtocol) -> &AtomicU64 {
        match protocol {
            ViewerProtocol::Rtmp => &self.rtmp,
            ViewerProtocol::Rtsp => &self.rtsp,
        }
    }

    fn all_connected(&self) -> [u64; ViewerProtocol::ALL.len()] {
        ViewerProtocol::ALL.map(|protocol| self.connected(protocol).load(Ordering::Relaxed))
    }

    fn count(&self, k: CellIndex) {
        let number = k.0.max(0) as u64;
        let Some(cell) = self.cells.get((number % CELLS as u64) as usize) else { return };
        let counted = |before: u64| {
            let (known, count) = (before >> COUNT_BITS, before & COUNT_MASK);
            match known.cmp(&number) {
                std::cmp::Ordering::Less => Some(number << COUNT_BITS | 1),
                std::cmp::Ordering::Equal => Some(number << COUNT_BITS | (count + 1).min(COUNT_MASK)),
                std::cmp::Ordering::Greater => None,
            }
        };
        // Fails only for a cell that is long over.
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    /// The highest count of the three cells before the newest.
    fn fetching(&self, newest: CellIndex) -> u64 {
        let newest = newest.0.max(0) as u64;
        let range = newest.saturating_sub(3)..newest;
        let counted = self.cells.iter().map(|cell| cell.load(Ordering::Relaxed));
        let there = counted.filter(|cell| range.contains(&(cell >> COUNT_BITS)));
        there.map(|cell| cell & COUNT_MASK).max().unwrap_or(0)
    }
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.0.connected(self.1).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNGS: [(&str, bool); 2] = [("720p", true), ("160p", false)];

    fn now(audience: &Audience, newest: i64) -> Vec<u64> {
        audience.of("L").viewers(CellIndex(newest), RUNGS).iter().map(|it| it.viewers).collect()
    }

    #[test]
    fn viewers_are_those_who_fetch_a_cell_and_those_who_are_connected() {
        let audience = Audience::default();
        for k in 100..=105 {
            for _ in 0..7 {
                audience.of("L").fetched("720p", CellIndex(k));
            }
            audience.of("L").fetched("160p", CellIndex(k));
            audience.of("other").fetched("720p", CellIndex(k));
        }
        assert_eq!(now(&audience, 105), [7, 1]);
        let viewer = audience.of("L").enter("720p", ViewerProtocol::Rtmp);
        assert_eq!(now(&audience, 106), [8, 1]);
        drop(viewer);
        assert_eq!(now(&audience, 108), [7, 1], "cell 105 is still one of the three");
        assert_eq!(now(&audience, 109), [0, 0]);
    }

    #[test]
    fn dash_viewers_are_not_counted_twice() {
        let audience = Audience::default();
        for _ in 0..3 {
            audience.of("L").fetched("720p.v", CellIndex(9));
            audience.of("L").fetched("160p", CellIndex(9));
        }
        audience.of("L").fetched("160p", CellIndex(9));
        assert_eq!(now(&audience, 10), [3, 1]);
    }

    #[test]
    fn a_crowd_is_told_by_what_it_speaks() {
        let audience = Audience::default();
        for _ in 0..3 {
            audience.of("L").fetched("720p.v", CellIndex(9));
            audience.of("L").fetched("160p", CellIndex(9));
        }
        audience.of("L").fetched("720p", CellIndex(9));
        audience.of("L").fetched("160p", CellIndex(9));
        let rtmp = audience.of("L").enter("720p", ViewerProtocol::Rtmp);
        let rtsp = [(); 2].map(|()| audience.of("L").enter("160p", ViewerProtocol::Rtsp));
        rtmp.sent(100);
        audience.of("L").sent("720p", 1000);
        audience.of("other").sent("720p", 1);
        let viewers = audience.of("L").by_protocol(CellIndex(10), RUNGS);
        assert_eq!(viewers, ViewersByProtocol { hls: 2, dash: 3, rtmp: 1, rtsp: 2, bytes: 1100 });
        let all: u64 = now(&audience, 10).iter().sum();
        assert_eq!(all, viewers.hls + viewers.dash + viewers.rtmp + viewers.rtsp);
        drop((rtmp, rtsp));
        let viewers = audience.of("L").by_protocol(CellIndex(10), RUNGS);
        assert_eq!((viewers.rtmp, viewers.rtsp, viewers.bytes), (0, 0, 1100));
    }

    #[test]
    fn an_old_cell_does_not_push_out_a_new_one() {
        let audience = Audience::default();
        audience.of("L").fetched("720p", CellIndex(20));
        audience.of("L").fetched("720p", CellIndex(20 - CELLS as i64));
        assert_eq!(now(&audience, 21), [1, 0]);
        audience.keep(|channel| channel == "other");
        assert_eq!(now(&audience, 21), [0, 0]);
    }
}
