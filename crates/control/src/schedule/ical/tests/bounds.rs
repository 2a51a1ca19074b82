//! What there is too much of, and single values that cannot be read.

use super::series::{MONDAYS, events};
use super::*;

#[test]
fn the_name_of_a_zone_is_there_once_for_all_dates_of_a_line() {
    let mut draft = EventDraft::new(1);
    let text = format!("EXDATE;TZID={}:{}", "é".repeat(300), ["20261123T083000"; 1000].join(","));
    draft.take(&ContentLine { number: 2, text: text.into() });
    let zones: Vec<_> = draft.without.iter().filter_map(|time| time.zone.as_ref()).collect();
    assert_eq!(zones.len(), 1000);
    assert!(zones.iter().all(|zone| std::sync::Arc::ptr_eq(zone, zones[0])));
    assert!(zones[0].len() <= 255 && zones[0].ends_with("é…"), "{}", zones[0]);
}

#[test]
fn the_dates_of_a_whole_calendar_are_bounded() {
    let dates = ["20261123T073000Z"; 1000].join(",");
    let drafts: Vec<_> = (0..102)
        .map(|n| format!("UID:{n:03}\nDTSTART:20261102T073000Z\nDTEND:20261102T093000Z\nRDATE:{dates}"))
        .collect();
    let drafts: Vec<_> = drafts.iter().map(String::as_str).collect();
    let reading = events(&drafts);
    assert_eq!(reading.events.len(), 100 * 2 + 2, "the last two have only their start");
    let note = "more than 100000 dates in EXDATE and RDATE: from event 100 '' on (line 603) further ones are left out";
    assert_eq!(reading.notes, [note]);
    assert_eq!(events(&drafts[..100]).notes, Vec::<String>::new());
}

#[test]
fn every_rule_of_a_calendar_counts() {
    let further = "DTSTART:20261102T073000Z\nDTEND:20261102T093000Z\nRDATE:20261123T073000Z";
    let without = "\nEXRULE:FREQ=YEARLY;COUNT=1".repeat(10);
    let drafts: Vec<_> = (0..52).map(|n| format!("UID:{n:02}\n{further}{without}")).collect();
    let mut drafts: Vec<_> = drafts.iter().map(String::as_str).collect();
    let single = "UID:one\nDTSTART:20261102T073000Z\nDTEND:20261102T093000Z";
    drafts.push(single);
    let reading = events(&drafts);
    assert_eq!(reading.events.len(), 50 + 1, "what does not recur is there");
    let note = |n: u32, line: u32| {
        format!("event {n} '' is left out: the calendar has more than 500 rules (line {line})")
    };
    assert_eq!(reading.notes, [note(50, 3 + 50 * 16), note(51, 3 + 51 * 16)]);
    let two = "\nRRULE:FREQ=YEARLY;COUNT=1".repeat(9) + "\nEXRULE:FREQ=YEARLY;COUNT=1";
    let drafts: Vec<_> = (0..51).map(|n| format!("UID:{n:02}\n{further}{two}")).collect();
    let drafts: Vec<_> = drafts.iter().map(String::as_str).collect();
    assert_eq!(events(&drafts).notes, [note(50, 3 + 50 * 16)]);
}

#[test]
fn a_value_that_cannot_be_read_is_left_out_alone() {
    for (line, events_left, note) in [
        ("EXDATE:soon,20261123T073000Z", 7, "its EXDATE is left out: \"soon\" is no time (line 10)"),
        (
            "EXDATE:20261123\nEXDATE;VALUE=DATE:2026112",
            7,
            "its EXDATE is left out: \"2026112\" is no time (line 11)",
        ),
        (
            "RDATE:20261124T073000Z,20261324T073000Z",
            9,
            "its RDATE is left out: \"20261324T073000Z\" is no time (line 10)",
        ),
        (
            "RDATE;VALUE=PERIOD:20261124T073000Z/P1M",
            8,
            "its RDATE is left out: \"P1M\" is no duration (line 10)",
        ),
        ("RDATE;VALUE=PERIOD:20261124T073000Z/P999999D", 9, ""),
        (
            "RDATE;VALUE=PERIOD:20261124T073000Z/P7000000D",
            8,
            "its RDATE is left out: it is out of range (line 10)",
        ),
        (
            "RDATE;VALUE=PERIOD:20261124T073000Z/then",
            8,
            "its RDATE is left out: \"then\" is no time (line 10)",
        ),
        (
            "EXRULE:FREQ=HOURLY\nEXRULE:FREQ=DAILY;BYMONTH=12",
            5,
            "its EXRULE is left out: it recurs \"HOURLY\", which no lecture does (line 10)",
        ),
    ] {
        let reading = events(&[&format!("{MONDAYS}\n{line}")]);
        assert_eq!(reading.events.len(), events_left, "{line}");
        let notes = if note.is_empty() { vec![] } else { vec![format!("event r 'PAES': {note}")] };
        assert_eq!(reading.notes, notes, "{line}");
    }
    let wrong = events(&[&format!("{MONDAYS}\nRRULE:FREQ=HOURLY")]);
    assert_eq!((wrong.events.len(), wrong.notes.len()), (0, 1), "a rule says when it takes place");
}

#[test]
fn dates_and_rules_beyond_the_most_are_said() {
    let dates = |count: usize| vec!["20261123T073000Z"; count].join(",");
    for (lines, note) in [
        (format!("EXDATE:{}\nRDATE:{}", dates(1000), dates(1000)), None),
        (format!("EXDATE:{}\nEXDATE:{}\nEXDATE:{}", dates(999), dates(2), dates(1)), Some(("EXDATE", 11))),
        (format!("RDATE:{}", dates(1001)), Some(("RDATE", 10))),
        (["RRULE:FREQ=YEARLY"; 12].join("\n"), Some(("RRULE", 19))),
        (["EXRULE:FREQ=YEARLY;BYMONTH=1"; 10].join("\n"), None),
        (["EXRULE:FREQ=YEARLY;BYMONTH=1"; 11].join("\n"), Some(("EXRULE", 20))),
    ] {
        let reading = events(&[&format!("{MONDAYS}\n{lines}")]);
        let notes: Vec<_> = note
            .map(|(property, line)| {
                format!("event r 'PAES' has more {property} than are read: from line {line} on further ones are left out")
            })
            .into_iter()
            .collect();
        assert_eq!(reading.notes, notes, "{lines:.40}");
        assert!(reading.events.len() >= 7, "{lines:.40}");
    }
}
