//! Which bytes of a recording's file are a segment's `mdat`. Sans-IO.
//!
//! Pictures and sound lie interleaved in most files. Then one range of the file has all samples of a segment and little else, and
//! it can be sent as it is: the head says where in it each sample is (ISO/IEC 14496-12 §8.8.8). A server that sends ranges of files
//! need not touch a byte of them.
//!
//! * Where little lies between the samples ([`UNUSED_MAX_PERCENT`]), `mdat` is one range, and what lies between is a part of it
//!   that nothing points to.
//! * Where more does (one track alone of an interleaved file; a file that is not interleaved), `mdat` is the ranges with
//!   samples, in the order of the file.
//! * Where these are so short that sending each costs more than copying all ([`RANGE_MIN`]), where there would be too many runs
//!   ([`RUNS_MAX`], [`RUN_BYTES`]), and where a track does not lie in the file in the order in which it is decoded, `mdat` is
//!   one track after the other, and is copied. (Chromium takes the runs of a track in the order of their data, not in that of
//!   the boxes.)

use super::super::mp4::{Extent, SampleRun};
use super::fragment::TrackRun;

/// Most bytes of a range to which no sample refers, in hundredths of those to which one does: less than what the rate of a
/// lecture varies by, and the tracks of an interleaved file, which are cut at the same time but not at the same byte, stay below.
const UNUSED_MAX_PERCENT: u64 = 3;
/// What lies so far apart is never one range: a file that is not interleaved, a sample that stands alone.
const FAR: u64 = 256 << 10;
/// The least mean length of ranges that are sent from the file. With ranges of 4, 8, 16 and 64 KB, sendfile(2) takes 1.25, 0.85,
/// 0.7 and 0.6 times as long as reading all of them at once and writing them.
const RANGE_MIN: u64 = 8 << 10;
/// Most runs of samples in a segment: six seconds of a lecture have about 300, in a head of 12 KB.
const RUNS_MAX: usize = 4096;
/// Bytes that a run adds to the head (`trun` without its samples); all of them are at most [`UNUSED_MAX_PERCENT`], too.
const RUN_BYTES: u64 = 20;

/// Where the samples of some tracks stand.
#[derive(Debug, Default)]
pub(super) struct Placing {
    /// The ranges of the file.
    pub(super) extents: Vec<Extent>,
    /// For each track its runs in the concatenated ranges.
    pub(super) runs: Vec<Vec<TrackRun>>,
}

impl Placing {
    /// The placing of tracks with these runs in the file.
    pub(super) fn of(tracks: &[Vec<SampleRun>]) -> Self {
        let mut sorted: Vec<Extent> = tracks.iter().flatten().map(|run| run.extent).collect();
        sorted.sort_unstable_by_key(|extent| extent.offset);
        let extents = joined(sorted);
        let by_file = Self { runs: tracks.iter().map(|runs| placed(runs, &extents)).collect(), extents };
        let runs: usize = by_file.runs.iter().map(Vec::len).sum();
        let used: u64 = tracks.iter().flatten().map(|run| run.extent.len).sum();
        let are_few = runs <= RUNS_MAX && is_little(runs as u64 * RUN_BYTES, used);
        let is_in_order = by_file.runs.iter().all(|runs| runs.is_sorted_by_key(|run| run.at));
        let can_be_sent = are_long(&by_file.extents) && are_few && is_in_order;
        if can_be_sent { by_file } else { Self::by_track(tracks) }
    }

    /// One track after the other.
    fn by_track(tracks: &[Vec<SampleRun>]) -> Self {
        let mut at = 0;
        let run = |runs: &Vec<SampleRun>| {
            let count = runs.iter().map(|run| run.count as usize).sum();
            let begin = at;
            at += runs.iter().map(|run| run.extent.len as usize).sum::<usize>();
            if count == 0 { Vec::new() } else { vec![TrackRun { count, at: begin }] }
        };
        let runs = tracks.iter().map(run).collect();
        Self { extents: tracks.iter().flatten().map(|run| run.extent).collect(), runs }
    }
}

/// Whether ranges are so long that each is worth a call of its own.
pub(super) fn are_long(extents: &[Extent]) -> bool {
    extents.iter().map(|extent| extent.len).sum::<u64>() >= RANGE_MIN * extents.len() as u64
}

/// Whether so many bytes that no sample needs are few beside those that samples have.
const fn is_little(unused: u64, used: u64) -> bool {
    unused.saturating_mul(100) <= used.saturating_mul(UNUSED_MAX_PERCENT)
}

/// The ranges that have all these bytes, which are in the order of the file and may overlap.
fn joined(sorted: Vec<Extent>) -> Vec<Extent> {
    let mut exact: Vec<Extent> = Vec::new();
    for extent in sorted.into_iter().filter(|extent| extent.len > 0) {
        match exact.last_mut() {
            Some(last) if extent.offset <= last.end() => last.len = last.len.max(extent.end() - last.offset),
            _ => exact.push(extent),
        }
    }
    let gaps = exact.iter().zip(exact.iter().skip(1)).map(|(extent, next)| next.offset - extent.end());
    let unused: u64 = gaps.filter(|gap| *gap <= FAR).sum();
    let used: u64 = exact.iter().map(|extent| extent.len).sum();
    if !is_little(unused, used) {
        return exact;
    }
    let mut ranges: Vec<Extent> = Vec::new();
    for extent in exact {
        match ranges.last_mut() {
            Some(last) if extent.offset - last.end() <= FAR => last.len = extent.end() - last.offset,
            _ => ranges.push(extent),
        }
    }
    ranges
}

/// Where runs of the file are in these ranges of it. Those that follow each other there are one.
fn placed(runs: &[SampleRun], ranges: &[Extent]) -> Vec<TrackRun> {
    let mut before = 0;
    let begins: Vec<u64> = ranges
        .iter()
        .map(|range| {
            before += range.len;
            before - range.len
        })
        .collect();
    let mut placed: Vec<TrackRun> = Vec::new();
    let mut end = 0;
    for SampleRun { count, extent } in runs {
        let after = ranges.partition_point(|range| range.offset <= extent.offset);
        let range = after.checked_sub(1).and_then(|place| ranges.get(place).zip(begins.get(place)));
        // Samples without bytes are anywhere.
        let range = range.filter(|_| extent.len > 0);
        let at = range.map_or(0, |(range, begin)| begin + (extent.offset - range.offset));
        match placed.last_mut() {
            Some(last) if at == end || extent.len == 0 => last.count += *count as usize,
            _ => placed.push(TrackRun { count: *count as usize, at: at as usize }),
        }
        if extent.len > 0 {
            end = at + extent.len;
        }
    }
    placed
}

#[cfg(test)]
mod tests;
