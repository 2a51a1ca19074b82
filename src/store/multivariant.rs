//! Multivariant playlists (RFC 8216 §4.3.4).
//!
//! Every variant states CODECS, because hls.js drops audio-only variants only where all do; audio-only comes
//! last, because the first variant is where players start; no two BANDWIDTHs are equal, because hls.js before
//! 1.0 takes equal ones for backups of one level.

use std::collections::BTreeSet;

use hls_m3u8::MasterPlaylist;
use hls_m3u8::tags::VariantStream;
use hls_m3u8::types::{Resolution, StreamData, UFloat};

use super::bitrate::Rates;
use super::rung::Rung;

/// A rung with what its playlists state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant<'a> {
    pub(super) rung: &'a Rung,
    /// BANDWIDTH.
    pub(super) bandwidth_bps: u64,
    /// AVERAGE-BANDWIDTH.
    pub(super) average_bps: u64,
}

/// BANDWIDTHs of a ladder: the peaks, with one bit per second more where two would be equal. The better rung
/// gets the larger number.
pub(super) fn unique_bandwidths(rates: &[Rates]) -> Vec<u64> {
    let mut taken = BTreeSet::new();
    let mut bandwidths: Vec<u64> = rates
        .iter()
        .rev()
        .map(|rates| {
            // BANDWIDTH is a positive number to most players.
            let mut bandwidth = rates.peak_bps.max(1);
            while !taken.insert(bandwidth) {
                bandwidth += 1;
            }
            bandwidth
        })
        .collect();
    bandwidths.reverse();
    bandwidths
}

/// The multivariant playlist of `variants`: with pictures in the given order, then without.
pub(super) fn render(variants: &[Variant<'_>]) -> String {
    let (pictures, sound): (Vec<&Variant<'_>>, Vec<_>) =
        variants.iter().partition(|variant| variant.rung.picture().is_some());
    let mut playlist = MasterPlaylist::default();
    playlist.has_independent_segments = true;
    playlist.variant_streams = pictures.into_iter().chain(sound).map(stream).collect();
    playlist.to_string()
}

fn stream<'a>(variant: &Variant<'a>) -> VariantStream<'a> {
    let video = variant.rung.picture();
    let mut stream_data = StreamData::new(variant.bandwidth_bps);
    stream_data.set_average_bandwidth(Some(variant.average_bps));
    stream_data.set_codecs(Some(variant.rung.codecs()));
    stream_data.set_resolution(
        video.map(|video| Resolution::new(video.size.width as usize, video.size.height as usize)),
    );
    VariantStream::ExtXStreamInf {
        uri: variant.rung.playlist_name().into(),
        frame_rate: video.and_then(|video| UFloat::try_from(video.fps as f32).ok()),
        audio: None,
        subtitles: None,
        closed_captions: None,
        stream_data,
    }
}
