//! Playlists as a load test needs them (RFC 8216 §4): variants, renditions, segments, durations. Sans-IO.

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
    /// What comes before does not go on here (§4.3.2.3).
    pub(super) is_discontinuous: bool,
}

/// One entry of a multivariant playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Variant {
    pub(super) uri: String,
    pub(super) bandwidth_bps: u64,
    /// The playlist of its sound, where that is separate (§4.3.4.1).
    pub(super) audio: Option<String>,
}

/// Either kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Playlist {
    /// In order.
    Multivariant(Vec<Variant>),
    Media(Media),
}

/// The value of an attribute (§4.2), without quotes.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim() == name {
            return Some(value);
        }
        rest = next.strip_prefix(',')?;
    }
}

/// Reads a playlist; `None` where it is none.
pub(super) fn parse(text: &str) -> Option<Playlist> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.starts_with("#EXTM3U") {
        return None;
    }
    if text.contains("#EXT-X-STREAM-INF:") {
        return multivariant(text).map(Playlist::Multivariant);
    }
    media(text).map(Playlist::Media)
}

fn lines(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn multivariant(text: &str) -> Option<Vec<Variant>> {
    let groups = |wanted: &str| {
        let media = lines(text).filter_map(|line| line.strip_prefix("#EXT-X-MEDIA:"));
        let mut sound = media.filter(|list| {
            attribute(list, "TYPE") == Some("AUDIO") && attribute(list, "GROUP-ID") == Some(wanted)
        });
        // Without URI the sound is in the variant itself.
        let first = sound.clone().find(|list| attribute(list, "DEFAULT") == Some("YES"));
        first.or_else(|| sound.next()).and_then(|list| attribute(list, "URI")).map(str::to_owned)
    };
    let mut variants = Vec::new();
    let mut info = None;
    for line in lines(text) {
        if let Some(list) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            info = Some(list);
        } else if !line.starts_with('#') {
            let list = info.take()?;
            variants.push(Variant {
                uri: line.to_owned(),
                bandwidth_bps: attribute(list, "BANDWIDTH")?.parse().ok()?,
                audio: attribute(list, "AUDIO").and_then(groups),
            });
        }
    }
    Some(variants)
}

fn media(text: &str) -> Option<Media> {
    let mut media = Media::default();
    let (mut duration, mut date, mut is_discontinuous) = (Duration::ZERO, None, false);
    for line in lines(text) {
        if let Some(seconds) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
            media.target = Duration::from_secs(seconds.parse().ok()?);
        } else if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            media.sequence = number.parse().ok()?;
        } else if let Some(info) = line.strip_prefix("#EXTINF:") {
            let seconds = info.split(',').next()?.parse().ok()?;
            duration = Duration::try_from_secs_f64(seconds).ok()?;
        } else if let Some(text) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            let unix = text.parse::<jiff::Timestamp>().ok()?.duration_since(jiff::Timestamp::UNIX_EPOCH);
            date = Duration::try_from(unix).ok();
        } else if let Some(map) = line.strip_prefix("#EXT-X-MAP:") {
            media.init = attribute(map, "URI").map(str::to_owned);
        } else if line == "#EXT-X-DISCONTINUITY" {
            is_discontinuous = true;
        } else if line == "#EXT-X-ENDLIST" {
            media.is_ended = true;
        } else if !line.starts_with('#') {
            // A date stands for all that follow (§4.3.2.6).
            date = date.map(|date| date + duration);
            let uri = line.to_owned();
            media.segments.push(Listed { uri, duration, ends: date, is_discontinuous });
            is_discontinuous = false;
        }
    }
    Some(media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_playlists_are_read() {
        let text = "#EXTM3U\r\n#EXT-X-TARGETDURATION:2\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n#EXT-X-MAP:URI=\"i.mp4\"\r\n\
                    #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:10.000Z\r\n#EXTINF:2.0,\r\nx.m4s\r\n\
                    #EXT-X-DISCONTINUITY\n#EXTINF:1.5,\ny.m4s\n";
        let Some(Playlist::Media(media)) = parse(text) else { panic!("it is a media playlist") };
        assert_eq!(
            (media.sequence, media.target, media.init.as_deref()),
            (7, Duration::from_secs(2), Some("i.mp4"))
        );
        let listed = |listed: &Listed| (listed.uri.clone(), listed.ends, listed.is_discontinuous);
        let listed: Vec<_> = media.segments.iter().map(listed).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(listed, [("x.m4s".into(), ms(12_000), false), ("y.m4s".into(), ms(13_500), true)]);
        assert!(!media.is_ended);
        assert_eq!(parse("<html>"), None);
    }

    #[test]
    fn variants_come_with_their_sound() {
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x, y\",URI=\"de.m3u8\"\n\
                    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",DEFAULT=YES,URI=\"en.m3u8\"\n\
                    #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"b\",NAME=\"in\"\n\
                    #EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=1,BANDWIDTH=5,CODECS=\"a,b\",AUDIO=\"a\"\nhigh.m3u8\n\
                    #EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"b\"\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb.m3u8\n";
        let variant = |uri: &str, bandwidth_bps, audio: Option<&str>| Variant {
            uri: uri.to_owned(),
            bandwidth_bps,
            audio: audio.map(str::to_owned),
        };
        let expected = vec![
            variant("high.m3u8", 5, Some("en.m3u8")),
            variant("low.m3u8", 2, None),
            variant("b.m3u8", 1, None),
        ];
        assert_eq!(parse(text), Some(Playlist::Multivariant(expected)));
    }
}
