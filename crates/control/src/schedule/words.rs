//! Texts for messages: days and hours in the site's time zone, names of events, and the order of events.

use jiff::tz::TimeZone;

use super::event::CalendarEvent;
use crate::agenda::PlannedEvent;
use amphi_media::MediaTime;

/// `08:30`.
pub(super) fn hour(time: MediaTime, zone: &TimeZone) -> String {
    time.timestamp().to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

/// `Tue 24 Nov 2026 08:30`.
pub(super) fn day_and_hour(time: MediaTime, zone: &TimeZone) -> String {
    time.timestamp().to_zoned(zone.clone()).strftime("%a %d %b %Y %H:%M").to_string()
}

/// `Tue 24 Nov 2026 08:30–10:30`, or with both days where they differ.
pub(super) fn span(from: MediaTime, until: MediaTime, zone: &TimeZone) -> String {
    let date = |time: MediaTime| time.timestamp().to_zoned(zone.clone()).date();
    let end = if date(from) == date(until) { hour(until, zone) } else { day_and_hour(until, zone) };
    format!("{}–{end}", day_and_hour(from, zone))
}

/// `event 1042 'UE3 Biophysique'`.
pub(super) fn named(event: &PlannedEvent) -> String {
    format!("event {} '{}'", event.id, event.title)
}

/// Why a channel is live: `event 1042 'UE3 Biophysique' 08:30–10:30`.
pub(super) fn reason(event: &PlannedEvent, zone: &TimeZone) -> String {
    format!("{} {}–{}", named(event), hour(event.starts, zone), hour(event.ends, zone))
}

/// Sorts identifiers by length first: those of Opencast 2.x are small numbers, later ones all have the same length.
pub(super) fn id_order(id: &str) -> (usize, &str) {
    (id.len(), id)
}

/// By start, then by identifier.
pub(super) fn by_start(event: &CalendarEvent) -> (MediaTime, (usize, &str)) {
    (event.starts, id_order(&event.id))
}
