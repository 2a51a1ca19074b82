//! Playlists of recordings (RFC 8216 §4.3). Sans-IO.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use hls_m3u8::MasterPlaylist;
use hls_m3u8::tags::{ExtXMedia, VariantStream};
use hls_m3u8::types::{ClosedCaptions, MediaType, Resolution, StreamData, UFloat};

use super::cut::{Cut, Trim, beside, duration_nanos};
use super::names::{Kind, Names};
use crate::container::mp4::Media;
use crate::container::mp4::Movie;

/// One rendition, as its playlists state it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant<'a> {
    /// What is in the file.
    pub movie: &'a Movie,
    /// Names of its playlists and segments.
    pub names: &'a Names,
    /// Peak bits per second over a segment.
    pub peak_bps: u64,
    /// Bits per second over all.
    pub average_bps: u64,
    /// Which part.
    pub trim: Trim,
    /// Which tracks.
    pub kind: Kind,
}

/// A rendition of subtitles.
#[derive(Clone, Debug)]
pub(super) struct Subtitles {
    /// RFC 5646.
    pub language: String,
    /// Its media playlist, or all of it.
    pub uri: String,
}

/// Peak and average bit rate of the tracks of `kind` over the segments `cuts` of the leading track.
pub(super) fn rates(movie: &Movie, cuts: &[Cut], kind: Kind) -> (u64, u64) {
    let Some(lead) = movie.lead() else { return (0, 0) };
    let (mut peak, mut bits, mut nanos) = (0, 0_u64, 0_i64);
    for cut in cuts {
        let is_beside = lead.is_video() && matches!(kind, Kind::Sound(_));
        let mut bytes = if is_beside { 0 } else { lead.samples.bytes(cut.from, cut.to) };
        if let (true, Some(sound)) = (lead.is_video() && kind != Kind::Picture, movie.audio.first()) {
            let (from, to) = beside(lead, cut.from, cut.to, sound);
            bytes += sound.samples.bytes(from, to);
        }
        let duration = duration_nanos(movie, lead, cut);
        // A remnant at the end says nothing about the rate.
        if duration > 500_000_000 || cuts.len() == 1 {
            peak = peak.max(per_second(bytes * 8, duration));
        }
        bits += bytes * 8;
        nanos += duration;
    }
    let average = per_second(bits, nanos);
    (peak.max(average), average)
}

fn per_second(bits: u64, nanos: i64) -> u64 {
    (u128::from(bits) * 1_000_000_000).checked_div(u128::try_from(nanos).unwrap_or(0)).unwrap_or(0) as u64
}

/// Pictures per second on average.
pub(super) fn frame_rate(movie: &Movie) -> Option<f32> {
    let video = movie.video.as_ref()?;
    let nanos = video.nanos(video.shown_until() - video.shown_at(video.begin).max(0));
    (nanos > 0).then(|| (f64::from(video.end - video.begin) * 1e9 / nanos as f64) as f32)
}

/// CODECS of a rendition.
fn codecs(movie: &Movie, kind: Kind) -> Vec<String> {
    let video = movie.video.iter().filter(|_| has_picture(kind));
    let audio = movie.audio.first().filter(|_| kind != Kind::Picture);
    video.chain(audio).map(|track| track.coding.codec.clone()).collect()
}

const fn has_picture(kind: Kind) -> bool {
    !matches!(kind, Kind::Sound(_))
}

/// The multivariant playlist (§4.3.4): renditions in their order, I-frames for those with pictures, sound tracks as a
/// group where there are several.
pub(super) fn multivariant(variants: &[Variant<'_>], subtitles: &[Subtitles]) -> String {
    let mut playlist = MasterPlaylist::default();
    playlist.has_independent_segments = true;
    let mut taken = BTreeSet::new();
    for (index, variant) in variants.iter().enumerate() {
        let mut bandwidth = variant.peak_bps.max(1);
        // Equal ones are backups of one level to hls.js before 1.0.
        while !taken.insert(bandwidth) {
            bandwidth += 1;
        }
        let group = format!("sound{index}");
        let is_both = variant.kind == Kind::Both;
        let has_group = is_both && variant.movie.video.is_some() && variant.movie.audio.len() > 1;
        if has_group {
            playlist.media.extend(sound_group(variant, &group));
        }
        playlist.variant_streams.push(stream(
            variant,
            bandwidth,
            has_group.then_some(group),
            !subtitles.is_empty(),
        ));
    }
    playlist.variant_streams.extend(variants.iter().filter(|it| has_picture(it.kind)).filter_map(i_frames));
    playlist.media.extend(subtitles.iter().enumerate().filter_map(|(index, text)| {
        let mut media = ExtXMedia::builder();
        media.media_type(MediaType::Subtitles).group_id("text").name(format!(
            "{} {}",
            text.language,
            index + 1
        ));
        media
            .language(text.language.clone())
            .uri(text.uri.clone())
            .is_default(false)
            .is_autoselect(true)
            .build()
            .ok()
    }));
    playlist.to_string()
}

fn sound_group(variant: &Variant<'_>, group: &str) -> Vec<ExtXMedia<'static>> {
    let tracks = variant.movie.audio.iter().enumerate();
    tracks
        .filter_map(|(index, track)| {
            let mut media = ExtXMedia::builder();
            media.media_type(MediaType::Audio).group_id(group.to_owned()).name(format!(
                "{} {}",
                track.language,
                index + 1
            ));
            if track.language != "und" {
                media.language(track.language.clone());
            }
            if let Media::Audio { channels } = track.coding.media {
                media.channels(hls_m3u8::types::Channels::new(u64::from(channels)));
            }
            media.uri(variant.names.playlist(Kind::Sound(index), variant.trim));
            media.is_default(index == 0).is_autoselect(true).build().ok()
        })
        .collect()
}

fn resolution(movie: &Movie) -> Option<Resolution> {
    match movie.video.as_ref()?.coding.media {
        Media::Video { width, height } => Some(Resolution::new(usize::from(width), usize::from(height))),
        Media::Audio { .. } => None,
    }
}

fn stream(
    variant: &Variant<'_>,
    bandwidth: u64,
    group: Option<String>,
    has_text: bool,
) -> VariantStream<'static> {
    let movie = variant.movie;
    let mut stream_data = StreamData::new(bandwidth);
    stream_data.set_average_bandwidth(Some(variant.average_bps));
    let shows = has_picture(variant.kind);
    // The sound of a group is named with the picture that goes with it.
    stream_data.set_codecs(Some(codecs(movie, variant.kind)));
    stream_data.set_resolution(resolution(movie).filter(|_| shows));
    let kind = if group.is_some() { Kind::Picture } else { variant.kind };
    VariantStream::ExtXStreamInf {
        uri: variant.names.playlist(kind, variant.trim).into(),
        frame_rate: frame_rate(movie)
            .filter(|_| shows)
            .and_then(|rate| UFloat::try_from((rate * 1000.0).round() / 1000.0).ok()),
        audio: group.map(Into::into),
        subtitles: has_text.then(|| "text".into()),
        closed_captions: None::<ClosedCaptions<'static>>,
        stream_data,
    }
}

fn i_frames(variant: &Variant<'_>) -> Option<VariantStream<'static>> {
    let video = variant.movie.video.as_ref()?;
    let bytes: u64 = (0..video.samples.sync_count())
        .filter_map(|place| video.samples.sync(place))
        .map(|index| u64::from(video.samples.size(index)))
        .sum();
    let mut stream_data = StreamData::new(per_second(bytes * 8, variant.movie.duration_nanos()).max(1));
    stream_data.set_codecs(Some(vec![video.coding.codec.clone()]));
    stream_data.set_resolution(resolution(variant.movie));
    Some(VariantStream::ExtXIFrame { uri: variant.names.i_frames(variant.trim).into(), stream_data })
}

/// A media playlist: `cuts` are those of the movie's leading track, or of the sound track alone.
pub(super) fn media(movie: &Movie, names: &Names, kind: Kind, cuts: &[Cut]) -> String {
    let track = match kind {
        Kind::Both | Kind::Picture => movie.lead(),
        Kind::Sound(index) => movie.audio.get(index),
    };
    let Some(track) = track else { return String::new() };
    let is_lead = !matches!(kind, Kind::Sound(_)) || movie.video.is_none();
    let duration = |cut: &Cut| {
        if is_lead { duration_nanos(movie, track, cut) } else { track.nanos(cut.end - cut.start).max(0) }
    };
    let longest = cuts.iter().map(duration).max().unwrap_or(0);
    let mut out = head(longest, &names.init(kind), "");
    for cut in cuts {
        let _ = writeln!(out, "#EXTINF:{:.6},", duration(cut) as f64 / 1e9);
        let _ = writeln!(out, "{}", names.segment(kind, cut.from, cut.to));
    }
    out.push_str("#EXT-X-ENDLIST\n");
    out
}

/// The playlist of sync samples alone (§4.3.3.6): each is a segment of one picture.
pub(super) fn i_frames_only(movie: &Movie, names: &Names, trim: Trim) -> String {
    let Some(video) = &movie.video else { return String::new() };
    let whole = Cut { from: video.begin, to: video.end, start: 0, end: video.shown_until() };
    let part = super::cut::trimmed(video, &[whole], trim);
    let (from, to) =
        part.first().map_or((0, 0), |first| (first.from, part.last().map_or(first.to, |last| last.to)));
    let syncs: Vec<u32> = (0..video.samples.sync_count())
        .filter_map(|place| video.samples.sync(place))
        .filter(|index| (from..to).contains(index))
        .collect();
    let end = if to < video.end { video.shown_at(to) } else { video.shown_until() };
    let starts = syncs.iter().map(|&index| video.shown_at(index));
    let ends = starts.clone().skip(1).chain([end]);
    let spans: Vec<i64> = starts.zip(ends).map(|(start, end)| video.nanos(end - start).max(0)).collect();
    let longest = spans.iter().copied().max().unwrap_or(0);
    let mut out = head(longest, &names.init(Kind::Picture), "#EXT-X-I-FRAMES-ONLY\n");
    for (index, nanos) in syncs.iter().zip(spans) {
        let _ = writeln!(out, "#EXTINF:{:.6},", nanos as f64 / 1e9);
        let _ = writeln!(out, "{}", names.segment(Kind::Picture, *index, index + 1));
    }
    out.push_str("#EXT-X-ENDLIST\n");
    out
}

/// Version 7 stands for fragmented MP4 beside pictures; no EXTINF rounds to more than the target (§4.3.3.1).
fn head(longest_nanos: i64, init: &str, more: &str) -> String {
    let target = (longest_nanos as f64 / 1e9).ceil().max(1.0);
    format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n{more}#EXT-X-MAP:URI=\"{init}\"\n"
    )
}
