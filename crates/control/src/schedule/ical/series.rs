//! From the drafts of a calendar to its events: versions, dates, and dates that were changed (RFC 5545 §3.8.4.4, §3.8.5).
//!
//! 1. Of drafts with the same `UID` and the same `RECURRENCE-ID` the latest version counts: by `SEQUENCE`, then `DTSTAMP`,
//!    then `LAST-MODIFIED`, then the order of the file. It may be a cancellation; what is older than that is gone, too.
//! 2. The draft without `RECURRENCE-ID` says on which dates the event takes place.
//! 3. A date that has a draft of its own is that draft, under the name of the date that it had.
//! 4. A draft with `RANGE=THISANDFUTURE` moves all later dates by as much as its own, and gives them its length and its
//!    texts, until the next such draft.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::draft::{EventDraft, Time};
use super::extent::{EventLength, instant};
use super::zones::{UnknownZone, Zones};
use super::{EVENTS, UID, Window};
use crate::schedule::event::{CalendarEvent, Reading};
use amphi_media::{EventId, MediaTime};

mod dates;

/// How far before the window the dates of long recurring events are computed, since they may still run in it; and how far
/// beyond it those of series that were moved.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

/// Makes events from drafts.
pub(super) struct EventReader<'a> {
    pub(super) site: &'a TimeZone,
    pub(super) zones: Zones,
    pub(super) window: Window,
    /// Rules expanded so far.
    pub(super) rules: usize,
    pub(super) reading: &'a mut Reading,
}

/// A local time and its zone.
type Local = (DateTime, TimeZone);

/// The starts of an event, and of those that have a length of their own that length.
type Dates = BTreeMap<MediaTime, Option<EventLength>>;

/// A date of a series that was changed.
struct EventChange {
    /// `RANGE=THISANDFUTURE`.
    is_range: bool,
    is_cancelled: bool,
    /// Where it cannot be read, its date is left out.
    read: Option<ReadChange>,
}

struct ReadChange {
    model: CalendarEvent,
    /// How far it is moved in local time.
    shift: SignedDuration,
    zone: TimeZone,
    extent: EventLength,
}

impl EventReader<'_> {
    pub(super) fn read(mut self, drafts: Vec<EventDraft>) {
        let mut order: Vec<Vec<EventDraft>> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for draft in drafts {
            // If it were cut, two events could have the same.
            let wrong = match draft.uid.len() {
                0 => Some("it has no UID".to_owned()),
                length if length > UID => Some(format!("its UID is longer than {UID} bytes")),
                _ => None,
            };
            match wrong {
                Some(_) if draft.is_cancelled => {}
                Some(why) => self.leave_out(&draft, &why),
                None => {
                    let place = *places.entry(draft.uid.clone()).or_insert(order.len());
                    match order.get_mut(place) {
                        Some(drafts) => drafts.push(draft),
                        None => order.push(vec![draft]),
                    }
                }
            }
        }
        for drafts in order {
            self.read_one(drafts);
        }
    }

    fn leave_out(&mut self, draft: &EventDraft, why: &str) {
        self.reading.note(format!("{} is left out: {why} (line {})", draft.name(), draft.line));
    }

    /// Leaves out one value of a property of an event, and nothing else.
    fn leave_out_value(&mut self, draft: &EventDraft, property: &str, why: &str, line: usize) {
        self.reading.note(format!("{}: its {property} is left out: {why} (line {line})", draft.name()));
    }

    fn add(&mut self, event: CalendarEvent) {
        if self.reading.events.len() < EVENTS {
            self.reading.events.push(event);
        } else {
            self.reading.note(format!("more than {EVENTS} events"));
        }
    }

    /// Reads all drafts of one `UID`.
    fn read_one(&mut self, drafts: Vec<EventDraft>) {
        let (changes, masters): (Vec<_>, Vec<_>) =
            drafts.into_iter().partition(|draft| draft.recurrence.is_some());
        let master = masters.into_iter().reduce(later);
        let base = master.as_ref().and_then(|master| {
            let starts = master.starts.as_ref()?;
            Some((self.local(starts).ok()?, starts.is_a_day()))
        });
        let mut changed: BTreeMap<MediaTime, EventDraft> = BTreeMap::new();
        for draft in changes {
            let Some(date) = &draft.recurrence else { continue };
            match self.date(date, base.as_ref()) {
                Ok(date) => {
                    let known = changed.remove(&date);
                    changed.insert(date, known.into_iter().fold(draft, |draft, known| later(known, draft)));
                }
                Err(_) if draft.is_cancelled => {}
                Err(why) => self.leave_out(&draft, &why),
            }
        }
        if let Some(master) = master.as_ref().filter(|master| master.is_cancelled) {
            changed.retain(|_, draft| master.version() < draft.version());
        }
        // Its texts, read once for all changed dates.
        let texts = master.as_ref().filter(|_| !changed.is_empty()).map(|master| {
            master.clone().event(EventId::default(), MediaTime::default(), MediaTime::default())
        });
        let changes = self.changes(changed, master.as_ref().zip(texts.as_ref()));
        for change in changes.values() {
            if let Some(read) = &change.read {
                self.add(read.model.clone());
            }
        }
        let Some(master) = master.filter(|master| !master.is_cancelled) else { return };
        match self.dates_of(&master, &changes) {
            Ok(events) => events.into_iter().for_each(|event| self.add(event)),
            Err(why) => self.leave_out(&master, &why),
        }
    }

    /// Reads the drafts of dates that were changed.
    fn changes(
        &mut self,
        changed: BTreeMap<MediaTime, EventDraft>,
        master: Option<(&EventDraft, &CalendarEvent)>,
    ) -> BTreeMap<MediaTime, EventChange> {
        let mut changes = BTreeMap::new();
        for (date, draft) in changed {
            let mut read = None;
            if !draft.is_cancelled {
                match self.change(date, &draft, master) {
                    Ok(change) => read = Some(change),
                    Err(why) => self.leave_out(&draft, &why),
                }
            }
            let EventDraft { is_range, is_cancelled, .. } = draft;
            changes.insert(date, EventChange { is_range, is_cancelled, read });
        }
        changes
    }

    fn change(
        &mut self,
        date: MediaTime,
        draft: &EventDraft,
        master: Option<(&EventDraft, &CalendarEvent)>,
    ) -> Result<ReadChange, String> {
        let starts = draft.starts.as_ref().ok_or("it has no start")?;
        let (local, zone) = self.local(starts)?;
        let extent = match (self.extent(draft), master) {
            (Ok(extent), _) => extent,
            (Err(_), Some((master, _))) if draft.ends.is_none() && draft.duration.is_none() => {
                self.extent(master)?
            }
            (Err(why), _) => return Err(why),
        };
        let begins = instant(local, &zone)?;
        let ends = extent.after(begins, &zone)?;
        let mut model = draft.clone().event(dated(&draft.uid, date), begins, ends);
        if let Some((_, texts)) = master {
            inherit(&mut model, texts);
        }
        let before = date.timestamp().to_zoned(zone.clone()).datetime();
        Ok(ReadChange { model, shift: local.duration_since(before), zone, extent })
    }

    /// The events of a draft without its changed dates. The error says what is wrong with it.
    fn dates_of(
        &mut self,
        draft: &EventDraft,
        changes: &BTreeMap<MediaTime, EventChange>,
    ) -> Result<Vec<CalendarEvent>, String> {
        let begin = draft.starts.as_ref().ok_or("it has no start")?;
        let (local, zone) = self.local(begin)?;
        let extent = self.extent(draft)?;
        let starts = instant(local, &zone)?;
        let recurs = !draft.rules.is_empty() || !draft.dates.is_empty();
        let dates = if recurs || !draft.without.is_empty() {
            self.dates(draft, (local, zone.clone()), extent)?
        } else {
            Dates::from([(starts, None)])
        };
        let model = draft.clone().event(draft.uid.as_str().into(), starts, extent.after(starts, &zone)?);
        let mut events = Vec::new();
        for (date, length) in dates {
            let range = || changes.range(..date).rev().find(|(_, change)| change.is_range);
            if changes.contains_key(&date) {
                continue;
            }
            let id = if recurs { dated(&draft.uid, date) } else { draft.uid.as_str().into() };
            let (model, extent, zone, shift) = match range() {
                Some((_, EventChange { read: Some(read), .. })) => {
                    (&read.model, read.extent, &read.zone, read.shift)
                }
                Some((_, change)) if change.is_cancelled => continue,
                _ => (&model, length.unwrap_or(extent), &zone, SignedDuration::ZERO),
            };
            let local = date.timestamp().to_zoned(zone.clone()).datetime();
            let moved = local.checked_add(shift).map_err(|_| "it is out of range".to_owned())?;
            // An hour that occurs twice is the one of the date itself, unless that was moved.
            let begins = if shift.is_zero() { date } else { instant(moved, zone)? };
            let event =
                CalendarEvent { id, starts: begins, ends: extent.after(begins, zone)?, ..model.clone() };
            if !recurs || self.is_near(&event) {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Whether a date of a series is in the window, or may still run in it.
    fn is_near(&self, event: &CalendarEvent) -> bool {
        let (from, to) = self.window;
        let length = u64::try_from(event.ends.nanos_since(event.starts)).unwrap_or(0);
        let from = from - Duration::from_nanos(length).min(LONGEST);
        from <= event.starts && event.starts < to
    }

    fn extent(&mut self, draft: &EventDraft) -> Result<EventLength, String> {
        let begin = draft.starts.as_ref().ok_or("it has no start")?;
        match (&draft.ends, &draft.duration) {
            (Some(ends), _) if begin.is_a_day() && ends.is_a_day() => {
                let days = ends.civil()?.0.date() - begin.civil()?.0.date();
                Ok(EventLength::of_days(days.get_days().into()))
            }
            (Some(ends), _) => {
                let ((begin, zone), (end, end_zone)) = (self.local(begin)?, self.local(ends)?);
                Ok(EventLength::between(instant(begin, &zone)?, instant(end, &end_zone)?))
            }
            (None, Some(text)) => EventLength::of_duration(text),
            // §3.6.1: a date without an end lasts one day.
            (None, None) if begin.is_a_day() => Ok(EventLength::of_days(1)),
            (None, None) => Err("it has no end".to_owned()),
        }
    }

    /// A time as it is written, and its time zone (§3.3.5).
    fn local(&mut self, time: &Time) -> Result<Local, String> {
        let (civil, is_utc) = time.civil()?;
        let zone = match &time.zone {
            _ if is_utc => TimeZone::UTC,
            None => self.site.clone(),
            // Opencast writes UTC; other programs name their zones.
            Some(name) => match self.zones.find(name, self.window.1.timestamp()) {
                (Ok(zone), _) => zone,
                (Err(unknown), was_asked) => {
                    if !was_asked {
                        self.reading.note(unnamed(name, &unknown));
                    }
                    self.site.clone()
                }
            },
        };
        Ok((civil, zone))
    }
}

/// The later of two versions; of equal ones the second.
fn later(first: EventDraft, second: EventDraft) -> EventDraft {
    if second.version() < first.version() { first } else { second }
}

/// Takes from the series what a changed date does not say itself; by the standard it says everything.
fn inherit(event: &mut CalendarEvent, series: &CalendarEvent) {
    for (own, theirs) in [(&mut event.title, &series.title), (&mut event.agent, &series.agent)] {
        if own.is_empty() {
            own.clone_from(theirs);
        }
    }
    if event.series.is_none() && event.series_id.is_none() {
        event.series.clone_from(&series.series);
        event.series_id.clone_from(&series.series_id);
    }
    if event.presenters.is_empty() {
        event.presenters.clone_from(&series.presenters);
    }
}

fn unnamed(name: &str, UnknownZone(why): &UnknownZone) -> String {
    let name: String = name.chars().take(100).collect();
    let why =
        why.as_ref().map(|why| format!(", and its VTIMEZONE cannot be used ({why})")).unwrap_or_default();
    format!("the time zone {name:?} is not known here{why}: its times are read in the server's")
}

/// The identifier of one date of a recurring event.
fn dated(uid: &str, date: MediaTime) -> EventId {
    format!("{uid}/{}", date.timestamp().strftime("%Y%m%dT%H%M%SZ")).into()
}
