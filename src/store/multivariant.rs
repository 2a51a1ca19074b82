//! Multivariant playlists (RFC 8216 §4.3.4).
//!
//! Every variant states CODECS, because hls.js drops audio-only variants only where all do; audio-only comes
//! last, because the first variant is where players start; no two BANDWIDTHs are equal, because hls.js before
//! 1.0 takes equal ones for backups of one level; and their order never changes, because dash.js counts its
//! representations in the order of theirs, and stalls when the waiting loop's best rung takes fewer bits than
//! the second one but the hall's takes more.

use std::collections::HashMap;

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

/// What the rungs of a ladder state as BANDWIDTH, in their order: no less than their peak, nor than they may take by
/// their settings, since a player that opened the playlist under a quiet waiting loop may stay for a lecture. Among
/// rungs with the same parts no two are equal, and their order is that of the settings, the first one before its equals.
pub(super) fn bandwidths(rungs: &[(&Rung, Rates)]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..rungs.len()).rev().collect();
    order.sort_by_key(|&index| rungs[index].0.nominal_bps());
    let mut bandwidths = vec![0; rungs.len()];
    let mut above = HashMap::new();
    for index in order {
        let (rung, rates) = rungs[index];
        // BANDWIDTH is a positive number to most players.
        let least = above.entry(rung.parts()).or_insert(1);
        bandwidths[index] = rates.peak_bps.max(rung.nominal_bps()).max(*least);
        *least = bandwidths[index] + 1;
    }
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
