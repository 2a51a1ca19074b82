//! Recurring events, their changed dates, and the versions of an event.

use super::*;

/// Every Monday from 2 November to 21 December at 8:30 in Paris, for two hours.
pub(super) const MONDAYS: &str = "UID:r\nSUMMARY:PAES\nLOCATION:Amphi_A\nDTSTART;TZID=Europe/Paris:20261102T083000\n\
     DTEND;TZID=Europe/Paris:20261102T103000\nRRULE:FREQ=WEEKLY;UNTIL=20261221T073000Z";

pub(super) fn events(drafts: &[&str]) -> Reading {
    let drafts: Vec<_> = drafts.iter().map(|lines| format!("BEGIN:VEVENT\n{lines}\nEND:VEVENT")).collect();
    calendar(&drafts.join("\n"))
}

fn good(drafts: &[&str]) -> Vec<String> {
    let reading = events(drafts);
    assert_eq!(reading.notes, Vec::<String>::new(), "{drafts:?}");
    times(&reading)
}

#[test]
fn dates_without_are_left_out_whatever_their_type() {
    let all = [
        "11-02 07:30",
        "11-09 07:30",
        "11-16 07:30",
        "11-23 07:30",
        "11-30 07:30",
        "12-07 07:30",
        "12-14 07:30",
        "12-21 07:30",
    ];
    assert_eq!(good(&[MONDAYS]), all);
    let without: Vec<&str> = all.into_iter().filter(|day| *day != "11-23 07:30").collect();
    for line in [
        "EXDATE;VALUE=DATE:20261123",
        "EXDATE:20261123",
        "EXDATE;TZID=Europe/Paris:20261123T083000",
        "EXDATE;TZID=Romance Standard Time:20261123T083000",
        "EXDATE;TZID=America/New_York:20261123T023000",
        "EXDATE:20261123T073000Z",
        // Without a zone it is in that of the series.
        "EXDATE:20261123T083000",
        "EXDATE;VALUE=DATE:20261123,20261124\nEXDATE:20261125T073000Z",
        "EXDATE: 20261123T073000Z , 20261222T073000Z",
        "EXRULE:FREQ=DAILY;BYMONTH=11;BYMONTHDAY=23",
    ] {
        assert_eq!(good(&[&format!("{MONDAYS}\n{line}")]), without, "{line}");
    }
    assert_eq!(good(&[&format!("{MONDAYS}\nEXDATE;TZID=Europe/Paris:20261123T093000")]), all, "another hour");
    let single = "UID:s\nDTSTART:20261123T073000Z\nDTEND:20261123T093000Z";
    assert_eq!(good(&[&format!("{single}\nEXDATE:20261123T073000Z")]), [""; 0], "an event of one date");
    assert_eq!(good(&[&format!("{single}\nEXDATE:20261124T073000Z")]), ["11-23 07:30"]);
    let days = "UID:d\nDTSTART;VALUE=DATE:20261102\nDTEND;VALUE=DATE:20261103\nRRULE:FREQ=WEEKLY;COUNT=3";
    for line in [
        "EXDATE;VALUE=DATE:20261109",
        "EXDATE;TZID=Romance Standard Time:20261109T000000",
        "EXDATE:20261109T000000",
        "EXDATE:20261108T230000Z",
    ] {
        assert_eq!(good(&[&format!("{days}\n{line}")]), ["11-01 23:00", "11-15 23:00"], "{line}");
    }
}

#[test]
fn further_dates_may_have_any_type_and_a_length_of_their_own() {
    let single = "UID:e\nDTSTART:20261102T073000Z\nDTEND:20261102T093000Z";
    for (line, expected) in [
        ("RDATE;VALUE=PERIOD:20261123T080000Z/PT4H", vec![("11-23 08:00", 240)]),
        ("RDATE;VALUE=PERIOD:20261123T080000Z/20261123T083000Z", vec![("11-23 08:00", 30)]),
        (
            "RDATE;VALUE=PERIOD;TZID=Europe/Paris:20261123T090000/20261123T100000,20261124T090000/PT3H",
            vec![("11-23 08:00", 60), ("11-24 08:00", 180)],
        ),
        ("RDATE:20261123T080000Z", vec![("11-23 08:00", 120)]),
        (
            "RDATE;TZID=Europe/Paris:20261123T090000,20261124T090000",
            vec![("11-23 08:00", 120), ("11-24 08:00", 120)],
        ),
        // A day of a series with hours is at the hour of the series.
        ("RDATE;VALUE=DATE:20261123", vec![("11-23 07:30", 120)]),
        ("RDATE:20261123T080000Z\nEXDATE:20261102T073000Z", vec![("11-23 08:00", 120)]),
    ] {
        let reading = events(&[&format!("{single}\n{line}")]);
        assert_eq!(reading.notes, Vec::<String>::new(), "{line}");
        let first = (!line.contains("EXDATE")).then_some(("11-02 07:30", 120));
        let expected: Vec<_> = first.into_iter().chain(expected).collect();
        let seen: Vec<_> = shown(&reading).into_iter().map(|(_, start, minutes)| (start, minutes)).collect();
        let seen: Vec<_> = seen.iter().map(|(start, minutes)| (start.as_str(), *minutes)).collect();
        assert_eq!(seen, expected, "{line}");
    }
    // The period of a date that the rule has, too.
    let longer = events(&[&format!("{MONDAYS}\nRDATE;VALUE=PERIOD:20261123T073000Z/PT4H")]);
    assert_eq!(shown(&longer)[3], ("r/20261123T073000Z".to_owned(), "11-23 07:30".to_owned(), 240));
    let wrong = events(&[&format!("{single}\nRDATE:soon"), MONDAYS]);
    assert_eq!(wrong.events.len(), 1 + 8, "its start and the others are there");
    assert_eq!(wrong.notes, ["event e '': its RDATE is left out: \"soon\" is no time (line 7)"]);
}

#[test]
fn this_and_future_moves_all_later_dates() {
    let moved = "UID:r\nSUMMARY:PAES later\nLOCATION:Amphi_B\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20261123T083000\n\
                 DTSTART;TZID=Europe/Paris:20261124T140000\nDTEND;TZID=Europe/Paris:20261124T150000";
    let reading = events(&[MONDAYS, moved]);
    let expected = [
        ("r/20261102T073000Z", "11-02 07:30", 120),
        ("r/20261109T073000Z", "11-09 07:30", 120),
        ("r/20261116T073000Z", "11-16 07:30", 120),
        ("r/20261123T073000Z", "11-24 13:00", 60),
        ("r/20261130T073000Z", "12-01 13:00", 60),
        ("r/20261207T073000Z", "12-08 13:00", 60),
        ("r/20261214T073000Z", "12-15 13:00", 60),
        ("r/20261221T073000Z", "12-22 13:00", 60),
    ];
    assert_eq!(
        shown(&reading),
        expected.map(|(id, start, minutes)| (id.to_owned(), start.to_owned(), minutes))
    );
    let agents: BTreeSet<_> =
        reading.events.iter().map(|event| (event.agent.as_str(), event.title.as_str())).collect();
    assert_eq!(agents.into_iter().collect::<Vec<_>>(), [("Amphi_A", "PAES"), ("Amphi_B", "PAES later")]);
    // In front of the series, and in the other order of its parameters.
    let other =
        moved.replace(";RANGE=THISANDFUTURE;TZID=Europe/Paris", ";TZID=Europe/Paris;RANGE=\"ThisAndFuture\"");
    assert_eq!(shown(&events(&[&other, MONDAYS])), shown(&reading));
    // A later one counts from its own date; one date that is changed by itself stays as it is.
    let again = moved.replace("20261123T083000", "20261207T083000").replace("20261124", "20261207");
    let single = "UID:r\nRECURRENCE-ID:20261130T073000Z\nDTSTART:20261130T100000Z\nDTEND:20261130T110000Z";
    let gone = "UID:r\nRECURRENCE-ID:20261214T073000Z\nSTATUS:CANCELLED";
    assert_eq!(
        good(&[MONDAYS, &again, single, moved, gone]),
        [
            "11-02 07:30",
            "11-09 07:30",
            "11-16 07:30",
            "11-24 13:00",
            "11-30 10:00",
            "12-07 13:00",
            "12-21 13:00"
        ]
    );
    // All that follow are cancelled.
    for range in ["STATUS:CANCELLED", "DTSTART:20261123T073000Z\nDTEND:20261123T093000Z\nSTATUS:CANCELLED"] {
        let end = format!("UID:r\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261123T073000Z\n{range}");
        assert_eq!(good(&[MONDAYS, &end]), ["11-02 07:30", "11-09 07:30", "11-16 07:30"]);
    }
    // Moved over the change of the hour it stays at its hour.
    let autumn = MONDAYS.replace("20261102", "20261019");
    let earlier = "UID:r\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20261019T083000\n\
                   DTSTART;TZID=Europe/Paris:20261019T140000\nDTEND;TZID=Europe/Paris:20261019T160000";
    assert_eq!(good(&[&autumn, earlier])[1..3], ["11-02 13:00", "11-09 13:00"]);
}

#[test]
fn a_moved_date_keeps_its_name_whatever_its_date_is_written_in() {
    for date in [
        "RECURRENCE-ID;TZID=Europe/Paris:20261123T083000",
        "RECURRENCE-ID:20261123T073000Z",
        "RECURRENCE-ID:20261123T083000",
        "RECURRENCE-ID;VALUE=DATE:20261123",
        "RECURRENCE-ID;TZID=\"Tokyo Standard Time\":20261123T163000",
    ] {
        let moved = format!("UID:r\n{date}\nDTSTART:20261124T130000Z\nDURATION:PT1H");
        let reading = events(&[MONDAYS, &moved]);
        assert_eq!(
            shown(&reading)[3],
            ("r/20261123T073000Z".to_owned(), "11-24 13:00".to_owned(), 60),
            "{date}"
        );
        assert_eq!(reading.events.len(), 8, "{date}");
    }
    // What a changed date does not say is as in the series.
    let reading = events(&[MONDAYS, "UID:r\nRECURRENCE-ID:20261123T073000Z\nDTSTART:20261124T130000Z"]);
    let moved = reading.events.iter().find(|event| event.id == "r/20261123T073000Z").expect("moved");
    assert_eq!((moved.agent.as_str(), moved.title.as_str()), ("Amphi_A", "PAES"));
    assert_eq!(moved.ends.nanos_since(moved.starts), 7_200_000_000_000);
    // One that is wrong costs only its own date.
    let reading =
        events(&[MONDAYS, "UID:r\nRECURRENCE-ID:20261123T073000Z\nDTSTART:noon\nDTEND:20261124T130000Z"]);
    assert_eq!(reading.events.len(), 7);
    assert_eq!(reading.notes, ["event r '' is left out: \"noon\" is no time (line 11)"]);
    let reading =
        events(&[MONDAYS, "UID:r\nRECURRENCE-ID:noon\nDTSTART:20261124T130000Z\nDTEND:20261124T140000Z"]);
    assert_eq!((reading.events.len(), reading.notes.len()), (8, 1));
}

/// A version of one lecture: `day` of November, and further lines.
fn version(day: u32, lines: &str) -> String {
    format!("UID:s\nDTSTART:202611{day}T130000Z\nDTEND:202611{day}T150000Z\n{lines}")
}

#[test]
fn the_latest_version_counts_wherever_it_stands() {
    for (older, newer) in [
        ("SEQUENCE:0", "SEQUENCE:2"),
        ("", "SEQUENCE:1"),
        ("SEQUENCE:9", "SEQUENCE:10"),
        ("SEQUENCE:1\nDTSTAMP:20261130T000000Z", "SEQUENCE:2\nDTSTAMP:20261101T000000Z"),
        ("DTSTAMP:20261101T000000Z", "DTSTAMP:20261101T000001Z"),
        ("SEQUENCE:3\nDTSTAMP:20261101T000000Z", "SEQUENCE:3\nDTSTAMP:20261102T000000Z"),
        (
            "DTSTAMP:20261101T000000Z\nLAST-MODIFIED:20261001T000000Z",
            "DTSTAMP:20261101T000000Z\nLAST-MODIFIED:20261002T000000Z",
        ),
        ("SEQUENCE:x", "SEQUENCE:1"),
    ] {
        let (older, newer) = (version(23, older), version(24, newer));
        assert_eq!(good(&[&older, &newer]), ["11-24 13:00"], "{newer}");
        assert_eq!(good(&[&newer, &older]), ["11-24 13:00"], "{newer}");
        let gone = format!("{newer}\nSTATUS:CANCELLED");
        assert_eq!(good(&[&gone, &older]), [""; 0], "{gone}");
        let back = format!("{older}\nSTATUS:CANCELLED");
        assert_eq!(good(&[&newer, &back]), ["11-24 13:00"], "{back}");
    }
    assert_eq!(good(&[&version(23, ""), &version(24, "")]), ["11-24 13:00"], "of equal ones the last");
    let date = |sequence: u32, day: u32| {
        format!(
            "UID:r\nSEQUENCE:{sequence}\nRECURRENCE-ID;TZID=Europe/Paris:20261123T083000\nDTSTART:202611{day}T130000Z\nDTEND:202611{day}T150000Z"
        )
    };
    for order in [[&date(2, 24), &date(1, 25)], [&date(1, 25), &date(2, 24)]] {
        assert_eq!(good(&[MONDAYS, order[0], order[1]])[3], "11-24 13:00");
        let gone = date(3, 26) + "\nSTATUS:CANCELLED";
        assert_eq!(good(&[&gone, MONDAYS, order[0], order[1]]).len(), 7);
    }
    // Of a series, and with it what was changed before it was cancelled.
    let gone = format!("{MONDAYS}\nSEQUENCE:2\nSTATUS:CANCELLED");
    assert_eq!(good(&[&gone, MONDAYS, &date(2, 24)]), [""; 0]);
    assert_eq!(good(&[&gone, MONDAYS, &date(3, 24)]), ["11-24 13:00"]);
}

#[test]
fn a_calendars_method_is_obeyed() {
    let with = |method: &str, lines: &str| {
        let kept = format!(
            "BEGIN:VCALENDAR\r\nMETHOD:PUBLISH\r\nBEGIN:VEVENT\r\n{MONDAYS}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        );
        read(&format!(
            "{kept}BEGIN:VCALENDAR\nMETHOD:{method}\nBEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n"
        ))
    };
    let at = "DTSTART:20261124T130000Z\nDTEND:20261124T150000Z";
    assert_eq!(times(&with("CANCEL", &format!("UID:r\nSEQUENCE:1\n{at}"))), [""; 0]);
    assert_eq!(times(&with("cancel", "UID:r")), [""; 0], "of equal versions the withdrawal");
    assert_eq!(times(&with("CANCEL", "UID:r\nRECURRENCE-ID:20261123T073000Z")).len(), 7);
    assert_eq!(times(&with("CANCEL", "UID:r\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261123T073000Z")).len(), 3);
    assert_eq!(times(&with("REQUEST", &format!("UID:r\nSEQUENCE:1\n{at}"))), ["11-24 13:00"]);
    let added = with("ADD", &format!("UID:r\nSEQUENCE:1\n{at}"));
    assert_eq!(shown(&added)[4], ("r/20261124T130000Z".to_owned(), "11-24 13:00".to_owned(), 120));
    assert_eq!(added.events.len(), 9);
    for method in ["REPLY", "COUNTER", "DECLINECOUNTER", "REFRESH"] {
        let reading = with(method, &format!("UID:r\nSEQUENCE:9\n{at}"));
        assert_eq!(reading.events.len(), 8, "{method}");
        assert_eq!(reading.notes, [format!("events of METHOD:{method} are left out: they change nothing")]);
    }
    let whole = format!("BEGIN:VCALENDAR\nMETHOD:CANCEL\nBEGIN:VEVENT\n{MONDAYS}\nEND:VEVENT\nEND:VCALENDAR");
    assert_eq!(read(&whole), Reading::default());
    let behind =
        format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{MONDAYS}\nEND:VEVENT\nMETHOD:CANCEL\nEND:VCALENDAR");
    assert_eq!(read(&behind), Reading::default(), "wherever it stands");
}

#[test]
fn lengths_are_read_in_every_form() {
    let length = |lines: &str| {
        let reading = events(&[&format!("UID:1\n{lines}")]);
        reading.events.first().map_or_else(|| reading.notes.concat(), |_| shown(&reading)[0].2.to_string())
    };
    for (lines, minutes) in [
        ("DTSTART:20261123T073000Z\nDURATION:P1W", "10080"),
        ("DTSTART:20261123T073000Z\nDURATION:P1DT2H30M", "1590"),
        ("DTSTART:20261123T073000Z\nDURATION:+PT90M", "90"),
        ("DTSTART:20261123T073000Z\nDURATION:-PT90M", "-90"),
        ("DTSTART:20261123T073000Z\nDURATION:P1M", "event 1 '' is left out: \"P1M\" is no duration (line 3)"),
        (
            "DTSTART:20261123T073000Z\nDURATION:two hours",
            "event 1 '' is left out: \"two hours\" is no duration (line 3)",
        ),
        ("DTSTART:20261123T073000Z\nDTEND:20261123T053000Z", "-120"),
        // A day of the calendar may have 25 hours (§3.3.6), an hour has sixty minutes.
        ("DTSTART;TZID=Europe/Paris:20261024T120000\nDURATION:P1D", "1500"),
        ("DTSTART;TZID=Europe/Paris:20261024T120000\nDURATION:PT24H", "1440"),
        ("DTSTART;VALUE=DATE:20261024\nDTEND;VALUE=DATE:20261026", "2940"),
        ("DTSTART;VALUE=DATE:20261123\nDURATION:P2D", "2880"),
        ("DTSTART;VALUE=DATE:20261123\nDTEND:20261123T110000Z", "720"),
        (
            "DTSTART:99991231T235959Z\nDURATION:P9999999W",
            "event 1 '' is left out: \"P9999999W\" is no duration (line 3)",
        ),
    ] {
        assert_eq!(length(lines), minutes, "{lines}");
    }
    // Each day of a series has its own length.
    let days = events(&["UID:d\nDTSTART;VALUE=DATE:20261018\nRRULE:FREQ=WEEKLY;COUNT=9"]);
    assert_eq!(shown(&days)[0], ("d/20261031T230000Z".to_owned(), "10-31 23:00".to_owned(), 1440));
}

#[test]
fn rules_are_read_in_the_zone_of_the_series() {
    let in_utc = "UID:u\nDTSTART:20261102T073000Z\nDTEND:20261102T093000Z\n";
    for rule in
        ["UNTIL=20261109", "UNTIL=20261109T073000", "UNTIL=20261109T073000Z", "COUNT=2", "COUNT=2;WKST=SU"]
    {
        assert_eq!(
            good(&[&format!("{in_utc}RRULE:FREQ=WEEKLY;{rule}")]),
            ["11-02 07:30", "11-09 07:30"],
            "{rule}"
        );
    }
    assert_eq!(
        good(&[&format!("{in_utc}RRULE:FREQ=WEEKLY;COUNT=2\nRRULE:FREQ=MONTHLY;COUNT=2")]),
        ["11-02 07:30", "11-09 07:30", "12-02 07:30"],
        "two rules"
    );
    assert_eq!(good(&[&format!("{in_utc}RRULE:FREQ=DAILY")]).len(), 60, "as far as the window reaches");
    assert_eq!(
        good(&[&in_utc.replace("2026", "1970"), &format!("{in_utc}RRULE:FREQ=WEEKLY;COUNT=1")]),
        ["11-02 07:30"]
    );
    let odd = format!("{}RRULE:FREQ=HOURLY", in_utc.replace("UID:u", "UID:odd"));
    let reading = events(&[&odd, &format!("{in_utc}RRULE:FREQ=WEEKLY;COUNT=2")]);
    assert_eq!(times(&reading), ["11-02 07:30", "11-09 07:30"]);
    assert_eq!(
        reading.notes,
        ["event odd '' is left out: it recurs \"HOURLY\", which no lecture does (line 3)"]
    );
}
