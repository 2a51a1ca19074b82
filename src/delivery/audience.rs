//! Who watches: viewers of each channel and rung at this moment. Sans-IO but for atomics.
//!
//! A player fetches every cell of its rung once, whatever its address, its proxy or its connections. So the number of
//! times that a cell's segment was handed out *is* the number of viewers of its rung at that cell, and nothing needs
//! to be known of them: no address, no cookie. The newest cell is still being fetched; the most of the three before it
//! is what is told. A cache in front of the server hides the viewers behind it.
//!
//! MPEG-DASH fetches picture and sound apart: the picture counts for its rung, and as many are taken off the sound,
//! which otherwise is the audio-only rung. Protocols with a connection per viewer take a [`ViewerGuard`].

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
    /// By channel, and by rung, as representations are named: `720p`, `720p.v`.
    tallies: DashMap<ChannelName, HashMap<RungName, Arc<RungTally>>>,
}

/// Viewers of one rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungViewers {
    /// The rung's name.
    pub rung: RungName,
    /// How many.
    pub viewers: u64,
    /// Those of them with a connection, in the order of [`Speaks::ALL`].
    pub seated: [u64; Speaks::ALL.len()],
}

/// Viewers of one channel, by what they speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// HLS; those of the audio-only rung among them.
    pub hls: u64,
    /// DASH.
    pub dash: u64,
    /// RTMP.
    pub rtmp: u64,
    /// RTSP.
    pub rtsp: u64,
    /// Bytes of media sent to them since start; what those who left did not take is counted too.
    pub bytes: u64,
}

/// What a viewer with a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// RTMP.
    Rtmp,
    /// RTSP.
    Rtsp,
}

impl Speaks {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Rtmp, Self::Rtsp];

    /// A name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::Rtsp => "rtsp",
        }
    }
}

/// One viewer with a connection, until it is dropped.
#[derive(Debug)]
pub struct ViewerGuard(Arc<RungTally>, Speaks);

#[derive(Debug, Default)]
struct RungTally {
    /// Cell number and count, packed; a cell's place is its number modulo [`CELLS`].
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

    /// Forgets channels that are no more.
    pub fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.tallies.retain(|channel, _| is_there(channel));
    }
}

impl ChannelAudience<'_> {
    /// The segment of cell `k` of a rung was handed out.
    pub fn fetched(&self, rung: &str, k: CellIndex) {
        self.with(rung, |tally| tally.count(k));
    }

    /// So many bytes of a rung were handed out.
    pub fn sent(&self, rung: &str, bytes: usize) {
        self.with(rung, |tally| tally.bytes.fetch_add(bytes as u64, Ordering::Relaxed));
    }

    /// A viewer has come who is served through one connection.
    pub fn enter(&self, rung: &str, speaks: Speaks) -> ViewerGuard {
        let tally = self.tally(rung);
        tally.seated(speaks).fetch_add(1, Ordering::Relaxed);
        ViewerGuard(tally, speaks)
    }

    /// Who watches a channel, by what they speak; arguments as of [`ChannelAudience::viewers`], whose sum is the same.
    pub fn crowd<'a>(&self, newest: CellIndex, rungs: impl IntoIterator<Item = (&'a str, bool)>) -> Crowd {
        let of =
            |name: &str| self.audience.tallies.get(self.channel).and_then(|rungs| rungs.get(name).cloned());
        let mut crowd = Crowd::default();
        for (rung, has_picture) in rungs {
            let apart = if has_picture { of(&format!("{rung}.v")) } else { None };
            let apart = apart.map_or(0, |tally| tally.fetching(newest));
            let Some(tally) = of(rung) else {
                crowd.dash += apart;
                continue;
            };
            let fetching = tally.fetching(newest);
            crowd.hls += if has_picture { fetching } else { fetching.saturating_sub(crowd.dash) };
            crowd.dash += apart;
            crowd.rtmp += tally.rtmp.load(Ordering::Relaxed);
            crowd.rtsp += tally.rtsp.load(Ordering::Relaxed);
        }
        if let Some(rungs) = self.audience.tallies.get(self.channel) {
            crowd.bytes = rungs.values().map(|tally| tally.bytes.load(Ordering::Relaxed)).sum();
        }
        crowd
    }

    /// Viewers of a channel, given its newest cell and the names of its rungs, in their order.
    pub fn viewers<'a>(
        &self,
        newest: CellIndex,
        rungs: impl IntoIterator<Item = (&'a str, bool)>,
    ) -> Vec<RungViewers> {
        let of = |name: &str| {
            let tally = self.audience.tallies.get(self.channel).and_then(|rungs| rungs.get(name).cloned());
            tally.map_or((0, [0; Speaks::ALL.len()]), |tally| (tally.fetching(newest), tally.all_seated()))
        };
        let mut pictures = 0;
        let mut found = Vec::new();
        for (rung, has_picture) in rungs {
            let (fetching, seated) = of(rung);
            let fetching = if has_picture {
                let (apart, _) = of(&format!("{rung}.v"));
                pictures += apart;
                fetching + apart
            } else {
                fetching.saturating_sub(pictures)
            };
            let viewers = fetching + seated.iter().sum::<u64>();
            found.push(RungViewers { rung: rung.into(), viewers, seated });
        }
        found
    }

    fn tally(&self, rung: &str) -> Arc<RungTally> {
        let mut rungs = self.audience.tallies.entry(self.channel.into()).or_default();
        Arc::clone(rungs.entry(rung.into()).or_default())
    }

    /// Whoever is not the first finds its place without allocating, and locks nobody out.
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
    /// So many bytes were sent to this viewer.
    pub fn sent(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl RungTally {
    const fn seated(&self, speaks: Speaks) -> &AtomicU64 {
        match speaks {
            Speaks::Rtmp => &self.rtmp,
            Speaks::Rtsp => &self.rtsp,
        }
    }

    fn all_seated(&self) -> [u64; Speaks::ALL.len()] {
        Speaks::ALL.map(|speaks| self.seated(speaks).load(Ordering::Relaxed))
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
        // Refused only for a cell that is long over.
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    /// The most of the three cells before the newest.
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
        self.0.seated(self.1).fetch_sub(1, Ordering::Relaxed);
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
        let seat = audience.of("L").enter("720p", Speaks::Rtmp);
        assert_eq!(now(&audience, 106), [8, 1]);
        drop(seat);
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
        let rtmp = audience.of("L").enter("720p", Speaks::Rtmp);
        let rtsp = [(); 2].map(|()| audience.of("L").enter("160p", Speaks::Rtsp));
        rtmp.sent(100);
        audience.of("L").sent("720p", 1000);
        audience.of("other").sent("720p", 1);
        let crowd = audience.of("L").crowd(CellIndex(10), RUNGS);
        assert_eq!(crowd, Crowd { hls: 2, dash: 3, rtmp: 1, rtsp: 2, bytes: 1100 });
        let all: u64 = now(&audience, 10).iter().sum();
        assert_eq!(all, crowd.hls + crowd.dash + crowd.rtmp + crowd.rtsp);
        drop((rtmp, rtsp));
        let crowd = audience.of("L").crowd(CellIndex(10), RUNGS);
        assert_eq!((crowd.rtmp, crowd.rtsp, crowd.bytes), (0, 0, 1100));
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
