//! The sample tables of a progressive file (ISO/IEC 14496-12 §8.6.1, §8.7), read in parallel into a [`SampleTable`].
//!
//! Each table is read in place and only as far as the samples need; none is expanded first. Sans-IO.

use super::super::isobmff::{BoxFault, BoxReader, BoxRef};

use super::samples::{Sample, SampleBudget, SampleTable};

/// Reads the `stbl` of a track, whose samples must end within `file_len`.
pub(super) fn read(
    stbl: &BoxRef<'_>,
    file_len: u64,
    budget: &mut SampleBudget,
) -> Result<SampleTable, BoxFault> {
    let stsz = stbl.child(*b"stsz")?;
    let (count, sizes_box) = match stsz {
        Some(found) => (sizes_of(&found)?, found),
        None => return compact_sizes(stbl),
    };
    let (one_size, count, mut sizes) = count;
    let mut samples = SampleTable::default();
    if count == 0 {
        return Ok(samples);
    }
    if !budget.take(count) {
        return Err(sizes_box.fault("it says more samples than any recording has"));
    }
    let mut durations = RunLengths::new(&stbl.need(*b"stts")?)?;
    let mut compositions = stbl.child(*b"ctts")?.map(|found| RunLengths::new(&found)).transpose()?;
    let mut syncs = stbl.child(*b"stss")?.map(|found| SampleNumbers::new(&found)).transpose()?;
    let mut chunks = ChunkOffsets::new(stbl)?;
    let mut next_sync = syncs.as_mut().and_then(SampleNumbers::next);
    for number in 1..=count {
        let size = match one_size {
            0 => sizes.u32().ok_or(sizes_box.fault("it has fewer sizes than it says"))?,
            size => size,
        };
        let offset = chunks.next(size)?;
        if offset.checked_add(u64::from(size)).is_none_or(|end| end > file_len) {
            return Err(chunks
                .offsets_box
                .fault("a sample lies beyond the end of the file: it is not finished"));
        }
        let sync = match next_sync {
            Some(next) if next <= number => {
                let is = next == number;
                while next_sync.is_some_and(|next| next <= number) {
                    next_sync = syncs.as_mut().and_then(SampleNumbers::next);
                }
                is
            }
            Some(_) => false,
            None => syncs.is_none(),
        };
        // If there are fewer entries than samples, the last one holds for the rest, as in players.
        let duration = durations.next().unwrap_or(durations.last);
        let composition = compositions.as_mut().map_or(0, |runs| runs.next().unwrap_or(runs.last) as i32);
        samples.push(Sample { offset, size, duration, composition, sync });
    }
    samples.shrink();
    Ok(samples)
}

fn compact_sizes(stbl: &BoxRef<'_>) -> Result<SampleTable, BoxFault> {
    match stbl.child(*b"stz2")? {
        Some(found) => Err(found.fault("compact sample sizes are not read")),
        None => Err(stbl.fault("it has no stsz")),
    }
}

/// The size of every sample (0 if they differ), the number of samples, and the sizes (§8.7.3.2).
fn sizes_of<'a>(stsz: &BoxRef<'a>) -> Result<(u32, u32, BoxReader<'a>), BoxFault> {
    let mut rest = stsz.full()?.rest;
    let (Some(one_size), Some(count)) = (rest.u32(), rest.u32()) else {
        return Err(stsz.fault("it is too short"));
    };
    Ok((one_size, count, rest))
}

/// Pairs of count and value, expanded one by one: `stts` (§8.6.1.2), `ctts` (§8.6.1.3).
struct RunLengths<'a> {
    rest: BoxReader<'a>,
    left: u32,
    last: u32,
}

impl<'a> RunLengths<'a> {
    fn new(table: &BoxRef<'a>) -> Result<Self, BoxFault> {
        let mut rest = table.full()?.rest;
        rest.u32().ok_or(table.fault("it has no entry count"))?;
        Ok(Self { rest, left: 0, last: 0 })
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            (self.left, self.last) = (self.rest.u32()?, self.rest.u32()?);
        }
        self.left -= 1;
        Some(self.last)
    }
}

/// Sample numbers one by one: `stss` (§8.6.2).
struct SampleNumbers<'a>(BoxReader<'a>);

impl<'a> SampleNumbers<'a> {
    fn new(table: &BoxRef<'a>) -> Result<Self, BoxFault> {
        let mut rest = table.full()?.rest;
        rest.u32().ok_or(table.fault("it has no entry count"))?;
        Ok(Self(rest))
    }

    fn next(&mut self) -> Option<u32> {
        self.0.u32()
    }
}

/// Positions of samples, from `stsc` (§8.7.4) with `stco` or `co64` (§8.7.5).
struct ChunkOffsets<'a> {
    offsets_box: BoxRef<'a>,
    offsets: BoxReader<'a>,
    long: bool,
    runs_box: BoxRef<'a>,
    runs: BoxReader<'a>,
    /// First chunk of the next run, and samples per chunk.
    next_run: Option<(u32, u32)>,
    per_chunk: u32,
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
        let next_run = next_run(&mut runs);
        Ok(Self {
            offsets_box,
            offsets,
            long,
            runs_box,
            runs,
            next_run,
            per_chunk: 0,
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
            if let Some((first, per_chunk)) = self.next_run
                && first <= self.chunk
            {
                self.per_chunk = per_chunk;
                self.next_run = next_run(&mut self.runs);
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

/// First chunk and samples per chunk of the next entry of `stsc`.
fn next_run(runs: &mut BoxReader<'_>) -> Option<(u32, u32)> {
    let run = (runs.u32()?, runs.u32()?);
    runs.skip(4)?;
    Some(run)
}
