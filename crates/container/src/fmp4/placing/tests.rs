//! Every sample is found in the segment by another reader of boxes, whatever the order of the file.

use std::io::Cursor;

use bytes::Bytes;
use mp4::{BoxHeader, MoofBox, ReadBox};
use proptest::prelude::*;

use super::super::super::isobmff::{BoxRef, Boxes, put_box};
use super::super::super::mp4::{Movie, MovieTrack, Sample, SampleTable, SilentFrame};
use super::super::layout::{SegmentLayout, TrackPart, layout, layout_with};
use super::*;

/// The byte at some place of a file.
fn byte(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn bytes(extent: &Extent) -> impl Iterator<Item = u8> + use<> {
    (extent.offset..extent.end()).map(byte)
}

fn run(count: u32, offset: u64, len: u64) -> SampleRun {
    SampleRun { count, extent: Extent { offset, len } }
}

/// Samples that lie together in a file.
#[derive(Clone, Debug)]
struct WrittenChunk {
    is_sound: bool,
    sizes: Vec<u32>,
    /// Bytes between it and the one before.
    gap: u64,
}

fn chunk() -> impl Strategy<Value = WrittenChunk> {
    let sizes = prop::collection::vec(prop_oneof![0..3_u32, 0..40_000_u32, 200..300_u32], 1..4);
    let gap = prop_oneof![5 => Just(0_u64), 1 => 0..2000_u64, 1 => 0..400_000_u64];
    (any::<bool>(), sizes, gap).prop_map(|(is_sound, sizes, gap)| WrittenChunk { is_sound, sizes, gap })
}

/// A picture and a sound track.
fn tracks() -> [MovieTrack; 2] {
    let file =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/hall_a.mp4")).expect("a fixture");
    let moov = Boxes::new(&file, 0).flatten().find(|found| found.kind == *b"moov").expect("an index");
    let movie = Movie::parse(moov.whole, moov.at, file.len() as u64).expect("sound");
    let mut movie = movie.finish(moov.at).expect("sound");
    [movie.video.take().expect("a picture"), movie.audio.remove(0)]
}

/// The tracks with the samples of these chunks, which are written in an order of their own.
fn written(chunks: &[WrittenChunk], order: &[usize]) -> [MovieTrack; 2] {
    let mut places = vec![0; chunks.len()];
    let mut at = 1000;
    for &number in order {
        at += chunks[number].gap;
        places[number] = at;
        at += chunks[number].sizes.iter().copied().map(u64::from).sum::<u64>();
    }
    let mut tables = [SampleTable::default(), SampleTable::default()];
    for (chunk, mut offset) in chunks.iter().zip(places) {
        for &size in &chunk.sizes {
            let sync = chunk.is_sound || size % 5 == 0 || tables[0].count() == 0;
            let composition = if chunk.is_sound { 0 } else { size as i32 % 3 };
            tables[usize::from(chunk.is_sound)].push(Sample {
                offset,
                size,
                duration: 1024,
                composition,
                sync,
            });
            offset += u64::from(size);
        }
    }
    let mut tracks = tracks();
    for (track, samples) in tracks.iter_mut().zip(tables) {
        (track.begin, track.end, track.origin) = (0, samples.count(), 0);
        track.samples = samples;
    }
    tracks
}

/// A run as the other reader reads it, which keeps only one of each track: its offset, and the sizes of its samples.
fn read(traf: &BoxRef<'_>, trun: &BoxRef<'_>) -> (i32, Vec<u32>) {
    let mut moof = Vec::new();
    put_box(&mut moof, *b"moof", |out| {
        put_box(out, *b"mfhd", |out| out.extend([0; 8]));
        put_box(out, *b"traf", |out| {
            out.extend(traf.need(*b"tfhd").expect("a header").whole);
            out.extend(trun.whole);
        });
    });
    let mut rest = Cursor::new(&moof[..]);
    let header = BoxHeader::read(&mut rest).expect("a header");
    let moof = MoofBox::read_box(&mut rest, header.size).expect("a movie fragment");
    assert_eq!(moof.trafs[0].tfhd.default_sample_size, None);
    let trun = moof.trafs[0].trun.as_ref().expect("a run");
    (trun.data_offset.expect("an offset"), trun.sample_sizes.clone())
}

/// The bytes of each sample of each track of a segment, as its `trun` boxes say where they are.
fn found(layout: &SegmentLayout) -> Vec<Vec<Vec<u8>>> {
    let mut segment = layout.head.to_vec();
    segment.extend(layout.extents.iter().flat_map(bytes));
    let boxes: Vec<BoxRef<'_>> = Boxes::new(&segment, 0).map(|found| found.expect("a box")).collect();
    let [moof, mdat] = &boxes[..] else { panic!("a moof and an mdat: {boxes:?}") };
    assert_eq!(
        (moof.kind, mdat.kind, mdat.at + mdat.whole.len() as u64),
        (*b"moof", *b"mdat", segment.len() as u64)
    );
    let trafs = moof.children(0).flatten().filter(|found| found.kind == *b"traf");
    let samples = |traf: BoxRef<'_>| {
        let truns = traf.children(0).flatten().filter(|found| found.kind == *b"trun");
        let of_run = |trun: BoxRef<'_>| {
            let (offset, sizes) = read(&traf, &trun);
            let mut at = offset as usize;
            assert!(at >= mdat.at as usize + 8);
            let sample = |size: &u32| {
                at += *size as usize;
                segment[at - *size as usize..at].to_vec()
            };
            sizes.iter().map(sample).collect::<Vec<_>>()
        };
        truns.flat_map(of_run).collect()
    };
    trafs.map(samples).collect()
}

/// The bytes of each sample, as they are in the file or made.
fn expected(part: &TrackPart<'_>) -> Vec<Vec<u8>> {
    let samples = &part.track.samples;
    let sample = |index| {
        if samples.is_silent(index) {
            return part.track.silence.to_vec();
        }
        samples.extents(index, index + 1).iter().flat_map(bytes).collect()
    };
    (part.from..part.to).map(sample).collect()
}

proptest! {
    #[test]
    fn every_sample_is_where_the_head_says(
        chunks in prop::collection::vec(chunk(), 1..40),
        is_shuffled in any::<bool>(),
        seed in any::<u64>(),
        silence in (0..3_u8, 0..5_i64),
        cut in (0..6_u32, 0..6_u32),
        is_coded in any::<bool>(),
    ) {
        let mut order: Vec<usize> = (0..chunks.len()).collect();
        if is_shuffled { order.sort_by_key(|number| seed.rotate_left(*number as u32 * 7)); }
        let [picture, mut sound] = written(&chunks, &order);
        let (place, count) = silence;
        let timescale = sound.timescale;
        if place > 0 && sound.samples.count() > 0 {
            let frame = SilentFrame { bytes: Bytes::from_static(b"hush"), samples: 1024, sample_rate: timescale };
            if place == 1 { sound.origin = -count * 1024; sound.begin_with(&frame) }
            else { sound.end_with(&frame, sound.nanos(sound.shown_until() + count * 1024 + 1)) }
        }
        let tracks = [&picture, &sound];
        let parts = tracks.map(|track| TrackPart { track, from: cut.0.min(track.end), to: track.end.saturating_sub(cut.1) });
        let parts: Vec<TrackPart<'_>> = parts.into_iter().filter(|part| part.from < part.to).collect();
        let segment = layout(&parts, 7);
        prop_assert_eq!(found(&segment), parts.iter().map(expected).collect::<Vec<_>>());
        for part in &parts {
            let alone = [*part];
            prop_assert_eq!(found(&layout(&alone, 7)), vec![expected(part)]);
        }
        let runs: Vec<_> = parts.iter().map(|part| part.track.samples.runs(part.from, part.to)).collect();
        prop_assert!(Placing::of(&runs).runs.iter().all(|runs| runs.is_sorted_by_key(|run| run.at)));
        let used: u64 = parts.iter().map(|part| part.track.samples.bytes(part.from, part.to)).sum();
        prop_assert!(segment.total_len() - segment.head.len() as u64 <= used + used * UNUSED_MAX_PERCENT / 100);
        if is_coded && let [_, sound] = &parts[..] {
            let frames: Vec<Bytes> = (sound.from..sound.to).map(|index| vec![index as u8; index as usize % 9].into()).collect();
            let segment = layout_with(&parts, &[Vec::new(), frames.clone()], 7);
            let made: Vec<Vec<u8>> = frames.iter().map(|frame| frame.to_vec()).collect();
            prop_assert_eq!(found(&segment), vec![expected(&parts[0]), made]);
        }
    }
}

/// Picture and sound in turns, `gap` bytes after each.
fn in_turns(picture: u64, sound: u64, gap: u64, turns: u64) -> [Vec<SampleRun>; 2] {
    let turn = picture + sound + 2 * gap;
    [(picture, 0), (sound, picture + gap)]
        .map(|(len, after)| (0..turns).map(|turn_of| run(1, turn_of * turn + after, len)).collect())
}

#[test]
fn an_interleaved_file_is_one_range() {
    let placing = Placing::of(&in_turns(8000, 500, 0, 150));
    assert_eq!(placing.extents, [Extent { offset: 0, len: 150 * 8500 }]);
    assert_eq!(placing.runs.iter().map(Vec::len).collect::<Vec<_>>(), [150, 150]);
    assert_eq!(placing.runs[1][2], TrackRun { count: 1, at: 2 * 8500 + 8000 });
}

#[test]
fn what_nothing_points_to_is_sent_where_it_is_little() {
    let placing = Placing::of(&in_turns(8000, 500, 100, 150));
    assert_eq!(placing.extents, [Extent { offset: 0, len: 150 * 8700 - 100 }]);
    // Another sound track in between: so many short ranges cost more than a copy, and a copy has one run for each track.
    let placing = Placing::of(&in_turns(8000, 500, 400, 150));
    assert_eq!(placing.extents.len(), 300);
    assert_eq!(placing.runs[1], [TrackRun { count: 150, at: 150 * 8000 }]);
    // Larger pictures are sent as they are, with the sound that follows them.
    let placing = Placing::of(&[in_turns(40_000, 500, 800, 50)[0].clone()]);
    assert_eq!(placing.extents.len(), 50, "two hundredths of the sound would be too much");
    assert_eq!(placing.runs, [[TrackRun { count: 50, at: 0 }]], "side by side where they arrive");
}

#[test]
fn a_file_that_is_not_interleaved_is_a_range_for_each_track() {
    let picture: Vec<SampleRun> = (0..100).map(|at| run(1, at * 10_000, 10_000)).collect();
    let sound: Vec<SampleRun> = (0..250).map(|at| run(1, 50_000_000 + at * 300, 280)).collect();
    let placing = Placing::of(&[picture, sound]);
    let far = Extent { offset: 50_000_000, len: 249 * 300 + 280 };
    assert_eq!(placing.extents, [Extent { offset: 0, len: 1_000_000 }, far]);
    assert_eq!((placing.runs[0].len(), placing.runs[1][1]), (1, TrackRun { count: 1, at: 1_000_300 }));
}

#[test]
fn a_sample_that_stands_alone_has_a_run_of_its_own() {
    let mut tracks = in_turns(8000, 500, 0, 150);
    tracks[1][149].extent.offset = 7_000_000_000;
    let placing = Placing::of(&tracks);
    assert_eq!(
        placing.extents,
        [Extent { offset: 0, len: 150 * 8500 - 500 }, Extent { offset: 7_000_000_000, len: 500 }]
    );
    assert_eq!(placing.runs[1][149], TrackRun { count: 1, at: 150 * 8500 - 500 });
}

#[test]
fn a_track_that_is_not_in_order_in_its_file_is_put_in_order() {
    let mut tracks = in_turns(40_000, 500, 0, 10);
    tracks[1].swap(3, 7);
    let placing = Placing::of(&tracks);
    assert_eq!(placing.runs, [[TrackRun { count: 10, at: 0 }], [TrackRun { count: 10, at: 400_000 }]]);
    assert_eq!(placing.extents[10 + 3], tracks[1][3].extent);
}

#[test]
fn samples_without_bytes_are_not_beyond_the_end() {
    let placing = Placing::of(&[vec![run(1, 1000, 9000)], vec![run(1, 10_001, 0)]]);
    assert_eq!(placing.runs[1], [TrackRun { count: 1, at: 0 }]);
}

#[test]
fn heads_of_runs_are_little_beside_what_they_are_for() {
    let counts = |picture, sound| {
        Placing::of(&in_turns(picture, sound, 0, 150)).runs.iter().map(Vec::len).collect::<Vec<_>>()
    };
    // 300 runs are 6000 bytes: of 200 kB, and of 55 kB.
    assert_eq!(counts(1200, 140), [150, 150]);
    assert_eq!(counts(250, 120), [1, 1]);
}

#[test]
fn a_head_has_a_bound() {
    let tracks = in_turns(40_000, 40_000, 0, RUNS_MAX as u64);
    let placing = Placing::of(&tracks);
    assert_eq!(placing.runs.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(placing.extents.len(), 2 * RUNS_MAX, "in the order of the tracks");
}
