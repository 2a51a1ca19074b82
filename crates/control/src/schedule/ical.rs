//! iCalendar (RFC 5545) as far as lectures need it, read with the `icalendar` crate line by line.
//!
//! Contract: [`parse`] takes a whole text. A text that is not a calendar, or that is cut off, is an error, so that the last
//! good one can be kept; a single event that is wrong is left out with a note, and the others are read. Deviations that are
//! tolerated: lines that are not folded (§3.1), however long (Opencast 2.x); bare LF; a byte order mark; anything in
//! properties that are not used (Opencast's `ORGANIZER` is not quoted as it should be).
//!
//! `DTSTAMP` (§3.8.7.2) is when Opencast wrote the calendar, not when the event was changed: it is not read. Times without a
//! zone (§3.3.5, form 1) are in the site's zone, and so are days: an event of whole days lasts from midnight to midnight.
//! Cancelled events are left out without a note.
//!
//! An event that recurs (§3.8.5) becomes one event for each of its dates within a window, named by its identifier and the
//! date; dates that are cancelled, moved or changed (`EXDATE`, `RECURRENCE-ID`) are not there twice. Opencast itself writes
//! each date as an event of its own.

mod recurrence;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use icalendar::parser::{Property, unfold};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use self::zones::Zones;
use super::dublin;
use super::event::{CalendarEvent, Reading};
use amphi_media::{EventId, MediaTime};

/// The most events of one calendar; further ones are left out, with a note.
const EVENTS: usize = 10_000;
/// The most bytes of an attachment, in base64.
const ATTACHMENT: usize = 1 << 20;
/// The most dates that one event lists.
const DATES: usize = 1000;
/// The most events with a rule in one calendar.
const RULES: usize = 500;
/// Characters that are kept of an event's texts.
const TEXT: usize = 500;
/// The most bytes of an event's identifier.
const UID: usize = 255;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How far ahead dates of recurring events are computed: further than conflicts are reported.
const AHEAD: Duration = Duration::from_secs(60 * 24 * 3600);

/// How far before the window the dates of long recurring events are computed, since they may still run in it.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// The time, from and to, for which dates of recurring events are computed.
pub type Window = (MediaTime, MediaTime);

/// The window for a plan at `now`: from a day ago to 60 days ahead.
pub fn around(now: MediaTime) -> Window {
    (now - DAY, now + AHEAD)
}

/// Reads a calendar. `zone` is the site's. The error says why the text is not a calendar.
pub fn parse(text: &str, zone: &TimeZone, window: Window) -> Result<Reading, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if !starts_with(text, "BEGIN:VCALENDAR") {
        let start: String = text.chars().take(24).filter(|char| !char.is_control()).collect();
        return Err(if start.is_empty() {
            "it is empty".to_owned()
        } else {
            format!("it begins with {start:?}")
        });
    }
    let last = text.lines().next_back().unwrap_or_default();
    if !last.trim().eq_ignore_ascii_case("END:VCALENDAR") {
        return Err("it breaks off before END:VCALENDAR".to_owned());
    }
    let written = text;
    let text = unfold(written);
    let mut reading = Reading::default();
    let mut zones = Zones::default();
    let mut drafts = Vec::new();
    let mut open: Option<EventDraft> = None;
    let mut in_zone = false;
    let mut depth = 0_usize;
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        if is(line, "BEGIN:VEVENT") {
            if open.take().is_some() {
                reading.note("an event without an end is left out".to_owned());
            }
            (open, depth) = (Some(EventDraft::default()), 0);
        } else if let Some(draft) = open.as_mut() {
            if is(line, "END:VEVENT") {
                if drafts.len() < EVENTS {
                    drafts.push(std::mem::take(draft));
                } else {
                    reading.note(format!("more than {EVENTS} events"));
                }
                open = None;
            } else if starts_with(line, "BEGIN:") {
                // A VALARM within an event (§3.6.6) has properties of the same names.
                depth += 1;
            } else if starts_with(line, "END:") {
                depth = depth.saturating_sub(1);
            } else if depth == 0 {
                draft.take(line);
            }
        } else if is(line, "BEGIN:VTIMEZONE") || is(line, "END:VTIMEZONE") {
            in_zone = is(line, "BEGIN:VTIMEZONE");
        } else if in_zone {
            zones.take(line);
        }
    }
    if open.is_some() {
        let begins = written.lines().enumerate().filter(|(_, line)| is(line, "BEGIN:VEVENT")).last();
        let line = begins.map_or(1, |(index, _)| index + 1);
        return Err(format!("an event breaks off before END:VEVENT: it begins in line {line}"));
    }
    EventReader { site: zone, zones, window, rules: 0, changed: BTreeMap::new() }.read(drafts, &mut reading);
    Ok(reading)
}

/// Makes events from drafts.
struct EventReader<'a> {
    site: &'a TimeZone,
    zones: Zones,
    window: Window,
    /// Rules expanded so far.
    rules: usize,
    /// By identifier, the dates of recurring events that have a draft of their own (`RECURRENCE-ID`, §3.8.4.4).
    changed: BTreeMap<String, BTreeSet<MediaTime>>,
}

impl EventReader<'_> {
    fn read(mut self, drafts: Vec<EventDraft>, reading: &mut Reading) {
        for draft in &drafts {
            let date = draft.recurrence.as_ref().and_then(|date| self.instant(date).ok());
            if let Some(date) = date {
                self.changed.entry(draft.uid.clone()).or_default().insert(date);
            }
        }
        for draft in drafts {
            let name = draft.name();
            match self.events(draft) {
                Ok(events) => {
                    let room = EVENTS.saturating_sub(reading.events.len());
                    if events.len() > room {
                        reading.note(format!("more than {EVENTS} events"));
                    }
                    reading.events.extend(events.into_iter().take(room));
                }
                Err(why) => reading.note(format!("{name} is left out: {why}")),
            }
        }
    }

    /// The events of a draft: none if it is cancelled, several if it recurs. The error says what is wrong with it.
    fn events(&mut self, draft: EventDraft) -> Result<Vec<CalendarEvent>, String> {
        if draft.cancelled {
            return Ok(Vec::new());
        }
        if draft.uid.is_empty() {
            return Err("it has no UID".to_owned());
        }
        // If it were cut, two events could have the same.
        if draft.uid.len() > UID {
            return Err(format!("its UID is longer than {UID} bytes"));
        }
        let begin = draft.starts.as_ref().ok_or("it has no start")?;
        let starts = self.instant(begin)?;
        let ends = match (&draft.ends, &draft.duration) {
            (Some(ends), _) => self.instant(ends)?,
            (None, Some(duration)) => after(starts, duration)?,
            // §3.6.1: a date without an end lasts one day, which may have 23 or 25 hours.
            (None, None) if begin.is_a_day() => {
                let (day, zone) = self.local(begin)?;
                let next = day.checked_add(Span::new().days(1));
                instant(next.map_err(|_| "it is out of range".to_owned())?, &zone)?
            }
            (None, None) => return Err("it has no end".to_owned()),
        };
        if let Some(date) = &draft.recurrence {
            let id = dated(&draft.uid, self.instant(date)?);
            return Ok(vec![draft.event(id, starts, ends)]);
        }
        if draft.rule.is_none() && draft.dates.is_empty() {
            let id = draft.uid.as_str().into();
            return Ok(vec![draft.event(id, starts, ends)]);
        }
        let length = ends.nanos_since(starts);
        let dates = self.dates(&draft, length)?;
        let uid = draft.uid.clone();
        let model = draft.event(uid.as_str().into(), starts, ends);
        let event = |date: MediaTime| CalendarEvent {
            id: dated(&uid, date),
            starts: date,
            ends: date.offset_nanos(length),
            ..model.clone()
        };
        Ok(dates.into_iter().map(event).collect())
    }

    /// The starts, within the window, of a draft that recurs and lasts `length` nanoseconds each time.
    fn dates(&mut self, draft: &EventDraft, length: i64) -> Result<BTreeSet<MediaTime>, String> {
        let begin = draft.starts.as_ref().ok_or("it has no start")?;
        let (local, zone) = self.local(begin)?;
        let (from, to) = self.window;
        let from = from - Duration::from_nanos(u64::try_from(length).unwrap_or(0)).min(LONGEST);
        let mut dates = BTreeSet::from([instant(local, &zone)?]);
        if let Some(rule) = &draft.rule {
            self.rules += 1;
            if self.rules > RULES {
                return Err(format!("more than {RULES} events recur"));
            }
            let civil = |time: MediaTime| time.timestamp().to_zoned(zone.clone()).datetime();
            let found = recurrence::dates(rule, local, &zone, (civil(from), civil(to)))?;
            // Where the event's start does not match its rule, the first date is the rule's.
            dates.clear();
            for date in found {
                dates.insert(instant(date, &zone)?);
            }
        }
        for date in &draft.dates {
            dates.insert(self.instant(date)?);
        }
        for date in &draft.without {
            dates.remove(&self.instant(date)?);
        }
        let changed = self.changed.get(&draft.uid);
        dates.retain(|date| {
            from <= *date && *date < to && !changed.is_some_and(|changed| changed.contains(date))
        });
        Ok(dates)
    }

    fn instant(&self, time: &Time) -> Result<MediaTime, String> {
        let (local, zone) = self.local(time)?;
        instant(local, &zone)
    }

    /// A time as it is written, and its time zone (§3.3.5).
    fn local(&self, time: &Time) -> Result<(DateTime, TimeZone), String> {
        let Time { text, zone } = time;
        let (local, utc) = match text.strip_suffix(['Z', 'z']) {
            Some(text) => (text, true),
            None => (text.as_str(), false),
        };
        let whole = if time.is_a_day() { format!("{local}T000000") } else { local.to_owned() };
        let civil = DateTime::strptime("%Y%m%dT%H%M%S", whole).map_err(|_| format!("{text:?} is no time"))?;
        let zone = match zone {
            _ if utc => TimeZone::UTC,
            // Opencast writes UTC; other programs name their zones.
            Some(name) => {
                self.zones.find(name).ok_or_else(|| format!("its time zone {name:?} is not known here"))?
            }
            None => self.site.clone(),
        };
        Ok((civil, zone))
    }
}

/// The instant of a local time. One that summer time skips is read an hour later; one that occurs twice is the first (§3.3.5).
fn instant(local: DateTime, zone: &TimeZone) -> Result<MediaTime, String> {
    let zoned = zone.to_ambiguous_zoned(local).compatible();
    zoned.map(|zoned| zoned.timestamp().into()).map_err(|_| format!("{local} is out of range"))
}

/// The identifier of one date of a recurring event.
fn dated(uid: &str, date: MediaTime) -> EventId {
    format!("{uid}/{}", date.timestamp().strftime("%Y%m%dT%H%M%SZ")).into()
}

fn is(line: &str, wanted: &str) -> bool {
    line.trim_end().eq_ignore_ascii_case(wanted)
}

fn starts_with(line: &str, wanted: &str) -> bool {
    line.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
}

/// The properties of a VEVENT that are used (§3.6.1).
#[derive(Debug, Default)]
struct EventDraft {
    uid: String,
    title: String,
    location: String,
    related: String,
    organizer: Option<String>,
    starts: Option<Time>,
    ends: Option<Time>,
    duration: Option<String>,
    /// `RECURRENCE-ID`: the date of a recurring event that it replaces.
    recurrence: Option<Time>,
    rule: Option<String>,
    /// `RDATE`: further dates.
    dates: Vec<Time>,
    /// `EXDATE`: dates that do not take place.
    without: Vec<Time>,
    cancelled: bool,
    episode: Option<String>,
    series: Option<String>,
    properties: Option<String>,
}

/// A DATE-TIME or DATE as it is written, and its `TZID`.
#[derive(Debug)]
struct Time {
    text: String,
    zone: Option<String>,
}

/// Cuts a text: a recurring event repeats its texts for each date.
fn clipped(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

impl EventDraft {
    /// Takes a line if its property is used. A line that cannot be parsed is ignored.
    fn take(&mut self, line: &str) {
        let end = line.find([':', ';']).unwrap_or(line.len());
        let name = line.get(..end).unwrap_or_default().to_ascii_uppercase();
        if !WANTED.contains(&name.as_str()) {
            return;
        }
        let Ok(property) = Property::try_from(line) else { return };
        let value = || property.val.as_str().trim().to_owned();
        match name.as_str() {
            "UID" => self.uid = value(),
            "SUMMARY" => self.title = clipped(&value()),
            "LOCATION" => self.location = clipped(&value()),
            "RELATED-TO" => self.related = clipped(&value()),
            "ORGANIZER" => self.organizer = parameter(&property, "CN").map(|name| clipped(&name)),
            "DTSTART" => self.starts = Some(Time { text: value(), zone: parameter(&property, "TZID") }),
            "DTEND" => self.ends = Some(Time { text: value(), zone: parameter(&property, "TZID") }),
            "DURATION" => self.duration = Some(value()),
            "RECURRENCE-ID" => {
                self.recurrence = Some(Time { text: value(), zone: parameter(&property, "TZID") });
            }
            "RRULE" => self.rule = Some(value()),
            "RDATE" => self.dates.extend(times(&property, DATES.saturating_sub(self.dates.len()))),
            "EXDATE" => self.without.extend(times(&property, DATES.saturating_sub(self.without.len()))),
            "STATUS" => self.cancelled = property.val.as_str().trim().eq_ignore_ascii_case("CANCELLED"),
            "ATTACH" => self.attach(&property),
            _ => {}
        }
    }

    fn attach(&mut self, property: &Property<'_>) {
        let place = match parameter(property, "X-APPLE-FILENAME").as_deref() {
            Some("episode.xml") => &mut self.episode,
            Some("series.xml") => &mut self.series,
            Some("org.opencastproject.capture.agent.properties") => &mut self.properties,
            _ => return,
        };
        let coded = property.val.as_str().trim();
        if coded.len() <= ATTACHMENT {
            let bytes = STANDARD.decode(coded).ok();
            *place = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        }
    }

    /// How notes refer to it.
    fn name(&self) -> String {
        match (clipped(&self.uid).as_str(), self.title.as_str()) {
            ("", "") => "an event without a name".to_owned(),
            ("", title) => format!("an event '{title}'"),
            (uid, title) => format!("event {uid} '{title}'"),
        }
    }

    fn event(self, id: EventId, starts: MediaTime, ends: MediaTime) -> CalendarEvent {
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
    }
}

/// The properties that [`EventDraft::take`] reads.
const WANTED: [&str; 14] = [
    "UID",
    "SUMMARY",
    "LOCATION",
    "RELATED-TO",
    "ORGANIZER",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RECURRENCE-ID",
    "RRULE",
    "RDATE",
    "EXDATE",
    "STATUS",
    "ATTACH",
];

fn parameter(property: &Property<'_>, key: &str) -> Option<String> {
    let found = property.params.iter().find(|parameter| parameter.key.as_str().eq_ignore_ascii_case(key))?;
    let value = found.val.as_ref()?.as_str().trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

impl Time {
    /// Whether it is a date without a time of day (§3.3.4).
    fn is_a_day(&self) -> bool {
        self.text.len() == 8 && self.text.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// A list of times (§3.8.5); of a period (§3.3.9) its start.
fn times(property: &Property<'_>, room: usize) -> Vec<Time> {
    let zone = parameter(property, "TZID");
    let starts =
        property.val.as_str().split(',').map(|text| text.split('/').next().unwrap_or_default().trim());
    let starts = starts.filter(|text| !text.is_empty()).take(room);
    starts.map(|text| Time { text: text.to_owned(), zone: zone.clone() }).collect()
}

/// The end by `DURATION` (§3.3.6). A nominal day counts as 24 hours.
fn after(starts: MediaTime, duration: &str) -> Result<MediaTime, String> {
    let wrong = || format!("{duration:?} is no duration");
    let span: Span = duration.parse().map_err(|_| wrong())?;
    let start: Timestamp = starts.timestamp();
    let hours =
        i64::from(span.get_weeks()) * 168 + i64::from(span.get_days()) * 24 + i64::from(span.get_hours());
    let seconds = hours * 3600 + span.get_minutes() * 60 + span.get_seconds();
    start.checked_add(jiff::SignedDuration::from_secs(seconds)).map(MediaTime::from).map_err(|_| wrong())
}

/// A value of a Java properties file: `key=value`. Escapes (`\uXXXX`) are not decoded, since Opencast writes none.
fn java_property(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(['=', ':']))?;
    Some(line.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
