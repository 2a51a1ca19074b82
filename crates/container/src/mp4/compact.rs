//! Tables of a track, in little memory but with random access. Sans-IO.
//!
//! An hour of a lecture has 90 000 pictures and 170 000 frames of sound, each of which may be in a chunk of its own.

/// Sizes of samples: two bytes each; the few that are larger stand in a list of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes {
    short: Vec<u16>,
    /// Index and size of samples whose size does not fit in two bytes.
    long: Vec<(u32, u32)>,
}

impl Sizes {
    /// Makes room for so many.
    pub(super) fn reserve(&mut self, count: usize) {
        self.short.reserve_exact(count);
    }

    pub(super) fn push(&mut self, size: u32) {
        let short = u16::try_from(size).ok().filter(|short| *short < u16::MAX);
        if short.is_none() {
            self.long.push((self.short.len() as u32, size));
        }
        self.short.push(short.unwrap_or(u16::MAX));
    }

    pub(super) fn get(&self, index: u32) -> u32 {
        match self.short.get(index as usize).copied() {
            Some(u16::MAX) => {
                let place = self.long.partition_point(|(at, _)| *at < index);
                self.long.get(place).map_or(0, |(_, size)| *size)
            }
            other => other.map_or(0, u32::from),
        }
    }

    pub(super) fn shrink(&mut self) {
        self.short.shrink_to_fit();
        self.long.shrink_to_fit();
    }

    pub(super) fn memory(&self) -> usize {
        self.short.capacity() * 2 + self.long.capacity() * 8
    }
}

/// Composition offsets. An encoder uses a handful of values, so one byte per sample is enough; none if all are zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Compositions {
    values: Vec<i32>,
    which: Vec<u8>,
    /// Used instead if there are more than 256 different values.
    wide: Vec<i32>,
    count: u32,
}

impl Compositions {
    /// Adds `more` samples with the same offset.
    pub(super) fn push(&mut self, composition: i32, more: u32) {
        let count = self.count as usize;
        self.count += more;
        let all = self.count as usize;
        if self.is_empty() {
            if composition == 0 {
                return;
            }
            self.values = vec![0];
            self.which = vec![0; count];
        }
        if self.wide.is_empty() {
            let place = self.values.iter().position(|value| *value == composition).or_else(|| {
                self.values.push(composition);
                Some(self.values.len() - 1)
            });
            if let Some(place) = place.and_then(|place| u8::try_from(place).ok()) {
                self.which.resize(all, place);
                return;
            }
            let values = &self.values;
            let value = |place: &u8| values.get(usize::from(*place)).copied().unwrap_or(0);
            self.wide = self.which.iter().map(value).collect();
            self.which = Vec::new();
        }
        self.wide.resize(all, composition);
    }

    /// Whether all are zero.
    pub(super) fn is_empty(&self) -> bool {
        self.which.is_empty() && self.wide.is_empty() && self.values.is_empty()
    }

    pub(super) fn get(&self, index: u32) -> i32 {
        match self.which.get(index as usize) {
            Some(place) => self.values.get(usize::from(*place)).copied().unwrap_or(0),
            None => self.wide.get(index as usize).copied().unwrap_or(0),
        }
    }

    pub(super) fn smallest(&self) -> i32 {
        let of_values = self.values.iter().copied().min().unwrap_or(0);
        self.wide.iter().copied().min().unwrap_or(0).min(of_values)
    }

    pub(super) fn shrink(&mut self) {
        self.which.shrink_to_fit();
        self.wide.shrink_to_fit();
    }

    pub(super) fn memory(&self) -> usize {
        self.which.capacity() + self.wide.capacity() * 4 + self.values.capacity() * 4
    }
}

/// How many chunks lie between two marks.
const MARK: usize = 64;

/// Chunks: where each one begins in the file, and its first sample. One byte per chunk counts its samples; a mark every 64
/// chunks gives the number of samples before it.
#[derive(Clone, Debug, Default)]
pub(super) struct PackedChunks {
    counts: Vec<u8>,
    marks: Vec<u32>,
    /// The low 32 bits of each chunk's offset.
    offsets: Vec<u32>,
    /// The high 32 bits of the offsets, each with the first chunk that has them.
    high: Vec<(u32, u32)>,
    samples: u32,
}

impl PackedChunks {
    /// Most samples of one entry; a longer chunk takes several.
    const SAMPLES_MAX: u8 = u8::MAX;

    /// Makes room for so many chunks.
    pub(super) fn reserve(&mut self, count: usize) {
        self.counts.reserve_exact(count);
        self.offsets.reserve_exact(count);
    }

    /// Adds a sample that follows the last one directly in the file. `false` if it has to begin a new chunk.
    pub(super) fn extend(&mut self) -> bool {
        match self.counts.last_mut().filter(|count| **count < Self::SAMPLES_MAX) {
            Some(count) => {
                *count += 1;
                self.samples += 1;
                true
            }
            None => false,
        }
    }

    /// Adds a sample that begins a chunk at `offset`.
    pub(super) fn begin(&mut self, offset: u64) {
        let high = (offset >> 32) as u32;
        if self.high.last().map_or(0, |(_, high)| *high) != high {
            self.high.push((self.counts.len() as u32, high));
        }
        if self.counts.len().is_multiple_of(MARK) {
            self.marks.push(self.samples);
        }
        self.counts.push(1);
        self.offsets.push(offset as u32);
        self.samples += 1;
    }

    /// The chunk of a sample: its offset, its first sample, and the first sample after it.
    pub(super) fn of(&self, sample: u32) -> Option<(u64, u32, u32)> {
        let mark = self.marks.partition_point(|first| *first <= sample).checked_sub(1)?;
        let mut first = *self.marks.get(mark)?;
        for (chunk, count) in self.counts.iter().enumerate().skip(mark * MARK).take(MARK) {
            let end = first + u32::from(*count);
            if sample < end {
                return Some((self.offset(chunk)?, first, end));
            }
            first = end;
        }
        None
    }

    fn offset(&self, chunk: usize) -> Option<u64> {
        let after = self.high.partition_point(|(first, _)| *first as usize <= chunk);
        let high = after.checked_sub(1).and_then(|place| self.high.get(place)).map_or(0, |(_, high)| *high);
        Some(u64::from(high) << 32 | u64::from(*self.offsets.get(chunk)?))
    }

    pub(super) fn shrink(&mut self) {
        self.counts.shrink_to_fit();
        self.marks.shrink_to_fit();
        self.offsets.shrink_to_fit();
    }

    pub(super) fn memory(&self) -> usize {
        self.counts.capacity()
            + (self.marks.capacity() + self.offsets.capacity()) * 4
            + self.high.capacity() * 8
    }
}
