//! What the cores cost: assembling cells, splicing, boxes, playlists, grants, RTMP messages, the index of a recording, SMIL.

#![expect(clippy::expect_used, reason = "a bench stops at the first fault")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use amphi::access::{
    AccessControl, Credentials, GrantGroup, Grants, PathRule, Pattern, Revocations, Rules, Subject, Visit,
    VisitStep, WayIn,
};
use amphi::channel::{Splicer, SplicerOptions};
use amphi::container::fmp4::{init_section, segment};
use amphi::container::isobmff::file_header;
use amphi::delivery::route;
use amphi::ladder::assembler::Assembler;
use amphi::media::{
    AudioFormat, AudioTrack, CellIndex, CodedCell, Grid, ParameterSets, Parts, PictureSize, RungTracks,
    SampleEntry, TrackCell, VideoTrack,
};
use amphi::rtmp::{self, Timebase};
use amphi::store::{PublishedRung, PublishedWindow};
use amphi::vod::{Movie, Smil};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const K: i64 = 897_500_000;

/// Two seconds of 720p15 at 750 kbit/s.
fn picture() -> TrackCell {
    cell(30, 6250, 6000, false)
}

/// Two seconds of sound at 96 kbit/s.
fn sound() -> TrackCell {
    cell(94, 256, 1024, true)
}

fn cell(samples: usize, size: u32, duration: u32, all_sync: bool) -> TrackCell {
    TrackCell {
        start: 161_550_000_000_000,
        data: vec![0; samples * size as usize].into(),
        samples: (0..samples)
            .map(|index| SampleEntry { size, duration, sync: all_sync || index == 0 })
            .collect(),
    }
}

fn tracks(name: &str, video: Option<usize>) -> RungTracks {
    // A real SPS of openh264 for 1280x720.
    let sps: &[u8] =
        &[0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdd, 0x00, 0xf0, 0x88, 0x46, 0xa0];
    let parameter_sets = ParameterSets { sps: sps.to_vec().into(), pps: vec![0x68, 0xce, 0x3c, 0x80].into() };
    let size = PictureSize { width: 1280, height: 720 };
    RungTracks {
        name: name.to_owned(),
        video: video.map(|_| VideoTrack { size, fps: 15, bitrate_bps: 750_000, parameter_sets }),
        video_index: video,
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    }
}

fn cells(criterion: &mut Criterion) {
    let (video, audio) = (picture(), sound());
    let mut group = criterion.benchmark_group("cell");
    group.bench_function("assemble_two_rungs", |bencher| {
        let (mut assembler, mut k) = (Assembler::new(2), K);
        bencher.iter(|| {
            k += 1;
            for rung in 0..2 {
                assembler.picture(CellIndex(k), rung, video.clone());
            }
            assembler.whole(|_| true).expect("both are there")
        });
    });
    let coded = |k| Arc::new(CodedCell { k, video: vec![video.clone(); 2], audio: audio.clone() });
    group.bench_function("splice", |bencher| {
        let grid = Grid::new(2000);
        let (deadline, hold) = (Duration::from_millis(500), Duration::from_secs(5));
        let mut k = CellIndex(K);
        let mut splicer = Splicer::new(SplicerOptions { grid, deadline, hold, window: 6 }, k);
        let hall = "hall".into();
        splicer.connect(Some(&hall));
        splicer.source_up(true);
        bencher.iter(|| {
            splicer.live_cell(&hall, coded(k));
            let decision = splicer.poll(grid.start(k.next())).expect("it is due");
            k = k.next();
            decision
        });
    });
    group.finish();
}

fn boxes(criterion: &mut Criterion) {
    let (video, audio, rung) = (picture(), sound(), tracks("720p", Some(0)));
    let mut group = criterion.benchmark_group("package");
    group.bench_function("segment_2s_720p15", |bencher| {
        bencher.iter(|| segment(CellIndex(K), Some(black_box(&video)), Some(black_box(&audio))));
    });
    group.bench_function("init_section", |bencher| {
        bencher.iter(|| init_section(black_box(&rung), Parts::All).expect("it can be described"));
    });
    group.finish();
}

fn playlists(criterion: &mut Criterion) {
    let rungs = [tracks("720p", Some(0)), tracks("480p", Some(1)), tracks("160p", None)];
    let rungs = rungs.iter().map(|rung| {
        Arc::new(PublishedRung::new(
            rung.clone(),
            init_section(rung, Parts::All).expect("it can be described"),
        ))
    });
    let mut window = PublishedWindow::new(Grid::new(2000), 6, rungs);
    let one = segment(CellIndex(K), Some(&picture()), Some(&sound()));
    let mut k = K;
    // All playlists of a channel, as they are written once per cell, not once per viewer.
    criterion.bench_function("store/playlists_of_a_cell_3_rungs", |bencher| {
        bencher.iter(|| {
            k += 1;
            window.push(CellIndex(k), vec![one.clone(); 3]).expect("in order")
        });
    });
}

fn requests(criterion: &mut Criterion) {
    let path = format!("/Live_PAES/live/media_720p_{K}.m4s");
    criterion.bench_function("delivery/route", |bencher| {
        bencher.iter(|| route::parse(black_box(&path), |_| false));
    });
}

/// What a request behind a grant costs more than one that needs none.
fn grants(criterion: &mut Criterion) {
    let now = jiff::Timestamp::from_second(1_795_000_000).expect("a time");
    let grants = || Grants::new(b"Rie7eephahc5Eiqu8Aeph1oo", 300);
    let grant = grants().mint("Live_PAES", GrantGroup::of("key:moodle"), now);
    let rule =
        |path, way| PathRule { pattern: Pattern::new(path), ways: vec![WayIn::parse(way).expect("a way")] };
    let control = AccessControl {
        rules: Rules(vec![rule("vod/engage-player/*", "key:moodle"), rule("Live_*", "key:moodle")]),
        networks: BTreeMap::new(),
        keys: BTreeMap::new(),
        grants: grants(),
        goes_on: jiff::SignedDuration::from_hours(12),
    };
    let shown = Credentials {
        scheme: "http",
        authority: "live.example.org",
        path: "/Live_PAES/live/media_720p_897500000.m4s",
        query: "",
        authorization: None,
        cookie: None,
        address: [192, 0, 2, 7].into(),
    };
    let visit = |grant| Visit {
        subject: Subject("Live_PAES"),
        scope: "Live_PAES",
        shown,
        grant,
        step: VisitStep::Onward,
        lecture_ended: None,
        now,
    };
    let (revoked, grants) = (Revocations::default(), grants());
    let mut group = criterion.benchmark_group("access");
    group.bench_function("check_a_grant", |bencher| {
        bencher.iter(|| grants.check("Live_PAES", black_box(&grant)).expect("it is right"));
    });
    group.bench_function("admit_by_a_grant", |bencher| {
        bencher.iter(|| control.admit(black_box(&visit(Some(&grant))), &revoked).expect("it is right"));
    });
    group.finish();
}

fn messages(criterion: &mut Criterion) {
    let rung = tracks("720p", Some(0));
    let coded = CodedCell { k: CellIndex(K), video: vec![picture()], audio: sound() };
    let grid = Grid::new(2000);
    let timebase = Timebase::starting(grid.start(CellIndex(K)));
    let mut group = criterion.benchmark_group("rtmp");
    group.throughput(Throughput::Bytes((coded.video[0].data.len() + coded.audio.data.len()) as u64));
    group.bench_function("messages_of_a_cell", |bencher| {
        bencher.iter(|| rtmp::cell(&rung, black_box(&coded), timebase).expect("short enough"));
    });
    group.finish();
}

/// The `moov` of a recording, and its position.
fn moov(file: &[u8]) -> (&[u8], u64) {
    let mut at = 0;
    loop {
        let header = file_header(file.get(at..).expect("a box"), at as u64).expect("a box");
        let size = header.size.map_or(file.len() - at, |size| size as usize);
        if &header.kind == b"moov" {
            return (&file[at..at + size], at as u64);
        }
        at += size;
    }
}

fn recordings(criterion: &mut Criterion) {
    let file = include_bytes!("../fixtures/hall_a.mp4");
    let (moov, at) = moov(file);
    let smil = include_str!("../fixtures/opencast.smil");
    let mut group = criterion.benchmark_group("vod");
    group.throughput(Throughput::Bytes(moov.len() as u64));
    group.bench_function("index_of_20_s", |bencher| {
        let index = || Movie::parse(black_box(moov), at, file.len() as u64)?.finish(at);
        bencher.iter(|| index().expect("a sound recording"));
    });
    group.throughput(Throughput::Bytes(smil.len() as u64));
    group.bench_function("smil", |bencher| bencher.iter(|| Smil::parse(black_box(smil)).expect("sound")));
    group.finish();
}

criterion_group!(benches, cells, boxes, playlists, requests, grants, messages, recordings);
criterion_main!(benches);
