//! What the tests of this module share, and tests of the simulation.

use super::simulate::{instant, midnight, simulate};
use super::*;
use crate::agenda::FeedFormat;
use crate::matrix::{ChannelLayout, Layout};
use amphi_config::{self as config, Config};
use amphi_media::{MediaTime, SourceName};

/// Three halls, two channels, in Paris.
pub(super) fn config() -> Config {
    let mut config = Config::default();
    for name in ["Live_PAES", "Live_L2"] {
        config.channels.push(config::Channel { name: name.to_owned(), ..config::Channel::default() });
    }
    for name in ["PS-Amphi_A", "PS-Amphi_B", "PS-Amphi_C"] {
        config.sources.push(config::Source { name: name.to_owned(), ..config::Source::default() });
    }
    config.schedule.url = config::Secret::new("http://127.0.0.1:9/recordings/calendars");
    config.schedule.timezone = "Europe/Paris".to_owned();
    let rule = config::Rule {
        series: r"^([A-Z0-9]+)_\d{4}_S[12]".to_owned(),
        channel: "Live_$1".to_owned(),
        ..config::Rule::default()
    };
    config.schedule.rules = vec![rule];
    config
}

pub(super) fn settings() -> Settings {
    Settings::new(&config()).expect("a good configuration")
}

/// A time of Monday, 23 November 2026, in Paris (UTC+1), or of the days after it.
pub(super) fn at(day: i64, hour: i64, minute: i64) -> MediaTime {
    let monday: jiff::Timestamp = "2026-11-22T23:00:00Z".parse().expect("a time");
    MediaTime::from_millis(monday.as_millisecond() + ((day * 24 + hour) * 60 + minute) * 60_000)
}

/// A lecture of PAES or L2.
pub(super) fn lecture(
    id: &str,
    series: &str,
    agent: &str,
    starts: MediaTime,
    ends: MediaTime,
) -> CalendarEvent {
    CalendarEvent {
        id: id.into(),
        title: format!("UE {id}"),
        series: Some(format!("{series}_2026_S1")),
        series_id: Some(series.to_owned()),
        agent: agent.to_owned(),
        presenters: Vec::new(),
        starts,
        ends,
    }
}

fn layout() -> Layout {
    let channel = |name: &str| ChannelLayout { name: name.into(), ..ChannelLayout::default() };
    let sources = ["PS-Amphi_A", "PS-Amphi_B", "PS-Amphi_C"].map(SourceName::from).to_vec();
    Layout { channels: vec![channel("Live_PAES"), channel("Live_L2")], sources }
}

#[test]
fn a_simulated_day_is_a_table_with_its_conflicts() {
    let events = vec![
        lecture("1042", "PAES", "Amphi_A", at(0, 8, 30), at(0, 10, 30)),
        lecture("1043", "PAES", "Amphi_B", at(0, 10, 0), at(0, 12, 0)),
        lecture("1044", "L2", "Amphi_C", at(0, 23, 0), at(1, 0, 30)),
        lecture("1045", "L2", "Amphi_Z", at(0, 14, 0), at(0, 15, 0)),
        lecture("1046", "L2", "Amphi_C", at(3, 14, 0), at(3, 15, 0)),
    ];
    let reading = Reading { events, notes: Vec::new() };
    let span = (at(0, 0, 0), at(2, 0, 0));
    let simulation = simulate(reading, FeedFormat::Ical, settings(), layout(), span);
    assert!(!simulation.is_good());
    insta::assert_snapshot!(simulation);
    let json = serde_json::to_value(&simulation).expect("JSON");
    assert_eq!(json["steps"][2]["source"], "PS-Amphi_A");
    assert_eq!(json["steps"][2]["at"], "2026-11-23T07:27:00.000Z");
    assert_eq!(json["conflicts"][0]["kind"], "channel_twice");
}

#[test]
fn a_simulation_says_until_when_a_lecture_may_stay() {
    let mut config = config();
    config.channels[0].overrun_max_s = 1800;
    let events = vec![
        lecture("1", "PAES", "Amphi_A", at(0, 8, 30), at(0, 10, 30)),
        lecture("2", "PAES", "Amphi_A", at(0, 11, 0), at(0, 12, 0)),
        lecture("3", "L2", "Amphi_C", at(0, 8, 30), at(0, 10, 30)),
    ];
    let reading = Reading { events, notes: Vec::new() };
    let settings = Settings::new(&config).expect("good");
    let simulation = simulate(reading, FeedFormat::Ical, settings, layout(), (at(0, 8, 0), at(0, 13, 0)));
    let table = simulation.to_string();
    for line in [
        "event 1 'UE 1' 08:30–10:30; until 10:57 at the latest, if somebody still speaks or something moves\n",
        "event 2 'UE 2' 11:00–12:00; until 12:40 at the latest, if somebody still speaks or something moves\n",
        "event 3 'UE 3' 08:30–10:30\n",
    ] {
        assert!(table.contains(line), "{table}");
    }
    let json = serde_json::to_value(&simulation).expect("JSON");
    let may_last: Vec<_> = json["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|it| it["may_last_until"].as_str())
        .collect();
    assert_eq!(may_last, ["2026-11-23T09:57:00.000Z", "2026-11-23T11:40:00.000Z"]);
}

#[test]
fn times_on_the_command_line_are_in_the_sites_zone() {
    let paris = settings().zone;
    for (text, utc) in [
        ("2026-11-23", "2026-11-22T23:00:00.000Z"),
        ("2026-11-23T08:00", "2026-11-23T07:00:00.000Z"),
        ("2026-11-23 08:00", "2026-11-23T07:00:00.000Z"),
        ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00.000Z"),
        ("2026-11-23T08:00:00+02:00", "2026-11-23T06:00:00.000Z"),
    ] {
        assert_eq!(instant(text, &paris).map(|time| time.to_string()), Ok(utc.to_owned()), "{text}");
    }
    for text in ["", "monday", "2026-13-01", "08:00"] {
        assert!(instant(text, &paris).is_err(), "{text}");
    }
    assert_eq!(midnight(at(1, 13, 5), &paris), at(1, 0, 0));
}
