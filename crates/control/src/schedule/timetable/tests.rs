//! The rules, one by one, and compared with another implementation of them.

use std::time::Duration;

use proptest::prelude::*;

use super::super::tests::{at, config, lecture, settings};
use super::*;
use crate::agenda::ConflictKind;
use amphi_media::EventId;

const MINUTE: Duration = Duration::from_secs(60);

fn spans(settled: &Settled) -> Vec<(&str, Option<MediaTime>, Option<MediaTime>)> {
    settled.events.iter().map(|event| (event.id.as_str(), event.connect_from, event.connect_until)).collect()
}

fn kinds(settled: &Settled) -> Vec<ConflictKind> {
    settled.conflicts.iter().map(|conflict| conflict.kind).collect()
}

#[test]
fn an_event_alone_has_its_lead_in_and_lead_out() {
    // As the old crontab had it: 8:27 to 10:40.
    let settled = settle(&[lecture("1", "PAES", "Amphi_A", at(0, 8, 30), at(0, 10, 30))], &settings());
    assert_eq!(spans(&settled), [("1", Some(at(0, 8, 27)), Some(at(0, 10, 40)))]);
    assert_eq!(settled.events[0].channel.as_deref(), Some("Live_PAES"));
    assert_eq!(settled.events[0].source.as_deref(), Some("PS-Amphi_A"));
    assert!(settled.conflicts.is_empty());
}

#[test]
fn a_lead_out_gives_way_to_the_next_lead_in() {
    let events = [
        lecture("1", "PAES", "Amphi_A", at(0, 8, 0), at(0, 10, 0)),
        lecture("2", "PAES", "Amphi_B", at(0, 10, 5), at(0, 11, 0)),
        lecture("3", "PAES", "Amphi_A", at(0, 11, 0), at(0, 12, 0)),
    ];
    let settled = settle(&events, &settings());
    assert_eq!(
        spans(&settled),
        [
            ("1", Some(at(0, 7, 57)), Some(at(0, 10, 2))),
            ("2", Some(at(0, 10, 2)), Some(at(0, 11, 0))),
            ("3", Some(at(0, 11, 0)), Some(at(0, 12, 10))),
        ]
    );
    assert!(settled.conflicts.is_empty(), "neighbours are no conflict");
}

#[test]
fn the_running_one_holds_until_its_own_end() {
    let events = [
        lecture("1", "PAES", "Amphi_A", at(0, 8, 0), at(0, 10, 0)),
        lecture("2", "PAES", "Amphi_B", at(0, 9, 0), at(0, 11, 0)),
        lecture("3", "PAES", "Amphi_C", at(0, 8, 30), at(0, 9, 30)),
    ];
    let settled = settle(&events, &settings());
    assert_eq!(
        spans(&settled),
        [
            ("1", Some(at(0, 7, 57)), Some(at(0, 10, 0))),
            ("3", None, None),
            ("2", Some(at(0, 10, 0)), Some(at(0, 11, 10))),
        ]
    );
    assert_eq!(kinds(&settled), [ConflictKind::ChannelTwice; 3]);
    assert_eq!(
        settled.conflicts[1].sentence,
        "Mon 23 Nov 2026 09:00–10:00: channel Live_PAES has two events at once: event 1 'UE 1' in Amphi_A is shown, \
         event 2 'UE 2' in Amphi_B is shown from 10:00 on"
    );
    assert!(settled.conflicts[0].sentence.ends_with("event 3 'UE 3' in Amphi_C is not shown"));
}

#[test]
fn a_hall_is_on_two_channels_only_where_that_is_allowed() {
    let events = [
        lecture("1", "PAES", "Amphi_A", at(0, 8, 0), at(0, 10, 0)),
        lecture("2", "L2", "Amphi_A", at(0, 9, 0), at(0, 11, 0)),
    ];
    let settled = settle(&events, &settings());
    assert_eq!(spans(&settled)[1], ("2", Some(at(0, 10, 0)), Some(at(0, 11, 10))));
    assert_eq!(spans(&settled)[0].2, Some(at(0, 10, 0)), "viewers of the one do not see the other");
    assert_eq!(kinds(&settled), [ConflictKind::SourceTwice]);
    assert_eq!(settled.conflicts[0].source.as_deref(), Some("PS-Amphi_A"));

    let mut shared = config();
    shared.schedule.shared_sources = vec!["PS-Amphi_A".to_owned()];
    let settled = settle(&events, &Settings::new(&shared).expect("good"));
    assert_eq!(spans(&settled)[1], ("2", Some(at(0, 8, 57)), Some(at(0, 11, 10))));
    assert_eq!(spans(&settled)[0].2, Some(at(0, 10, 10)));
    assert!(settled.conflicts.is_empty());
}

#[test]
fn who_waits_for_a_channel_does_not_hold_its_hall() {
    let events = [
        lecture("1", "PAES", "Amphi_A", at(0, 8, 0), at(0, 10, 0)),
        lecture("2", "PAES", "Amphi_B", at(0, 9, 0), at(0, 11, 0)),
        lecture("3", "L2", "Amphi_B", at(0, 9, 30), at(0, 10, 30)),
    ];
    let settled = settle(&events, &settings());
    assert_eq!(spans(&settled)[2].1, Some(at(0, 9, 27)));
    assert_eq!(spans(&settled)[1].1, Some(at(0, 10, 30)), "hall B is free then");
}

#[test]
fn what_goes_nowhere_is_said_with_the_day_and_the_hour() {
    let nine = (at(1, 9, 0), at(1, 10, 0));
    let event = |id, series: &str, agent| lecture(id, series, agent, nine.0, nine.1);
    let homeless = CalendarEvent { series: None, series_id: None, ..event("2", "PAES", "Amphi_A") };
    for (event, kind, sentence) in [
        (
            event("1", "m2", "Amphi_A"),
            ConflictKind::NoRule,
            "no rule says where series m2_2026_S1 goes: event 1 'UE 1' in Amphi_A, Tue 24 Nov 2026 09:00–10:00, is not shown",
        ),
        (
            homeless,
            ConflictKind::NoSeries,
            "event 2 'UE 2' in Amphi_A, Tue 24 Nov 2026 09:00–10:00, belongs to no series: it is not shown",
        ),
        (
            event("3", "M1", "Amphi_A"),
            ConflictKind::UnknownChannel,
            "event 3 'UE 3' in Amphi_A, Tue 24 Nov 2026 09:00–10:00, belongs on channel Live_M1, which there is not: it is not shown",
        ),
        (
            event("4", "PAES", "Amphi_Z"),
            ConflictKind::UnknownSource,
            "event 4 'UE 4' in Amphi_Z, Tue 24 Nov 2026 09:00–10:00, needs source PS-Amphi_Z, which there is not: it is not shown",
        ),
        (
            lecture("5", "PAES", "Amphi_A", nine.0, nine.0),
            ConflictKind::NoLength,
            "event 5 'UE 5' on Tue 24 Nov 2026 09:00 ends at its start: it is not shown",
        ),
        (
            lecture("6", "PAES", "Amphi_A", nine.1, nine.0),
            ConflictKind::NoLength,
            "event 6 'UE 6' on Tue 24 Nov 2026 10:00 ends before its start: it is not shown",
        ),
    ] {
        let settled = settle(&[event], &settings());
        assert_eq!(kinds(&settled), [kind]);
        assert_eq!(settled.conflicts[0].sentence, sentence);
        assert_eq!(spans(&settled)[0].1, None);
    }
}

#[test]
fn midnight_new_year_and_the_change_of_the_hour_are_nothing_special() {
    let utc = |text: &str| MediaTime::from(text.parse::<jiff::Timestamp>().expect("a time"));
    for (from, to, sentence) in [
        ("2026-12-31T22:30:00Z", "2027-01-01T00:30:00Z", "Thu 31 Dec 2026 23:30–Fri 01 Jan 2027 01:30"),
        // The night in which 02:00 to 03:00 occurs twice, and the one in which it is skipped.
        ("2026-10-24T23:30:00Z", "2026-10-25T02:30:00Z", "Sun 25 Oct 2026 01:30–03:30"),
        ("2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "Sun 29 Mar 2026 01:30–03:30"),
    ] {
        let events = [
            lecture("1", "PAES", "Amphi_A", utc(from), utc(to)),
            lecture("2", "PAES", "Amphi_B", utc(from), utc(to)),
        ];
        let settled = settle(&events, &settings());
        assert_eq!(spans(&settled)[0], ("1", Some(utc(from) - 3 * MINUTE), Some(utc(to) + 10 * MINUTE)));
        assert!(settled.conflicts[0].sentence.starts_with(sentence), "{}", settled.conflicts[0].sentence);
    }
}

fn some_events() -> impl Strategy<Value = Vec<CalendarEvent>> {
    // Two and a half days around a midnight, in steps of five minutes; some without length, some backwards.
    let one = (0..3_usize, 0..3_usize, 0..700_i64, -4..60_i64);
    proptest::collection::vec(one, 0..14).prop_map(|all| {
        let event = |(n, (series, hall, start, length)): (usize, (usize, usize, i64, i64))| {
            let (series, hall) = (["PAES", "L2", "nowhere"][series], ["Amphi_A", "Amphi_B", "Amphi_C"][hall]);
            let starts = at(-1, 0, start * 5);
            let ends = at(-1, 0, (start + length) * 5);
            lecture(&(100 + n).to_string(), series, hall, starts, ends)
        };
        all.into_iter().enumerate().map(event).collect()
    })
}

/// Rules 1 to 3, applied minute by minute: when each event really begins.
fn begins_minute_by_minute(events: &[CalendarEvent], shared: bool) -> BTreeMap<EventId, MediaTime> {
    let mut order: Vec<&CalendarEvent> = events
        .iter()
        .filter(|event| event.starts < event.ends && event.series_id.as_deref() != Some("nowhere"))
        .collect();
    order.sort_by_key(|event| (event.starts, event.id.clone()));
    let mut begun = BTreeMap::new();
    let mut on: Vec<&CalendarEvent> = Vec::new();
    for minute in (0..5 * 24 * 60).step_by(5) {
        let now = at(-1, 0, minute);
        on.retain(|event| now < event.ends);
        for event in &order {
            let due = event.starts <= now && now < event.ends && !begun.contains_key(&event.id);
            let free = on
                .iter()
                .all(|other| other.series_id != event.series_id && (shared || other.agent != event.agent));
            if due && free {
                begun.insert(event.id.clone(), now);
                on.push(event);
            }
        }
    }
    begun
}

proptest! {
    #[test]
    fn the_rules_hold_for_any_calendar(events in some_events(), lead_in in 0..30_u32, lead_out in 0..60_u32, shared: bool) {
        let mut config = config();
        (config.schedule.lead_in_s, config.schedule.lead_out_s) = (lead_in * 60, lead_out * 60);
        if shared {
            config.schedule.shared_sources = config.sources.iter().map(|source| source.name.clone()).collect();
        }
        let settled = settle(&events, &Settings::new(&config).expect("good"));
        let begins = begins_minute_by_minute(&events, shared);
        let shown: Vec<&PlannedEvent> = settled.events.iter().filter(|event| event.connect_from.is_some()).collect();
        prop_assert_eq!(shown.len(), begins.len());
        prop_assert_eq!(settled.events.len(), events.len());
        let collide = |one: &PlannedEvent, two: &PlannedEvent| {
            one.id != two.id && (one.channel == two.channel || !shared && one.source == two.source)
        };
        for event in &shown {
            let begin = begins[&event.id];
            let others = || shown.iter().filter(|other| collide(event, other));
            let before = others().filter(|other| begins[&other.id] < begin).map(|other| other.ends).max();
            let from = (begin - MINUTE * lead_in).max(before.unwrap_or(MediaTime::from_nanos(i64::MIN)));
            prop_assert_eq!(event.connect_from, Some(from));
            let behind = others().filter(|other| begins[&other.id] >= event.ends).filter_map(|other| other.connect_from).min();
            let until = (event.ends + MINUTE * lead_out).min(behind.unwrap_or(MediaTime::from_nanos(i64::MAX)));
            prop_assert_eq!(event.connect_until, Some(until));
            prop_assert!(from <= begin && event.ends <= until);
        }
        // No channel shows two at once, no hall is on two channels: at any minute.
        for minute in 0..5 * 24 * 60 {
            let now = at(-2, 0, minute);
            let on: Vec<_> = shown.iter().filter(|event| event.is_connected(now)).collect();
            for (index, one) in on.iter().enumerate() {
                prop_assert!(!on.iter().skip(index + 1).any(|two| collide(one, two)));
            }
        }
        // There is a conflict for every event that is cut short or left out.
        for event in &settled.events {
            let full = event.connect_from.is_some_and(|from| from <= event.starts);
            let told = settled.conflicts.iter().any(|conflict| conflict.events.contains(&event.id));
            prop_assert!(full || told, "{:?}", event);
        }
        // The order of events in the calendar does not matter.
        let mut backwards = events;
        backwards.reverse();
        prop_assert_eq!(settle(&backwards, &Settings::new(&config).expect("good")), settled);
    }
}
