//! What one cell of one rung costs to package.

use std::hint::black_box;

use amphi::media::{CellIndex, SampleEntry, TrackCell};
use amphi::package::segment;
use criterion::{Criterion, criterion_group, criterion_main};

fn cell(samples: usize, size: u32, duration: u32, all_sync: bool) -> TrackCell {
    TrackCell {
        start: 161_550_000_000_000,
        data: vec![0; samples * size as usize].into(),
        samples: (0..samples)
            .map(|index| SampleEntry { size, duration, sync: all_sync || index == 0 })
            .collect(),
    }
}

fn package(criterion: &mut Criterion) {
    // 2 s of 720p15 at 750 kbit/s with 96 kbit/s of sound.
    let video = cell(30, 6250, 6000, false);
    let audio = cell(94, 256, 1024, true);
    criterion.bench_function("package/segment_2s_720p15", |bencher| {
        bencher.iter(|| segment(CellIndex(897_500_000), Some(black_box(&video)), Some(black_box(&audio))));
    });
}

criterion_group!(benches, package);
criterion_main!(benches);
