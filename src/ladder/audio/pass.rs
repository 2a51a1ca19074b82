//! Pass-through: access units put on the lattice as they are.

use crate::media::{AAC_FRAME_SAMPLES, MediaTime, Timescale};

/// Share of a new error in the smoothed one: jitter of arrival must not drop sound.
const SMOOTHING: f64 = 1.0 / 16.0;
/// A jump of one second is another place in time, not an error to be mended.
const JUMP_S: i64 = 1;

/// Gives each access unit its frame number.
#[derive(Debug)]
pub(super) struct PassThrough {
    rate: u32,
    /// The number that follows.
    next: Option<i64>,
    /// Smoothed distance of the access units' own times from their frames', in samples.
    error: f64,
}

impl PassThrough {
    pub(super) const fn new(rate: u32) -> Self {
        Self { rate, next: None, error: 0.0 }
    }

    /// The frame number of an access unit shown at `pts`; `None` when it must be dropped.
    pub(super) fn place(&mut self, pts: MediaTime) -> Option<i64> {
        let frame = i64::from(AAC_FRAME_SAMPLES);
        let samples = pts.to_ticks(Timescale(self.rate));
        let nearest = (samples + frame / 2).div_euclid(frame);
        let next = match self.next {
            Some(next) if (samples - next * frame).abs() <= JUMP_S * i64::from(self.rate) => next,
            _ => {
                self.error = 0.0;
                nearest
            }
        };
        let error = (samples - next * frame) as f64;
        self.error += (error - self.error) * SMOOTHING;
        let whole = f64::from(AAC_FRAME_SAMPLES);
        if self.error < -whole {
            // The source runs fast: this one is too much.
            self.error += whole;
            self.next = Some(next);
            return None;
        }
        let n = if self.error > whole {
            // The source runs slow, or lost some: a hole.
            let hole = (self.error / whole).floor();
            self.error -= hole * whole;
            next + hole as i64
        } else {
            next
        };
        self.next = Some(n + 1);
        Some(n)
    }
}
