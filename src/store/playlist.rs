//! Playlists as text (RFC 8216).

use std::fmt::Write;

use bytes::Bytes;
use hls_m3u8::MasterPlaylist;
use hls_m3u8::tags::VariantStream;
use hls_m3u8::types::{Codecs, Resolution, StreamData, UFloat};

use crate::media::{CellIndex, Grid, RungTracks};

/// One line of a multivariant playlist.
pub(super) struct Entry<'a> {
    pub(super) tracks: &'a RungTracks,
    pub(super) peak_bps: u64,
    pub(super) average_bps: u64,
}

/// A live media playlist of `count` cells from `first` on (RFC 8216 §4.3.3, §6.2.2). Every cell is as long as the
/// grid says, to the tick; there is no discontinuity, ever.
pub(super) fn media(rung: &str, init: &str, grid: Grid, first: CellIndex, count: usize) -> Bytes {
    let seconds = f64::from(grid.duration_ms()) / 1000.0;
    let target = grid.duration_ms().div_ceil(1000);
    let mut out = String::with_capacity(200 + count * 110);
    let _ = write!(
        out,
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"{init}\"\n"
    );
    for k in (first.0..).take(count).map(CellIndex) {
        let at = grid.start(k);
        let _ = write!(out, "#EXT-X-PROGRAM-DATE-TIME:{at}\n#EXTINF:{seconds:.3},\nmedia_{rung}_{k}.m4s\n");
    }
    out.into()
}

/// A multivariant playlist in the order given: picture rungs as the ladder has them, sound alone last.
///
/// Every variant carries CODECS (without it hls.js chooses the audio-only one and stalls) and every picture
/// variant RESOLUTION (flowplayer makes its quality menu of it).
pub(super) fn multivariant(entries: &[Entry<'_>]) -> Bytes {
    let variants: Vec<_> = entries.iter().map(variant).collect();
    let playlist = MasterPlaylist::builder().variant_streams(variants).build();
    playlist.map(|playlist| playlist.to_string()).unwrap_or_default().into()
}

fn variant(entry: &Entry<'_>) -> VariantStream<'static> {
    let mut codecs = Codecs::new();
    let mut data = StreamData::builder();
    data.bandwidth(entry.peak_bps).average_bandwidth(entry.average_bps);
    let mut frame_rate = None;
    if let Some(video) = &entry.tracks.video {
        codecs.push(video.parameter_sets.codec_string().into());
        data.resolution(Resolution::new(video.size.width as usize, video.size.height as usize));
        frame_rate = UFloat::try_from(video.fps as f32).ok();
    }
    codecs.push("mp4a.40.2".into());
    data.codecs(codecs);
    VariantStream::ExtXStreamInf {
        uri: format!("chunklist_{}.m3u8", entry.tracks.name).into(),
        frame_rate,
        audio: None,
        subtitles: None,
        closed_captions: None,
        stream_data: data.build().unwrap_or_else(|_| StreamData::new(entry.peak_bps)),
    }
}
