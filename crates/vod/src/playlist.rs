//! The content of recordings' playlists (RFC 8216 §4.3). Sans-IO.

use std::time::Duration;

use super::Track;
use super::cut::{Cut, Trim, beside, duration_nanos};
use super::names::{FileNames, TrackSelection};
use amphi_container::hls::{
    AlternativeRendition, BitRates, IFrameStream, MediaPlaylist, MediaSegment, MultivariantPlaylist,
    RenditionType, VariantLoad, VariantStream, bandwidths, bandwidths_beside,
};
use amphi_container::mp4::{Movie, TrackMedia};

/// One rendition, as the multivariant playlist lists it.
#[derive(Clone, Debug)]
pub(super) struct StatedRendition<'a> {
    pub movie: &'a Movie,
    pub names: &'a FileNames,
    /// Of the tracks of `kind`, over the segments.
    pub rates: BitRates,
    pub trim: Trim,
    pub kind: TrackSelection,
    /// Its sound tracks, for a group.
    pub sounds: Vec<StatedSound<'a>>,
}

/// A sound track, as the multivariant playlist lists it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatedSound<'a> {
    pub kind: TrackSelection,
    pub track: &'a Track,
    /// Number of its channels; `None` if it is not known.
    pub channels: Option<u32>,
}

impl StatedRendition<'_> {
    /// Whether some of its sound is as it is in the file, beside another rendition that has AAC made of it.
    fn is_in_file(&self) -> bool {
        self.sounds.iter().any(|sound| matches!(sound.kind, TrackSelection::InFile(_)))
    }

    /// Whether its sound is a group: if there are several, or if `all` sound is apart from pictures.
    fn has_group(&self, all: bool) -> bool {
        let is_alone = self.sounds.len() < 2 && !(all && self.movie.video.is_some());
        self.kind == TrackSelection::Both && !self.sounds.is_empty() && !is_alone
    }
}

/// A rendition of subtitles.
#[derive(Clone, Debug)]
pub(super) struct Subtitles {
    /// A language tag (RFC 5646 §2.1).
    pub language: String,
    /// What the file calls it, if it does.
    pub name: Option<String>,
    /// URI of its media playlist (HLS) or of the whole text (DASH).
    pub uri: String,
}

/// Peak and average bit rate of the tracks of `kind` over the segments `cuts` of the leading track: of their samples. Heads, and what
/// lies between samples that are sent together, are a few hundredths more.
pub(super) fn rates(movie: &Movie, cuts: &[Cut], kind: TrackSelection) -> BitRates {
    let has_video = movie.video.is_some();
    let sound = movie.audio.first().filter(|_| has_video && kind != TrackSelection::Picture);
    rates_of(movie, cuts, !has_video || !kind.is_sound(), sound)
}

/// The same of the leading track, if it `is_led`, and of a sound track beside it.
pub(super) fn rates_of(movie: &Movie, cuts: &[Cut], is_led: bool, sound: Option<&Track>) -> BitRates {
    let Some(lead) = movie.lead() else { return BitRates::default() };
    let (mut peak, mut bits, mut nanos) = (0, 0_u64, 0_i64);
    for cut in cuts {
        let mut bytes = if is_led { lead.samples.bytes(cut.from, cut.to) } else { 0 };
        if let Some(sound) = sound {
            let (from, to) = beside(lead, cut.from, cut.to, sound);
            bytes += sound.samples.bytes(from, to);
        }
        let duration = duration_nanos(movie, lead, cut);
        // A short remnant at the end would give a wrong peak.
        if duration > 500_000_000 || cuts.len() == 1 {
            peak = peak.max(per_second(bytes * 8, duration));
        }
        bits += bytes * 8;
        nanos += duration;
    }
    let average_bps = per_second(bits, nanos);
    BitRates { peak_bps: peak.max(average_bps), average_bps }
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

/// What CODECS lists for a rendition (RFC 8216 §4.3.4.2).
fn codecs(rendition: &StatedRendition<'_>) -> Vec<String> {
    let StatedRendition { movie, kind, sounds, .. } = rendition;
    let video = movie.video.iter().filter(|_| !kind.is_sound());
    let mut codecs: Vec<String> = video.map(|track| track.coding.codec.clone()).collect();
    if !rendition.is_in_file() {
        let audio = movie.audio.first().filter(|_| *kind != TrackSelection::Picture);
        codecs.extend(audio.map(|track| track.coding.codec.clone()));
        return codecs;
    }
    for codec in sounds.iter().map(|sound| &sound.track.coding.codec) {
        // All players have AAC, and hls.js before 1.5 takes a variant that lists it for one without other sound.
        if !codec.starts_with("mp4a") && !codecs.contains(codec) {
            codecs.push(codec.clone());
        }
    }
    codecs
}

/// The multivariant playlist (§4.3.4): renditions in their order, then those `in_file` that have the same pictures with sound
/// as it is in the file, where there is such sound; I-frame playlists for those with pictures, sound tracks as a group if there
/// are several.
pub(super) fn multivariant(
    renditions: &[StatedRendition<'_>],
    in_file: &[Option<StatedRendition<'_>>],
    subtitles: &[Subtitles],
) -> MultivariantPlaylist {
    let load = |it: &StatedRendition<'_>| VariantLoad {
        group: (),
        nominal_bps: it.rates.peak_bps,
        peak_bps: it.rates.peak_bps,
    };
    let first = bandwidths(&renditions.iter().map(load).collect::<Vec<_>>());
    let later = bandwidths_beside(&first, &in_file.iter().flatten().map(load).collect::<Vec<_>>());
    // Where some variant has sound apart, all have: else shaka 5.2 never knows how long the recording is, and hlsdemux2 of
    // GStreamer crashes where it changes between the two.
    let is_apart = in_file.iter().any(Option::is_some);
    let named = |name: &'static str| move |(index, it)| (format!("{name}{index}"), it);
    let in_file = in_file.iter().enumerate().filter_map(|(index, it)| Some((index, it.as_ref()?)));
    let all = renditions.iter().enumerate().map(named("sound")).chain(in_file.map(named("dolby")));
    // Every segment begins with a sync sample (§4.3.5.1).
    let mut playlist =
        MultivariantPlaylist { has_independent_segments: true, ..MultivariantPlaylist::default() };
    for ((group, rendition), bandwidth_bps) in all.zip(first.into_iter().chain(later)) {
        let has_group = rendition.has_group(is_apart);
        if has_group {
            playlist.renditions.extend(sound_group(rendition, &group));
        }
        let group = has_group.then_some(group);
        playlist.variants.push(variant(rendition, bandwidth_bps, group, !subtitles.is_empty()));
    }
    playlist.i_frames = renditions.iter().filter(|it| !it.kind.is_sound()).filter_map(i_frames).collect();
    let text = |(text, number): (&Subtitles, usize)| AlternativeRendition {
        kind: RenditionType::Subtitles,
        group: "text".to_owned(),
        // Names of a group differ (§4.3.4.1.1).
        name: format!("{} {number}", text.name.as_ref().unwrap_or(&text.language)),
        language: Some(text.language.clone()),
        channels: None,
        uri: Some(text.uri.clone()),
        is_default: false,
    };
    playlist.renditions.extend(subtitles.iter().zip(1..).map(text));
    playlist
}

fn sound_group(rendition: &StatedRendition<'_>, group: &str) -> Vec<AlternativeRendition> {
    let sounds = rendition.sounds.iter().zip(sound_names(rendition.movie)).enumerate();
    let sound = sounds.map(|(index, (sound, name))| AlternativeRendition {
        kind: RenditionType::Audio,
        group: group.to_owned(),
        name,
        language: language(sound.track),
        channels: sound.channels.map(u64::from),
        uri: Some(rendition.names.playlist(sound.kind, rendition.trim)),
        is_default: index == 0,
    });
    sound.collect()
}

/// NAME of each sound track: no two of a group have the same (§4.3.4.1).
fn sound_names(movie: &Movie) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let said = |track: &Track| track.label.name.clone();
    let is_shared =
        |name: &String| movie.audio.iter().filter(|track| said(track).as_ref() == Some(name)).count() > 1;
    for (track, number) in movie.audio.iter().zip(1..) {
        let mut name = match said(track) {
            Some(name) if !is_shared(&name) => name,
            Some(name) => format!("{name} {number}"),
            None => format!("{} {number}", track.language),
        };
        // Another track may be called so by its writer.
        while names.contains(&name)
            || movie.audio.iter().skip(number).any(|other| said(other).as_ref() == Some(&name))
        {
            name = format!("{name} {number}");
        }
        names.push(name);
    }
    names
}

/// What a menu of sound tracks calls each of them; `None` for one that is alone and has no name.
pub(super) fn sound_labels(movie: &Movie) -> Vec<Option<String>> {
    let is_named = movie.audio.len() > 1 || movie.audio.iter().any(|track| track.label.name.is_some());
    sound_names(movie).into_iter().map(|name| is_named.then_some(name)).collect()
}

/// The language that a track says, if it says one.
pub(super) fn language(track: &Track) -> Option<String> {
    let code = (track.language != "und").then(|| track.language.clone());
    track.label.language_tag.clone().or(code)
}

/// Number of channels of sound.
pub(super) fn channels_of(track: &Track) -> Option<u32> {
    match track.coding.media {
        TrackMedia::Audio { channels, .. } => Some(channels.into()),
        TrackMedia::Video { .. } => None,
    }
}

fn resolution(movie: &Movie) -> Option<(u32, u32)> {
    movie.picture_size().map(|(width, height)| (width.into(), height.into()))
}

fn variant(
    rendition: &StatedRendition<'_>,
    bandwidth_bps: u64,
    audio: Option<String>,
    has_text: bool,
) -> VariantStream {
    let movie = rendition.movie;
    let shows = !rendition.kind.is_sound();
    let kind = match (&audio, rendition.sounds.first()) {
        (Some(_), _) if movie.video.is_some() => TrackSelection::Picture,
        // The first of the group: players know by its URI that it is the same (§4.3.4.2.1).
        (Some(_), Some(first)) => first.kind,
        _ => rendition.kind,
    };
    VariantStream {
        uri: rendition.names.playlist(kind, rendition.trim),
        bandwidth_bps,
        average_bps: Some(rendition.rates.average_bps),
        // CODECS names the sound of the group too (§4.3.4.2).
        codecs: codecs(rendition),
        resolution: resolution(movie).filter(|_| shows),
        frame_rate: frame_rate(movie).filter(|_| shows).map(|rate| (rate * 1000.0).round() / 1000.0),
        audio,
        subtitles: has_text.then(|| "text".to_owned()),
    }
}

fn i_frames(rendition: &StatedRendition<'_>) -> Option<IFrameStream> {
    let video = rendition.movie.video.as_ref()?;
    let bytes: u64 = (0..video.samples.sync_count())
        .filter_map(|place| video.samples.sync(place))
        .map(|index| u64::from(video.samples.size(index)))
        .sum();
    Some(IFrameStream {
        uri: rendition.names.i_frames(rendition.trim),
        bandwidth_bps: per_second(bytes * 8, rendition.movie.duration_nanos()).max(1),
        codecs: vec![video.coding.codec.clone()],
        resolution: resolution(rendition.movie),
    })
}

/// A media playlist of a selection of tracks: `cuts` are those of its first one, `track`.
pub(super) fn media(
    movie: &Movie,
    names: &FileNames,
    (kind, track): (TrackSelection, &Track),
    cuts: &[Cut],
) -> MediaPlaylist {
    let is_lead = !kind.is_sound() || movie.video.is_none();
    let duration = |cut: &Cut| {
        if is_lead { duration_nanos(movie, track, cut) } else { track.nanos(cut.end - cut.start) }
    };
    let segment = |cut: &Cut| (names.segment(kind, cut.from, cut.to), duration(cut));
    of_recording(names.init(kind), cuts.iter().map(segment))
}

/// The playlist of sync samples alone (§4.3.3.6): each is a segment of one picture.
pub(super) fn i_frames_only(movie: &Movie, names: &FileNames, trim: Trim) -> Option<MediaPlaylist> {
    let video = movie.video.as_ref()?;
    let whole = Cut { from: video.begin, to: video.end, start: 0, end: video.shown_until() };
    let part = super::cut::trimmed(video, &[whole], trim);
    let (from, to) =
        part.first().map_or((0, 0), |first| (first.from, part.last().map_or(first.to, |last| last.to)));
    let syncs: Vec<u32> = (0..video.samples.sync_count())
        .filter_map(|place| video.samples.sync(place))
        .filter(|index| (from..to).contains(index))
        .collect();
    let end = if to < video.end { video.shown_at(to) } else { video.shown_until() };
    let early = |index: u32| if index == video.begin { video.early } else { 0 };
    let starts = syncs.iter().map(|&index| video.shown_at(index) - early(index));
    let ends = starts.clone().skip(1).chain([end]);
    let spans = starts.zip(ends).map(|(start, end)| video.nanos(end - start));
    let segments = syncs
        .iter()
        .zip(spans)
        .map(|(&at, nanos)| (names.segment(TrackSelection::Picture, at, at + 1), nanos));
    let playlist = of_recording(names.init(TrackSelection::Picture), segments);
    Some(MediaPlaylist { is_i_frames_only: true, ..playlist })
}

/// The playlist of segments with these URIs and durations in nanoseconds; no EXTINF rounds to more than the target duration
/// (§4.3.3.1).
fn of_recording(init: String, segments: impl Iterator<Item = (String, i64)>) -> MediaPlaylist {
    let segment = |(uri, nanos)| MediaSegment {
        uri,
        duration: Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)),
        ..MediaSegment::default()
    };
    let segments: Vec<MediaSegment> = segments.map(segment).collect();
    let longest = segments.iter().map(|segment| segment.duration).max().unwrap_or_default();
    MediaPlaylist {
        target_duration_s: (longest.as_secs() + u64::from(longest.subsec_nanos() > 0)).max(1),
        media_sequence: 0,
        is_vod: true,
        has_independent_segments: true,
        is_i_frames_only: false,
        map: Some(init),
        segments,
        is_ended: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_sound_tracks_have_the_same_name() {
        let (moov, at, len) = amphi_container::testing::moov();
        let mut movie = Movie::parse(&moov, at, len).and_then(|movie| movie.finish(at)).expect("sound");
        let track = movie.audio.remove(0);
        let mut named = |names: &[Option<&str>]| {
            let mut tracks = vec![track.clone(); names.len()];
            for (track, name) in tracks.iter_mut().zip(names) {
                track.label.name = name.map(str::to_owned);
            }
            movie.audio = tracks;
            sound_names(&movie)
        };
        assert_eq!(named(&[Some("Salle"), None]), ["Salle", "und 2"]);
        assert_eq!(named(&[Some("Salle"), Some("Salle")]), ["Salle 1", "Salle 2"]);
        assert_eq!(named(&[Some("und 2"), None]), ["und 2", "und 2 2"]);
        assert_eq!(named(&[None, Some("und 1")]), ["und 1 1", "und 1"]);
        assert_eq!(named(&[Some("A"), Some("A 1"), Some("A")]), ["A 1 1", "A 1", "A 3"]);
    }
}
