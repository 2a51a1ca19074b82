//! Which of a track's sample descriptions is played (ISO/IEC 14496-12 §8.5.2, §8.7.4). Sans-IO.
//!
//! No player changes between descriptions within one initialization section. Descriptions that are equal are one; of
//! different ones that which most samples have is played, and the samples of the others are left out.

use super::super::isobmff::{BoxFault, BoxReader, BoxRef};
use super::sample_entry::{self, Coding, DescribedEntry};

/// How many descriptions are looked at.
const DESCRIPTIONS_MAX: usize = 64;

/// The description that is played, and which samples have it.
#[derive(Clone, Debug)]
pub(super) struct PlayedDescription {
    pub(super) coding: Coding,
    /// For each description, counted from 0, whether it is the same; empty if there is only one.
    same: Vec<bool>,
}

impl PlayedDescription {
    /// Whether the samples with this `sample_description_index`, which counts from 1, are played.
    pub(super) fn has(&self, number: u32) -> bool {
        let index = (number as usize).saturating_sub(1);
        // A number of a description that does not exist is taken for the one that is played.
        self.same.get(index).copied().unwrap_or(true)
    }

    pub(super) fn into_parts(self) -> (Coding, Vec<bool>) {
        (self.coding, self.same)
    }
}

/// Chooses the description of the track with this `stbl`. The other result says why none of them is played.
pub(super) fn chosen(
    stsd: &BoxRef<'_>,
    stbl: &BoxRef<'_>,
    first: u32,
) -> Result<Result<PlayedDescription, String>, BoxFault> {
    let entries: Vec<&[u8]> =
        stsd.children(8).take(DESCRIPTIONS_MAX).map_while(Result::ok).map(|entry| entry.whole).collect();
    if entries.len() < 2 {
        return Ok(match sample_entry::read(stsd, 0)? {
            DescribedEntry::Played(coding) => Ok(PlayedDescription { coding, same: Vec::new() }),
            DescribedEntry::LeftOut(reason) => Err(reason),
        });
    }
    // For each the first one that is equal to it.
    let firsts: Vec<usize> =
        entries.iter().map(|entry| entries.iter().position(|first| first == entry).unwrap_or(0)).collect();
    let same_as = |index: usize| firsts.get(index).copied();
    let mut counts = vec![0_u64; entries.len()];
    count_samples(stbl, |index, samples| {
        if let Some(count) = same_as(index).and_then(|index| counts.get_mut(index)) {
            *count = count.saturating_add(samples);
        }
    });
    // Fragments say for themselves; what they have if they say nothing is the best guess.
    let guess = same_as((first as usize).saturating_sub(1)).unwrap_or(0);
    let mut order: Vec<usize> = (0..entries.len()).filter(|&index| same_as(index) == Some(index)).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(counts.get(index).copied()), index != guess, index));
    let mut refused = None;
    for index in order {
        match sample_entry::read(stsd, index) {
            Ok(DescribedEntry::Played(coding)) => {
                let same = (0..entries.len()).map(|other| same_as(other) == Some(index)).collect();
                return Ok(Ok(PlayedDescription { coding, same }));
            }
            other => drop(refused.get_or_insert(other)),
        }
    }
    match refused {
        Some(Err(fault)) => Err(fault),
        Some(Ok(DescribedEntry::LeftOut(reason))) => Ok(Err(reason)),
        _ => Ok(Err("it has no sample description".to_owned())),
    }
}

/// How many samples each entry of `stsc` gives a description, which is counted from 0. `None` without its boxes.
fn count_samples(stbl: &BoxRef<'_>, mut add: impl FnMut(usize, u64)) -> Option<()> {
    let offsets = match stbl.child(*b"stco").ok()? {
        Some(offsets) => offsets,
        None => stbl.child(*b"co64").ok()??,
    };
    let chunks = offsets.full().ok()?.rest.u32()?;
    let mut runs = stbl.child(*b"stsc").ok()??.full().ok()?.rest;
    runs.u32()?;
    let mut next = || entry(&mut runs);
    let mut now = next();
    while let Some((first, per_chunk, description)) = now {
        now = next();
        let end = now.map_or(chunks.saturating_add(1), |(first, ..)| first);
        let samples = u64::from(end.saturating_sub(first)) * u64::from(per_chunk);
        add((description as usize).saturating_sub(1), samples);
    }
    Some(())
}

/// First chunk, samples per chunk and `sample_description_index` of the next entry of `stsc` (§8.7.4.2).
pub(super) fn entry(runs: &mut BoxReader<'_>) -> Option<(u32, u32, u32)> {
    Some((runs.u32()?, runs.u32()?, runs.u32()?))
}
