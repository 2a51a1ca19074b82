//! How fast a source's clock runs, from the change of its smallest delay over an hour or two.

use super::Nanos;

const SECOND: Nanos = 1_000_000_000;
const LEAST: Nanos = 60 * SECOND;
const HOUR: Nanos = 3600 * SECOND;

/// Two points of reference, an hour apart, and the newest point.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skew {
    reference: Option<Point>,
    next: Option<Point>,
    newest: Option<Point>,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at: Nanos,
    delay: Nanos,
}

impl Skew {
    pub(super) fn observe(&mut self, at: Nanos, delay: Nanos) {
        let point = Point { at, delay };
        self.newest = Some(point);
        match (self.reference, self.next) {
            (None, _) => self.reference = Some(point),
            (Some(reference), None) if at - reference.at > HOUR => self.next = Some(point),
            (Some(_), Some(next)) if at - next.at > HOUR => {
                self.reference = Some(next);
                self.next = Some(point);
            }
            _ => {}
        }
    }

    pub(super) fn ppm(&self) -> Option<f64> {
        let (from, to) = (self.reference?, self.newest?);
        let elapsed = to.at - from.at;
        (elapsed >= LEAST).then(|| (from.delay - to.delay) as f64 / elapsed as f64 * 1e6)
    }
}
