//! The fixture with sound that is shorter than its picture, as viewers get it.

use std::sync::Arc;

use fdk_aac::dec::{Decoder, Transport};

use super::*;
use crate::cut::Trim;
use crate::mount::{Mount, MountSettings};
use crate::names::TrackSelection;
use crate::presentation::{Presentation, Rendition};
use crate::recording::Recording;
use crate::tests::fixture;
use crate::{RecordedSample, SampleCursor, reading};
use amphi_container::isobmff::Boxes;
use amphi_container::mp4::Coding;
use amphi_container::testing::moov;
use amphi_container::testing::{edit_list, track_rewritten};
use amphi_media::AudioTrack;

/// The `moov` of the fixture, 20 s, with these edits of its sound.
fn edited(edits: &[(u32, i32, u16)]) -> Vec<u8> {
    let (moov, ..) = moov();
    let moov = Boxes::new(&moov, 0).next().expect("a box").expect("sound");
    track_rewritten(&moov, *b"soun", &mut |kind, body| {
        if *kind == *b"edts" {
            *body = edit_list(edits);
        }
    })
}

fn movie(edits: &[(u32, i32, u16)]) -> Movie {
    let (_, at, len) = moov();
    Movie::parse(&edited(edits), at, len).and_then(|movie| movie.finish(at)).expect("it is played")
}

/// The fixture with that `moov` at its end; samples stay where they are.
fn file(edits: &[(u32, i32, u16)]) -> Vec<u8> {
    let (mut file, (_, at, _)) = (fixture("hall_a.mp4"), moov());
    let at = at as usize;
    file[at + 4..at + 8].copy_from_slice(b"free");
    file.extend(edited(edits));
    file
}

async fn opened(file: &[u8]) -> (tempfile::TempDir, Mount, Arc<Recording>) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.mp4"), file).expect("written");
    let root = folder.path().to_owned();
    let mount = Mount::new(MountSettings { root, segment_ms: 4000, ..MountSettings::default() });
    let recording = mount.recording("a.mp4").await.expect("opened");
    (folder, mount, recording)
}

fn bytes_of(file: &[u8], extents: &[amphi_container::mp4::Extent]) -> Vec<u8> {
    extents.iter().flat_map(|it| &file[it.offset as usize..(it.offset + it.len) as usize]).copied().collect()
}

/// All segments as a player puts them together.
async fn fetched(file: &[u8], mount: &Mount, recording: &Arc<Recording>, kind: TrackSelection) -> Vec<u8> {
    let mut bytes = recording.init(kind).expect("a section").to_vec();
    for cut in recording.cuts_of(kind, Trim::default()).expect("cuts") {
        let layout = mount.segment(recording, kind, cut.from, cut.to).await.expect("a segment");
        let by_time = mount.segment_at(recording, kind, cut.start).await.expect("the same");
        assert_eq!((&by_time.head, &by_time.extents), (&layout.head, &layout.extents));
        bytes.extend_from_slice(&layout.head);
        bytes.extend(bytes_of(file, &layout.extents));
    }
    bytes
}

/// The sound of what a player got: when each frame is heard, in nanoseconds, and its bytes.
fn heard(bytes: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let mut read = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut read, bytes).expect("written");
    let movie = reading::index(&read, bytes.len() as u64, "a.mp4").expect("sound");
    let track = movie.audio.first().expect("a track");
    let place = |index: u32| track.samples.extents(index, index + 1)[0].offset;
    assert!(
        (1..track.samples.count()).all(|index| place(index - 1) < place(index)),
        "Chromium sorts runs so"
    );
    let frame = |index: u32| {
        (track.nanos(track.shown_at(index)), bytes_of(bytes, &track.samples.extents(index, index + 1)))
    };
    (0..track.samples.count()).map(frame).collect()
}

/// The loudest sample of each frame.
fn loudness(recording: &Recording, frames: &[(i64, Vec<u8>)]) -> Vec<u16> {
    let config = recording.movie.audio[0].coding.aac().expect("AAC");
    let mut decoder = Decoder::new(Transport::Raw);
    decoder.config_raw(&config.to_bytes()).expect("a configuration");
    let loudest = |(_, frame): &(i64, Vec<u8>)| {
        decoder.fill(frame).expect("taken");
        let mut pcm = [0_i16; 4096];
        decoder.decode_frame(&mut pcm).expect("decoded");
        pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
    };
    frames.iter().map(loudest).collect()
}

const FRAME_NS: i64 = 21_333_334;

/// Silence for three seconds, then sound up to second 7.5, within a segment.
const PART: [(u32, i32, u16); 2] = [(3000, -1, 1), (4500, 1024, 1)];

#[tokio::test]
async fn sound_is_there_as_long_as_the_picture() {
    let file = file(&PART);
    let (_folder, mount, recording) = opened(&file).await;
    let plain = movie(&PART);
    let sound = &plain.audio[0];
    for kind in [TrackSelection::Both, TrackSelection::Sound(0)] {
        let frames = heard(&fetched(&file, &mount, &recording, kind).await);
        assert!((0..FRAME_NS).contains(&frames[0].0), "it begins at {}", frames[0].0);
        let end = frames.last().expect("many").0;
        assert!((20_000_000_000 - 2 * FRAME_NS..20_000_000_000).contains(&end), "it ends at {end}");
        for pair in frames.windows(2) {
            assert!((FRAME_NS - 2..FRAME_NS + 2).contains(&(pair[1].0 - pair[0].0)), "{}", pair[0].0);
        }
        let before = frames.iter().position(|(at, _)| *at >= sound.nanos(sound.shown_at(0)) - 1);
        let before = before.expect("the sound of the file");
        for (index, (at, bytes)) in (sound.begin..sound.end).zip(&frames[before..]) {
            assert!((at - sound.nanos(sound.shown_at(index))).abs() < 2, "frame {index} at {at}");
            assert_eq!(bytes, &bytes_of(&file, &sound.samples.extents(index, index + 1)), "frame {index}");
        }
        let loud = loudness(&recording, &frames);
        let after = before + (sound.end - sound.begin) as usize;
        assert!(loud[..before].iter().all(|loudest| *loudest == 0), "silence before");
        assert!(loud[before..after].iter().any(|loudest| *loudest > 1000), "speech");
        // The decoder is late by less than three frames.
        assert!(loud[after + 3..].iter().all(|loudest| *loudest == 0), "silence after");
    }
}

#[tokio::test]
async fn players_of_frames_get_the_same_silence() {
    let file = file(&PART);
    let (_folder, mount, recording) = opened(&file).await;
    let rendition =
        Rendition { recording: Arc::clone(&recording), trim: Trim::default(), kind: TrackSelection::Both };
    let played = Presentation { renditions: vec![rendition], smil: None }.for_frames().expect("frames");
    let kinds = played.kinds().to_vec();
    let mut cursor = SampleCursor::new(played, &kinds);
    let mut sounds: Vec<(i64, Vec<u8>)> = Vec::new();
    let mut pictures = 0;
    while let Some(next) = cursor.next_at() {
        let batch = cursor.take(next.offset_nanos(900_000_000)).expect("samples");
        let (samples, bytes) = mount.load(&recording, batch).await.expect("loaded");
        for RecordedSample { kind, shown, place, .. } in samples {
            match kind {
                TrackSelection::Sound(_) => sounds.push((shown.as_nanos(), bytes[place].to_vec())),
                _ => pictures += usize::from(!place.is_empty()),
            }
        }
    }
    assert_eq!((pictures, sounds.len() as u32), (300, recording.movie.audio[0].samples.count()));
    let over_hls = heard(&fetched(&file, &mount, &recording, TrackSelection::Sound(0)).await);
    assert!(sounds.iter().map(|(_, bytes)| bytes).eq(over_hls.iter().map(|(_, bytes)| bytes)));
    let silence = &recording.movie.audio[0].silence;
    assert!(sounds[0].1 == *silence && sounds.last().is_some_and(|(_, bytes)| bytes == silence));
}

#[test]
fn sound_of_other_coders_stays_as_it_is() {
    let of = |sample_rate, channels| {
        let mut movie = movie(&PART);
        let format = amphi_media::AudioFormat { sample_rate, channels };
        movie.audio[0].coding = Coding::of_track(AudioTrack { format, bitrate_bps: 64_000 });
        frame_of(&movie.audio[0])
    };
    assert_eq!(of(48_000, 2).map(|frame| frame.sample_rate), Some(48_000));
    assert!(of(44_100, 1).is_some() && of(32_000, 1).is_some());
    assert!(of(24_000, 2).is_none() && of(8000, 1).is_none(), "it may be HE-AAC");
    assert_ne!(of(48_000, 1).map(|frame| frame.bytes), of(48_000, 2).map(|frame| frame.bytes));
    assert!(of(48_000, 6).is_none(), "six channels have other elements");
    assert!(of(7350, 2).is_none(), "a rate that is not coded here");
    // The AudioSpecificConfig in the sample entry: HE-AAC, frames of 960 samples, and channels that are described in it.
    for config in [[0x2b, 0x11], [0x11, 0x94], [0x11, 0x80]] {
        let mut movie = movie(&PART);
        let track = &mut movie.audio[0];
        let lc = track.coding.aac().expect("AAC").to_bytes();
        let mut entry = track.coding.entry.to_vec();
        let at = entry.windows(2).rposition(|pair| pair == &lc[..2]).expect("its configuration");
        entry[at..at + 2].copy_from_slice(&config);
        track.coding.entry = entry.into();
        let count = track.samples.count();
        put_before(&mut movie, &[None]);
        put_after(&mut movie, &[None]);
        assert_eq!(movie.audio[0].samples.count(), count, "{config:x?}");
    }
}

#[test]
fn beside_a_picture_of_many_minutes_nothing_is_filled() {
    let mut movie = movie(&PART);
    let last = |movie: &Movie| movie.audio[0].shown_until();
    let before = last(&movie);
    let video = movie.video.as_mut().expect("a picture");
    let minutes = u64::from(video.timescale) * 60;
    video.samples.resume_at(video.samples.last_start() + 20 * minutes);
    let recording = Recording::for_tests(movie);
    assert_eq!(last(&recording.movie), before);
    for kind in [TrackSelection::Both, TrackSelection::Sound(0)] {
        for cut in recording.cuts_of(kind, Trim::default()).expect("cuts") {
            recording.segment(kind, cut.from, cut.to).expect("a segment that is listed");
        }
    }
}

#[test]
fn of_two_sounds_alone_the_shorter_one_is_filled() {
    let mut alone = movie(&[(20_000, 1024, 1)]);
    alone.video = None;
    alone.audio.push(movie(&[(5000, 1024, 1)]).audio.swap_remove(0));
    put_before(&mut alone, &[None, None]);
    put_after(&mut alone, &[None, None]);
    let ends: Vec<i64> = alone.audio.iter().map(Track::shown_until).collect();
    assert!((ends[0] - ends[1]).abs() <= 1024, "{ends:?}");
    assert!(alone.audio[0].silence.is_empty());
}
