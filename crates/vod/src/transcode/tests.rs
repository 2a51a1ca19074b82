//! Files with PCM, made here, heard as viewers hear them.

use std::path::Path;

use fdk_aac::dec::{Decoder, Transport};
use futures_util::future::join_all;

use super::*;
use crate::cut::Trim;
use crate::mount::{Mount, MountSettings};
use crate::names::TrackSelection;
use crate::presentation::{Presentation, Rendition};
use crate::recording::Recording;
use crate::{SampleCursor, reading};
use amphi_container::isobmff::{put_box, put_full_box};
use amphi_media::{MediaTime, PacketCoding};
use amphi_runtime::workshop::{Workshop, WorkshopLimits};

const RATE: u32 = 48_000;

fn tone(n: i64) -> f64 {
    0.5 * (std::f64::consts::TAU * 440.0 * n as f64 / f64::from(RATE)).sin()
}

fn words(out: &mut Vec<u8>, kind: [u8; 4], words: &[u32]) {
    put_full_box(out, kind, 0, 0, |out| out.extend(words.iter().flat_map(|word| word.to_be_bytes())));
}

/// A QuickTime file with `count` samples of a tone as `sowt`, mono. `edits`: duration in milliseconds and media time of each.
fn film(count: u32, edits: &[(u32, i32)]) -> Vec<u8> {
    let mut file = Vec::new();
    put_box(&mut file, *b"ftyp", |out| out.extend(b"qt  \0\0\0\0qt  "));
    let first = file.len() as u32 + 8;
    put_box(&mut file, *b"mdat", |out| {
        out.extend((0..i64::from(count)).flat_map(|n| ((tone(n) * 32_768.0) as i16).to_le_bytes()));
    });
    put_box(&mut file, *b"moov", |out| {
        words(out, *b"mvhd", &[0, 0, 1000, count / 48]);
        put_box(out, *b"trak", |out| {
            words(out, *b"tkhd", &[&[0, 0, 7, 0, count / 48][..], &[0; 15]].concat());
            if !edits.is_empty() {
                let entries = edits.iter().flat_map(|&(lasts, at)| [lasts, at as u32, 0x1_0000]);
                let all: Vec<u32> = std::iter::once(edits.len() as u32).chain(entries).collect();
                put_box(out, *b"edts", |out| words(out, *b"elst", &all));
            }
            put_box(out, *b"mdia", |out| {
                words(out, *b"mdhd", &[0, 0, RATE, count, 0x55c4_0000]);
                words(out, *b"hdlr", &[0, u32::from_be_bytes(*b"soun"), 0, 0, 0, 0]);
                put_box(out, *b"minf", |out| put_box(out, *b"stbl", |out| tables(out, count, first)));
            });
        });
    });
    file
}

fn tables(out: &mut Vec<u8>, count: u32, first: u32) {
    put_full_box(out, *b"stsd", 0, 0, |out| {
        out.extend(1_u32.to_be_bytes());
        put_box(out, *b"sowt", |out| {
            out.extend([
                0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 16, 0, 0, 0, 0, 0xbb, 0x80, 0, 0,
            ]);
        });
    });
    words(out, *b"stts", &[1, count, 1]);
    // Chunks of half a second, as QuickTime has them, and its size of 1 for every sample.
    let chunks = count.div_ceil(24_000);
    words(out, *b"stsc", &[1, 1, 24_000, 1]);
    words(out, *b"stsz", &[1, count]);
    let offsets = (0..chunks).map(|chunk| first + chunk * 48_000);
    words(out, *b"stco", &std::iter::once(chunks).chain(offsets).collect::<Vec<_>>());
}

fn mount(root: &Path, file: &[u8]) -> Mount {
    std::fs::write(root.join("a.mov"), file).expect("written");
    let root = root.to_owned();
    Mount::new(MountSettings { root, segment_ms: 4000, ..MountSettings::default() })
}

/// All of a recording's sound as a player gets it: one file.
async fn fetched(mount: &Mount, recording: &Arc<Recording>) -> Vec<u8> {
    let kind = TrackSelection::Both;
    let mut bytes = recording.init(kind).expect("a section").to_vec();
    for cut in recording.cuts_of(kind, Trim::default()).expect("cuts") {
        let layout = mount.segment(recording, kind, cut.from, cut.to).await.expect("a segment");
        assert!(layout.extents.is_empty());
        let by_time = mount.segment_at(recording, kind, cut.start).await.expect("the same");
        assert_eq!(by_time.head, layout.head);
        bytes.extend_from_slice(&layout.head);
    }
    bytes
}

/// What is heard of a fragmented file with one track of AAC: its first sample's presentation time in ticks, and the samples.
fn heard(bytes: &[u8]) -> (i64, Vec<f64>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let read = std::fs::File::open(file.path()).expect("there");
    let movie = reading::index(&read, bytes.len() as u64, "a.mp4").expect("sound");
    let track = movie.audio.first().expect("a track");
    let frames = (0..track.samples.count()).map(|index| {
        let extent = track.samples.extents(index, index + 1)[0];
        &bytes[extent.offset as usize..(extent.offset + extent.len) as usize]
    });
    (track.shown_at(0), decoded(track, frames))
}

/// What is heard of frames of AAC: the first channel.
fn decoded<'a>(track: &Track, frames: impl Iterator<Item = &'a [u8]>) -> Vec<f64> {
    let config = track.coding.aac().expect("AAC");
    let mut decoder = Decoder::new(Transport::Raw);
    decoder.config_raw(&config.to_bytes()).expect("a configuration");
    let mut out = Vec::new();
    for frame in frames {
        decoder.fill(frame).expect("taken");
        let mut pcm = [0; 4096];
        decoder.decode_frame(&mut pcm).expect("decoded");
        let info = decoder.stream_info();
        let channels = info.numChannels as usize;
        out.extend(
            pcm[..info.frameSize as usize * channels].chunks(channels).map(|it| f64::from(it[0]) / 32_768.0),
        );
    }
    out.drain(..decoder.stream_info().outputDelay as usize);
    out
}

/// By how much what is heard differs from `meant` between two presentation times.
fn worst((start, heard): &(i64, Vec<f64>), times: Range<i64>, meant: impl Fn(i64) -> f64) -> f64 {
    let off = |at: i64| (heard[(at - start) as usize] - meant(at)).abs();
    times.map(off).fold(0.0, f64::max)
}

#[tokio::test]
async fn pcm_is_heard_as_it_is_and_when_it_is() {
    let root = tempfile::tempdir().expect("a folder");
    let count = 12 * RATE + 333;
    for (edits, meant) in [
        (&[][..], 0),
        // The first half second is cut out.
        (&[(11_507, 24_000)][..], 24_000),
    ] {
        let mount = mount(root.path(), &film(count, edits));
        let recording = mount.recording("a.mov").await.expect("opened");
        let track = &recording.movie.audio[0];
        assert_eq!((&*track.coding.codec, track.timescale), ("mp4a.40.2", RATE));
        let until = i64::from(count) - meant;
        assert!((track.shown_until() - until).abs() <= 1024, "{} for {until}", track.shown_until());
        let heard = heard(&fetched(&mount, &recording).await);
        // After the attack, with which a coder has its trouble; seams of blocks are within.
        let off = worst(&heard, 4000..until - 2500, |at| tone(at + meant));
        assert!(off < 0.02, "off by {off}");
    }
}

#[tokio::test]
async fn sound_that_begins_late_is_late() {
    let root = tempfile::tempdir().expect("a folder");
    let mount = mount(root.path(), &film(8 * RATE, &[(500, -1), (8000, 0)]));
    let recording = mount.recording("a.mov").await.expect("opened");
    let heard = heard(&fetched(&mount, &recording).await);
    // Less than a second: what begins later is taken for zero by whoever reads the file anew.
    let late = i64::from(RATE) / 2;
    let off = worst(&heard, late + 4000..late + 6 * 48_000, |at| tone(at - late));
    assert!(off < 0.02, "off by {off}");
    // Players get silence until then: not all begin where there is no sound.
    assert_eq!(heard.0, -1024, "when the frame before the first one is");
    assert!(worst(&heard, 0..late - 2048, |_| 0.0) < 0.001);
}

#[tokio::test]
async fn sound_that_begins_late_or_ends_early_has_silence_around_it() {
    // A second of sound from second 2 on; another track goes on to second 6.
    let bytes = film(RATE, &[(2000, -1), (1000, 0)]);
    let mut read = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut read, &bytes).expect("written");
    let mut movie = reading::index(&read, bytes.len() as u64, "a.mov").expect("sound");
    let sound = movie.audio[0].coding.packets.clone().expect("packets");
    let source = Arc::new(offered(&mut movie.audio[0], sound, Some(6_000_000_000)).expect("a source"));
    let track = &movie.audio[0];
    assert_eq!((track.shown_at(0), track.shown_at(1)), (-1024, 0));
    assert_eq!(track.shown_until(), 6 * i64::from(RATE));
    let mut frames = Vec::new();
    for block in 0..track.end.div_ceil(BLOCK) {
        let mut plan = source.plan(block, track.end).expect("a plan");
        let extents = std::mem::take(&mut plan.extents);
        let packets: Vec<u8> = extents
            .iter()
            .flat_map(|it| &bytes[it.offset as usize..(it.offset + it.len) as usize])
            .copied()
            .collect();
        let coded = plan.code(&packets).expect("coded");
        frames.extend((0..BLOCK as usize).map(|place| coded.frame(place)).filter(|frame| !frame.is_empty()));
    }
    assert_eq!(frames.len() as u32, track.end);
    let heard = decoded(track, frames.iter().map(|frame| &frame[..]));
    let at = |seconds: f64| (seconds * f64::from(RATE)) as usize + 1024;
    let loudest = |from, to| heard[at(from)..at(to)].iter().fold(0.0, |most: f64, it| most.max(it.abs()));
    assert!(loudest(0.0, 1.95) < 0.001 && loudest(3.05, 5.9) < 0.001, "silence");
    assert!(loudest(2.1, 2.9) > 0.4, "the tone");
}

#[tokio::test]
async fn a_block_is_coded_once_however_many_ask() {
    let root = tempfile::tempdir().expect("a folder");
    let workshop = Workshop::new(WorkshopLimits { threads: 1, places: 8, per_address: 8 });
    let mount = mount(root.path(), &film(8 * RATE, &[])).in_workshop(workshop.clone());
    let recording = mount.recording("a.mov").await.expect("opened");
    let cut = recording.cuts_of(TrackSelection::Both, Trim::default()).expect("cuts")[0];
    let before = workshop.load().done;
    let asked = (0..100).map(|_| mount.segment(&recording, TrackSelection::Both, cut.from, cut.to));
    let all = join_all(asked).await;
    assert!(
        all.iter().all(|one| one.as_ref().expect("a segment").head == all[0].as_ref().expect("one").head)
    );
    let blocks = u64::from(cut.to.div_ceil(BLOCK));
    workshop.run(None, || ()).await.expect("done");
    assert!(workshop.load().done - before <= blocks + 2, "{:?}", workshop.load());
}

#[tokio::test]
async fn players_of_frames_get_the_same_frames() {
    let root = tempfile::tempdir().expect("a folder");
    let mount = mount(root.path(), &film(6 * RATE, &[]));
    let recording = mount.recording("a.mov").await.expect("opened");
    let rendition =
        Rendition { recording: Arc::clone(&recording), trim: Trim::default(), kind: TrackSelection::Both };
    let played = Presentation { renditions: vec![rendition], smil: None }.for_frames().expect("frames");
    assert_eq!(played.formats().len(), 1, "AAC-LC");
    let kinds = played.kinds().to_vec();
    let mut cursor = SampleCursor::new(played, &kinds);
    cursor.seek(MediaTime::from_millis(2500));
    let batch = cursor.take(MediaTime::from_millis(3500)).expect("samples");
    let (samples, bytes) = mount.load(&recording, batch).await.expect("loaded");
    assert!(samples.len() > 40);
    let whole = fetched(&mount, &recording).await;
    for sample in samples {
        let frame = &bytes[sample.place.clone()];
        assert!(frame.len() > 20 && whole.windows(frame.len()).any(|window| window == frame), "{sample:?}");
    }
}

#[test]
fn a_rate_is_one_that_sound_has() {
    let sound = |sample_rate| PacketSound { coding: PacketCoding::Mpeg, sample_rate, channels: 2 };
    for (said, timescale, rate) in [
        (44_100, 1000, 44_100),
        (0, 32_000, 32_000),
        (0, 1000, 48_000),
        (u32::MAX, 24_000, 24_000),
        (0, u32::MAX, 48_000),
    ] {
        assert_eq!(sample_rate(&sound(said), timescale), rate, "{said} and {timescale}");
    }
}

/// The track of a film whose samples are packets of this coding: bytes and ticks of each.
fn packets(
    coding: PacketCoding,
    timescale: u32,
    said: u32,
    packets: impl Iterator<Item = (u32, u32)>,
) -> Track {
    let bytes = film(4800, &[]);
    let mut read = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut read, &bytes).expect("written");
    let movie = reading::index(&read, bytes.len() as u64, "a.mov").expect("sound");
    let mut track = movie.audio.into_iter().next().expect("a track");
    let mut samples = SampleTable::default();
    for (size, duration) in packets {
        samples.push(Sample { offset: 1000, size, duration, composition: 0, sync: true });
    }
    (track.timescale, track.end) = (timescale, samples.count());
    track.samples = samples;
    track.coding.packets = Some(PacketSound { coding, sample_rate: said, channels: 2 });
    track
}

fn source(mut track: Track) -> SoundSource {
    let sound = track.coding.packets.clone().expect("packets");
    offered(&mut track, sound, Some(0)).expect("a source")
}

#[test]
fn sound_that_cannot_be_decoded_is_left_out() {
    let bytes = film(48_000, &[]);
    let mut read = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut read, &bytes).expect("written");
    let mut movie = reading::index(&read, bytes.len() as u64, "a.mov").expect("sound");
    let broken = PacketCoding::Alac(bytes::Bytes::from_static(&[1, 2]));
    let long = (0..4).map(|_| (400, u32::MAX));
    movie.audio.push(packets(broken, 48_000, 48_000, (0..100).map(|_| (400, 4096))));
    movie.audio.push(packets(PacketCoding::Mpeg, 48_000, 48_000, long));
    let recording = Recording::for_tests(movie);
    assert_eq!((recording.movie.audio.len(), recording.movie.left_out.len()), (1, 2));
    assert!(recording.sound_source(0).is_some() && recording.sound_source(1).is_none());
    let told: Vec<_> = recording.movie.left_out.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("track 7 (sound): its ALAC cannot be decoded: "), "{told:?}");
    assert_eq!(told[1], "track 7 (sound): it lasts longer than the 47 hours for which its MP3 is decoded");
    assert_eq!(recording.nothing_left(), None);
}

#[test]
fn packets_of_a_block_are_bounded() {
    let many = (0..300_000).map(|index| (4, u32::from(index == 0)));
    let source = source(packets(PacketCoding::Mpeg, 1, 48_000, many));
    let plan = Arc::new(source).plan(0, BLOCK).expect("a plan");
    assert_eq!(plan.packets.len(), PACKETS_MAX as usize);
}

#[test]
fn packets_have_the_rate_that_their_times_tell() {
    let of = |timescale, said, lasts| {
        source(packets(PacketCoding::Mpeg, timescale, said, (0..1000).map(|_| (400, lasts))))
    };
    for (timescale, said, lasts, rate) in [
        (48_000, 48_000, 1152, 48_000),
        // Frames of 44.1 kHz in a track that says 48 kHz, or nothing.
        (44_100, 48_000, 1152, 44_100),
        (90_000, 0, 2351, 44_100),
        // Coarse times are no other rate.
        (1000, 44_100, 26, 44_100),
    ] {
        let source = of(timescale, said, lasts);
        assert_eq!((source.sample_rate, source.target.format.sample_rate), (rate, rate), "{timescale}");
        assert_eq!(source.at(10) - source.at(9), 1152, "{timescale}");
    }
    // A tenth of the time is a gap.
    let gap = (0..1000).map(|index| (400, if index == 500 { 110_000 } else { 1152 }));
    let gaps = source(packets(PacketCoding::Mpeg, 48_000, 48_000, gap));
    assert_eq!((gaps.sample_rate, gaps.runs.len()), (48_000, 2));
    // No rate has packets of 50 ms.
    let odd = of(1000, 48_000, 50);
    assert_eq!((odd.sample_rate, odd.at(10), odd.runs.len()), (48_000, 24_000, 1));
}
