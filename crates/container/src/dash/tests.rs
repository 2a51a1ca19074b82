//! Reads what was written.

use std::time::Duration;

use super::*;
use amphi_media::MediaTime;

#[test]
fn a_timeline_is_short() {
    let segments = [(0, 6), (6, 6), (12, 6), (18, 1), (30, 1)];
    let timeline: SegmentTimeline = segments.into_iter().collect();
    assert_eq!(
        timeline.to_string(),
        "<S t=\"0\" d=\"6\" r=\"2\"/><S t=\"18\" d=\"1\"/><S t=\"30\" d=\"1\"/>"
    );
    assert_eq!(timeline.segments().collect::<Vec<_>>(), segments);
}

#[test]
fn what_is_written_is_read() {
    let template = |start_number, presentation_time_offset| {
        RepresentationMedia::Segments(SegmentTemplate {
            timescale: 90_000,
            presentation_time_offset,
            start_number,
            initialization: "init.mp4".to_owned(),
            media: "media_$Time$.m4s".to_owned(),
            timeline: [(7, 180_000), (180_007, 90_000)].into_iter().collect(),
        })
    };
    let video = RepresentationFormat::Video { width: 1280, height: 720, frame_rate: "25/1".to_owned() };
    let representation = |id: &str, codecs: &str, format, media| Representation {
        id: id.to_owned(),
        codecs: codecs.to_owned(),
        bandwidth_bps: 7,
        format,
        media,
    };
    let set = |id, content, language: Option<&str>, representation| AdaptationSet {
        id,
        content,
        language: language.map(str::to_owned),
        label: language.map(|language| format!("<{language}>")),
        selection_priority: (id == 1).then_some(0),
        segment_alignment: id == 0,
        representations: vec![representation],
    };
    let sound =
        RepresentationFormat::Audio { sample_rate: 48_000, channels: Some(ChannelConfiguration::Count(2)) };
    let places = Some(ChannelConfiguration::Places(0xf801));
    let surround = RepresentationFormat::Audio { sample_rate: 48_000, channels: places };
    let text = RepresentationMedia::BaseUrl("t<&\".vtt".to_owned());
    let adaptation_sets = vec![
        set(0, ContentType::Video, None, representation("v", "avc1.64001F", video, template(Some(3), None))),
        set(
            1,
            ContentType::Audio,
            Some("f\"<&r"),
            representation("a", "mp4a.40.2", sound, template(None, Some(9))),
        ),
        set(3, ContentType::Audio, None, representation("d", "ec-3", surround, template(None, None))),
        set(2, ContentType::Text, Some("de"), representation("t", "", RepresentationFormat::Text, text)),
    ];
    let seconds = Duration::from_millis;
    for presentation in [
        PresentationType::Static { duration: seconds(12_340) },
        PresentationType::Dynamic {
            now: MediaTime::from_millis(1_795_000_000_040),
            update_period: seconds(2000),
            buffer_depth: seconds(12_000),
            delay: seconds(6000),
        },
    ] {
        let mpd = Mpd { presentation, adaptation_sets: adaptation_sets.clone() };
        let text = mpd.to_string();
        assert_eq!(Mpd::parse(&text).expect("sound"), mpd, "{text}");
    }
    assert!(Mpd::parse("<html/>").is_err() && Mpd::parse("none").is_err());
    let text = "<MPD mediaPresentationDuration=\"PT1S\">\n<Period>\n<AdaptationSet/></Period></MPD>";
    let fault = Mpd::parse(text).expect_err("it does not say of what").to_string();
    assert_eq!(fault, "line 3: contentType is missing or has a wrong value");
}

#[test]
fn letters_that_no_document_may_hold_are_left_out() {
    let set = AdaptationSet {
        id: 0,
        content: ContentType::Text,
        language: Some("d\u{ffff}e\0".to_owned()),
        label: Some("\u{1f}A\u{fffe}<\u{c}&\"]]>\u{fffd}".to_owned()),
        selection_priority: None,
        segment_alignment: false,
        representations: Vec::new(),
    };
    let presentation = PresentationType::Static { duration: Duration::ZERO };
    let text = Mpd { presentation, adaptation_sets: vec![set] }.to_string();
    let read = Mpd::parse(&text).expect("a document").adaptation_sets.remove(0);
    assert_eq!((read.language.as_deref(), read.label.as_deref()), (Some("de"), Some("A<&\"]]>\u{fffd}")));
}

#[test]
fn a_base_and_a_place_to_come_back_to_are_put_into_a_manifest() {
    let text = "<?xml?>\n<MPD type=\"dynamic\">\n<Period id=\"0\">\n</Period>\n</MPD>\n";
    assert_eq!(
        rebased(text, "../~g/a&b/", Some("../~g/a&b/manifest.mpd")),
        "<?xml?>\n<MPD type=\"dynamic\">\n<BaseURL>../~g/a&amp;b/</BaseURL>\n\
         <Location>../~g/a&amp;b/manifest.mpd</Location>\n<Period id=\"0\">\n</Period>\n</MPD>\n"
    );
    assert!(!rebased(text, "x/", None).contains("Location"));
}
