//! A track's sample table in little memory: about 10 bytes per picture and 3 per frame of sound.
//!
//! Sans-IO. Samples are pushed in decode order, from the tables of a `moov` or from fragments. Times are kept as runs of
//! equal durations, sizes in 16 bits if they fit, positions as one number per chunk. Of silence before and after the sound of
//! a file there are only the numbers of its samples. What does not belong here: boxes, and what presentation time means
//! ([`Movie`](super::movie::Movie)).

mod runs;
mod silence;

use super::compact::{Compositions, PackedChunks, Sizes};
use silence::SilentSamples;

pub use runs::{Extent, SampleRun};

/// As many samples as all tracks of a recording of a week have. A file that claims more would take too much memory and time.
const SAMPLES_MAX: u32 = 50_000_000;

/// How many more samples a file may claim to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleBudget(u32);

impl Default for SampleBudget {
    fn default() -> Self {
        Self(SAMPLES_MAX)
    }
}

impl SampleBudget {
    /// A budget of `count` samples.
    pub const fn new(count: u32) -> Self {
        Self(count)
    }

    /// How many samples are left.
    pub(super) const fn left(self) -> u32 {
        self.0
    }

    /// Takes `count` samples from the budget. `false` if there are not so many left.
    pub fn take(&mut self, count: u32) -> bool {
        self.0.checked_sub(count).map(|left| self.0 = left).is_some()
    }
}

/// One sample with its position in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Position of its first byte in the file.
    pub offset: u64,
    /// Size in bytes.
    pub size: u32,
    /// Duration in ticks of the track's timescale.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks.
    pub composition: i32,
    /// It is a sync sample: decoding can start here.
    pub sync: bool,
}

/// All samples of a track, in decode order and numbered from 0.
#[derive(Clone, Debug, Default)]
pub struct SampleTable {
    count: u32,
    sizes: Sizes,
    times: Vec<TimeRun>,
    /// Composition offsets; empty if decode order is presentation order.
    compositions: Compositions,
    /// Indexes of the sync samples; `None` if all samples are sync samples.
    syncs: Option<Vec<u32>>,
    chunks: PackedChunks,
    end: u64,
    next: Option<u64>,
    silent: Option<SilentSamples>,
}

/// A run of samples with the same duration.
#[derive(Clone, Copy, Debug)]
struct TimeRun {
    first: u32,
    start: u64,
    duration: u32,
}

impl TimeRun {
    fn start_of(&self, index: u32) -> u64 {
        self.start + u64::from(index - self.first) * u64::from(self.duration)
    }

    /// Whether sample number `index`, which begins at `start` and has this duration, belongs to it.
    fn goes_on(&self, index: u32, start: u64, duration: u32) -> bool {
        self.duration == duration && self.start_of(index) == start
    }
}

impl SampleTable {
    /// Appends the next sample. For samples that a file claims to have, ask a [`SampleBudget`] first.
    pub fn push(&mut self, sample: Sample) {
        let Sample { offset, size, duration, composition, sync } = sample;
        self.push_place(offset, size);
        self.push_alike(1, duration, composition, sync);
    }

    /// Appends where the next sample is. All else of it follows with [`Self::push_alike`].
    pub(super) fn push_place(&mut self, offset: u64, size: u32) {
        if self.next != Some(offset) || !self.chunks.extend() {
            self.chunks.begin(offset);
        }
        self.sizes.push(size);
        self.next = offset.checked_add(u64::from(size));
    }

    /// Appends what `count` samples have in common whose places are there.
    pub(super) fn push_alike(&mut self, count: u32, duration: u32, composition: i32, sync: bool) {
        let index = self.count;
        if self.times.last().is_none_or(|run| !run.goes_on(index, self.end, duration)) {
            self.times.push(TimeRun { first: index, start: self.end, duration });
        }
        self.compositions.push(composition, count);
        if !sync && self.syncs.is_none() {
            self.syncs = Some((0..index).collect());
        }
        if let Some(syncs) = &mut self.syncs
            && sync
        {
            syncs.extend(index..index + count);
        }
        self.end += u64::from(duration) * u64::from(count);
        self.count += count;
    }

    /// Makes room for so many samples and chunks.
    pub(super) fn reserve(&mut self, samples: usize, chunks: usize) {
        self.sizes.reserve(samples);
        self.chunks.reserve(chunks);
    }

    /// Says when the next sample is decoded, if not when the last one ends: the last one then lasts longer, or less long.
    /// `false` if that would be before the last one itself; then nothing changes.
    pub fn resume_at(&mut self, time: u64) -> bool {
        if time == self.end || self.count == 0 {
            self.end = time;
            return true;
        }
        let (last, end) = (self.count - 1, self.end);
        let Some(run) = self.times.last_mut() else { return false };
        let start = run.start_of(last);
        let Some(lasts) = time.checked_sub(start) else { return false };
        // No sample lasts longer than 32 bits can say; the next one begins at its time all the same.
        let duration = u32::try_from(lasts).unwrap_or(u32::MAX);
        if run.first == last {
            run.duration = duration;
        } else if end != time {
            self.times.push(TimeRun { first: last, start, duration });
        }
        self.end = time;
        true
    }

    /// Decode time of the last sample; 0 if there is none.
    pub fn last_start(&self) -> u64 {
        self.decode_time(self.count.saturating_sub(1))
    }

    /// Sample number `index`, as it was pushed.
    pub fn get(&self, index: u32) -> Option<Sample> {
        // An empty sample is nowhere, and is found nowhere.
        let place = self.in_file(index)?;
        let (chunk, first, _) = self.chunks.of(place)?;
        let before: u64 = (first..place).map(|place| u64::from(self.sizes.get(place))).sum();
        Some(Sample {
            offset: chunk + before,
            size: self.size(index),
            duration: self.duration(index),
            composition: self.composition(index),
            sync: self.is_sync(index),
        })
    }

    /// Takes every sample for a sync sample.
    pub(super) fn forget_syncs(&mut self) {
        self.syncs = None;
    }

    /// Frees memory that was reserved for more samples.
    pub(super) fn shrink(&mut self) {
        self.sizes.shrink();
        self.times.shrink_to_fit();
        self.compositions.shrink();
        self.syncs.iter_mut().for_each(Vec::shrink_to_fit);
        self.chunks.shrink();
    }

    /// Memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        self.sizes.memory()
            + self.times.capacity() * size_of::<TimeRun>()
            + self.compositions.memory()
            + self.syncs.as_ref().map_or(0, |syncs| syncs.capacity() * 4)
            + self.chunks.memory()
    }

    /// Number of samples.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Decode time at which the last sample ends, in ticks.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Size of a sample in bytes; 0 past the end.
    pub fn size(&self, index: u32) -> u32 {
        match self.silent {
            None => self.sizes.get(index),
            Some(_) if index >= self.count => 0,
            Some(silent) => self.in_file(index).map_or(silent.size, |place| self.sizes.get(place)),
        }
    }

    /// Decode time of a sample, in ticks; past the end, that of [`Self::end`].
    pub fn decode_time(&self, index: u32) -> u64 {
        self.run(index).map_or(self.end, |run| run.start_of(index))
    }

    /// Duration of a sample in ticks; 0 past the end.
    pub fn duration(&self, index: u32) -> u32 {
        self.run(index).map_or(0, |run| run.duration)
    }

    fn run(&self, index: u32) -> Option<&TimeRun> {
        if index >= self.count {
            return None;
        }
        let after = self.times.partition_point(|run| run.first <= index);
        self.times.get(after.wrapping_sub(1))
    }

    /// Presentation time minus decode time of a sample, in ticks.
    pub fn composition(&self, index: u32) -> i32 {
        self.compositions.get(index)
    }

    /// By how much the smallest composition offset is below zero, in ticks.
    pub fn negative_composition(&self) -> i64 {
        -i64::from(self.compositions.smallest().min(0))
    }

    /// Whether there are composition offsets, so that decode order may not be presentation order.
    pub fn has_compositions(&self) -> bool {
        !self.compositions.is_empty()
    }

    /// Media time at which a sample is presented, in ticks: decode time plus composition offset.
    pub fn media_time(&self, index: u32) -> i64 {
        self.decode_time(index) as i64 + i64::from(self.composition(index))
    }

    /// Whether decoding can start at this sample.
    pub fn is_sync(&self, index: u32) -> bool {
        index < self.count && self.syncs.as_ref().is_none_or(|syncs| syncs.binary_search(&index).is_ok())
    }

    /// Whether every sample is a sync sample.
    pub fn all_sync(&self) -> bool {
        self.syncs.is_none()
    }

    /// Number of sync samples.
    pub fn sync_count(&self) -> u32 {
        self.syncs.as_ref().map_or(self.count, |syncs| syncs.len() as u32)
    }

    /// Index of the sync sample number `place`, counted from 0.
    pub fn sync(&self, place: u32) -> Option<u32> {
        match &self.syncs {
            Some(syncs) => syncs.get(place as usize).copied(),
            None => (place < self.count).then_some(place),
        }
    }

    /// How many sync samples have a media time before `media_time`.
    pub fn syncs_before(&self, media_time: i64) -> u32 {
        match &self.syncs {
            Some(syncs) => syncs.partition_point(|&index| self.media_time(index) < media_time) as u32,
            None => self.first_at(media_time),
        }
    }

    /// The first sample with a media time of `media_time` or later. Only right if decode order is presentation order.
    pub fn first_at(&self, media_time: i64) -> u32 {
        let (mut low, mut high) = (0, self.count);
        if !self.has_compositions() {
            // Within a run of equal durations the place can be computed.
            let Ok(time) = u64::try_from(media_time) else { return 0 };
            let after = self.times.partition_point(|run| run.start < time);
            let Some(run) = after.checked_sub(1).and_then(|place| self.times.get(place)) else { return 0 };
            let next = self.times.get(after).map_or(self.count, |run| run.first);
            let lasts = u64::from(run.duration);
            let within = if lasts > 0 { (time - run.start).div_ceil(lasts) } else { u64::MAX };
            return u32::try_from(within).map_or(next, |within| run.first.saturating_add(within).min(next));
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.media_time(middle) < media_time { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Iterates over the samples `from..to`.
    pub fn range(&self, from: u32, to: u32) -> SampleRange<'_> {
        let run = self.times.partition_point(|run| run.first <= from).saturating_sub(1);
        let syncs = self.syncs.as_ref().map(|syncs| {
            let place = syncs.partition_point(|&index| index < from);
            syncs.get(place..).unwrap_or_default()
        });
        let times = self.times.get(run..).unwrap_or_default();
        SampleRange { samples: self, next: from, to: to.min(self.count), times, syncs }
    }

    /// Size of the samples `from..to` together, in bytes.
    pub fn bytes(&self, from: u32, to: u32) -> u64 {
        (from..to.min(self.count)).map(|index| u64::from(self.size(index))).sum()
    }
}

/// One sample without its position in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleInfo {
    /// Size in bytes.
    pub size: u32,
    /// Duration in ticks of the track's timescale.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks.
    pub composition: i32,
    /// It is a sync sample: decoding can start here.
    pub sync: bool,
}

/// Iterates over consecutive samples without a search for each of them.
#[derive(Clone, Debug)]
pub struct SampleRange<'a> {
    samples: &'a SampleTable,
    next: u32,
    to: u32,
    /// The runs from that of the next sample on.
    times: &'a [TimeRun],
    /// The sync samples from the next sample on.
    syncs: Option<&'a [u32]>,
}

impl Iterator for SampleRange<'_> {
    type Item = SampleInfo;

    fn next(&mut self) -> Option<SampleInfo> {
        let index = self.next;
        if index >= self.to {
            return None;
        }
        self.next += 1;
        while let [_, rest @ ..] = self.times
            && rest.first().is_some_and(|run| run.first <= index)
        {
            self.times = rest;
        }
        let sync = match &mut self.syncs {
            None => true,
            Some(syncs) => match syncs {
                [first, rest @ ..] if *first == index => {
                    *syncs = rest;
                    true
                }
                _ => false,
            },
        };
        Some(SampleInfo {
            size: self.samples.size(index),
            duration: self.times.first().map_or(0, |run| run.duration),
            composition: self.samples.composition(index),
            sync,
        })
    }
}

#[cfg(test)]
mod tests;
