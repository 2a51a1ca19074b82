//! The rules of ISO/IEC 23009-1 as code. Every DASH manifest that any test fetches goes through [`check`].

use std::collections::BTreeSet;

use roxmltree::{Document, Node};

const NAMESPACE: &str = "urn:mpeg:dash:schema:mpd:2011";

/// The rules that a manifest breaks, each with its section; empty for a good one.
pub fn faults(text: &str) -> Vec<String> {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => return vec![format!("no XML: {error}")],
    };
    let mut faults = Faults::default();
    manifest(document.root_element(), &mut faults);
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

fn children<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn number(node: Node<'_, '_>, name: &str) -> Option<i64> {
    node.attribute(name)?.parse().ok()
}

/// `PT<seconds>S`, as far as we write durations (XML Schema `xs:duration`).
fn seconds(node: Node<'_, '_>, name: &str) -> Option<f64> {
    node.attribute(name)?.strip_prefix("PT")?.strip_suffix('S')?.parse().ok()
}

fn manifest(mpd: Node<'_, '_>, faults: &mut Faults) {
    let is_mpd = mpd.tag_name().name() == "MPD" && mpd.tag_name().namespace() == Some(NAMESPACE);
    faults.unless(is_mpd, "§5.3.1: the root is no MPD of the schema of 2011");
    faults.unless(mpd.attribute("profiles").is_some_and(|it| !it.is_empty()), "§5.3.1.2: no profiles");
    faults.unless(seconds(mpd, "minBufferTime").is_some_and(|it| it > 0.0), "§5.3.1.2: no minBufferTime");
    let whole = seconds(mpd, "mediaPresentationDuration");
    match mpd.attribute("type") {
        Some("static") => {
            faults.unless(whole.is_some_and(|it| it > 0.0), "§5.3.1.2: static without its duration");
            faults.unless(mpd.attribute("minimumUpdatePeriod").is_none(), "§5.3.1.2: static with updates");
        }
        Some("dynamic") => {
            for name in ["availabilityStartTime", "publishTime"] {
                let has = mpd.attribute(name).is_some_and(|it| it.ends_with('Z'));
                faults.unless(has, &format!("§5.3.1.2: dynamic without {name}"));
            }
            let updated = seconds(mpd, "minimumUpdatePeriod").is_some();
            faults.unless(updated, "§5.3.1.2: dynamic without minimumUpdatePeriod");
            faults.unless(children(mpd, "UTCTiming").count() > 0, "§5.8.4.11: dynamic without a clock");
        }
        other => faults.unless(false, &format!("§5.3.1.2: type is {other:?}")),
    }
    let periods: Vec<_> = children(mpd, "Period").collect();
    faults.unless(!periods.is_empty(), "§5.3.1.2: no Period");
    let mut ids = BTreeSet::new();
    for period in periods {
        let sets: Vec<_> = children(period, "AdaptationSet").collect();
        faults.unless(!sets.is_empty(), "§5.3.2.2: a Period without an AdaptationSet");
        let mut set_ids = BTreeSet::new();
        for set in sets {
            faults.unless(set_ids.insert(set.attribute("id")), "§5.3.3.2: two sets have one id");
            let kind = set.attribute("contentType").unwrap_or_default();
            let mime = set.attribute("mimeType").unwrap_or_default();
            let fits = mime.starts_with(kind) && !kind.is_empty();
            faults.unless(fits, &format!("§5.3.3.2: a set of {kind:?} in {mime:?}"));
            faults.unless(children(set, "Representation").count() > 0, "§5.3.3.2: an empty set");
            for representation in children(set, "Representation") {
                let id = representation.attribute("id");
                faults
                    .unless(id.is_some() && ids.insert(id), "§5.3.5.2: a Representation's id is not its own");
                let bandwidth = number(representation, "bandwidth");
                faults.unless(bandwidth.is_some_and(|it| it > 0), "§5.3.5.2: no bandwidth");
                if kind == "text" {
                    let url = children(representation, "BaseURL").next().and_then(|it| it.text());
                    faults.unless(url.is_some_and(is_relative), "§5.6: subtitles without a relative BaseURL");
                } else {
                    faults.unless(representation.attribute("codecs").is_some(), "§5.3.7.2: no codecs");
                    let sized = ["width", "height"].iter().all(|it| number(representation, it) > Some(0));
                    faults.unless(kind != "video" || sized, "§5.3.7.2: a picture without a size");
                    let templates: Vec<_> = children(representation, "SegmentTemplate").collect();
                    faults.unless(templates.len() == 1, "§5.3.9.1: not one SegmentTemplate");
                    for template in templates {
                        segments(template, whole, faults);
                    }
                }
            }
        }
    }
}

fn is_relative(url: &str) -> bool {
    !url.is_empty() && !url.starts_with('/') && !url.contains("://")
}

/// `whole`: seconds of the presentation, where it has an end.
fn segments(template: Node<'_, '_>, whole: Option<f64>, faults: &mut Faults) {
    let media = template.attribute("media").unwrap_or_default();
    let by_number = media.contains("$Number$");
    faults.unless(
        by_number != media.contains("$Time$"),
        "§5.3.9.4.4: media names its segments by neither or both",
    );
    faults
        .unless(!by_number || number(template, "startNumber").is_some(), "§5.3.9.5.3: numbers from nowhere");
    faults.unless(is_relative(media), "§5.6: media is not relative");
    let init = template.attribute("initialization").unwrap_or_default();
    faults.unless(is_relative(init) && !init.contains('$'), "§5.3.9.4.2: no initialization section");
    let timescale = number(template, "timescale").filter(|it| *it > 0);
    faults.unless(timescale.is_some(), "§5.3.9.2.2: no timescale");
    let Some(timeline) = children(template, "SegmentTimeline").next() else {
        return faults.unless(false, "§5.3.9.6: no SegmentTimeline");
    };
    let (mut first, mut end, mut count) = (None, None, 0);
    for entry in children(timeline, "S") {
        let (time, duration) = (number(entry, "t").or(end), number(entry, "d"));
        let repeats = number(entry, "r").unwrap_or(0);
        let (Some(time), Some(duration)) = (time, duration.filter(|it| *it > 0)) else {
            faults.unless(false, "§5.3.9.6.2: an S without time or duration");
            continue;
        };
        faults.unless(time >= 0 && repeats >= 0, "§5.3.9.6.2: a negative number");
        faults
            .unless(end.is_none_or(|end| end == time), &format!("§5.3.9.6: a hole or an overlap at {time}"));
        first.get_or_insert(time);
        end = Some(time + duration * (repeats + 1));
        count += repeats + 1;
    }
    faults.unless(count > 0, "§5.3.9.6: no segment");
    if let (Some(whole), Some(first), Some(end), Some(timescale)) = (whole, first, end, timescale) {
        let offset = number(template, "presentationTimeOffset").unwrap_or(0);
        faults.unless(
            (first..end).contains(&offset),
            "§5.3.9.2.2: the presentation begins outside its segments",
        );
        let covered = (end - offset) as f64 / timescale as f64;
        // Picture and sound do not end together.
        faults.unless(covered > whole - 1.6, &format!("§5.3.9.6: {covered} s of segments for {whole} s"));
    }
}

#[test]
fn the_rules_find_what_is_wrong() {
    let good = r#"<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="p" type="static" mediaPresentationDuration="PT12S" minBufferTime="PT4S">
<Period id="0" start="PT0S"><AdaptationSet id="0" contentType="video" mimeType="video/mp4">
<Representation id="a" codecs="avc1.640029" bandwidth="1" width="2" height="2">
<SegmentTemplate timescale="10" initialization="i.mp4" media="m_$Time$.m4s"><SegmentTimeline><S t="0" d="60"/><S t="60" d="60"/></SegmentTimeline></SegmentTemplate>
</Representation></AdaptationSet><AdaptationSet id="1" contentType="text" mimeType="text/vtt"><Representation id="t" bandwidth="256"><BaseURL>t.vtt</BaseURL></Representation></AdaptationSet></Period></MPD>"#;
    assert_eq!(faults(good), [""; 0]);
    for (from, to, part) in [
        ("</MPD>", "", "no XML"),
        ("schema:mpd:2011", "schema:mpd:2010", "§5.3.1:"),
        ("mediaPresentationDuration=\"PT12S\" ", "", "without its duration"),
        ("type=\"static\"", "type=\"dynamic\"", "without minimumUpdatePeriod"),
        ("id=\"1\"", "id=\"0\"", "two sets have one id"),
        ("id=\"t\"", "id=\"a\"", "not its own"),
        ("contentType=\"video\"", "contentType=\"audio\"", "a set of \"audio\" in \"video/mp4\""),
        ("codecs=\"avc1.640029\" ", "", "no codecs"),
        ("height=\"2\"", "", "without a size"),
        ("t=\"60\"", "t=\"61\"", "a hole or an overlap at 61"),
        ("d=\"60\"/><S", "d=\"0\"/><S", "without time or duration"),
        ("PT12S", "PT14S", "12 s of segments for 14 s"),
        ("m_$Time$", "/m_$Time$", "not relative"),
        ("m_$Time$", "m", "neither or both"),
        ("t.vtt", "http://x/t.vtt", "relative BaseURL"),
    ] {
        let broken = faults(&good.replacen(from, to, 1)).join("; ");
        assert!(broken.contains(part), "{from:?} -> {to:?}: {broken}");
    }
}
