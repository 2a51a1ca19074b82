//! iCalendar (RFC 5545) as far as lectures need it, read with the `icalendar` crate line by line.
//!
//! Contract: [`parse`] takes a whole text. A text that is no calendar, or that breaks off, is an error, so that the last
//! good one can be kept; a single event that is wrong is left out with a note, and the others stand. Deviations that are
//! tolerated: lines that are not folded, however long (Opencast 2.x); bare LF; a byte order mark; whatever stands in
//! properties that are not asked for (Opencast's `ORGANIZER` is not quoted as it should be).
//!
//! `DTSTAMP` is when Opencast wrote the calendar, not when the event was changed: it is not read. Times without a zone
//! (§3.3.5, form 1) are in the site's zone. Cancelled events are left out without a word. An event that recurs is taken at
//! its first date alone, with a note: Opencast writes each date as an event of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use icalendar::parser::{Property, unfold};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::dublin;
use super::event::{Event, Reading};
use crate::media::MediaTime;

/// Events of one calendar; what is behind them is left out, with a note.
const EVENTS: usize = 10_000;
/// Bytes of an attachment that is read.
const ATTACHMENT: usize = 1 << 20;

/// Reads a calendar. The error says why it is none.
pub fn parse(text: &str, zone: &TimeZone) -> Result<Reading, String> {
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
    let text = unfold(text);
    let mut reading = Reading::default();
    let mut open: Option<Draft> = None;
    let mut depth = 0_usize;
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        if is(line, "BEGIN:VEVENT") {
            if open.take().is_some() {
                reading.note("an event without an end is left out".to_owned());
            }
            (open, depth) = (Some(Draft::default()), 0);
        } else if let Some(draft) = open.as_mut() {
            if is(line, "END:VEVENT") {
                finish(std::mem::take(draft), zone, &mut reading);
                open = None;
            } else if starts_with(line, "BEGIN:") {
                // Alarms within an event have properties of the same names.
                depth += 1;
            } else if starts_with(line, "END:") {
                depth = depth.saturating_sub(1);
            } else if depth == 0 {
                draft.take(line);
            }
        }
    }
    if open.is_some() {
        return Err("an event breaks off before END:VEVENT".to_owned());
    }
    Ok(reading)
}

fn is(line: &str, wanted: &str) -> bool {
    line.trim_end().eq_ignore_ascii_case(wanted)
}

fn starts_with(line: &str, wanted: &str) -> bool {
    line.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
}

fn finish(draft: Draft, zone: &TimeZone, reading: &mut Reading) {
    let name = draft.name();
    match draft.event(zone, reading) {
        Ok(Some(_)) if reading.events.len() >= EVENTS => reading.note(format!("more than {EVENTS} events")),
        Ok(Some(event)) => reading.events.push(event),
        Ok(None) => {}
        Err(why) => reading.note(format!("{name} is left out: {why}")),
    }
}

/// The lines of an event that count.
#[derive(Debug, Default)]
struct Draft {
    uid: String,
    title: String,
    location: String,
    related: String,
    organizer: Option<String>,
    starts: Option<Time>,
    ends: Option<Time>,
    duration: Option<String>,
    recurrence: Option<String>,
    recurs: bool,
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

impl Draft {
    /// Takes a line if it is one that counts; what cannot be read counts as not written.
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
            "SUMMARY" => self.title = value(),
            "LOCATION" => self.location = value(),
            "RELATED-TO" => self.related = value(),
            "ORGANIZER" => self.organizer = parameter(&property, "CN"),
            "DTSTART" => self.starts = Some(Time { text: value(), zone: parameter(&property, "TZID") }),
            "DTEND" => self.ends = Some(Time { text: value(), zone: parameter(&property, "TZID") }),
            "DURATION" => self.duration = Some(value()),
            "RECURRENCE-ID" => self.recurrence = Some(value()),
            "RRULE" | "RDATE" => self.recurs = true,
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

    /// How notes call it.
    fn name(&self) -> String {
        match (self.uid.as_str(), self.title.as_str()) {
            ("", "") => "an event without a name".to_owned(),
            ("", title) => format!("an event '{title}'"),
            (uid, title) => format!("event {uid} '{title}'"),
        }
    }

    /// The event; `None` if it was cancelled. The error says what is wrong with it.
    fn event(self, zone: &TimeZone, reading: &mut Reading) -> Result<Option<Event>, String> {
        if self.cancelled {
            return Ok(None);
        }
        if self.uid.is_empty() {
            return Err("it has no UID".to_owned());
        }
        let starts = self.starts.as_ref().ok_or("it has no start")?.resolve(zone)?;
        let ends = match (&self.ends, &self.duration) {
            (Some(ends), _) => ends.resolve(zone)?,
            (None, Some(duration)) => after(starts, duration)?,
            (None, None) => return Err("it has no end".to_owned()),
        };
        if self.recurs {
            reading.note(format!("{} recurs: only its first date is taken", self.name()));
        }
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
        let id = match self.recurrence {
            Some(date) => format!("{}/{date}", self.uid),
            None => self.uid,
        };
        let (title, agent) = (title.unwrap_or_default(), agent.unwrap_or_default());
        Ok(Some(Event { id, title, series: series.title, series_id, agent, presenters, starts, ends }))
    }
}

/// The properties that [`Draft::take`] reads.
const WANTED: [&str; 13] = [
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
    "STATUS",
    "ATTACH",
];

fn parameter(property: &Property<'_>, key: &str) -> Option<String> {
    let found = property.params.iter().find(|parameter| parameter.key.as_str().eq_ignore_ascii_case(key))?;
    let value = found.val.as_ref()?.as_str().trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

impl Time {
    fn resolve(&self, site: &TimeZone) -> Result<MediaTime, String> {
        let Self { text, zone } = self;
        if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("it has a date but no time of day".to_owned());
        }
        let (local, utc) = match text.strip_suffix(['Z', 'z']) {
            Some(text) => (text, true),
            None => (text.as_str(), false),
        };
        let civil = DateTime::strptime("%Y%m%dT%H%M%S", local).map_err(|_| format!("{text:?} is no time"))?;
        let zone = match zone {
            _ if utc => TimeZone::UTC,
            // Opencast writes UTC; other producers name their zones.
            Some(name) => {
                TimeZone::get(name).map_err(|_| format!("its time zone {name:?} is not known here"))?
            }
            None => site.clone(),
        };
        // An hour that the change to summer time leaves out is read an hour later, one that there is twice is the first
        // (§3.3.5).
        let zoned = zone.to_ambiguous_zoned(civil).compatible();
        zoned.map(|zoned| zoned.timestamp().into()).map_err(|_| format!("{text:?} is out of range"))
    }
}

/// `DURATION` (§3.3.6): a nominal day has 24 hours here, because an end is asked for.
fn after(starts: MediaTime, duration: &str) -> Result<MediaTime, String> {
    let wrong = || format!("{duration:?} is no duration");
    let span: Span = duration.parse().map_err(|_| wrong())?;
    let start: Timestamp = starts.timestamp();
    let hours =
        i64::from(span.get_weeks()) * 168 + i64::from(span.get_days()) * 24 + i64::from(span.get_hours());
    let seconds = hours * 3600 + span.get_minutes() * 60 + span.get_seconds();
    start.checked_add(jiff::SignedDuration::from_secs(seconds)).map(MediaTime::from).map_err(|_| wrong())
}

/// A value of a Java properties file: `key=value`, Latin-1 beyond ASCII as `\uXXXX`, which Opencast does not write.
fn java_property(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(['=', ':']))?;
    Some(line.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
