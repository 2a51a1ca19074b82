//! iCalendar (RFC 5545) as far as lectures need it, read line by line with the `icalendar`, `rrule` and `jiff` crates. Where a
//! crate is not right for what calendars are, the file that does its work says so: `lines` (octets are unfolded before they
//! are decoded), `draft` (properties of a `VEVENT`), `zones` and `observances` (`VTIMEZONE`), `recurrence`, `series`.
//!
//! Contract: [`parse`] takes a whole file. One that is not a calendar, or that is cut off, is an error, so that the last
//! good one can be kept; a single event that is wrong is left out with a note (identifier, title, line), and the others are
//! read. Deviations that are tolerated: lines that are not folded (§3.1), however long (Opencast 2.x); bare LF; a byte order
//! mark; encodings other than UTF-8; anything in properties that are not used (Opencast's `ORGANIZER` is not quoted as it
//! should be); several `VCALENDAR`s.
//!
//! Several drafts of one event (`UID`) are versions of it: `SEQUENCE`, then `DTSTAMP`, then `LAST-MODIFIED` decide. Opencast
//! writes the time of the file into every `DTSTAMP` (§3.8.7.2); it is not kept with an event, so that unchanged ones compare
//! equal. Times without a zone (§3.3.5, form 1) are in the site's zone, and so are days: an event of whole days lasts from
//! midnight to midnight. Cancelled events are left out without a note, whether by `STATUS` or by `METHOD:CANCEL` (RFC 5546
//! §3.2.5); what only answers or proposes (`REPLY`, `REFRESH`, `COUNTER`, `DECLINECOUNTER`) changes nothing, with a note.
//!
//! An event that recurs (§3.8.5) becomes one event for each of its dates within a window, named by its identifier and the
//! date, also where that date is moved (`RECURRENCE-ID`); dates that do not take place (`EXDATE`) are not there. Opencast
//! itself writes each date as an event of its own.

mod draft;
mod extent;
mod lines;
mod observances;
mod recurrence;
mod series;
mod windows;
mod zones;

use std::time::Duration;

use jiff::tz::TimeZone;

use self::draft::EventDraft;
use self::lines::{ContentLine, ContentLines};
use self::observances::ZoneDraft;
use self::series::EventReader;
use self::zones::Zones;
use super::event::Reading;
use amphi_media::MediaTime;

/// The most events of one calendar; further ones are left out, with a note.
const EVENTS: usize = 10_000;
/// The most dates that the events of one calendar list (`EXDATE`, `RDATE`).
const DATES: usize = 100_000;
/// The most rules (`RRULE`, `EXRULE`) of the events of one calendar.
const RULES: usize = 500;
/// The most bytes of an event's identifier.
const UID: usize = 255;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How far ahead dates of recurring events are computed: further than conflicts are reported.
const AHEAD: Duration = Duration::from_secs(60 * 24 * 3600);

/// The time, from and to, for which dates of recurring events are computed.
pub type Window = (MediaTime, MediaTime);

/// The window for a plan at `now`: from a day ago to 60 days ahead.
pub fn around(now: MediaTime) -> Window {
    (now - DAY, now + AHEAD)
}

/// Reads a calendar. `charset` is what its transport declares, `zone` the site's. The error says why it is not a calendar.
pub fn parse(
    octets: &[u8],
    charset: Option<&str>,
    zone: &TimeZone,
    window: Window,
) -> Result<Reading, String> {
    let whole = lines::utf_16(octets);
    let lines = match &whole {
        Some(text) => ContentLines::new(text.as_bytes(), None),
        None => ContentLines::new(octets, charset),
    };
    let mut components = Components::default();
    let (mut begins, mut ends) = (false, false);
    for line in lines {
        let text = line.text.trim();
        if text.is_empty() {
            continue;
        }
        if !begins && !starts_with(text, "BEGIN:VCALENDAR") {
            let start: String = text.chars().take(24).filter(|char| !char.is_control()).collect();
            return Err(format!("it begins with {start:?}"));
        }
        begins = true;
        ends = is(text, "END:VCALENDAR");
        components.take(&line);
    }
    if !begins {
        return Err("it is empty".to_owned());
    }
    if !ends {
        return Err("it breaks off before END:VCALENDAR".to_owned());
    }
    if let Some(open) = &components.event {
        return Err(format!("an event breaks off before END:VEVENT: it begins in line {}", open.line));
    }
    components.end_calendar();
    let Components { mut reading, zones, drafts, .. } = components;
    EventReader { site: zone, zones, window, rules: 0, reading: &mut reading }.read(drafts);
    Ok(reading)
}

/// The components of a calendar that are used (§3.6).
#[derive(Debug, Default)]
struct Components {
    reading: Reading,
    zones: Zones,
    drafts: Vec<EventDraft>,
    /// How many drafts are of earlier `VCALENDAR`s.
    earlier: usize,
    /// `METHOD` of this `VCALENDAR` (§3.7.2).
    method: String,
    event: Option<EventDraft>,
    zone: Option<ZoneDraft>,
    /// How many components within an event are open.
    depth: usize,
    /// How many dates the drafts list.
    listed: usize,
}

impl Components {
    fn take(&mut self, line: &ContentLine<'_>) {
        let text = line.text.trim();
        if is(text, "BEGIN:VEVENT") {
            if self.event.is_some() {
                self.reading.note("an event without an end is left out".to_owned());
            }
            (self.event, self.depth) = (Some(EventDraft::new(line.number)), 0);
        } else if self.event.is_some() {
            self.take_of_event(line, text);
        } else if is(text, "BEGIN:VTIMEZONE") {
            self.zone = Some(ZoneDraft::default());
        } else if is(text, "END:VTIMEZONE") {
            if let Some(zone) = self.zone.take() {
                self.zones.define(zone);
            }
        } else if let Some(zone) = &mut self.zone {
            zone.take(text);
        } else if is(text, "BEGIN:VCALENDAR") {
            self.end_calendar();
        } else if starts_with(text, "METHOD")
            && let Some((_, method)) = text.split_once(':')
        {
            self.method = method.trim().to_ascii_uppercase();
        }
    }

    fn take_of_event(&mut self, line: &ContentLine<'_>, text: &str) {
        let Some(draft) = self.event.as_mut() else { return };
        if is(text, "END:VEVENT") {
            if self.drafts.len() < EVENTS {
                let listed = self.listed + draft.listed();
                if listed > DATES && self.listed <= DATES {
                    let (name, line) = (draft.name(), draft.line);
                    let what = format!("more than {DATES} dates in EXDATE and RDATE");
                    self.reading
                        .note(format!("{what}: from {name} on (line {line}) further ones are left out"));
                }
                draft.keep_dates(DATES.saturating_sub(self.listed));
                self.listed = listed;
                self.drafts.push(std::mem::take(draft));
            } else {
                self.reading.note(format!("more than {EVENTS} events"));
            }
            self.event = None;
        } else if starts_with(text, "BEGIN:") {
            // A VALARM within an event (§3.6.6) has properties of the same names.
            self.depth += 1;
        } else if starts_with(text, "END:") {
            self.depth = self.depth.saturating_sub(1);
        } else if self.depth == 0 {
            draft.take(line);
        }
    }

    /// A `VCALENDAR` is over: its method is applied to its events (RFC 5546 §3.2).
    fn end_calendar(&mut self) {
        let drafts = self.drafts.get_mut(self.earlier..).unwrap_or_default();
        match self.method.as_str() {
            "CANCEL" => drafts.iter_mut().for_each(EventDraft::withdraw),
            "ADD" => drafts.iter_mut().for_each(EventDraft::add_to_series),
            "REPLY" | "REFRESH" | "COUNTER" | "DECLINECOUNTER" => {
                let what = format!("events of METHOD:{} are left out: they change nothing", self.method);
                self.reading.note(what);
                self.drafts.truncate(self.earlier);
            }
            _ => {}
        }
        self.earlier = self.drafts.len();
        self.method.clear();
    }
}

fn is(line: &str, wanted: &str) -> bool {
    line.trim_end().eq_ignore_ascii_case(wanted)
}

fn starts_with(line: &str, wanted: &str) -> bool {
    line.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests;
