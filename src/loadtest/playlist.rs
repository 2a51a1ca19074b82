//! Playlists as a load test needs them (RFC 8216 §4): variants, segments, durations. Sans-IO.

use std::time::Duration;

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Media {
    pub(super) target: Duration,
    pub(super) sequence: u64,
    pub(super) is_ended: bool,
    pub(super) init: Option<String>,
    pub(super) segments: Vec<Listed>,
}

/// A segment in a playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listed {
    pub(super) uri: String,
    pub(super) duration: Duration,
    /// Unix time of its end, where the playlist has dates.
    pub(super) ends: Option<Duration>,
}

/// Either kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Playlist {
    /// URIs of the variants, in order.
    Multivariant(Vec<String>),
    Media(Media),
}

/// Reads a playlist; `None` where it is none.
pub(super) fn parse(text: &str) -> Option<Playlist> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.starts_with("#EXTM3U") {
        return None;
    }
    let is_multivariant = text.contains("#EXT-X-STREAM-INF:");
    let mut variants = Vec::new();
    let mut media = Media::default();
    let (mut duration, mut date) = (Duration::ZERO, None);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(seconds) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
            media.target = Duration::from_secs(seconds.parse().ok()?);
        } else if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            media.sequence = number.parse().ok()?;
        } else if let Some(info) = line.strip_prefix("#EXTINF:") {
            let seconds = info.split(',').next()?.parse().ok()?;
            duration = Duration::try_from_secs_f64(seconds).ok()?;
        } else if let Some(text) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            date = text.parse::<jiff::Timestamp>().ok();
        } else if let Some(map) = line.strip_prefix("#EXT-X-MAP:") {
            media.init = map.split_once("URI=\"")?.1.split_once('"').map(|(uri, _)| uri.to_owned());
        } else if line == "#EXT-X-ENDLIST" {
            media.is_ended = true;
        } else if !line.starts_with('#') {
            if is_multivariant {
                variants.push(line.to_owned());
                continue;
            }
            let starts = date
                .take()
                .and_then(|date| Duration::try_from(date.duration_since(jiff::Timestamp::UNIX_EPOCH)).ok());
            let ends = starts.map(|starts| starts + duration);
            media.segments.push(Listed { uri: line.to_owned(), duration, ends });
        }
    }
    Some(if is_multivariant { Playlist::Multivariant(variants) } else { Playlist::Media(media) })
}
