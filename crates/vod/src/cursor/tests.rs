//! Reads the fixtures sample by sample.

use std::path::Path;

use super::*;
use crate::{Mount, MountSettings, RecordingStream, Smil, Trim};

const SECOND: i64 = 1_000_000_000;

fn at(nanos: i64) -> MediaTime {
    MediaTime::from_nanos(nanos)
}

/// What is played of `stream` in a folder with `hall_a.mp4` as `a.mp4`, its low rendition as `low.mp4`, and that playlist.
async fn played(smil: &str, stream: RecordingStream) -> FrameRendition {
    let root = tempfile::tempdir().expect("a directory");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for (from, to) in [("hall_a.mp4", "a.mp4"), ("hall_a_low.mp4", "low.mp4")] {
        std::fs::copy(fixtures.join(from), root.path().join(to)).expect("a fixture");
    }
    std::fs::write(root.path().join("a.smil"), smil).expect("written");
    let root = root.path().to_owned();
    let settings = MountSettings {
        root,
        segment_ms: 10_000,
        download: false,
        poster: false,
        index: false,
        ..MountSettings::default()
    };
    let presentation = Mount::new(settings).open(&stream).await.expect("sound");
    presentation.for_frames().expect("something is played")
}

async fn recording() -> FrameRendition {
    played("", RecordingStream::File("a.mp4".to_owned())).await
}

/// The same in a playlist with this body.
async fn listed(body: &str) -> FrameRendition {
    let smil = format!("<smil><body><switch>{body}</switch></body></smil>");
    assert!(Smil::parse(&smil).is_ok());
    played(&smil, RecordingStream::Smil("a.smil".to_owned())).await
}

fn all(mut cursor: SampleCursor) -> Vec<RecordedSample> {
    let mut samples: Vec<RecordedSample> = Vec::new();
    while let Some(next) = cursor.next_at() {
        let batch = cursor.take(next.offset_nanos(SECOND)).expect("samples");
        let len: u64 = batch.layout.extents.iter().map(|extent| extent.len).sum();
        assert_eq!(len, batch.samples.iter().map(|sample| sample.place.len() as u64).sum::<u64>());
        let span = batch.samples.last().expect("some").decode.nanos_since(next);
        assert!((0..SECOND).contains(&span), "a batch is short: {span}");
        assert!(batch.samples.is_sorted_by_key(|sample| sample.decode));
        assert!(samples.last().is_none_or(|last| last.decode <= batch.samples[0].decode));
        samples.extend(batch.samples);
    }
    samples
}

#[tokio::test]
async fn every_sample_comes_once_and_in_order() {
    let played = recording().await;
    assert!(matches!(
        played.formats()[..],
        [(TrackSelection::Picture, TrackFormat::H264(_)), (TrackSelection::Sound(0), TrackFormat::Aac(_))]
    ));
    let kinds = [TrackSelection::Picture, TrackSelection::Sound(0)];
    let cursor = SampleCursor::new(played.clone(), &kinds);
    assert_eq!(cursor.start(), at(0));
    let samples = all(cursor);
    for kind in kinds {
        let of_file = played.track(kind).expect("there");
        let of_track: Vec<_> = samples.iter().filter(|sample| sample.kind == kind).collect();
        assert!(of_track.windows(2).all(|pair| pair[0].decode < pair[1].decode));
        let last = of_track.last().expect("many");
        assert_eq!(last.shown, at(of_file.nanos(of_file.shown_at(of_file.end - 1))));
        let missing = i64::from(of_file.end - of_file.begin) - of_track.len() as i64;
        // Frames of sound that end before the beginning are not heard.
        assert!((0..=3).contains(&missing), "{missing}");
    }
}

#[tokio::test]
async fn one_begins_at_the_sync_sample_before() {
    let played = recording().await;
    let kinds = [TrackSelection::Picture, TrackSelection::Sound(0)];
    let (from, until) = (at(7_300_000_000), at(12_000_000_000));
    let mut cursor = SampleCursor::new(played.clone(), &kinds);
    cursor.seek(from);
    cursor.end_at(until);
    let start = cursor.start();
    assert!(start <= from && from.nanos_since(start) < 2 * SECOND, "a sync sample each 2 s: {start:?}");
    let samples = all(cursor);
    let pictures: Vec<_> = samples.iter().filter(|sample| sample.kind == TrackSelection::Picture).collect();
    assert!(pictures[0].sync && pictures[0].shown == start);
    assert!(pictures.iter().all(|picture| picture.shown < until));
    let sound = samples.iter().find(|sample| sample.kind != TrackSelection::Picture).expect("sound");
    let early = start.nanos_since(sound.shown);
    assert!((0..21_333_334).contains(&early), "the frame that is heard then: {early}");
    let mut sound_alone = SampleCursor::new(played, &kinds[1..]);
    sound_alone.seek(from);
    assert_eq!(sound_alone.start(), from, "sound begins anywhere");
}

#[tokio::test]
async fn of_a_playlist_the_best_rendition_is_played_wherever_it_stands() {
    for body in ["<video src='low'/><video src='a'/>", "<video src='a'/><video src='low'/>"] {
        assert_eq!(listed(body).await.recording().path, "a.mp4", "{body}");
    }
    // A rendition with both tracks goes before a better one with the picture alone.
    let half = "<video src='a'><param name='videoOnly' value='true'/></video><video src='low'/>";
    assert_eq!(listed(half).await.recording().path, "low.mp4");
    let apart = "<video src='a'><param name='videoOnly' value='true'/></video>\
                 <video src='a'><param name='audioOnly' value='true'/></video>";
    assert_eq!(listed(apart).await.kinds(), [TrackSelection::Picture, TrackSelection::Sound(0)]);
    let sound = "<video src='a'><param name='audioOnly' value='true'/></video>";
    assert_eq!(listed(sound).await.kinds(), [TrackSelection::Sound(0)]);
}

#[tokio::test]
async fn the_part_that_a_playlist_wants_is_played_from_zero_to_its_end() {
    let played = listed("<video src='a' begin='5' dur='6.5'/>").await;
    let trim = Trim { start_ms: 5000, duration_ms: Some(6500) };
    let span = played.recording().span(trim);
    assert_eq!(played.duration().as_nanos() as i64, span.end - span.start, "as over HLS");
    let kinds = played.kinds().to_vec();
    let mut cursor = SampleCursor::new(played.clone(), &kinds);
    assert_eq!((cursor.start(), cursor.until()), (at(0), at(span.end - span.start)));
    let samples = all(cursor.clone());
    let pictures: Vec<_> = samples.iter().filter(|sample| sample.kind == TrackSelection::Picture).collect();
    assert!(pictures[0].sync && pictures[0].shown == at(0));
    assert!(samples.iter().all(|sample| sample.shown < cursor.until()));
    assert_eq!(pictures.len() as i64, (span.end - span.start) * 15 / SECOND);
    // After the end comes the last group of pictures of the part, not of the file.
    cursor.seek(at(i64::MAX));
    assert!(cursor.start() < cursor.until() && cursor.start() >= at(span.end - span.start - 2 * SECOND));
    assert!(cursor.next_at().is_some());
}

#[tokio::test]
async fn sound_that_begins_before_the_picture_is_heard() {
    let whole = recording().await;
    let mut movie = whole.recording().movie.clone();
    // As after an empty edit (ISO/IEC 14496-12 §8.6.6): the picture begins two seconds later.
    let late = 2 * SECOND;
    let video = movie.video.as_mut().expect("a picture");
    video.origin -= 2 * i64::from(video.timescale);
    let played = FrameRendition { recording: Arc::new(Recording::for_tests(movie)), ..whole };
    let kinds = [TrackSelection::Picture, TrackSelection::Sound(0)];
    let mut cursor = SampleCursor::new(played, &kinds);
    let first = |samples: &[RecordedSample], is_picture: bool| {
        let of_kind = |it: &&RecordedSample| (it.kind == TrackSelection::Picture) == is_picture;
        samples.iter().find(of_kind).cloned().expect("some")
    };
    assert_eq!(cursor.start(), at(0));
    let samples = all(cursor.clone());
    assert!(first(&samples, false).shown.as_nanos() < SECOND / 40, "the sound from its beginning");
    let picture = first(&samples, true);
    assert!(picture.sync && picture.shown == at(late), "{picture:?}");
    // From within the sound that has no picture, and from where there is one.
    cursor.seek(at(SECOND));
    assert_eq!(cursor.start(), at(SECOND));
    let samples = all(cursor.clone());
    assert!((0..SECOND / 40).contains(&SECOND.saturating_sub(first(&samples, false).shown.as_nanos())));
    assert_eq!(first(&samples, true).shown, at(late));
    cursor.seek(at(late + SECOND));
    assert_eq!(cursor.start(), at(late), "a sync sample each 2 s");
}
