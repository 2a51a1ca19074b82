//! Where in the file samples are.

use super::SampleTable;

/// Consecutive bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Position of the first byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

impl Extent {
    /// Position after the last byte.
    pub const fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// Samples that follow each other directly in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRun {
    /// How many there are.
    pub count: u32,
    /// Where they are.
    pub extent: Extent,
}

impl SampleTable {
    /// Where in the file the samples `from..to` are, in order. Samples that follow each other directly are joined; silent ones
    /// are nowhere.
    pub fn extents(&self, from: u32, to: u32) -> Vec<Extent> {
        self.runs(from, to).iter().map(|run| run.extent).collect()
    }

    /// The same, with the number of samples at each place.
    pub fn runs(&self, from: u32, to: u32) -> Vec<SampleRun> {
        let mut runs: Vec<SampleRun> = Vec::new();
        let (before, after) = self.silent(from, to);
        let lead = self.silent.map_or(0, |silent| silent.before);
        let mut at = (from + before).saturating_sub(lead);
        let to = (to.min(self.count) - after.min(to)).saturating_sub(lead);
        while at < to {
            let Some((chunk_start, first, chunk_end)) = self.chunks.of(at) else { break };
            let chunk_end = chunk_end.min(to);
            let size = |place: u32| u64::from(self.sizes.get(place));
            let skipped: u64 = (first..at).map(size).sum();
            let len: u64 = (at..chunk_end).map(size).sum();
            let (count, offset) = (chunk_end - at, chunk_start + skipped);
            match runs.last_mut() {
                // Samples without bytes are wherever the others are.
                Some(SampleRun { count: before, .. }) if len == 0 => *before += count,
                Some(SampleRun { count: before, extent }) if extent.len == 0 => {
                    *before += count;
                    *extent = Extent { offset, len };
                }
                Some(SampleRun { count: before, extent }) if extent.end() == offset => {
                    *before += count;
                    extent.len += len;
                }
                _ => runs.push(SampleRun { count, extent: Extent { offset, len } }),
            }
            at = chunk_end;
        }
        runs
    }
}
