//! A fixture, sample by sample.

use super::*;
use crate::vod::{Mount, MountSettings};

async fn recording(root: &std::path::Path) -> Arc<Recording> {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    std::fs::copy(fixtures.join("hall_a.mp4"), root.join("a.mp4")).expect("a fixture");
    let root = root.to_owned();
    let settings = MountSettings { root, segment_ms: 10_000, download: false, poster: false, index: false };
    Mount::new(settings).recording("a.mp4").await.expect("sound")
}

fn all(mut playhead: Playhead) -> Vec<PassageSample> {
    let mut samples = Vec::new();
    while let Some(passage) = playhead.take() {
        let len: u64 = passage.layout.extents.iter().map(|extent| extent.len).sum();
        assert_eq!(len, passage.samples.iter().map(|sample| u64::from(sample.len)).sum::<u64>());
        let times: Vec<i64> = passage.samples.iter().map(|sample| sample.at).collect();
        let span = times.iter().max().expect("some") - times.iter().min().expect("some");
        assert!(span <= WHILE, "a passage is short: {span}");
        samples.extend(passage.samples);
    }
    samples
}

#[tokio::test]
async fn every_sample_comes_once_and_in_order() {
    let root = tempfile::tempdir().expect("a directory");
    let recording = recording(root.path()).await;
    let formats = recording.formats();
    assert!(matches!(
        formats[..],
        [(Kind::Picture, TrackFormat::H264(_)), (Kind::Sound(0), TrackFormat::Aac(_))]
    ));
    let tracks = [(0, Kind::Picture), (1, Kind::Sound(0))];
    let playhead = Playhead::new(Arc::clone(&recording), &tracks, 0, None).expect("a beginning");
    assert_eq!(playhead.start_nanos(), 0);
    let samples = all(playhead);
    for (number, kind) in tracks {
        let of_file = track_of(&recording, kind).expect("there");
        let of_track: Vec<_> = samples.iter().filter(|sample| sample.track == number).collect();
        assert!(of_track.windows(2).all(|pair| pair[0].at < pair[1].at));
        let last = of_track.last().expect("many");
        assert_eq!(last.shown, of_file.shown_at(of_file.end - 1));
        let missing = i64::from(of_file.end - of_file.begin) - of_track.len() as i64;
        // Frames of sound that end before the beginning are not heard.
        assert!((0..=3).contains(&missing), "{missing}");
    }
}

#[tokio::test]
async fn one_begins_at_the_sync_sample_before() {
    let root = tempfile::tempdir().expect("a directory");
    let recording = recording(root.path()).await;
    let tracks = [(0, Kind::Picture), (1, Kind::Sound(0))];
    let (from, until) = (7_300_000_000, 12_000_000_000);
    let playhead = Playhead::new(Arc::clone(&recording), &tracks, from, Some(until)).expect("in the middle");
    let start = playhead.start_nanos();
    assert!(start <= from && from - start < 2_000_000_000, "pictures have a sync sample each 2 s: {start}");
    let samples = all(playhead);
    let pictures: Vec<_> = samples.iter().filter(|sample| sample.track == 0).collect();
    assert!(pictures[0].sync && pictures[0].shown == 0);
    let video = track_of(&recording, Kind::Picture).expect("there");
    assert!(pictures.iter().all(|picture| video.nanos(picture.shown) + start < until));
    let sound = samples.iter().find(|sample| sample.track == 1).expect("sound");
    assert!((-1024..=0).contains(&sound.shown), "the frame that is heard then: {}", sound.shown);
    for nowhere in [recording.movie.duration_nanos(), i64::MAX] {
        assert!(Playhead::new(Arc::clone(&recording), &tracks, nowhere, None).is_none());
    }
    let sound_alone = Playhead::new(recording, &tracks[1..], from, None).expect("in the middle");
    assert_eq!(sound_alone.start_nanos(), from, "sound begins anywhere");
}
