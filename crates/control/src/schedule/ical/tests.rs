//! Opencast's own bytes, other programs' calendars, and damaged ones.

use proptest::prelude::*;

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::*;
use crate::schedule::CalendarEvent;

mod bounds;
mod series;
mod zones;

const TWO_EVENTS: &str = include_str!("../../../../../fixtures/opencast-2.2-two-events.ics");
const UNKNOWN_AGENT: &str = "BEGIN:VCALENDAR\r\nPRODID:Opencast Matterhorn Calendar File 0.5\r\nVERSION:2.0\r\n\
                             CALSCALE:GREGORIAN\r\nEND:VCALENDAR\r\n";

fn paris() -> TimeZone {
    TimeZone::get("Europe/Paris").expect("a time zone database")
}

/// November and December of 2026.
fn autumn() -> Window {
    let time = |text: &str| text.parse::<Timestamp>().expect("a time").into();
    (time("2026-11-01T00:00:00Z"), time("2027-01-01T00:00:00Z"))
}

fn read(text: &str) -> Reading {
    parse(text.as_bytes(), None, &paris(), autumn()).expect("a calendar")
}

/// One event of these lines, with a UID.
fn one(lines: &str) -> Reading {
    read(&format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\n{lines}\nEND:VEVENT\nEND:VCALENDAR"))
}

/// A calendar of these lines.
fn calendar(lines: &str) -> Reading {
    read(&format!("BEGIN:VCALENDAR\nVERSION:2.0\n{lines}\nEND:VCALENDAR"))
}

/// Identifier, start and length in minutes of each event, by start.
fn shown(reading: &Reading) -> Vec<(String, String, i64)> {
    let mut events: Vec<_> = reading.events.iter().collect();
    events.sort_by_key(|event| event.starts);
    let minutes = |event: &CalendarEvent| event.ends.nanos_since(event.starts) / 60_000_000_000;
    let start = |event: &CalendarEvent| event.starts.timestamp().strftime("%m-%d %H:%M").to_string();
    events.into_iter().map(|event| (event.id.to_string(), start(event), minutes(event))).collect()
}

/// The starts alone, in UTC.
fn times(reading: &Reading) -> Vec<String> {
    shown(reading).into_iter().map(|(_, start, _)| start).collect()
}

fn starts(lines: &str) -> String {
    let reading = one(lines);
    reading
        .events
        .first()
        .map_or_else(|| reading.notes.join("; "), |event| event.starts.timestamp().to_string())
}

#[test]
fn opencast_2_2_is_read_with_its_series_title() {
    let reading = read(TWO_EVENTS);
    assert_eq!(reading.notes, Vec::<String>::new());
    let [first, second] = reading.events.as_slice() else { panic!("{reading:?}") };
    let expected = CalendarEvent {
        id: "1042".into(),
        title: "Informations générales; réunion, partie 1".to_owned(),
        series: Some("PAES_2016_S2".to_owned()),
        series_id: Some("a1b2c3d4-0000-4000-8000-000000000001".to_owned()),
        agent: "Amphi_D".to_owned(),
        presenters: vec!["Pr. Dupont".to_owned()],
        starts: "2017-01-04T12:51:00Z".parse::<Timestamp>().expect("a time").into(),
        ends: "2017-01-04T14:30:00Z".parse::<Timestamp>().expect("a time").into(),
    };
    assert_eq!(*first, expected);
    assert_eq!(
        (second.id.as_str(), &second.series, &second.series_id),
        ("1043", &None, &None),
        "without a series"
    );
}

#[test]
fn the_stamp_of_generation_makes_no_difference() {
    let later = TWO_EVENTS.replace("DTSTAMP:20261123T113303Z", "DTSTAMP:20261123T113603Z");
    assert_ne!(later, TWO_EVENTS);
    assert_eq!(read(&later), read(TWO_EVENTS));
}

#[test]
fn folded_lines_and_bare_line_feeds_are_read_alike() {
    let fold = |line: &str| {
        let chars: Vec<char> = line.chars().collect();
        let parts: Vec<String> = chars.chunks(60).map(|chunk| chunk.iter().collect()).collect();
        parts.join("\r\n ")
    };
    let folded: Vec<String> = TWO_EVENTS.lines().map(fold).collect();
    assert_eq!(read(&folded.join("\r\n")), read(TWO_EVENTS));
    assert_eq!(read(&TWO_EVENTS.replace("\r\n", "\n")), read(TWO_EVENTS));
    assert_eq!(read(&format!("\u{feff}{TWO_EVENTS}\r\n\r\n")), read(TWO_EVENTS));
}

#[test]
fn an_empty_calendar_is_one_and_what_breaks_off_is_none() {
    assert_eq!(read(UNKNOWN_AGENT), Reading::default());
    for (text, why) in [
        ("", "it is empty"),
        ("<html><body>Login</body></html>", "it begins with \"<html><body>Login</body>\""),
        ("BEGIN:VCALENDAR\r\n", "it breaks off"),
        (
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nEND:VCALENDAR",
            "an event breaks off before END:VEVENT: it begins in line 2",
        ),
    ] {
        let fault = parse(text.as_bytes(), None, &paris(), autumn()).expect_err(text);
        assert!(fault.starts_with(why), "{fault}");
    }
    for cut in (1..TWO_EVENTS.trim_end().len()).step_by(7).filter(|&cut| TWO_EVENTS.is_char_boundary(cut)) {
        assert!(parse(&TWO_EVENTS.as_bytes()[..cut], None, &paris(), autumn()).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_wrong_event_leaves_the_others() {
    for (from, to, note) in [
        (
            "DTSTART:20170104T125100Z",
            "DTSTART:yesterday",
            "event 1042 'Informations générales; réunion, partie 1' is left out: \"yesterday\" is no time (line 5)",
        ),
        ("DTSTART:20170104T125100Z\r\n", "", "it has no start"),
        ("DTEND:20170104T143000Z\r\n", "", "it has no end"),
        ("UID:1042\r\n", "", "it has no UID"),
        ("DTSTART:20170104T125100Z", "DTSTART:20171304T125100Z", "is no time"),
    ] {
        let text = TWO_EVENTS.replacen(from, to, 1);
        assert_ne!(text, TWO_EVENTS, "{from}");
        let reading = read(&text);
        assert_eq!(reading.events.len(), 1, "{from}");
        assert_eq!(reading.events[0].id, "1043");
        assert!(reading.notes.concat().contains(note), "{:?}", reading.notes);
    }
    let spoilt = TWO_EVENTS.replacen("ORGANIZER;CN=Pr. Dupont:", "ORGANIZER;;CN=\"Pr: \u{1}Dupont", 1);
    assert_eq!(read(&spoilt).events.len(), 2, "nobody needs the organizer");
    let no_base64 =
        TWO_EVENTS.replacen("X-APPLE-FILENAME=series.xml:PD94", "X-APPLE-FILENAME=series.xml:*D94", 1);
    assert_eq!(read(&no_base64).events[0].series, None, "the identifier is left");
    assert!(read(&no_base64).events[0].series_id.is_some());
}

#[test]
fn times_are_read_in_every_form_and_over_the_change_of_the_hour() {
    let end = "DTEND:20270101T000000Z";
    for (line, utc) in [
        ("DTSTART:20261123T073000Z", "2026-11-23T07:30:00Z"),
        ("DTSTART:20261123T083000", "2026-11-23T07:30:00Z"),
        ("DTSTART:20260701T083000", "2026-07-01T06:30:00Z"),
        ("DTSTART;TZID=America/New_York:20261123T083000", "2026-11-23T13:30:00Z"),
        ("DTSTART;TZID=\"Europe/Paris\":20261123T083000", "2026-11-23T07:30:00Z"),
        // 25 October 2026: 02:30 occurs twice, the first is meant; 29 March: 02:30 does not exist.
        ("DTSTART:20261025T023000", "2026-10-25T00:30:00Z"),
        ("DTSTART:20260329T023000", "2026-03-29T01:30:00Z"),
    ] {
        assert_eq!(starts(&format!("{line}\n{end}")), utc, "{line}");
    }
}

#[test]
fn duration_cancellation_recurrence_and_alarms_are_understood() {
    let minutes = |lines: &str| {
        let event = one(lines).events.into_iter().next().expect("an event");
        event.ends.nanos_since(event.starts) / 60_000_000_000
    };
    assert_eq!(minutes("DTSTART:20261123T073000Z\nDURATION:PT1H30M"), 90);
    assert_eq!(minutes("DTSTART:20261123T073000Z\nDURATION:P1D"), 24 * 60);
    assert_eq!(minutes("DTSTART:20261123T073000Z\nDTEND:20261123T073000Z"), 0);
    let both = "DTSTART:20261123T073000Z\nDTEND:20261123T083000Z";
    assert_eq!(one(&format!("{both}\nSTATUS:CANCELLED")), Reading::default());
    assert_eq!(one(&format!("{both}\nstatus:Confirmed")).events.len(), 1);
    let days = one("DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261125").events.remove(0);
    assert_eq!(days.starts.timestamp().to_string(), "2026-11-22T23:00:00Z");
    assert_eq!(days.ends.timestamp().to_string(), "2026-11-24T23:00:00Z");
    assert_eq!(minutes("DTSTART;VALUE=DATE:20261123"), 24 * 60);
    assert_eq!(minutes("DTSTART;VALUE=DATE:20261025"), 25 * 60, "winter time begins");
    assert_eq!(one(&format!("{both}\nRECURRENCE-ID:20261130T073000Z")).events[0].id, "1/20261130T073000Z");
    let alarm =
        one(&format!("{both}\nSUMMARY:UE3\nBEGIN:VALARM\nSUMMARY:Ring\nDTSTART:x\nEND:VALARM\nLOCATION:A"));
    assert_eq!((alarm.events[0].title.as_str(), alarm.events[0].agent.as_str()), ("UE3", "A"));
}

#[test]
fn an_event_that_recurs_is_one_for_each_date() {
    let weekly = "DTSTART;TZID=Europe/Paris:20261019T083000\nDTEND;TZID=Europe/Paris:20261019T103000\n\
                  RRULE:FREQ=WEEKLY;UNTIL=20261221T073000Z\nEXDATE;TZID=Europe/Paris:20261109T083000,20261116T083000";
    let changed = "BEGIN:VEVENT\nUID:1\nSUMMARY:Later\nRECURRENCE-ID;TZID=Europe/Paris:20261123T083000\n\
                   DTSTART:20261123T130000Z\nDTEND:20261123T150000Z\nEND:VEVENT\n\
                   BEGIN:VEVENT\nUID:1\nRECURRENCE-ID:20261130T073000Z\nSTATUS:CANCELLED\nEND:VEVENT";
    let more = "RDATE;VALUE=PERIOD:20261225T090000Z/PT2H";
    let reading = one(&format!("SUMMARY:UE3\n{weekly}\n{more}\nEND:VEVENT\n{changed}\nBEGIN:VEVENT"));
    // The last of these events has neither identifier nor anything else.
    assert_eq!(reading.notes, ["an event without a name is left out: it has no UID (line 23)"]);
    let mut told: Vec<_> = reading
        .events
        .iter()
        .map(|event| (event.starts.timestamp().to_string(), event.id.as_str(), event.title.as_str()))
        .collect();
    told.sort();
    let expected = [
        // 8:30 in winter is 7:30 in UTC; October is before the window.
        ("2026-11-02T07:30:00Z", "1/20261102T073000Z", "UE3"),
        ("2026-11-23T13:00:00Z", "1/20261123T073000Z", "Later"),
        ("2026-12-07T07:30:00Z", "1/20261207T073000Z", "UE3"),
        ("2026-12-14T07:30:00Z", "1/20261214T073000Z", "UE3"),
        ("2026-12-21T07:30:00Z", "1/20261221T073000Z", "UE3"),
        ("2026-12-25T09:00:00Z", "1/20261225T090000Z", "UE3"),
    ];
    assert_eq!(told, expected.map(|(starts, id, title)| (starts.to_owned(), id, title)));
    assert!(reading.events.iter().all(|event| event.ends.nanos_since(event.starts) == 7_200_000_000_000));
    let wrong = one("DTSTART:20261123T073000Z\nDTEND:20261123T083000Z\nRRULE:FREQ=NEVER");
    assert!(wrong.events.is_empty() && wrong.notes[0].contains("which no lecture does"), "{wrong:?}");
}

#[test]
fn an_event_that_recurs_is_there_until_it_is_over() {
    // The window begins on 1 November.
    let conference =
        "SUMMARY:Conference\nDTSTART:20261026T080000Z\nDTEND:20261101T180000Z\nRRULE:FREQ=WEEKLY;COUNT=2";
    let starts = |text: &str| -> Vec<String> {
        one(text).events.iter().map(|event| event.starts.timestamp().to_string()).collect()
    };
    assert_eq!(starts(conference), ["2026-10-26T08:00:00Z", "2026-11-02T08:00:00Z"]);
    assert_eq!(starts(&conference.replace("1101T180000", "1031T180000")), ["2026-11-02T08:00:00Z"]);
    assert_eq!(
        starts(&conference.replace("2026", "2025").replace("COUNT=2", "COUNT=1")),
        Vec::<String>::new()
    );
    assert_eq!(
        starts("SUMMARY:Fair\nDTSTART:20261001T080000Z\nDTEND:20261002T080000Z\nRDATE:20261031T120000Z"),
        ["2026-10-31T12:00:00Z"]
    );
}

#[test]
fn zones_are_read_as_their_calendar_explains_them() {
    let zone = "BEGIN:VTIMEZONE\nTZID:Campus\nX-LIC-LOCATION:Europe/Paris\nBEGIN:STANDARD\nDTSTART:19701025T030000\n\
                TZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\nEND:STANDARD\n\
                END:VTIMEZONE\n";
    for name in ["Campus", "Romance Standard Time"] {
        let text = format!(
            "BEGIN:VCALENDAR\n{zone}BEGIN:VEVENT\nUID:1\nDTSTART;TZID={name}:20261123T083000\n\
             DTEND;TZID=\"{name}\":20261123T103000\nEND:VEVENT\nEND:VCALENDAR"
        );
        let reading = read(&text);
        assert_eq!(reading.notes, Vec::<String>::new());
        assert_eq!(reading.events[0].starts.timestamp().to_string(), "2026-11-23T07:30:00Z", "{name}");
    }
}

#[test]
fn an_event_without_an_end_does_not_swallow_the_next() {
    let text = TWO_EVENTS.replacen("END:VEVENT\r\n", "", 1);
    let reading = read(&text);
    assert_eq!((reading.events.len(), reading.notes.len()), (1, 1), "{reading:?}");
}

#[test]
fn a_fold_within_a_letter_and_other_encodings_keep_every_accent() {
    let event = |location: &[u8], summary: &[u8]| {
        let lines: [&[u8]; 8] = [
            b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:f\r\nDTSTART:20261123T073000Z\r\nDTEND:20261123T093000Z\r\n",
            b"SUMMARY:PAES ",
            summary,
            b"\r\nLOCATION;X-NOTE=",
            &[b'n'; 50],
            b":Amphi_",
            location,
            b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        ];
        lines.concat()
    };
    let said = |octets: &[u8], charset: Option<&str>| {
        let reading = parse(octets, charset, &paris(), autumn()).expect("a calendar");
        assert_eq!(reading.notes, Vec::<String>::new());
        (reading.events[0].agent.clone(), reading.events[0].title.clone())
    };
    let expected = ("Amphi_\u{e9}".to_owned(), "PAES g\u{e9}n\u{e9}ral".to_owned());
    let folded = event(b"\xc3\r\n \xa9", b"g\xc3\r\n\t\xa9n\xc3\xa9ral");
    assert_eq!(said(&folded, Some("utf-8")), expected);
    assert_eq!(said(&folded, None), expected);
    let latin = event(b"\xe9", b"g\xe9n\r\n \xe9ral");
    for charset in [None, Some("iso-8859-1"), Some("UTF-8"), Some("us-ascii"), Some("no such")] {
        assert_eq!(said(&latin, charset), expected, "{charset:?}");
    }
    let mixed = event(b"\xe9", b"g\xc3\xa9n\xc3\xa9ral");
    assert_eq!(said(&mixed, None), expected, "each line by itself");
    let text = String::from_utf8(event("é".as_bytes(), "général".as_bytes())).expect("UTF-8");
    let utf_16: Vec<u8> =
        text.replace("Amphi_é", "Amphi_\r\n é").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(said(&[&[0xff, 0xfe], &utf_16[..]].concat(), None), expected);
    let old_mac = text.replace("\r\n", "\r");
    assert_eq!(said(old_mac.as_bytes(), None), expected);
}

#[test]
fn attachments_are_read_in_the_encoding_that_they_declare() {
    let xml = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><d xmlns:t=\"http://purl.org/dc/terms/\"><t:title>S\xe9rie</t:title></d>";
    let coded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, xml);
    let lines = format!(
        "DTSTART:20261123T073000Z\nDTEND:20261123T093000Z\nATTACH;VALUE=BINARY;X-APPLE-FILENAME=series.xml:{coded}"
    );
    assert_eq!(one(&lines).events[0].series.as_deref(), Some("S\u{e9}rie"));
}

#[test]
fn texts_are_cut_wherever_they_are_from() {
    let attach = |name: &str, text: &str| {
        let coded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
        format!("ATTACH;VALUE=BINARY;X-APPLE-FILENAME={name}:{coded}\n")
    };
    let long = "é".repeat(600);
    let core = |terms: &str| format!("<d xmlns:t='http://purl.org/dc/terms/'>{terms}</d>");
    let creators = format!("<t:creator>{long}</t:creator>").repeat(60);
    let times = "DTSTART:20261123T073000Z\nDTEND:20261123T093000Z\n";
    let episode = core(&format!("<t:title>{long}</t:title><t:isPartOf>{long}</t:isPartOf>{creators}"));
    let series = core(&format!("<t:title>{long}</t:title>"));
    let named = attach("episode.xml", &episode) + &attach("series.xml", &series);
    let properties = ["location", "title", "series"].map(|key| format!("event.{key}={long}\n")).concat();
    let properties = attach("org.opencastproject.capture.agent.properties", &properties);
    let reading = one(&format!("{times}{named}{properties}"));
    let [event] = reading.events.as_slice() else { panic!("{reading:?}") };
    let cut = "é".repeat(500);
    assert_eq!((&event.title, &event.agent), (&cut, &cut));
    assert_eq!((event.series.as_ref(), event.series_id.as_ref()), (Some(&cut), Some(&cut)));
    assert_eq!(event.presenters, vec![cut.clone(); 50]);
    let reading = one(&format!("{times}{properties}"));
    assert_eq!((&reading.events[0].title, reading.events[0].series_id.as_ref()), (&cut, Some(&cut)));
}

proptest! {
    #[test]
    fn nothing_makes_it_stumble(text in "(BEGIN:VCALENDAR\n)?(BEGIN:VEVENT\n)?((UID|DTSTART|DTEND|ATTACH|DURATION)[;:=A-Z0-9TZ\"\\\\ -]{0,30}\n){0,6}(END:VEVENT\n)?(END:VCALENDAR)?") {
        let _ = parse(text.as_bytes(), None, &TimeZone::UTC, autumn());
    }

    #[test]
    fn nothing_in_a_series_or_zone_makes_it_stumble(text in "((BEGIN|END):(VEVENT|VTIMEZONE|STANDARD|DAYLIGHT)\n|(METHOD:(CANCEL|ADD|REPLY)|UID:[ab]|SEQUENCE:[0-9]|STATUS:CANCELLED|TZID:[AB]|(DTSTART|DTEND|RECURRENCE-ID|EXDATE|RDATE)(;TZID=[AB]|;RANGE=THISANDFUTURE|;VALUE=DATE)?:(20261123|20261123T083000Z?|20261123T083000/PT2H)|RRULE:FREQ=(WEEKLY|YEARLY)(;COUNT=9|;BYDAY=-1SU)?|TZOFFSET(TO|FROM):[+-]?[0-9:]{3,7}|DURATION:-?P[0-9]{1,12}[WDTHS])\n){0,16}") {
        let _ = parse(format!("BEGIN:VCALENDAR\n{text}END:VCALENDAR").as_bytes(), None, &TimeZone::UTC, autumn());
    }

    #[test]
    fn spoilt_bytes_never_stop_it(at in 0..3800_usize, byte in any::<u8>()) {
        let mut bytes = TWO_EVENTS.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = parse(&bytes, None, &TimeZone::UTC, autumn());
    }
}
