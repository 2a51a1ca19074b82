//! The properties of a `VEVENT` that are used (RFC 5545 §3.6.1), as they are written.
//!
//! Properties are read with the `icalendar` crate, except those that have times: it ends a parameter that is not quoted at
//! its first colon, and many writers do not quote `TZID=(UTC+01:00) Paris`. A time has no colon, so the last one is meant.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use icalendar::parser::Property;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::dublin;
use super::super::event::{CalendarEvent, clipped};
use super::lines::ContentLine;
use amphi_media::charset::{self, WINDOWS_1252};
use amphi_media::{EventId, MediaTime};

/// The most bytes of an attachment, in base64.
const ATTACHMENT: usize = 1 << 20;
/// The most dates that one event lists.
const DATES: usize = 1000;
/// The most rules of one event.
const RULES: usize = 10;
/// The most bytes of a `TZID`; of a longer one the beginning is kept.
const ZONE: usize = 255;

/// A `VEVENT` as it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct EventDraft {
    /// The line in which it begins.
    pub(super) line: usize,
    pub(super) uid: String,
    pub(super) title: String,
    location: String,
    related: String,
    organizer: Option<String>,
    pub(super) starts: Option<Time>,
    pub(super) ends: Option<Time>,
    pub(super) duration: Option<String>,
    /// `RECURRENCE-ID`: the date of a recurring event that it replaces.
    pub(super) recurrence: Option<Time>,
    /// `RANGE=THISANDFUTURE` (§3.2.13): and all dates after it.
    pub(super) is_range: bool,
    pub(super) rules: Vec<RuleLine>,
    /// `EXRULE` of RFC 2445, which old calendars have: a rule for dates that do not take place.
    pub(super) without_rules: Vec<RuleLine>,
    /// `RDATE`: further dates.
    pub(super) dates: Vec<FurtherDate>,
    /// `EXDATE`: dates that do not take place.
    pub(super) without: Vec<Time>,
    /// Properties of which it has more than are read, and the line where that begins.
    pub(super) left_out: BTreeMap<&'static str, usize>,
    pub(super) is_cancelled: bool,
    /// Whether it is cancelled by its calendar's `METHOD` (RFC 5546 §3.2.5).
    is_withdrawn: bool,
    sequence: u64,
    stamp: Option<Timestamp>,
    modified: Option<Timestamp>,
    episode: Option<String>,
    series: Option<String>,
    properties: Option<String>,
}

/// A DATE-TIME or DATE as it is written, and its `TZID`.
#[derive(Clone, Debug)]
pub(super) struct Time {
    pub(super) line: usize,
    pub(super) text: String,
    /// One for all dates of a line, which may be many.
    pub(super) zone: Option<Arc<str>>,
}

/// A rule as it is written.
#[derive(Clone, Debug)]
pub(super) struct RuleLine {
    pub(super) line: usize,
    pub(super) text: String,
}

/// A date of `RDATE`: of a period (§3.3.9) with its own end.
#[derive(Clone, Debug)]
pub(super) struct FurtherDate {
    pub(super) starts: Time,
    /// The end of a period, or its duration.
    pub(super) period: Option<String>,
}

impl Time {
    /// Whether it is a date without a time of day (§3.3.4).
    pub(super) fn is_a_day(&self) -> bool {
        self.text.len() == 8 && self.text.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Whether it says neither a zone nor UTC (§3.3.5, form 1).
    pub(super) fn is_floating(&self) -> bool {
        self.zone.is_none() && !self.text.ends_with(['Z', 'z'])
    }

    /// What is written, without its zone, and whether it is UTC.
    pub(super) fn civil(&self) -> Result<(DateTime, bool), String> {
        let Self { text, .. } = self;
        let (local, utc) = match text.strip_suffix(['Z', 'z']) {
            Some(text) => (text, true),
            None => (text.as_str(), false),
        };
        let whole = if self.is_a_day() { format!("{local}T000000") } else { local.to_owned() };
        let civil = DateTime::strptime("%Y%m%dT%H%M%S", whole).map_err(|_| format!("{text:?} is no time"))?;
        Ok((civil, utc))
    }
}

impl EventDraft {
    /// A draft that begins in `line`.
    pub(super) fn new(line: usize) -> Self {
        Self { line, ..Self::default() }
    }

    /// Takes a line if its property is used. A line that cannot be parsed is ignored.
    pub(super) fn take(&mut self, line: &ContentLine<'_>) {
        let text = line.text.trim_start();
        let end = text.find([':', ';']).unwrap_or(text.len());
        let name = text.get(..end).unwrap_or_default().trim_end().to_ascii_uppercase();
        if TIMES.contains(&name.as_str()) {
            self.take_times(&name, text, line.number);
        } else if WANTED.contains(&name.as_str())
            && let Ok(property) = Property::try_from(text)
        {
            self.take_property(&name, &property, line.number);
        }
    }

    fn take_times(&mut self, name: &str, text: &str, line: usize) {
        let Some((head, value)) = text.rsplit_once(':') else { return };
        let zone: Option<Arc<str>> = parameter(head, "TZID").map(|name| bounded(name).into());
        let time = |text: &str| Time { line, text: text.trim().to_owned(), zone: zone.clone() };
        let listed = || value.split(',').map(str::trim).filter(|text| !text.is_empty());
        match name {
            "DTSTART" => self.starts = Some(time(value)),
            "DTEND" => self.ends = Some(time(value)),
            "RECURRENCE-ID" => {
                self.recurrence = Some(time(value));
                self.is_range =
                    parameter(head, "RANGE").is_some_and(|range| range.eq_ignore_ascii_case("THISANDFUTURE"));
            }
            "EXDATE" => {
                let room = DATES.saturating_sub(self.without.len());
                self.without.extend(listed().take(room).map(time));
                self.leave_out("EXDATE", listed().nth(room).is_some(), line);
            }
            "RDATE" => {
                let room = DATES.saturating_sub(self.dates.len());
                self.dates.extend(listed().take(room).map(|text| {
                    let (starts, period) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
                    FurtherDate { starts: time(starts), period: period.map(|end| end.trim().to_owned()) }
                }));
                self.leave_out("RDATE", listed().nth(room).is_some(), line);
            }
            _ => {}
        }
    }

    fn leave_out(&mut self, property: &'static str, are_more: bool, line: usize) {
        if are_more {
            self.left_out.entry(property).or_insert(line);
        }
    }

    fn take_property(&mut self, name: &str, property: &Property<'_>, line: usize) {
        let value = || property.val.as_str().trim().to_owned();
        let rule = || RuleLine { line, text: value() };
        match name {
            "UID" => self.uid = value(),
            "SUMMARY" => self.title = clipped(&value()),
            "LOCATION" => self.location = clipped(&value()),
            "RELATED-TO" => self.related = clipped(&value()),
            "ORGANIZER" => self.organizer = of_property(property, "CN").map(clipped),
            "DURATION" => self.duration = Some(value()),
            "RRULE" if self.rules.len() < RULES => self.rules.push(rule()),
            "EXRULE" if self.without_rules.len() < RULES => self.without_rules.push(rule()),
            "RRULE" => self.leave_out("RRULE", true, line),
            "EXRULE" => self.leave_out("EXRULE", true, line),
            "STATUS" => self.is_cancelled = value().eq_ignore_ascii_case("CANCELLED"),
            "SEQUENCE" => self.sequence = value().parse().unwrap_or(0),
            "DTSTAMP" => self.stamp = stamp(&value()),
            "LAST-MODIFIED" => self.modified = stamp(&value()),
            "ATTACH" => self.attach(property),
            _ => {}
        }
    }

    /// How many dates it lists.
    pub(super) fn listed(&self) -> usize {
        self.without.len() + self.dates.len()
    }

    /// Keeps at most so many of its listed dates.
    pub(super) fn keep_dates(&mut self, most: usize) {
        self.without.truncate(most);
        self.dates.truncate(most - self.without.len());
    }

    /// Its calendar takes it back (`METHOD:CANCEL`).
    pub(super) fn withdraw(&mut self) {
        (self.is_cancelled, self.is_withdrawn) = (true, true);
    }

    /// Its calendar adds it as a date of a series (`METHOD:ADD`, RFC 5546 §3.2.4).
    pub(super) fn add_to_series(&mut self) {
        self.recurrence = self.recurrence.take().or_else(|| self.starts.clone());
    }

    fn attach(&mut self, property: &Property<'_>) {
        let place = match of_property(property, "X-APPLE-FILENAME") {
            Some("episode.xml") => &mut self.episode,
            Some("series.xml") => &mut self.series,
            Some("org.opencastproject.capture.agent.properties") => &mut self.properties,
            _ => return,
        };
        let coded = property.val.as_str().trim();
        if coded.len() <= ATTACHMENT {
            let bytes = STANDARD.decode(coded).ok();
            *place = bytes.map(|bytes| charset::decode_xml(&bytes, WINDOWS_1252).into_owned());
        }
    }

    /// Which of two versions of an event is the later (§3.8.7.4; RFC 5546 §2.1.5): the one with the greater value.
    pub(super) fn version(&self) -> impl Ord + use<> {
        (self.sequence, self.stamp, self.modified, self.is_withdrawn)
    }

    /// How notes refer to it.
    pub(super) fn name(&self) -> String {
        match (clipped(&self.uid).as_str(), self.title.as_str()) {
            ("", "") => "an event without a name".to_owned(),
            ("", title) => format!("an event '{title}'"),
            (uid, title) => format!("event {uid} '{title}'"),
        }
    }

    pub(super) fn event(self, id: EventId, starts: MediaTime, ends: MediaTime) -> CalendarEvent {
        let episode = self.episode.as_deref().and_then(dublin::read).unwrap_or_default();
        let series = self.series.as_deref().and_then(dublin::read).unwrap_or_default();
        let of_properties = |key| self.properties.as_deref().and_then(|text| java_property(text, key));
        let given = Some(self.related.clone()).filter(|related| !related.is_empty());
        let series_id = given
            .or(series.identifier)
            .or(episode.is_part_of)
            .or_else(|| of_properties("event.series"))
            .filter(|id| !id.is_empty());
        let first = |texts: [Option<String>; 3]| texts.into_iter().flatten().find(|text| !text.is_empty());
        let title = first([Some(self.title.clone()), episode.title, of_properties("event.title")]);
        let agent = first([Some(self.location.clone()), of_properties("event.location"), None]);
        let presenters = match (episode.creators, self.organizer) {
            (creators, Some(organizer)) if creators.is_empty() => vec![organizer],
            (creators, _) => creators,
        };
        let (title, agent) = (title.unwrap_or_default(), agent.unwrap_or_default());
        CalendarEvent { id, title, series: series.title, series_id, agent, presenters, starts, ends }
            .clipped()
    }
}

/// Properties whose values are times.
const TIMES: [&str; 5] = ["DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE"];

/// The other properties that [`EventDraft::take`] reads.
const WANTED: [&str; 13] = [
    "UID",
    "SUMMARY",
    "LOCATION",
    "RELATED-TO",
    "ORGANIZER",
    "DURATION",
    "RRULE",
    "EXRULE",
    "STATUS",
    "SEQUENCE",
    "DTSTAMP",
    "LAST-MODIFIED",
    "ATTACH",
];

fn of_property<'a>(property: &'a Property<'_>, key: &str) -> Option<&'a str> {
    let found = property.params.iter().find(|parameter| parameter.key.as_str().eq_ignore_ascii_case(key))?;
    let value = found.val.as_ref()?.as_str().trim().trim_matches('"');
    (!value.is_empty()).then_some(value)
}

/// A parameter in what stands before the value (§3.2), quoted or not.
fn parameter<'a>(head: &'a str, key: &str) -> Option<&'a str> {
    let mut is_quoted = false;
    let mut parameters = head.split(|char| {
        is_quoted ^= char == '"';
        char == ';' && !is_quoted
    });
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case(key).then(|| value.trim().trim_matches('"').trim())
    });
    value.filter(|value| !value.is_empty())
}

/// The name of a zone without what is too much of it; where it was cut there is a sign, so that it is not another's name.
fn bounded(name: &str) -> Cow<'_, str> {
    if name.len() <= ZONE {
        return name.into();
    }
    let kept = (0..=ZONE - '…'.len_utf8()).rev().find_map(|end| name.get(..end));
    format!("{}…", kept.unwrap_or_default()).into()
}

/// When something was written or changed (§3.8.7): in UTC, also where the `Z` is missing.
fn stamp(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime("%Y%m%dT%H%M%S", text.trim_end_matches(['Z', 'z'])).ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

/// A value of a Java properties file: `key=value`. Escapes (`\uXXXX`) are not decoded, since Opencast writes none.
fn java_property(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(['=', ':']))?;
    Some(line.trim().to_owned()).filter(|value| !value.is_empty())
}
