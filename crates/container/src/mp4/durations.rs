//! Durations of samples one by one: `stts` (ISO/IEC 14496-12 §8.6.1.2). Sans-IO.
//!
//! A duration is unsigned. Recorders whose clock was set back write a negative one all the same. As ffmpeg and browsers do,
//! such a sample lasts one tick, and those after it are made a little shorter until the times agree again.

use super::super::isobmff::{BoxFault, BoxReader, BoxRef};

/// Larger durations are negative ones: up to ten seconds of 48 kHz back.
const LARGEST: u32 = u32::MAX - 480_000;

/// Expands the pairs of count and duration. After the last pair its duration goes on.
pub(super) struct Durations<'a> {
    rest: BoxReader<'a>,
    left: u32,
    duration: u32,
    /// By how much the times so far are later than the file says, in ticks.
    late: i128,
}

impl<'a> Durations<'a> {
    pub(super) fn new(stts: &BoxRef<'a>) -> Result<Self, BoxFault> {
        let mut rest = stts.full()?.rest;
        rest.u32().ok_or(stts.fault("it has no entry count"))?;
        Ok(Self { rest, left: 0, duration: 0, late: 0 })
    }

    /// The duration of the next samples, and how many have it, at least one.
    pub(super) fn peek(&mut self) -> (u32, u32) {
        while self.left == 0 {
            let (Some(count), Some(said)) = (self.rest.u32(), self.rest.u32()) else {
                return (self.duration, u32::MAX);
            };
            self.begin(count, said);
        }
        (self.duration, self.left)
    }

    /// Goes on to the duration after the next `count` samples, which all have the [next one](Self::peek).
    pub(super) const fn skip(&mut self, count: u32) {
        self.left = self.left.saturating_sub(count);
    }

    fn begin(&mut self, count: u32, said: u32) {
        (self.left, self.duration) = (count, said);
        let count = i128::from(count);
        if said > LARGEST {
            self.duration = 1;
            self.late += (1 - i128::from(said as i32)) * count;
        }
        if self.late > 0 && count > 0 {
            let spare = i128::from(self.duration.saturating_sub(1));
            let shorter = (self.late / count).min(spare);
            self.late -= shorter * count;
            self.duration = self.duration.saturating_sub(u32::try_from(shorter).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::isobmff::{Boxes, put_full_box};
    use super::*;

    fn read(pairs: &[(u32, u32)], count: usize) -> Vec<u32> {
        let mut out = Vec::new();
        put_full_box(&mut out, *b"stts", 0, 0, |out| {
            out.extend((pairs.len() as u32).to_be_bytes());
            for (count, duration) in pairs {
                out.extend(count.to_be_bytes());
                out.extend(duration.to_be_bytes());
            }
        });
        let stts = Boxes::new(&out, 0).next().expect("a box").expect("sound");
        let mut durations = Durations::new(&stts).expect("entries");
        let mut next = || {
            let (duration, _) = durations.peek();
            durations.skip(1);
            duration
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_negative_duration_is_a_correction() {
        // ffprobe of such a file: one tick, and then 1016 instead of 1024.
        let read = read(&[(3, 1024), (1, -512_i32 as u32), (59, 1024)], 64);
        assert_eq!(read[..5], [1024, 1024, 1024, 1, 1016]);
        assert!(read[5..].iter().all(|&duration| duration == 1016), "the last one goes on");
    }

    #[test]
    fn other_durations_are_as_they_are_said() {
        assert_eq!(
            read(&[(1, 7), (0, 9), (2, u32::MAX / 2)], 4),
            [7, u32::MAX / 2, u32::MAX / 2, u32::MAX / 2]
        );
        assert_eq!(read(&[], 2), [0, 0]);
        // What is wholly absurd lasts next to nothing, and no overflow follows from it.
        assert_eq!(read(&[(u32::MAX, u32::MAX), (u32::MAX, u32::MAX)], 3), [1, 1, 1]);
    }
}
