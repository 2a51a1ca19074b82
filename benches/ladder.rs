//! What one picture costs on its way through a ladder: decoding, scaling, slide detection, encoding.
//!
//! Numbers are per picture of a synthetic lecture with 15 pictures/s. `cargo bench --bench ladder`.

#![expect(clippy::expect_used, reason = "a benchmark that cannot run should say so and stop")]

#[path = "../crates/ladder/src/lecture.rs"]
mod lecture;

use std::hint::black_box;

use amphi::ladder::openh264::{Decoder, Encoder, EncoderSettings, PictureView};
use amphi::ladder::scale::Scaler;
use amphi::ladder::scene::SlideDetector;
use amphi::media::h264::to_annex_b;
use amphi::media::{MediaTime, Picture, PictureSize, Slot};
use bytes::BytesMut;
use criterion::{Criterion, criterion_group, criterion_main};
use lecture::{FPS, SyntheticLecture};

const HD: PictureSize = PictureSize { width: 1280, height: 720 };
const SD: PictureSize = PictureSize { width: 854, height: 480 };
/// Number of pictures, used in turn: two cells with one change of slide.
const COUNT: u64 = 60;
const CELL: u64 = 30;

fn pictures(size: PictureSize) -> Vec<Picture> {
    let mut lecture = SyntheticLecture::new(size.width, size.height);
    (0..COUNT)
        .map(|number| {
            let mut picture = Picture::black(size);
            lecture.draw(number, picture.planes_mut());
            picture
        })
        .collect()
}

fn idr(number: u64) -> bool {
    (number % COUNT).is_multiple_of(CELL) || SyntheticLecture::slide_begins(number % COUNT)
}

fn encoder(size: PictureSize, bitrate_bps: u32) -> Encoder {
    Encoder::new(EncoderSettings { size, fps: FPS, bitrate_bps }).expect("settings of a rung")
}

fn encode(c: &mut Criterion, name: &str, size: PictureSize, bitrate_bps: u32) {
    let pictures = pictures(size);
    let mut encoder = encoder(size, bitrate_bps);
    let mut out = BytesMut::with_capacity(1 << 20);
    let mut numbers = 0..;
    c.bench_function(name, |b| {
        b.iter(|| {
            let number: u64 = numbers.next().unwrap_or_default();
            out.clear();
            let picture = &pictures[(number % COUNT) as usize];
            encoder.encode(picture, Slot(number as i64), idr(number), &mut out).expect("a picture")
        });
    });
}

fn encodes(c: &mut Criterion) {
    encode(c, "encode 720p 750k", HD, 750_000);
    encode(c, "encode 480p 400k", SD, 400_000);
}

fn decode(c: &mut Criterion) {
    let mut encoder = encoder(HD, 750_000);
    let units: Vec<_> = (0..)
        .zip(pictures(HD))
        .map(|(number, picture)| {
            let (mut sample, mut unit) = (BytesMut::new(), Vec::new());
            let encoded =
                encoder.encode(&picture, Slot(number as i64), idr(number), &mut sample).expect("a picture");
            to_annex_b(&sample, encoded.sync.then_some(encoder.parameter_sets()), &mut unit);
            unit
        })
        .collect();
    let mut decoder = Decoder::new().expect("a decoder");
    let mut numbers = 0..;
    c.bench_function("decode 720p 750k", |b| {
        b.iter(|| {
            let number: usize = numbers.next().unwrap_or_default();
            let shown = &mut |_: MediaTime, view: PictureView<'_>| {
                black_box(view.planes);
            };
            let pts = Slot(number as i64).time(FPS);
            decoder.decode(&units[number % units.len()], pts, shown).expect("an access unit");
        });
    });
}

fn scale(c: &mut Criterion) {
    let source = pictures(HD).remove(0);
    for (name, size) in [("scale 720p to 480p", SD), ("copy 720p", HD)] {
        let mut scaler = Scaler::new(size);
        let mut out = Picture::black(size);
        c.bench_function(name, |b| b.iter(|| scaler.fit((&source).into(), &mut out)));
    }
}

fn detect(c: &mut Criterion) {
    let pictures = pictures(HD);
    let mut detector = SlideDetector::new();
    let mut numbers = (0..pictures.len()).cycle();
    c.bench_function("slide detection 720p", |b| {
        b.iter(|| detector.changed(&pictures[numbers.next().unwrap_or_default()]));
    });
}

criterion_group! {
    name = ladder;
    config = Criterion::default().sample_size(60);
    targets = encodes, decode, scale, detect
}
criterion_main!(ladder);
