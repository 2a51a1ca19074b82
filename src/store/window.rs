//! The sliding window of one channel. The contract is in the text of [`store`](super).

use std::collections::VecDeque;
use std::sync::Arc;

use super::bitrate::BitrateMeter;
use super::playlists::{self, StatedRung};
use super::{Playlist, PublishedRung, RenditionSnapshot, Snapshot};
use amphi_container::hls::{BitRates, bandwidths};
use amphi_media::{CellIndex, Grid, Parts, Segment};

/// A cell that the window does not take: a fault of the server, since the splicer gives cells in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The cell is not newer than the last one.
    #[error("cell {k} is not newer than cell {last}, which was the last one published")]
    Stale {
        /// The cell that was refused.
        k: CellIndex,
        /// The newest cell of the window.
        last: CellIndex,
    },
    /// The cell does not have one segment per rung.
    #[error("cell {k} has {segments} segments for {rungs} rungs")]
    Rungs {
        /// The cell that was refused.
        k: CellIndex,
        /// How many segments it has.
        segments: usize,
        /// How many rungs the channel has.
        rungs: usize,
    },
}

/// What taking a cell has led to.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// What there is to fetch now.
    pub snapshot: Arc<Snapshot>,
    /// How many cells were skipped before this one. If any were, all older segments are dropped.
    pub missing: u64,
}

/// The window itself: cells in, snapshots out.
#[derive(Debug)]
pub struct PublishedWindow {
    grid: Grid,
    /// Segments in a playlist.
    listed: usize,
    last: Option<CellIndex>,
    rungs: Vec<RungWindow>,
}

#[derive(Debug)]
struct RungWindow {
    rung: Arc<PublishedRung>,
    segments: VecDeque<Segment>,
    meter: BitrateMeter,
}

impl PublishedWindow {
    /// A window of `listed` segments (at least one) of `rungs`, best first.
    pub fn new(grid: Grid, listed: usize, rungs: impl IntoIterator<Item = Arc<PublishedRung>>) -> Self {
        let rung_window =
            |rung| RungWindow { rung, segments: VecDeque::new(), meter: BitrateMeter::default() };
        let rungs = rungs.into_iter().map(rung_window).collect();
        Self { grid, listed: listed.max(1), last: None, rungs }
    }

    /// The rungs, best first.
    pub fn rungs(&self) -> impl Iterator<Item = &PublishedRung> {
        self.rungs.iter().map(|rung_window| &*rung_window.rung)
    }

    /// Takes cell `k`: one segment per rung, in the rungs' order.
    pub fn push(&mut self, k: CellIndex, segments: Vec<Segment>) -> Result<Pushed, PushError> {
        if let Some(last) = self.last.filter(|&last| k <= last) {
            return Err(PushError::Stale { k, last });
        }
        if segments.len() != self.rungs.len() {
            return Err(PushError::Rungs { k, segments: segments.len(), rungs: self.rungs.len() });
        }
        let missing = self.last.map_or(0, |last| k.0.abs_diff(last.0) - 1);
        self.last = Some(k);
        let kept = kept(self.listed);
        let mut rates = Vec::with_capacity(self.rungs.len());
        for (rung_window, segment) in self.rungs.iter_mut().zip(segments) {
            if missing > 0 {
                rung_window.segments.clear();
            }
            let duration = rung_window.rung.span(self.grid, k).duration;
            rates.push(rung_window.meter.add(segment.len(), duration));
            rung_window.segments.push_back(segment);
            while rung_window.segments.len() > kept {
                rung_window.segments.pop_front();
            }
        }
        Ok(Pushed { snapshot: Arc::new(self.snapshot(k, &rates)), missing })
    }

    /// Renders everything anew, which takes some 20 µs per channel and cell. What has not changed gets the same
    /// bytes and so the same `ETag`.
    fn snapshot(&self, last: CellIndex, rates: &[BitRates]) -> Snapshot {
        let loads: Vec<_> = self
            .rungs
            .iter()
            .zip(rates)
            .map(|(rung_window, &rates)| playlists::load(&rung_window.rung, rates))
            .collect();
        let bandwidths = bandwidths(&loads);
        let all = self.rungs.iter().zip(rates.iter().zip(&bandwidths));
        let all = all.map(|(rung_window, (rates, &bandwidth_bps))| StatedRung {
            rung: &rung_window.rung,
            bandwidth_bps,
            average_bps: rates.average_bps,
        });
        let all: Vec<StatedRung<'_>> = all.collect();
        let count =
            self.rungs.first().map_or(0, |rung_window| rung_window.segments.len().min(self.listed)) as i64;
        let manifest = |of: Option<&str>| {
            let is_picture = |it: &&StatedRung<'_>| {
                it.rung.parts() == Parts::Picture && of.is_none_or(|name| it.rung.tracks().name == name)
            };
            let pictures: Vec<StatedRung<'_>> = all.iter().filter(is_picture).copied().collect();
            let sound = all.iter().find(|it| it.rung.picture().is_none()).copied();
            let cells = last.0 - count + 1..=last.0;
            Playlist::from(playlists::manifest(&pictures, sound, self.grid, cells).to_string())
        };
        let renditions: Vec<RenditionSnapshot> = self
            .rungs
            .iter()
            .zip(rates.iter().zip(bandwidths))
            .map(|(rung_window, (rates, bandwidth_bps))| {
                let count = rung_window.segments.len() as i64;
                let first = |count: i64| CellIndex(last.0 - count + 1);
                let cells = first(count.min(self.listed as i64)).0..=last.0;
                let rung = &rung_window.rung;
                let alone = StatedRung { rung, bandwidth_bps, average_bps: rates.average_bps };
                RenditionSnapshot {
                    rung: Arc::clone(rung),
                    playlist: playlists::media_playlist(rung, self.grid, cells).to_string().into(),
                    alone: playlists::multivariant(&[alone]).to_string().into(),
                    manifest: manifest(Some(&rung.tracks().name)),
                    bandwidth_bps,
                    average_bps: rates.average_bps,
                    segments: rung_window.segments.iter().cloned().collect(),
                    first: first(count),
                }
            })
            .collect();
        let variants: Vec<StatedRung<'_>> = all.iter().filter(|it| it.rung.is_variant()).copied().collect();
        let multivariant = playlists::multivariant(&variants).to_string().into();
        Snapshot { last, multivariant, manifest: manifest(None), renditions }
    }
}

/// How many segments are kept for a playlist of `listed`. One that has left the playlist stays available for its own
/// duration and that of the longest playlist that listed it (RFC 8216 §6.2.2).
const fn kept(listed: usize) -> usize {
    2 * listed + 1
}
