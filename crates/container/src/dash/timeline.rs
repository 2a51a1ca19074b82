//! When the segments of a representation begin, and how long they last (ISO/IEC 23009-1 §5.3.9.6).

use std::fmt::{self, Display, Formatter};

/// A `SegmentTimeline` as its `S` elements: start, duration and number of repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentTimeline(pub(super) Vec<S>);

/// An `S` element: segments of one duration without gaps between them. Times are in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct S {
    pub(super) t: i64,
    pub(super) d: i64,
    /// How many more segments follow the first one.
    pub(super) r: u32,
}

/// From start and duration of each segment, in ticks. Equal durations in a row become one `S` element.
impl FromIterator<(i64, i64)> for SegmentTimeline {
    fn from_iter<I: IntoIterator<Item = (i64, i64)>>(segments: I) -> Self {
        let mut timeline: Vec<S> = Vec::new();
        let mut end = None;
        for (t, d) in segments {
            match timeline.last_mut() {
                Some(last) if last.d == d && end == Some(t) => last.r += 1,
                _ => timeline.push(S { t, d, r: 0 }),
            }
            end = t.checked_add(d);
        }
        Self(timeline)
    }
}

impl SegmentTimeline {
    /// Start and duration of each segment, in ticks.
    pub fn segments(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.0
            .iter()
            .flat_map(|s| (0..=i64::from(s.r)).map(|n| (s.t.saturating_add(s.d.saturating_mul(n)), s.d)))
    }
}

impl Display for SegmentTimeline {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&S { t, d, r }| match r {
            0 => write!(out, "<S t=\"{t}\" d=\"{d}\"/>"),
            _ => write!(out, "<S t=\"{t}\" d=\"{d}\" r=\"{r}\"/>"),
        })
    }
}
