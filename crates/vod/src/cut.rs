//! Where a recording is cut into segments. Sans-IO.
//!
//! Segments begin at the sync samples nearest to multiples of the target duration. Every rendition follows this rule
//! by itself, so the segments of a recording's renditions agree wherever their sync samples do, and a segment that was
//! once named stays what it is.

use super::Track;
use amphi_container::mp4::{Movie, rescale};

/// The samples of one segment of a track, and when they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The first sample, counted from 0 in decode order.
    pub from: u32,
    /// The first sample after the segment.
    pub to: u32,
    /// Presentation time of the beginning, in the track's ticks.
    pub start: i64,
    /// Presentation time of the end, in the track's ticks.
    pub end: i64,
}

/// A part of a recording, in milliseconds of presentation time, as viewers or a SMIL file ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trim {
    /// Where the part begins.
    pub start_ms: u64,
    /// How long the part is; `None`: up to the end.
    pub duration_ms: Option<u64>,
}

impl Trim {
    /// Whether it is the whole recording.
    pub fn is_whole(self) -> bool {
        self == Self::default()
    }
}

/// All segments of `track`, each about `target_ms` milliseconds long.
pub fn cuts(track: &Track, target_ms: u32) -> Vec<Cut> {
    let target = rescale(i64::from(target_ms.max(1)), 1000, track.timescale).max(1);
    let until = track.shown_until();
    let mut starts = vec![track.begin];
    let mut boundary = target;
    while boundary < until {
        let Some(nearest) = nearest_sync(track, boundary) else { break };
        if starts.last().is_some_and(|&last| nearest > last) {
            starts.push(nearest);
        }
        // A group of pictures that is longer than the target passes boundaries.
        let at = track.shown_at(nearest);
        boundary = (boundary + target).max(at - at.rem_euclid(target));
    }
    pieces(track, &starts)
}

/// The segments that lie in `trim`, moved to the sync sample before its beginning and the one after its end.
pub(super) fn trimmed(track: &Track, cuts: &[Cut], trim: Trim) -> Vec<Cut> {
    if trim.is_whole() {
        return cuts.to_vec();
    }
    let ticks = |ms: u64| rescale(i64::try_from(ms).unwrap_or(i64::MAX), 1000, track.timescale);
    let from = sync_before(track, ticks(trim.start_ms));
    let to = match trim.duration_ms {
        Some(duration) => {
            let end = ticks(trim.start_ms.saturating_add(duration)).saturating_add(track.origin);
            let place = track.samples.syncs_before(end);
            track.samples.sync(place).unwrap_or(track.end).min(track.end)
        }
        None => track.end,
    };
    let mut starts = vec![from];
    starts.extend(cuts.iter().map(|cut| cut.from).filter(|&start| start > from && start < to));
    let mut pieces = pieces(track, &starts);
    if let Some(last) = pieces.last_mut()
        && to < track.end
    {
        (last.to, last.end) = (to.max(last.from), track.shown_at(to));
    }
    pieces.retain(|piece| piece.from < piece.to);
    pieces
}

fn pieces(track: &Track, starts: &[u32]) -> Vec<Cut> {
    let ends = starts.iter().skip(1).copied().chain([track.end]);
    let end_of = |to| if to == track.end { track.shown_until() } else { track.shown_at(to) };
    let pieces = starts.iter().zip(ends).map(|(&from, to)| Cut {
        from,
        to,
        start: track.shown_at(from),
        end: end_of(to),
    });
    // Presentation begins at zero: the priming of sound (ISO/IEC 14496-12 §8.6.6) is not counted.
    pieces.map(|cut| Cut { start: cut.start.max(0), ..cut }).collect()
}

fn nearest_sync(track: &Track, shown_at: i64) -> Option<u32> {
    let place = track.samples.syncs_before(shown_at.saturating_add(track.origin));
    let within = |index: &u32| (track.begin..track.end).contains(index);
    let after = track.samples.sync(place).filter(within);
    let before = place.checked_sub(1).and_then(|place| track.samples.sync(place)).filter(within);
    match (before, after) {
        (Some(before), Some(after)) => {
            let is_nearer = shown_at - track.shown_at(before) <= track.shown_at(after) - shown_at;
            Some(if is_nearer { before } else { after })
        }
        (before, after) => before.or(after),
    }
}

/// The last sync sample that is shown at `shown_at` or before.
pub(super) fn sync_before(track: &Track, shown_at: i64) -> u32 {
    let place = track.samples.syncs_before(shown_at.saturating_add(track.origin).saturating_add(1));
    let index = track.samples.sync(place.saturating_sub(1)).unwrap_or(track.begin);
    index.clamp(track.begin, track.end.saturating_sub(1))
}

/// The samples of `sound` that go with the pictures `from..to` of `lead`: those that begin while these are shown, and at
/// the recording's beginning and end all that is left.
pub(super) fn beside(lead: &Track, from: u32, to: u32, sound: &Track) -> (u32, u32) {
    let at = |index: u32| {
        let ticks =
            rescale(lead.shown_at(index), lead.timescale, sound.timescale).saturating_add(sound.origin);
        sound.samples.first_at(ticks).clamp(sound.begin, sound.end)
    };
    let first = if from <= lead.begin { sound.begin } else { at(from) };
    let last = if to >= lead.end { sound.end } else { at(to) };
    (first, last.max(first))
}

/// The segment of pictures that are sent without sound: the first one begins with the sound.
pub(super) fn alone(track: &Track, cut: Cut) -> Cut {
    let early = if cut.from == track.begin { track.early } else { 0 };
    Cut { start: (cut.start - early).max(0), ..cut }
}

/// How long a segment lasts, in nanoseconds. The first begins with the earliest track, the last ends with the longest.
pub(super) fn duration_nanos(movie: &Movie, lead: &Track, cut: &Cut) -> i64 {
    let start = if cut.from <= lead.begin { movie.start_nanos() } else { lead.nanos(cut.start) };
    let end = if cut.to >= lead.end { movie.duration_nanos() } else { lead.nanos(cut.end) };
    (end - start).max(0)
}
