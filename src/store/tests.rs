//! The window from outside: sequences, windows, playlists that a strict parser accepts.

use std::sync::Arc;

use bytes::Bytes;
use hls_m3u8::tags::VariantStream;
use hls_m3u8::{MasterPlaylist, MediaPlaylist};
use proptest::prelude::*;

use super::*;
use amphi_media::{
    AudioFormat, AudioTrack, CellIndex, Grid, ParameterSets, Parts, PictureSize, RungTracks, Segment,
    VideoTrack,
};

const GRID: Grid = Grid::new(2000);
const K: i64 = 897_500_003;

fn rung(name: &str, height: Option<u32>) -> PublishedRung {
    let video = height.map(|height| VideoTrack {
        size: PictureSize { width: height * 16 / 9, height },
        fps: 15,
        bitrate_bps: height * 500,
        parameter_sets: ParameterSets {
            sps: Bytes::from_static(&[0x67, 0x64, 0x00, 0x1f]),
            pps: Bytes::from_static(&[0x68]),
        },
    });
    let tracks = RungTracks {
        name: name.to_owned(),
        video_index: video.as_ref().map(|_| 0),
        video,
        audio: AudioTrack { format: AudioFormat { sample_rate: 48_000, channels: 2 }, bitrate_bps: 96_000 },
    };
    PublishedRung::new(tracks, Bytes::from(format!("initialization section of {name}")))
}

fn ladder() -> Vec<PublishedRung> {
    vec![rung("720p", Some(720)), rung("480p", Some(480)), rung("160p", None)]
}

fn window(listed: usize) -> PublishedWindow {
    PublishedWindow::new(GRID, listed, ladder().into_iter().map(Arc::new))
}

fn segment(size: usize) -> Segment {
    Segment { head: vec![0; size].into(), ..Segment::default() }
}

fn cell(sizes: [usize; 3]) -> Vec<Segment> {
    sizes.map(segment).to_vec()
}

fn text(playlist: &Playlist) -> &str {
    std::str::from_utf8(&playlist.text).expect("UTF-8")
}

fn bandwidths(playlist: &Playlist) -> Vec<u64> {
    let parsed = MasterPlaylist::try_from(text(playlist)).expect("a strict parser takes it");
    assert!(parsed.has_independent_segments);
    parsed.variant_streams.iter().map(|stream| stream.bandwidth()).collect()
}

#[test]
fn a_dash_manifest_to_the_letter() {
    let picture = |name, height| {
        let whole = rung(name, Some(height));
        PublishedRung::part(whole.tracks().clone(), Parts::Picture, Bytes::from(format!("{name} alone")))
    };
    let rungs = ladder().into_iter().chain([picture("720p", 720), picture("480p", 480)]).map(Arc::new);
    let mut window = PublishedWindow::new(GRID, 3, rungs);
    let mut push = |k| {
        let segments = [10, 10, 10, 500_000, 200_000].map(segment).to_vec();
        window.push(CellIndex(k), segments).expect("in order").snapshot
    };
    (K..K + 4).for_each(|k| drop(push(k)));
    let snapshot = push(K + 4);
    insta::assert_snapshot!(text(&snapshot.manifest));
    let alone = text(&snapshot.renditions[1].manifest);
    assert!(alone.contains("id=\"480p.v\"") && alone.contains("id=\"160p\""), "{alone}");
    assert!(!alone.contains("720p"), "{alone}");
    let sound = text(&snapshot.renditions[2].manifest);
    assert!(sound.contains("id=\"160p\"") && !sound.contains("video"), "{sound}");
    assert_eq!(bandwidths(&snapshot.multivariant).len(), 3, "parts are no variants of HLS");
}

#[test]
fn a_media_playlist_to_the_letter() {
    let mut window = window(2);
    for k in K..K + 3 {
        window.push(CellIndex(k), cell([10, 10, 10])).expect("in order");
    }
    let snapshot = window.push(CellIndex(K + 3), cell([10, 10, 10])).expect("in order").snapshot;
    assert_eq!(
        text(&snapshot.renditions[0].playlist),
        "#EXTM3U\n\
         #EXT-X-VERSION:7\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-TARGETDURATION:2\n\
         #EXT-X-MEDIA-SEQUENCE:897500005\n\
         #EXT-X-MAP:URI=\"init_720p_e2d6be56.mp4\"\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-11-18T11:06:50.000Z\n\
         #EXTINF:2.000000,\n\
         media_720p_897500005.m4s\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-11-18T11:06:52.000Z\n\
         #EXTINF:2.000000,\n\
         media_720p_897500006.m4s\n"
    );
    let snapshot = window.push(CellIndex(K + 4), cell([10, 10, 10])).expect("in order").snapshot;
    let sound = text(&snapshot.renditions[2].playlist);
    assert!(sound.contains("#EXTINF:2.005333,") && sound.contains("#EXTINF:1.984000,"), "{sound}");
    assert!(sound.contains("#EXT-X-TARGETDURATION:2\n"), "{sound}");
}

#[test]
fn a_multivariant_playlist_to_the_letter() {
    let pushed = window(6).push(CellIndex(K), cell([200_000, 100_000, 25_000])).expect("the first");
    let snapshot = pushed.snapshot;
    assert_eq!(
        text(&snapshot.multivariant),
        "#EXTM3U\n\
         #EXT-X-STREAM-INF:BANDWIDTH=800000,AVERAGE-BANDWIDTH=800000,CODECS=\"avc1.64001F,mp4a.40.2\",\
         RESOLUTION=1280x720,FRAME-RATE=15.000\n\
         chunklist_720p.m3u8\n\
         #EXT-X-STREAM-INF:BANDWIDTH=400000,AVERAGE-BANDWIDTH=400000,CODECS=\"avc1.64001F,mp4a.40.2\",\
         RESOLUTION=853x480,FRAME-RATE=15.000\n\
         chunklist_480p.m3u8\n\
         #EXT-X-STREAM-INF:BANDWIDTH=101000,AVERAGE-BANDWIDTH=101000,CODECS=\"mp4a.40.2\"\n\
         chunklist_160p.m3u8\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n"
    );
    assert_eq!(bandwidths(&snapshot.renditions[1].alone), [400_000]);
}

#[test]
fn sound_alone_comes_last_wherever_it_stands_in_the_ladder() {
    let rungs = [rung("160p", None), rung("720p", Some(720))];
    let mut window = PublishedWindow::new(GRID, 6, rungs.into_iter().map(Arc::new));
    let snapshot = window.push(CellIndex(K), vec![segment(10), segment(20)]).expect("the first").snapshot;
    let parsed = MasterPlaylist::try_from(text(&snapshot.multivariant)).expect("valid");
    let uris: Vec<_> = parsed
        .variant_streams
        .iter()
        .map(|stream| match stream {
            VariantStream::ExtXStreamInf { uri, .. } | VariantStream::ExtXIFrame { uri, .. } => {
                uri.to_string()
            }
        })
        .collect();
    assert_eq!(uris, ["chunklist_720p.m3u8", "chunklist_160p.m3u8"]);
}

#[test]
fn the_sequence_never_goes_back() {
    let mut window = window(6);
    window.push(CellIndex(K), cell([1, 1, 1])).expect("the first");
    for k in [K, K - 1, 0] {
        let refused = window.push(CellIndex(k), cell([1, 1, 1])).expect_err("stale");
        assert_eq!(refused, PushError::Stale { k: CellIndex(k), last: CellIndex(K) });
    }
    let refused = window.push(CellIndex(K + 1), vec![segment(1)]).expect_err("two segments short");
    assert_eq!(refused, PushError::Rungs { k: CellIndex(K + 1), segments: 1, rungs: 3 });
    window.push(CellIndex(K + 1), cell([1, 1, 1])).expect("a refusal changes nothing");
}

#[test]
fn a_gap_starts_the_playlist_anew() {
    let mut window = window(6);
    for k in K..K + 4 {
        window.push(CellIndex(k), cell([1, 1, 1])).expect("in order");
    }
    let pushed = window.push(CellIndex(K + 10), cell([1, 1, 1])).expect("later");
    assert_eq!(pushed.missing, 6);
    let rendition = &pushed.snapshot.renditions[0];
    assert!(text(&rendition.playlist).contains(&format!("#EXT-X-MEDIA-SEQUENCE:{}\n", K + 10)));
    assert!(rendition.segment(CellIndex(K + 3)).is_none());
    assert!(rendition.segment(CellIndex(K + 10)).is_some());
}

#[test]
fn another_initialization_section_has_another_name() {
    let tracks = rung("720p", Some(720)).tracks().clone();
    let [a, b] = [&b"a"[..], b"b"].map(|init| PublishedRung::new(tracks.clone(), Bytes::from_static(init)));
    assert_ne!(a.init_name(), b.init_name());
}

#[tokio::test]
async fn readers_see_every_rung_of_a_cell_at_once() {
    let (mut writer, mut reader) = published_window(GRID, 6, ladder());
    assert!(reader.snapshot().is_none());
    assert_eq!(reader.rungs().len(), 3);
    writer.push(CellIndex(K), cell([1, 2, 3])).expect("the first");
    let snapshot = reader.next().await.expect("published");
    let sizes: Vec<_> = snapshot
        .renditions
        .iter()
        .map(|rendition| rendition.segment(CellIndex(K)).map(Segment::len))
        .collect();
    assert_eq!(sizes, [Some(1), Some(2), Some(3)]);
    drop(writer);
    assert!(reader.next().await.is_none());
    assert!(reader.snapshot().is_some(), "what was published stays");
}

proptest! {
    /// Cells in order, some missing: the playlist is consecutive, no longer than the window, ends with the
    /// newest cell, never goes back, and all that it lists is there, also one window later.
    #[test]
    fn playlists_are_truthful(
        steps in prop::collection::vec((prop_oneof![9 => Just(1_i64), 1 => 2..5_i64], 1..50_000_usize), 1..40),
        listed in 1..8_usize,
    ) {
        let mut window = window(listed);
        let (mut k, mut before) = (K, 0);
        for (step, size) in steps {
            k += step;
            let snapshot = window.push(CellIndex(k), cell([size, size / 2, 100])).expect("in order").snapshot;
            for rendition in &snapshot.renditions {
                let parsed = MediaPlaylist::try_from(text(&rendition.playlist)).expect("a strict parser takes it");
                let first = parsed.media_sequence as i64;
                let count = parsed.segments.num_elements() as i64;
                prop_assert!(count <= listed as i64 && first >= before);
                prop_assert_eq!(first + count - 1, k);
                for (number, (_, segment)) in (first..).zip(parsed.segments.iter()) {
                    prop_assert_eq!(segment.uri().as_ref(), rendition.rung.segment_name(CellIndex(number)));
                    prop_assert!(rendition.segment(CellIndex(number)).is_some());
                }
                prop_assert!(rendition.segment(CellIndex(k + 1)).is_none());
                before = if rendition.rung.name() == "160p" { first } else { before };
            }
        }
    }

    #[test]
    fn segments_outlive_the_playlist_that_listed_them(listed in 1..8_usize) {
        let mut window = window(listed);
        let cells = 3 * listed as i64;
        let mut last = None;
        for k in K..K + cells {
            last = Some(window.push(CellIndex(k), cell([1, 1, 1])).expect("in order").snapshot);
        }
        let snapshot = last.expect("some cells");
        let oldest_listed = K + cells - listed as i64;
        let oldest_kept = (oldest_listed - listed as i64 - 1).max(K);
        prop_assert!(snapshot.renditions[0].segment(CellIndex(oldest_kept)).is_some());
        prop_assert!(snapshot.renditions[0].segment(CellIndex(oldest_kept - 1)).is_none());
    }

    #[test]
    fn bandwidths_keep_their_order_and_no_segment_exceeds_them(
        cells in prop::collection::vec([0..4_usize, 0..4, 0..4], 1..20),
    ) {
        let mut window = window(6);
        let mut peaks = [0; 3];
        for (k, sizes) in (K..).zip(cells) {
            let sizes = sizes.map(|size| size * 50_000);
            let snapshot = window.push(CellIndex(k), cell(sizes)).expect("in order").snapshot;
            let stated = bandwidths(&snapshot.multivariant);
            prop_assert!(stated.is_sorted_by(|better, worse| better > worse), "{stated:?}");
            for ((peak, size), rendition) in peaks.iter_mut().zip(sizes).zip(&snapshot.renditions) {
                let span = rendition.rung.span(GRID, CellIndex(k));
                *peak = (size as u64 * 8_000_000_000 / span.duration.as_nanos() as u64).max(*peak);
                prop_assert!(rendition.bandwidth_bps >= *peak);
                prop_assert!(rendition.bandwidth_bps >= rendition.rung.nominal_bps());
                prop_assert!(rendition.bandwidth_bps >= rendition.average_bps);
            }
        }
    }
}
