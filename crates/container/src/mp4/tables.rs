//! The sample tables of a progressive file (ISO/IEC 14496-12 §8.6.1, §8.7), read in parallel into a [`SampleTable`].
//!
//! Each table is read in place and only as far as the samples need; none is expanded first. Where one is damaged, the samples
//! before the damage are there. Sans-IO.

pub(super) mod units;

use super::super::isobmff::{BoxFault, BoxReader, BoxRef};

use super::UNFINISHED;
use super::descriptions::{self, PlayedDescription};
use super::durations::Durations;
use super::samples::{SampleBudget, SampleTable};

/// Composition offsets beyond this are no times (as ffmpeg has it): the table is left out.
const COMPOSITION_MAX: u32 = 1 << 28;

/// The samples of a track, and what of them could not be had.
#[derive(Debug, Default)]
pub(super) struct TrackSamples {
    pub(super) samples: SampleTable,
    /// Why there are not more.
    pub(super) damage: Option<BoxFault>,
    /// How many samples have another sample description, and are left out.
    pub(super) others: u32,
    /// No sample is marked as a sync sample, so each is taken for one.
    pub(super) has_no_syncs: bool,
}

impl TrackSamples {
    /// What is to be said about it.
    pub(super) fn doubts(&self) -> Vec<String> {
        let count = self.samples.count();
        let damage =
            self.damage.as_ref().map(|fault| format!("{fault}; the {count} samples before are played"));
        let others = (self.others > 0).then(|| other_descriptions(self.others));
        let syncs = self.has_no_syncs.then(|| {
            "box stss: no sample is marked as one where decoding can begin, so each is taken for one"
                .to_owned()
        });
        damage.into_iter().chain(others).chain(syncs).collect()
    }
}

/// What is said of samples with another description than that which is played.
pub(super) fn other_descriptions(count: u32) -> String {
    format!(
        "{count} samples have another sample description than the others, and no player could change between them"
    )
}

/// Reads the `stbl` of a track with one sample description, whose samples must end within `file_len`.
pub(super) fn read(
    stbl: &BoxRef<'_>,
    file_len: u64,
    budget: &mut SampleBudget,
) -> Result<SampleTable, BoxFault> {
    let read = read_samples(stbl, file_len, budget, None, true)?;
    read.damage.map_or(Ok(read.samples), Err)
}

/// The same up to where a table is damaged. Of a track without pictures every sample is a sync sample; `played` says which
/// samples are left out.
pub(super) fn read_samples(
    stbl: &BoxRef<'_>,
    file_len: u64,
    budget: &mut SampleBudget,
    played: Option<&PlayedDescription>,
    has_syncs: bool,
) -> Result<TrackSamples, BoxFault> {
    let sizes = SampleSizes::new(stbl)?;
    let mut out = TrackSamples::default();
    if sizes.count == 0 {
        return Ok(out);
    }
    if !budget.take(sizes.count) {
        return Err(sizes.table.fault("it says more samples than any recording has"));
    }
    let mut tables = StblReader::new(sizes, stbl, has_syncs)?;
    tables.reserve(&mut out.samples);
    let mut time = 0;
    while let (Some(alike), None) = (tables.peek(), &out.damage) {
        let (mut placed, mut left_out) = (0, None);
        while placed < alike.count && left_out.is_none() {
            let (offset, size) = match tables.place(file_len) {
                Ok(place) => place,
                Err(damage) => {
                    out.damage = Some(damage);
                    break;
                }
            };
            if played.is_some_and(|played| size == 0 || !played.has(tables.chunks.description)) {
                left_out = Some(size);
                break;
            }
            if placed == 0 && out.others > 0 {
                out.samples.resume_at(time);
            }
            out.samples.push_place(offset, size);
            placed += 1;
        }
        let AlikeSamples { duration, composition, sync, .. } = alike;
        if placed > 0 {
            out.samples.push_alike(placed, duration, composition, sync);
        }
        time += u64::from(placed) * u64::from(duration);
        tables.skip(placed);
        if let Some(size) = left_out {
            time += u64::from(duration);
            tables.skip(1);
            if size == 0 {
                // No player takes a sample without bytes: the one before it lasts longer.
                out.samples.resume_at(time);
            } else {
                out.others += 1;
            }
        }
    }
    if out.samples.sync_count() == 0 {
        out.has_no_syncs = out.samples.count() > 0;
        out.samples.forget_syncs();
    }
    out.samples.shrink();
    Ok(out)
}

/// The tables of a track, read side by side.
struct StblReader<'a> {
    sizes: SampleSizes<'a>,
    chunks: ChunkOffsets<'a>,
    durations: Durations<'a>,
    compositions: Option<RunLengths<'a>>,
    syncs: Option<SampleNumbers<'a>>,
    /// Number of the next sync sample; `None` after the last, and if every sample is one.
    next_sync: Option<u32>,
    /// Number of the next sample, counted from 1.
    number: u32,
}

/// Samples that follow each other and differ in size and place alone.
#[derive(Clone, Copy)]
struct AlikeSamples {
    count: u32,
    duration: u32,
    composition: i32,
    sync: bool,
}

impl<'a> StblReader<'a> {
    fn new(sizes: SampleSizes<'a>, stbl: &BoxRef<'a>, has_syncs: bool) -> Result<Self, BoxFault> {
        let durations = Durations::new(&stbl.need(*b"stts")?)?;
        let compositions = match stbl.child(*b"ctts")? {
            Some(found) => RunLengths::new(&found)?.filter(RunLengths::are_times),
            None => None,
        };
        let syncs = stbl.child(*b"stss")?.filter(|_| has_syncs);
        let mut syncs = syncs.map(|found| SampleNumbers::new(&found, sizes.count)).transpose()?;
        let chunks = ChunkOffsets::new(stbl)?;
        let next_sync = syncs.as_mut().and_then(SampleNumbers::next);
        Ok(Self { sizes, chunks, durations, compositions, syncs, next_sync, number: 1 })
    }

    /// Makes room for as many samples as the tables hold, whatever they claim.
    fn reserve(&self, samples: &mut SampleTable) {
        let sizes = (self.sizes.count as usize).min(self.sizes.rest.0.len() / 4);
        samples.reserve(sizes, self.chunks.offsets.0.len() / 4);
    }

    /// The next samples, at least one; `None` after the last.
    fn peek(&mut self) -> Option<AlikeSamples> {
        let left = (self.sizes.count + 1).checked_sub(self.number).filter(|left| *left > 0)?;
        let (sync, to_next) = match self.next_sync {
            Some(next) if next <= self.number => (true, 1),
            Some(next) => (false, next - self.number),
            None => (self.syncs.is_none(), u32::MAX),
        };
        let (duration, lasting) = self.durations.peek();
        let (composition, composed) = self.compositions.as_mut().map_or((0, u32::MAX), RunLengths::peek);
        let count = left.min(to_next).min(lasting).min(composed);
        Some(AlikeSamples { count, duration, composition: composition as i32, sync })
    }

    /// Position and size of the next sample, which must end within `file_len`.
    fn place(&mut self, file_len: u64) -> Result<(u64, u32), BoxFault> {
        let Self { sizes, chunks, .. } = self;
        let size = sizes.next().ok_or(sizes.table.fault("it has fewer sizes than it says"))?;
        let offset = chunks.next(size)?;
        let is_inside = offset.checked_add(u64::from(size)).is_some_and(|end| end <= file_len);
        if is_inside { Ok((offset, size)) } else { Err(chunks.offsets_box.fault(UNFINISHED)) }
    }

    /// Goes on behind `count` samples that have been placed: of those that are alike.
    fn skip(&mut self, count: u32) {
        self.durations.skip(count);
        if let Some(compositions) = &mut self.compositions {
            compositions.skip(count);
        }
        self.number += count;
        while self.next_sync.is_some_and(|next| next < self.number) {
            self.next_sync = self.syncs.as_mut().and_then(SampleNumbers::next);
        }
    }
}

/// Sizes of samples one by one: `stsz` (§8.7.3.2) or `stz2` (§8.7.3.3).
struct SampleSizes<'a> {
    table: BoxRef<'a>,
    count: u32,
    /// The size of every sample; 0 if they differ.
    one_size: u32,
    /// Bits of each size.
    bits: u8,
    rest: BoxReader<'a>,
    /// The second half of a byte with two sizes.
    half: Option<u32>,
}

impl<'a> SampleSizes<'a> {
    fn new(stbl: &BoxRef<'a>) -> Result<Self, BoxFault> {
        let (table, is_compact) = match (stbl.child(*b"stsz")?, stbl.child(*b"stz2")?) {
            (Some(found), _) => (found, false),
            (None, Some(found)) => (found, true),
            (None, None) => return Err(stbl.fault("it has no stsz")),
        };
        let mut rest = table.full()?.rest;
        let (Some(first), Some(count)) = (rest.u32(), rest.u32()) else {
            return Err(table.fault("it is too short"));
        };
        // 24 reserved bits, then field_size.
        let (one_size, bits) = if is_compact { (0, first as u8) } else { (first, 32) };
        if !matches!(bits, 4 | 8 | 16 | 32) {
            return Err(table.fault("its sizes have neither 4, 8 nor 16 bits"));
        }
        Ok(Self { table, count, one_size, bits, rest, half: None })
    }

    fn next(&mut self) -> Option<u32> {
        match (self.one_size, self.bits) {
            (0, 4) if self.half.is_some() => self.half.take(),
            (0, 4) => {
                let both = u32::from(self.rest.u8()?);
                self.half = Some(both & 15);
                Some(both >> 4)
            }
            (0, 8) => self.rest.u8().map(u32::from),
            (0, 16) => self.rest.u16().map(u32::from),
            (0, _) => self.rest.u32(),
            (size, _) => Some(size),
        }
    }
}

/// Pairs of count and value, expanded one by one: `ctts` (§8.6.1.3). Some writers have signed values in version 0, so they are
/// taken as signed in both versions.
struct RunLengths<'a> {
    rest: BoxReader<'a>,
    left: u32,
    last: u32,
}

impl<'a> RunLengths<'a> {
    fn new(table: &BoxRef<'a>) -> Result<Option<Self>, BoxFault> {
        let mut rest = table.full()?.rest;
        let entries = rest.u32().ok_or(table.fault("it has no entry count"))?;
        Ok((entries > 0).then_some(Self { rest, left: 0, last: 0 }))
    }

    /// Whether no value but the last ones is absurd.
    fn are_times(&self) -> bool {
        let (pairs, _) = self.rest.0.as_chunks::<8>();
        let values = pairs.iter().map(|&[.., a, b, c, d]| i32::from_be_bytes([a, b, c, d]).unsigned_abs());
        values.take(pairs.len().saturating_sub(2)).all(|value| value <= COMPOSITION_MAX)
    }

    /// The value of the next samples, and how many have it, at least one. After the last pair its value goes on.
    fn peek(&mut self) -> (u32, u32) {
        while self.left == 0 {
            let (Some(count), Some(value)) = (self.rest.u32(), self.rest.u32()) else {
                return (self.last, u32::MAX);
            };
            (self.left, self.last) = (count, value);
        }
        (self.last, self.left)
    }

    /// Goes on to the value after the next `count` samples, which all have the [next one](Self::peek).
    const fn skip(&mut self, count: u32) {
        self.left = self.left.saturating_sub(count);
    }
}

/// Sample numbers one by one: `stss` (§8.6.2). They stand in order there; where they do not, they are sorted first.
enum SampleNumbers<'a> {
    InOrder(BoxReader<'a>),
    Sorted(std::vec::IntoIter<u32>),
}

impl<'a> SampleNumbers<'a> {
    fn new(table: &BoxRef<'a>, count: u32) -> Result<Self, BoxFault> {
        let mut rest = table.full()?.rest;
        rest.u32().ok_or(table.fault("it has no entry count"))?;
        let (words, _) = rest.0.as_chunks::<4>();
        let numbers = words.iter().map(|word| u32::from_be_bytes(*word));
        if numbers.clone().is_sorted() {
            return Ok(Self::InOrder(rest));
        }
        let mut numbers: Vec<u32> = numbers.filter(|number| (1..=count).contains(number)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Self::Sorted(numbers.into_iter()))
    }

    /// The next one. Numbers count from 1.
    fn next(&mut self) -> Option<u32> {
        match self {
            Self::InOrder(rest) => std::iter::from_fn(|| rest.u32()).find(|number| *number > 0),
            Self::Sorted(numbers) => numbers.next(),
        }
    }
}

/// Positions of samples, from `stsc` (§8.7.4) with `stco` or `co64` (§8.7.5).
struct ChunkOffsets<'a> {
    offsets_box: BoxRef<'a>,
    offsets: BoxReader<'a>,
    long: bool,
    runs_box: BoxRef<'a>,
    runs: BoxReader<'a>,
    /// First chunk of the next run, samples per chunk, and their sample description.
    next_run: Option<(u32, u32, u32)>,
    per_chunk: u32,
    description: u32,
    chunk: u32,
    left: u32,
    at: u64,
}

impl<'a> ChunkOffsets<'a> {
    fn new(stbl: &BoxRef<'a>) -> Result<Self, BoxFault> {
        let (offsets_box, long) = match (stbl.child(*b"stco")?, stbl.child(*b"co64")?) {
            (Some(found), _) => (found, false),
            (None, Some(found)) => (found, true),
            (None, None) => return Err(stbl.fault("it has neither stco nor co64")),
        };
        let runs_box = stbl.need(*b"stsc")?;
        let (mut offsets, mut runs) = (offsets_box.full()?.rest, runs_box.full()?.rest);
        offsets.u32().ok_or(offsets_box.fault("it has no entry count"))?;
        runs.u32().ok_or(runs_box.fault("it has no entry count"))?;
        let next_run = descriptions::entry(&mut runs);
        Ok(Self {
            offsets_box,
            offsets,
            long,
            runs_box,
            runs,
            next_run,
            per_chunk: 0,
            description: 1,
            chunk: 0,
            left: 0,
            at: 0,
        })
    }

    /// Position of the next sample, whose size is `size`.
    fn next(&mut self, size: u32) -> Result<u64, BoxFault> {
        while self.left == 0 {
            self.chunk += 1;
            self.at = self
                .offsets
                .word(self.long)
                .ok_or(self.offsets_box.fault("it has fewer chunks than the samples need"))?;
            if let Some((first, per_chunk, description)) = self.next_run
                && first <= self.chunk
            {
                (self.per_chunk, self.description) = (per_chunk, description);
                self.next_run = descriptions::entry(&mut self.runs);
            }
            if self.per_chunk == 0 && self.next_run.is_none() {
                return Err(self.runs_box.fault("its chunks hold no samples"));
            }
            self.left = self.per_chunk;
        }
        self.left -= 1;
        let at = self.at;
        self.at = at.saturating_add(u64::from(size));
        Ok(at)
    }
}
