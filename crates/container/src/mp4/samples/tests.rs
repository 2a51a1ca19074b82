//! What was pushed is found, in little memory.

use proptest::prelude::*;

use super::*;

fn sample() -> impl Strategy<Value = Sample> {
    (0..1_u64 << 34, 0..80_000_u32, prop::sample::select(vec![512, 512, 1024, 0]), -3..4_i32, any::<bool>())
        .prop_map(|(offset, size, duration, composition, sync)| Sample {
            offset,
            size,
            duration,
            composition,
            sync,
        })
}

proptest! {
    #[test]
    fn what_was_pushed_is_found(mut list in prop::collection::vec(sample(), 1..600), joined in any::<bool>(), in_order in any::<bool>(), gaps in prop::collection::vec(0..5000_u64, 600)) {
        let mut next = 7;
        for sample in &mut list {
            if joined || sample.offset % 3 > 0 { sample.offset = next; }
            if in_order { sample.composition = 0; }
            next = sample.offset + u64::from(sample.size);
        }
        let mut samples = SampleTable::default();
        // Some samples begin later than the one before them ends, or earlier.
        let mut starts = Vec::new();
        for (sample, gap) in list.iter().zip(&gaps) {
            let start = if gap % 4 == 0 { samples.last_start() + gap } else { samples.end() };
            prop_assert!(samples.resume_at(start));
            starts.push(start);
            samples.push(*sample);
        }
        let end = samples.end();
        let after = starts.iter().skip(1).copied().chain([end]);
        for ((sample, start), after) in list.iter_mut().zip(&starts).zip(after) {
            sample.duration = (after - start) as u32;
        }
        samples.shrink();
        let mut time = starts[0];
        for (index, sample) in list.iter().enumerate() {
            let index = index as u32;
            prop_assert_eq!(samples.size(index), sample.size);
            prop_assert_eq!(samples.duration(index), sample.duration);
            prop_assert_eq!(samples.decode_time(index), time);
            prop_assert_eq!(samples.media_time(index), time as i64 + i64::from(sample.composition));
            prop_assert_eq!(samples.is_sync(index), sample.sync);
            if sample.size > 0 {
                prop_assert_eq!(samples.extents(index, index + 1), vec![Extent { offset: sample.offset, len: u64::from(sample.size) }]);
            }
            time += u64::from(sample.duration);
        }
        prop_assert_eq!(samples.end(), time);
        if in_order {
            for time in starts.iter().flat_map(|start| [start.saturating_sub(1), *start, start + 1]).chain([0, end, end + 9]) {
                let first = starts.iter().take_while(|start| **start < time).count();
                prop_assert_eq!(samples.first_at(time as i64), first as u32, "at {}", time);
            }
        }
        for from in [0, list.len() as u32 / 3] {
            let info = |index| SampleInfo {
                size: samples.size(index),
                duration: samples.duration(index),
                composition: samples.composition(index),
                sync: samples.is_sync(index),
            };
            let expected: Vec<_> = (from..samples.count()).map(info).collect();
            prop_assert_eq!(samples.range(from, u32::MAX).collect::<Vec<_>>(), expected);
        }
        let syncs: Vec<u32> = (0..samples.sync_count()).filter_map(|place| samples.sync(place)).collect();
        let expected: Vec<u32> = (0..list.len() as u32).filter(|&index| list[index as usize].sync).collect();
        prop_assert_eq!(syncs, expected);
        let all: u64 = samples.extents(0, samples.count()).iter().map(|extent| extent.len).sum();
        prop_assert_eq!(all, samples.bytes(0, samples.count()));
    }
}

proptest! {
    #[test]
    fn silence_is_nowhere_and_all_else_where_it_was(
        list in prop::collection::vec(sample(), 1..60), before in 0..9_u32, kept in 0..70_u32, after in 0..9_u32,
        from in 0..90_u32, len in 0..90_u32,
    ) {
        let mut samples = SampleTable::default();
        samples.resume_at(500);
        for sample in &list {
            samples.push(Sample { sync: true, composition: 0, ..*sample });
        }
        let plain = samples.clone();
        let kept = kept.min(plain.count());
        if before > 0 { samples.put_silence_before(before, 7, 100); }
        if after > 0 { samples.put_silence_after(before + kept, after, 7, 100); }
        let kept = if after > 0 { kept } else { plain.count() };
        let silent = SampleInfo { size: 7, duration: 100, composition: 0, sync: true };
        let expected: Vec<SampleInfo> = std::iter::repeat_n(silent, before as usize)
            .chain(plain.range(0, kept))
            .chain(std::iter::repeat_n(silent, after as usize))
            .collect();
        let all: Vec<SampleInfo> = samples.range(0, u32::MAX).collect();
        prop_assert_eq!(&all, &expected);
        let mut time = 500;
        for (index, info) in (0..).zip(&all) {
            prop_assert_eq!(samples.decode_time(index), time);
            time += u64::from(info.duration);
            prop_assert_eq!(samples.size(index), info.size);
            let is_silent = !(before..before + kept).contains(&index);
            prop_assert_eq!(samples.is_silent(index), is_silent);
            prop_assert_eq!(samples.get(index), if is_silent { None } else { plain.get(index - before) });
        }
        prop_assert_eq!((samples.count() as usize, samples.end()), (all.len(), time));
        let to = from + len;
        let within = |index: u32| index.saturating_sub(before).min(kept);
        prop_assert_eq!(samples.extents(from, to), plain.extents(within(from), within(to)));
        let (first, last) = samples.silent(from, to);
        let places = from..to.min(samples.count());
        let count = |is_first: bool| places.clone().filter(|index| samples.is_silent(*index) && (*index < before) == is_first).count();
        prop_assert_eq!((first as usize, last as usize), (count(true), count(false)));
    }
}

#[test]
fn two_hours_take_little_memory() {
    // 25 pictures and 47 frames of sound a second, as ffmpeg interleaves them.
    let hour = |per_second: u32, size, composition| {
        let mut samples = SampleTable::default();
        for index in 0..per_second * 3600 {
            let offset = u64::from(index) * 10_000;
            samples.push(Sample { offset, size, duration: 512, composition, sync: index % 250 == 0 });
        }
        samples.shrink();
        samples.memory()
    };
    let bytes = hour(25, 70_000, 1024) + hour(47, 300, 0);
    assert!(bytes < 3 << 20, "{bytes} bytes in the worst case, where no chunk has two samples");
}
