//! Manifests of recordings (ISO/IEC 23009-1): static, one period, a timeline for each representation (§5.3.9.6). Sans-IO.
//!
//! Segments are named by the time at which they begin, and hold one track each. A part of a recording has the whole
//! segments that overlap it; `presentationTimeOffset` (§5.3.9.2) says where in the first one it begins.

use std::time::Duration;

use super::Track;
use super::cut::Trim;
use super::names::TrackSelection;
use super::playlist::{Subtitles, channels_of, frame_rate, language, sound_labels};
use super::recording::Recording;
use amphi_container::dash::{
    AdaptationSet, ChannelConfiguration, ContentType, Mpd, PresentationType, Representation,
    RepresentationFormat, RepresentationMedia, SegmentTemplate,
};
use amphi_container::mp4::{TrackMedia, UNNOTICED_MS};

/// A rendition, and the part and tracks of it that are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShownRendition<'a> {
    pub recording: &'a Recording,
    pub kind: TrackSelection,
    pub trim: Trim,
}

/// The manifest of these renditions; the sound is that of the first rendition with any.
pub(super) fn manifest(renditions: &[ShownRendition<'_>], texts: &[Subtitles]) -> Mpd {
    let duration = |it: &ShownRendition<'_>| {
        let span = it.recording.span(it.trim);
        span.end - span.start
    };
    let nanos = renditions.iter().map(duration).max().unwrap_or(0);
    let mut adaptation_sets: Vec<AdaptationSet> = picture_set(renditions).into_iter().collect();
    let has_sound =
        |it: &&ShownRendition<'_>| !it.recording.movie.audio.is_empty() && it.kind != TrackSelection::Picture;
    if let Some(heard) = renditions.iter().find(has_sound) {
        let movie = &heard.recording.movie;
        let labels = sound_labels(movie);
        let sounds = || labels.iter().zip(0..);
        let for_all = sounds().zip(&movie.audio).map(|((label, index), track)| {
            let channels = channels_of(track).filter(|count| *count > 0).map(ChannelConfiguration::Count);
            sound_set(*heard, (TrackSelection::Sound(index), track), label.as_deref(), channels)
        });
        let for_some = sounds().filter_map(|(label, index)| {
            let (track, dolby) = heard.recording.sound_in_file(index)?;
            let places = Some(ChannelConfiguration::Places(dolby.places));
            let set = sound_set(*heard, (TrackSelection::InFile(index), track), label.as_deref(), places);
            // Where a player takes both, the one that all take is the default.
            Some(AdaptationSet { selection_priority: Some(0), ..set })
        });
        let sets = for_all.chain(for_some).zip(1..).map(|(set, id)| AdaptationSet { id, ..set });
        adaptation_sets.extend(sets);
    }
    let first = adaptation_sets.last().map_or(0, |last| last.id) + 1;
    adaptation_sets.extend(texts.iter().enumerate().map(|(index, text)| AdaptationSet {
        id: first + index,
        content: ContentType::Text,
        language: Some(text.language.clone()),
        label: text.name.clone(),
        selection_priority: None,
        segment_alignment: false,
        representations: vec![Representation {
            id: format!("text_{index}"),
            codecs: String::new(),
            // @bandwidth is mandatory (§5.3.5.2); subtitles need next to nothing.
            bandwidth_bps: 256,
            format: RepresentationFormat::Text,
            media: RepresentationMedia::BaseUrl(text.uri.clone()),
        }],
    }));
    let duration = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    Mpd { presentation: PresentationType::Static { duration }, adaptation_sets }
}

fn picture_set(renditions: &[ShownRendition<'_>]) -> Option<AdaptationSet> {
    let picture = |shown: &ShownRendition<'_>| {
        let track = shown.recording.movie.video.as_ref().filter(|_| !shown.kind.is_sound())?;
        let TrackMedia::Video { width, height } = track.coding.media else { return None };
        let rate = (frame_rate(&shown.recording.movie).unwrap_or(0.0) * 1000.0).round() as u32;
        let format = RepresentationFormat::Video {
            width: width.into(),
            height: height.into(),
            frame_rate: format!("{rate}/1000"),
        };
        let bandwidth_bps = shown.recording.rates_of(TrackSelection::Picture).peak_bps;
        Some(representation(*shown, TrackSelection::Picture, track, format, bandwidth_bps))
    };
    let representations: Vec<Representation> = renditions.iter().filter_map(picture).collect();
    (!representations.is_empty()).then_some(AdaptationSet {
        id: 0,
        content: ContentType::Video,
        language: None,
        label: None,
        selection_priority: None,
        segment_alignment: false,
        representations,
    })
}

/// A sound track as a set of its own.
fn sound_set(
    heard: ShownRendition<'_>,
    (kind, track): (TrackSelection, &Track),
    label: Option<&str>,
    channels: Option<ChannelConfiguration>,
) -> AdaptationSet {
    AdaptationSet {
        id: 0,
        content: ContentType::Audio,
        language: Some(language(track).unwrap_or_else(|| track.language.clone())),
        label: label.map(str::to_owned),
        selection_priority: None,
        segment_alignment: false,
        representations: vec![sound(heard, (kind, track), channels)],
    }
}

fn sound(
    heard: ShownRendition<'_>,
    (kind, track): (TrackSelection, &Track),
    channels: Option<ChannelConfiguration>,
) -> Representation {
    let bits = track.samples.bytes(track.begin, track.end) * 8;
    let seconds = track.nanos(track.shown_until()).max(1) as f64 / 1e9;
    let said = match track.coding.media {
        TrackMedia::Audio { sample_rate, .. } => sample_rate,
        TrackMedia::Video { .. } => 0,
    };
    let sample_rate = if said > 0 { said } else { track.timescale };
    let format = RepresentationFormat::Audio { sample_rate, channels };
    representation(heard, kind, track, format, (bits as f64 / seconds).ceil() as u64)
}

fn representation(
    ShownRendition { recording, trim, .. }: ShownRendition<'_>,
    kind: TrackSelection,
    track: &Track,
    format: RepresentationFormat,
    bandwidth_bps: u64,
) -> Representation {
    let names = &recording.names;
    let mut cuts = recording.cuts_of(kind, Trim::default()).unwrap_or_default();
    let mut presentation_time_offset = None;
    if !trim.is_whole() {
        let span = recording.span(trim);
        let (start, end) = (track.ticks(span.start), track.ticks(span.end));
        cuts.retain(|cut| cut.end > start && cut.start < end);
        presentation_time_offset = Some(start);
    } else if let Some(last) = cuts.last_mut() {
        // dash.js never comes to the end of a presentation in which a timeline ends before it.
        let end = track.ticks(recording.movie.duration_nanos());
        if end - last.end > track.ticks(UNNOTICED_MS * 1_000_000) {
            last.end = end;
        }
    }
    Representation {
        id: format!("{}_{}", names.key, kind.text()),
        codecs: track.coding.codec.clone(),
        bandwidth_bps: bandwidth_bps.max(1),
        format,
        media: RepresentationMedia::Segments(SegmentTemplate {
            timescale: track.timescale,
            presentation_time_offset,
            start_number: None,
            initialization: names.init(kind),
            media: names.segment_template(kind),
            timeline: cuts.iter().map(|cut| (cut.start, cut.end - cut.start)).collect(),
        }),
    }
}
