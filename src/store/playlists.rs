//! What a channel's playlists say (RFC 8216, ISO/IEC 23009-1): of its rungs and cells, in the words of the container.

use super::rung::PublishedRung;
use amphi_container::dash::{
    AdaptationSet, ContentType, Mpd, PresentationType, Representation, RepresentationFormat,
    RepresentationMedia, SegmentTemplate, SegmentTimeline,
};
use amphi_container::hls::{
    BitRates, MediaPlaylist, MediaSegment, MultivariantPlaylist, VariantLoad, VariantStream,
};
use amphi_media::{AAC_FRAME_SAMPLES, CellIndex, Grid, Parts, VIDEO_TIMESCALE};
use std::ops::RangeInclusive;

/// `suggestedPresentationDelay` in cells: how far behind the newest segment DASH players are to play.
const DELAY: u32 = 3;

/// A rung with what its playlists state.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatedRung<'a> {
    pub(super) rung: &'a PublishedRung,
    pub(super) bandwidth_bps: u64,
    pub(super) average_bps: u64,
}

/// What the BANDWIDTH of a rung is computed from. The order of rungs by BANDWIDTH must never change: dash.js numbers
/// representations in that order, and stalls if the best rung takes fewer bits than the second one on the waiting loop but
/// more on the hall.
pub(super) fn load(rung: &PublishedRung, rates: BitRates) -> VariantLoad<Parts> {
    VariantLoad { group: rung.parts(), nominal_bps: rung.nominal_bps(), peak_bps: rates.peak_bps }
}

/// The live media playlist of `rung` that lists `cells`.
///
/// Every segment has an EXT-X-PROGRAM-DATE-TIME (RFC 8216 §4.3.2.6), so that a player that joins anywhere can align rungs.
/// Media time is unix time, so all rungs agree by construction (§6.2.4). There is never a discontinuity.
pub(super) fn media_playlist(rung: &PublishedRung, grid: Grid, cells: RangeInclusive<i64>) -> MediaPlaylist {
    let segment = |k: CellIndex| {
        let span = rung.span(grid, k);
        MediaSegment {
            uri: rung.segment_name(k),
            duration: span.duration,
            program_date_time: Some(span.start),
            is_discontinuous: false,
        }
    };
    MediaPlaylist {
        // The same in all rungs (§6.2.4); no EXTINF rounds to more, not that of sound alone either, which differs from
        // the cell by less than one frame (§4.3.3.1).
        target_duration_s: grid.duration_ms().div_ceil(1000).into(),
        media_sequence: u64::try_from(*cells.start()).unwrap_or(0),
        has_independent_segments: true,
        map: Some(rung.init_name().to_owned()),
        segments: cells.map(CellIndex).map(segment).collect(),
        ..MediaPlaylist::default()
    }
}

/// The multivariant playlist of `rungs`: with pictures in the given order, then without.
pub(super) fn multivariant(rungs: &[StatedRung<'_>]) -> MultivariantPlaylist {
    let (pictures, sound): (Vec<&StatedRung<'_>>, Vec<_>) =
        rungs.iter().partition(|stated| stated.rung.picture().is_some());
    let variant = |&StatedRung { rung, bandwidth_bps, average_bps }: &StatedRung<'_>| {
        let video = rung.picture();
        VariantStream {
            uri: rung.playlist_name(),
            bandwidth_bps,
            average_bps: Some(average_bps),
            codecs: rung.codecs(),
            resolution: video.map(|video| (video.size.width, video.size.height)),
            frame_rate: video.map(|video| video.fps as f32),
            audio: None,
            subtitles: None,
        }
    };
    MultivariantPlaylist {
        has_independent_segments: true,
        variants: pictures.into_iter().chain(sound).map(variant).collect(),
        ..MultivariantPlaylist::default()
    }
}

/// The dynamic manifest (ISO/IEC 23009-1 §5.3.1) of these representations, pictures and one sound, that lists `cells`: the
/// same segments that HLS lists.
///
/// Its period begins at the epoch: presentation time is unix time and a segment's number is its cell, so a server that is
/// started again writes the same of the same segment.
pub(super) fn manifest(
    pictures: &[StatedRung<'_>],
    sound: Option<StatedRung<'_>>,
    grid: Grid,
    cells: RangeInclusive<i64>,
) -> Mpd {
    let listed = u32::try_from(cells.end() - cells.start() + 1).unwrap_or(0);
    let presentation = PresentationType::Dynamic {
        now: grid.start(CellIndex(cells.end() + 1)),
        update_period: grid.duration(),
        buffer_depth: grid.duration() * listed,
        delay: grid.duration() * DELAY,
    };
    let picture_set = picture_set(pictures, grid, &cells);
    let adaptation_sets = picture_set.into_iter().chain(sound.and_then(|it| sound_set(it, grid, &cells)));
    Mpd { presentation, adaptation_sets: adaptation_sets.collect() }
}

fn picture_set(
    pictures: &[StatedRung<'_>],
    grid: Grid,
    cells: &RangeInclusive<i64>,
) -> Option<AdaptationSet> {
    let ticks = |k: i64| k * i64::from(grid.duration_ms()) * i64::from(VIDEO_TIMESCALE.0) / 1000;
    let timeline: SegmentTimeline = cells.clone().map(|k| (ticks(k), ticks(k + 1) - ticks(k))).collect();
    let representation = |stated: &StatedRung<'_>| {
        let video = stated.rung.picture()?;
        let format = RepresentationFormat::Video {
            width: video.size.width,
            height: video.size.height,
            frame_rate: video.fps.to_string(),
        };
        Some(representation(stated, format, VIDEO_TIMESCALE.0, *cells.start(), timeline.clone()))
    };
    (!pictures.is_empty()).then(|| AdaptationSet {
        id: 0,
        content: ContentType::Video,
        language: None,
        label: None,
        selection_priority: None,
        segment_alignment: true,
        representations: pictures.iter().filter_map(representation).collect(),
    })
}

fn sound_set(sound: StatedRung<'_>, grid: Grid, cells: &RangeInclusive<i64>) -> Option<AdaptationSet> {
    let sample_rate = sound.rung.sound()?.format.sample_rate;
    let samples = i64::from(AAC_FRAME_SAMPLES);
    let timeline = cells.clone().map(|k| {
        let frames = grid.audio_frames(CellIndex(k), sample_rate);
        (frames.start * samples, (frames.end - frames.start) * samples)
    });
    let format = RepresentationFormat::Audio { sample_rate, channels: None };
    let only = representation(&sound, format, sample_rate, *cells.start(), timeline.collect());
    Some(AdaptationSet {
        id: 1,
        content: ContentType::Audio,
        language: Some("und".to_owned()),
        label: None,
        selection_priority: None,
        segment_alignment: true,
        representations: vec![only],
    })
}

fn representation(
    stated: &StatedRung<'_>,
    format: RepresentationFormat,
    timescale: u32,
    first: i64,
    timeline: SegmentTimeline,
) -> Representation {
    let rung = stated.rung;
    Representation {
        id: rung.name().to_owned(),
        codecs: rung.codecs().join(","),
        bandwidth_bps: stated.bandwidth_bps,
        format,
        media: RepresentationMedia::Segments(SegmentTemplate {
            timescale,
            presentation_time_offset: None,
            start_number: Some(first),
            initialization: rung.init_name().to_owned(),
            media: format!("media_{}_$Number$.m4s", rung.name()),
            timeline,
        }),
    }
}
