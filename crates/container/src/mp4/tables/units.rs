//! Tables of sound of which every piece has the same number of bytes: PCM, G.711, ADPCM. They may count single samples, a
//! hundred million in half an hour, and QuickTime says a size of 1 for each, whatever it is (QuickTime File Format, "Sample
//! Size Atoms"). Their chunks are read, and cut into packets of about a thousand samples, as ffmpeg does.

use super::super::super::isobmff::{BoxFault, BoxRef};
use super::super::UNFINISHED;
use super::super::samples::{Sample, SampleBudget};
use super::{ChunkOffsets, SampleSizes, TrackSamples};

/// Samples in a packet, if the coding has no larger unit.
const PACKET: u32 = 1024;

/// Reads the `stbl` of a track whose units have so many samples and bytes. `None` if its table does not count single samples.
pub(in super::super) fn read(
    stbl: &BoxRef<'_>,
    file_len: u64,
    budget: &mut SampleBudget,
    (unit_samples, unit_bytes): (u32, u32),
) -> Result<Option<TrackSamples>, BoxFault> {
    let sizes = SampleSizes::new(stbl)?;
    // A table that has the size of a larger unit counts those.
    let counts_units = unit_samples > 1 && sizes.one_size == unit_bytes;
    if sizes.one_size == 0 || sizes.one_size > unit_bytes.max(1) || sizes.count == 0 || counts_units {
        return Ok(None);
    }
    let (unit_samples, unit_bytes) = (unit_samples.max(1), unit_bytes.max(1));
    let per_packet = (PACKET / unit_samples).max(1);
    // Every sample lasts as long as the first.
    let stts = stbl.need(*b"stts")?;
    let mut rest = stts.full()?.rest;
    let lasts = rest.skip(8).and_then(|()| rest.u32()).unwrap_or(1).max(1);
    let mut chunks = ChunkOffsets::new(stbl)?;
    let mut out = TrackSamples::default();
    let mut left = sizes.count;
    while left > 0 {
        let mut offset = match chunks.next(0) {
            Ok(offset) => offset,
            Err(damage) => {
                out.damage = Some(damage);
                break;
            }
        };
        let in_chunk = left.min(chunks.left.saturating_add(1));
        left -= in_chunk;
        chunks.left = 0;
        let mut units = in_chunk / unit_samples;
        while units > 0 {
            let taken = units.min(per_packet);
            units -= taken;
            let size = taken.saturating_mul(unit_bytes);
            let end = offset.checked_add(u64::from(size)).filter(|end| *end <= file_len);
            let (Some(end), true) = (end, budget.take(1)) else {
                out.damage = Some(chunks.offsets_box.fault(UNFINISHED));
                left = 0;
                break;
            };
            let duration = taken.saturating_mul(unit_samples).saturating_mul(lasts);
            out.samples.push(Sample { offset, size, duration, composition: 0, sync: true });
            offset = end;
        }
    }
    out.samples.shrink();
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::super::super::super::isobmff::{Boxes, put_box, put_full_box};
    use super::*;

    fn stbl(size: u32, count: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let table = |out: &mut Vec<u8>, kind, words: &[u32]| {
            put_full_box(out, kind, 0, 0, |out| out.extend(words.iter().flat_map(|word| word.to_be_bytes())));
        };
        put_box(&mut out, *b"stbl", |out| {
            table(out, *b"stts", &[1, count, 1]);
            table(out, *b"stsz", &[size, count]);
            table(out, *b"stsc", &[2, 1, 3000, 1, 2, 500, 1]);
            table(out, *b"stco", &[2, 100, 20_000]);
        });
        out
    }

    #[test]
    fn chunks_are_cut_into_packets() {
        for size in [1, 4] {
            let bytes = stbl(size, 3500);
            let stbl = Boxes::new(&bytes, 0).next().expect("a box").expect("whole");
            let read =
                |len| read(&stbl, len, &mut SampleBudget::new(9), (1, 4)).expect("tables").expect("units");
            let samples = read(22_000).samples;
            let found: Vec<_> = (0..samples.count())
                .map(|index| {
                    (
                        samples.extents(index, index + 1)[0].offset,
                        samples.size(index),
                        samples.duration(index),
                    )
                })
                .collect();
            assert_eq!(
                found,
                [(100, 4096, 1024), (4196, 4096, 1024), (8292, 3808, 952), (20_000, 2000, 500)]
            );
            assert_eq!((read(21_999).samples.count(), read(21_999).damage.is_some()), (3, true));
        }
        for (size, unit) in [(8, (1, 4)), (68, (64, 68))] {
            let bytes = stbl(size, 3500);
            let stbl = Boxes::new(&bytes, 0).next().expect("a box").expect("whole");
            assert!(super::read(&stbl, 1 << 20, &mut SampleBudget::new(9), unit).expect("tables").is_none());
        }
    }
}
