//! The rules of RFC 8216 as code. Every playlist that any test fetches goes through [`check`].

use std::collections::{BTreeMap, BTreeSet};

/// The rules that a playlist breaks, each with its section; empty for a good one.
pub fn faults(text: &str) -> Vec<String> {
    let mut faults = Faults::default();
    faults.unless(text.starts_with("#EXTM3U\n"), "§4.3.1.1: EXTM3U is not the first line");
    faults.unless(text.ends_with('\n'), "§4.1: the last line does not end");
    let odd = |letter: char| letter != '\n' && letter.is_control();
    faults.unless(!text.contains(odd) && !text.contains('\u{feff}'), "§4.1: control characters");
    let is_media = text.contains("#EXTINF:") || text.contains("#EXT-X-TARGETDURATION:");
    let is_multivariant = text.contains("#EXT-X-STREAM-INF:");
    faults.unless(
        is_media != is_multivariant,
        "§4.1: neither media playlist nor multivariant playlist, or both",
    );
    for line in text.lines().filter(|line| line.starts_with('#')) {
        faults.unless(!line.ends_with(' '), &format!("§4.1: space at the end of {line:?}"));
    }
    for tag in ["#EXTM3U", "#EXT-X-VERSION:", "#EXT-X-INDEPENDENT-SEGMENTS"] {
        faults.unless(count(text, tag) <= 1, &format!("§4.3: {tag} stands twice"));
    }
    if is_media {
        media(text, &mut faults);
    } else {
        multivariant(text, &mut faults);
    }
    faults.0
}

/// Panics with everything that is wrong.
pub fn check(path: &str, text: &str) {
    let faults = faults(text);
    assert!(faults.is_empty(), "{path}: {faults:#?}\n{text}");
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, good: bool, fault: &str) {
        if !good {
            self.0.push(fault.to_owned());
        }
    }
}

fn count(text: &str, tag: &str) -> usize {
    text.lines().filter(|line| line.starts_with(tag)).count()
}

fn value<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(tag))
}

fn media(text: &str, faults: &mut Faults) {
    let version: u32 = value(text, "#EXT-X-VERSION:").and_then(|text| text.parse().ok()).unwrap_or(1);
    let i_frames = count(text, "#EXT-X-I-FRAMES-ONLY") > 0;
    let has_map = count(text, "#EXT-X-MAP:") > 0;
    faults.unless(!has_map || i_frames || version >= 6, "§7: EXT-X-MAP needs version 6");
    faults.unless(!i_frames || version >= 4, "§7: EXT-X-I-FRAMES-ONLY needs version 4");
    for tag in [
        "#EXT-X-TARGETDURATION:",
        "#EXT-X-MEDIA-SEQUENCE:",
        "#EXT-X-DISCONTINUITY-SEQUENCE:",
        "#EXT-X-ENDLIST",
        "#EXT-X-PLAYLIST-TYPE:",
    ] {
        faults.unless(count(text, tag) <= 1, &format!("§4.3.3: {tag} stands twice"));
    }
    for tag in ["#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF:"] {
        faults.unless(count(text, tag) == 0, &format!("§4.3.4: {tag} in a media playlist"));
    }
    let target: Option<f64> =
        value(text, "#EXT-X-TARGETDURATION:").and_then(|text| text.parse::<u32>().ok()).map(f64::from);
    faults.unless(target.is_some(), "§4.3.3.1: no EXT-X-TARGETDURATION in whole seconds");
    let is_vod = value(text, "#EXT-X-PLAYLIST-TYPE:") == Some("VOD");
    faults.unless(!is_vod || count(text, "#EXT-X-ENDLIST") == 1, "§6.2.1: VOD without EXT-X-ENDLIST");

    let (mut duration, mut date, mut mapped, mut segments) = (None, None, false, BTreeSet::new());
    let mut expected: Option<f64> = None;
    for line in text.lines() {
        if let Some(info) = line.strip_prefix("#EXTINF:") {
            faults.unless(duration.is_none(), "§4.3.2.1: EXTINF without a segment");
            let seconds = info.split_once(',').and_then(|(seconds, _)| seconds.parse::<f64>().ok());
            faults.unless(seconds.is_some_and(|it| it >= 0.0), &format!("§4.3.2.1: {line:?}"));
            faults.unless(version >= 3 || !info.contains('.'), "§7: fractions of seconds need version 3");
            let rounded = seconds.unwrap_or(0.0).round();
            faults.unless(
                target.is_some_and(|target| rounded <= target),
                &format!("§4.3.3.1: {line:?} over target"),
            );
            duration = seconds;
        } else if let Some(attributes) = line.strip_prefix("#EXT-X-MAP:") {
            mapped = true;
            let has_uri = list(attributes, faults).contains_key("URI");
            faults.unless(has_uri, "§4.3.2.5: EXT-X-MAP without URI");
        } else if let Some(text) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            let time = seconds_of(text);
            faults.unless(time.is_some(), &format!("§4.3.2.6: {text:?} is no date with a zone"));
            date = time;
        } else if line.starts_with("#EXT-X-MEDIA-SEQUENCE:") {
            faults.unless(segments.is_empty(), "§4.3.3.2: EXT-X-MEDIA-SEQUENCE behind a segment");
        } else if !line.is_empty() && !line.starts_with('#') {
            faults.unless(duration.is_some(), &format!("§4.3.2.1: {line:?} without EXTINF"));
            faults.unless(mapped || !line.contains(".m4s"), "§3.3: fragmented MP4 without EXT-X-MAP");
            faults.unless(segments.insert(line.to_owned()), &format!("{line:?} is listed twice"));
            faults.unless(is_relative(line), &format!("{line:?} is not relative"));
            if let (Some(date), Some(expected)) = (date, expected) {
                let error: f64 = date - expected;
                // Dates are written in milliseconds.
                faults.unless(error.abs() < 0.0021, &format!("{line:?} begins {error:.4} s beside its date"));
            }
            expected = date.map(|date| date + duration.unwrap_or(0.0));
            (duration, date) = (None, None);
        }
    }
    faults.unless(duration.is_none(), "§4.3.2.1: EXTINF without a segment at the end");
}

fn multivariant(text: &str, faults: &mut Faults) {
    for tag in ["#EXTINF:", "#EXT-X-MAP:", "#EXT-X-ENDLIST", "#EXT-X-MEDIA-SEQUENCE:"] {
        faults.unless(count(text, tag) == 0, &format!("§4.1: {tag} in a multivariant playlist"));
    }
    let mut groups: BTreeMap<(String, String), Vec<BTreeMap<String, String>>> = BTreeMap::new();
    for line in text.lines() {
        let Some(attributes) = line.strip_prefix("#EXT-X-MEDIA:").map(|it| list(it, faults)) else {
            continue;
        };
        for name in ["TYPE", "GROUP-ID", "NAME"] {
            faults.unless(attributes.contains_key(name), &format!("§4.3.4.1: no {name} in {line:?}"));
        }
        let kind = attributes.get("TYPE").cloned().unwrap_or_default();
        faults
            .unless(kind != "SUBTITLES" || attributes.contains_key("URI"), "§4.3.4.1: subtitles without URI");
        faults.unless(
            attributes.get("DEFAULT").is_none_or(|it| it == "NO")
                || attributes.get("AUTOSELECT").is_none_or(|it| it == "YES"),
            "§4.3.4.1: DEFAULT without AUTOSELECT",
        );
        let id = attributes.get("GROUP-ID").cloned().unwrap_or_default();
        groups.entry((kind, id)).or_default().push(attributes);
    }
    for ((kind, id), members) in &groups {
        let defaults = members.iter().filter(|it| it.get("DEFAULT").is_some_and(|it| it == "YES")).count();
        faults.unless(defaults <= 1, &format!("§4.3.4.1.1: {defaults} defaults in {kind} {id}"));
        let names: BTreeSet<_> = members.iter().map(|it| it.get("NAME")).collect();
        faults.unless(names.len() == members.len(), &format!("§4.3.4.1.1: a name twice in {kind} {id}"));
    }
    let mut bandwidths = BTreeSet::new();
    let mut awaited = false;
    for line in text.lines() {
        if let Some(attributes) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            faults.unless(!awaited, "§4.3.4.2: EXT-X-STREAM-INF without URI");
            awaited = true;
            let attributes = list(attributes, faults);
            let bandwidth = rate(&attributes, line, faults);
            faults.unless(bandwidths.insert(bandwidth), "two variants have one BANDWIDTH");
            let average = attributes.get("AVERAGE-BANDWIDTH").and_then(|it| it.parse::<u64>().ok());
            faults.unless(average <= bandwidth, &format!("§4.3.4.2: average over peak in {line:?}"));
            let has_codecs = attributes.get("CODECS").is_some_and(|it| !it.is_empty());
            faults.unless(has_codecs, &format!("§4.3.4.2: no CODECS in {line:?}"));
            let rate =
                attributes.get("FRAME-RATE").map(|it| it.split_once('.').map_or(0, |(_, part)| part.len()));
            faults.unless(rate.is_none_or(|digits| digits <= 3), "§4.3.4.2: FRAME-RATE to three decimals");
            for kind in ["AUDIO", "VIDEO", "SUBTITLES"] {
                let there =
                    attributes.get(kind).is_none_or(|id| groups.contains_key(&(kind.to_owned(), id.clone())));
                faults.unless(there, &format!("§4.3.4.2: no group of {kind} for {line:?}"));
            }
        } else if let Some(attributes) = line.strip_prefix("#EXT-X-I-FRAME-STREAM-INF:") {
            let attributes = list(attributes, faults);
            rate(&attributes, line, faults);
            faults.unless(attributes.contains_key("URI"), "§4.3.4.3: I-frames without URI");
        } else if !line.is_empty() && !line.starts_with('#') {
            faults.unless(awaited, &format!("§4.3.4.2: {line:?} without EXT-X-STREAM-INF"));
            faults.unless(is_relative(line), &format!("{line:?} is not relative"));
            awaited = false;
        }
    }
    faults.unless(!awaited, "§4.3.4.2: EXT-X-STREAM-INF without URI");
}

fn rate(attributes: &BTreeMap<String, String>, line: &str, faults: &mut Faults) -> Option<u64> {
    let bandwidth = attributes.get("BANDWIDTH").and_then(|it| it.parse::<u64>().ok());
    faults.unless(bandwidth.is_some_and(|it| it > 0), &format!("§4.3.4.2: no BANDWIDTH in {line:?}"));
    bandwidth
}

/// An attribute list (§4.2).
fn list(mut text: &str, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    while !text.is_empty() {
        let Some((name, rest)) = text.split_once('=') else {
            faults.unless(false, &format!("§4.2: {text:?} is no attribute"));
            break;
        };
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        faults.unless(name.bytes().all(plain), &format!("§4.2: {name:?} is no attribute name"));
        let (value, rest) = match rest.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
            Some((value, rest)) => (value, rest),
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        let twice = attributes.insert(name.to_owned(), value.to_owned());
        faults.unless(twice.is_none(), &format!("§4.2: {name} twice"));
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    attributes
}

fn is_relative(uri: &str) -> bool {
    !uri.starts_with('/') && !uri.contains("://")
}

/// Seconds since midnight of `2026-11-23T10:40:00.000Z`; enough for the length of a list that does not cross midnight.
fn seconds_of(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (mut fields, mut day) = (time.split(':'), date.split('-'));
    let mut next = || fields.next()?.parse::<f64>().ok();
    let seconds = next()? * 3600.0 + next()? * 60.0 + next()?;
    let day: f64 = day.nth(2)?.parse().ok()?;
    Some(day * 86_400.0 + seconds)
}

#[test]
fn the_rules_find_what_is_wrong() {
    let good = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n\
                #EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-23T10:40:00.000Z\n#EXTINF:2.000000,\n\
                media_7.m4s\n#EXT-X-PROGRAM-DATE-TIME:2026-11-23T10:40:02.000Z\n#EXTINF:2.000000,\nmedia_8.m4s\n";
    assert_eq!(faults(good), [""; 0]);
    for (from, to, part) in [
        ("#EXTM3U\n", "", "§4.3.1.1"),
        ("TARGETDURATION:2", "TARGETDURATION:1", "over target"),
        ("VERSION:7", "VERSION:5", "needs version 6"),
        ("#EXT-X-MAP:URI=\"init.mp4\"\n", "", "without EXT-X-MAP"),
        ("10:40:02", "10:40:03", "beside its date"),
        ("media_8", "media_7", "listed twice"),
        ("#EXTINF:2.000000,\nmedia_8", "media_8", "without EXTINF"),
        ("media_7.m4s", "/media_7.m4s", "not relative"),
    ] {
        let broken = faults(&good.replacen(from, to, 1)).join("; ");
        assert!(broken.contains(part), "{from:?} -> {to:?}: {broken}");
    }
    let good = "#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"fr\",URI=\"t.m3u8\"\n\
                #EXT-X-STREAM-INF:BANDWIDTH=10,AVERAGE-BANDWIDTH=9,CODECS=\"a,b\",SUBTITLES=\"text\"\na.m3u8\n";
    assert_eq!(faults(good), [""; 0]);
    for (from, to, part) in [
        ("BANDWIDTH=10", "BANDWIDTH=8", "average over peak"),
        ("GROUP-ID=\"text\"", "GROUP-ID=\"other\"", "no group of SUBTITLES"),
        (",URI=\"t.m3u8\"", "", "subtitles without URI"),
        ("\na.m3u8", "", "without URI"),
        ("CODECS=\"a,b\",", "", "no CODECS"),
    ] {
        let broken = faults(&good.replacen(from, to, 1)).join("; ");
        assert!(broken.contains(part), "{from:?} -> {to:?}: {broken}");
    }
}
