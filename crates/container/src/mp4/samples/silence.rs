//! Samples of silence before and after those that are in the file. Sans-IO.

use super::{SampleTable, TimeRun};

/// Samples that are not in the file: some before all others, some after them.
#[derive(Clone, Copy, Debug)]
pub(super) struct SilentSamples {
    /// How many there are before.
    pub(super) before: u32,
    /// The first one after.
    pub(super) after: u32,
    /// Size of each in bytes.
    pub(super) size: u32,
}

impl SampleTable {
    /// Puts `count` silent samples before all others, each of so many bytes and ticks. No sample may follow by
    /// [`Self::push`].
    pub(in super::super) fn put_silence_before(&mut self, count: u32, size: u32, duration: u32) {
        let (start, lead) = (self.decode_time(0), u64::from(count) * u64::from(duration));
        for run in &mut self.times {
            run.first += count;
            run.start += lead;
        }
        self.times.insert(0, TimeRun { first: 0, start, duration });
        (self.count, self.end) = (self.count + count, self.end + lead);
        let silent = self.silent.get_or_insert(SilentSamples { before: 0, after: u32::MAX - count, size });
        (silent.before, silent.after) = (silent.before + count, silent.after + count);
    }

    /// Puts `count` silent samples in the place of those from `from` on. No sample may follow by [`Self::push`].
    pub(in super::super) fn put_silence_after(&mut self, from: u32, count: u32, size: u32, duration: u32) {
        self.end = self.decode_time(from);
        self.count = from.min(self.count);
        self.times.retain(|run| run.first < from);
        self.times.push(TimeRun { first: self.count, start: self.end, duration });
        let silent = self.silent.get_or_insert(SilentSamples { before: 0, after: 0, size });
        silent.after = self.count;
        self.count += count;
        self.end += u64::from(count) * u64::from(duration);
    }

    /// Makes `factor` ticks of each. Composition offsets are not touched.
    pub(in super::super) fn scale(&mut self, factor: u32) {
        for run in &mut self.times {
            run.start = run.start.saturating_mul(factor.into());
            run.duration = run.duration.saturating_mul(factor);
        }
        self.end = self.end.saturating_mul(factor.into());
    }

    /// How many of the first and of the last of the samples `from..to` are silent and not in the file.
    pub fn silent(&self, from: u32, to: u32) -> (u32, u32) {
        let to = to.min(self.count);
        let Some(silent) = self.silent.filter(|_| from < to) else { return (0, 0) };
        (silent.before.clamp(from, to) - from, to - silent.after.clamp(from, to))
    }

    /// Whether a sample is silent and not in the file.
    pub fn is_silent(&self, index: u32) -> bool {
        self.silent.is_some_and(|silent| index < silent.before || index >= silent.after)
    }

    /// The number that a sample has among those in the file.
    pub(super) fn in_file(&self, index: u32) -> Option<u32> {
        if self.is_silent(index) { None } else { index.checked_sub(self.silent.map_or(0, |it| it.before)) }
    }
}
