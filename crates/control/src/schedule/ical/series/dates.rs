//! The dates on which a series takes place (RFC 5545 §3.8.5): those of its rules, further ones, and those without.
//!
//! A rule (`RRULE`) that cannot be read leaves the series out: nobody knows its dates. A value of `EXDATE`, `RDATE` or
//! `EXRULE` that cannot be read is left out alone, with a note.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::super::draft::{EventDraft, FurtherDate, Time};
use super::super::extent::{EventLength, instant};
use super::super::{RULES, recurrence};
use super::{Dates, EventReader, LONGEST, Local};
use amphi_media::MediaTime;

impl EventReader<'_> {
    /// The starts, near the window, of a draft that recurs.
    pub(super) fn dates(
        &mut self,
        draft: &EventDraft,
        (local, zone): Local,
        extent: EventLength,
    ) -> Result<Dates, String> {
        let begin = draft.starts.as_ref().ok_or("it has no start")?;
        let base = ((local, zone.clone()), begin.is_a_day());
        let (from, to) = (self.window.0 - extent.at_most().min(LONGEST) - LONGEST, self.window.1 + LONGEST);
        let civil = |time: MediaTime| time.timestamp().to_zoned(zone.clone()).datetime();
        let window = (civil(from), civil(to));
        let mut dates = Dates::new();
        let rules = draft.rules.len() + draft.without_rules.len();
        if self.rules + rules > RULES {
            return Err(format!("the calendar has more than {RULES} rules"));
        }
        self.rules += rules;
        if draft.rules.is_empty() {
            dates.insert(instant(local, &zone)?, None);
        }
        // Where the event's start does not match its rule, the first date is the rule's.
        for rule in &draft.rules {
            for date in recurrence::dates(&rule.text, local, &zone, window)? {
                dates.insert(instant(date, &zone)?, None);
            }
        }
        for rule in &draft.without_rules {
            let found = recurrence::dates(&rule.text, local, &zone, window);
            let found = found.and_then(|dates| dates.into_iter().map(|date| instant(date, &zone)).collect());
            match found {
                Ok::<BTreeSet<_>, _>(without) => dates.retain(|date, _| !without.contains(date)),
                Err(why) => self.leave_out_value(draft, "EXRULE", &why, rule.line),
            }
        }
        for further in &draft.dates {
            match self.further(further, &base) {
                Ok((start, length)) => {
                    dates.insert(start, length);
                }
                Err(why) => self.leave_out_value(draft, "RDATE", &why, further.starts.line),
            }
        }
        let mut days: BTreeSet<Date> = BTreeSet::new();
        for without in &draft.without {
            let read = if without.is_a_day() || begin.is_a_day() {
                // The whole day: a date for a series with hours, or hours for one of whole days.
                self.day(without, &base).map(|day| {
                    days.insert(day);
                })
            } else {
                self.date(without, Some(&base)).map(|date| {
                    dates.remove(&date);
                })
            };
            if let Err(why) = read {
                self.leave_out_value(draft, "EXDATE", &why, without.line);
            }
        }
        for (property, line) in &draft.left_out {
            let what = format!("{} has more {property} than are read", draft.name());
            self.reading.note(format!("{what}: from line {line} on further ones are left out"));
        }
        dates.retain(|date, _| from <= *date && *date < to && !days.contains(&civil(*date).date()));
        Ok(dates)
    }

    /// A date of `RDATE`, and the length of a period (§3.3.9).
    fn further(
        &mut self,
        further: &FurtherDate,
        base: &(Local, bool),
    ) -> Result<(MediaTime, Option<EventLength>), String> {
        let start = self.date(&further.starts, Some(base))?;
        let Some(period) = &further.period else { return Ok((start, None)) };
        if period.trim_start_matches(['+', '-']).starts_with(['P', 'p']) {
            let length = EventLength::of_duration(period)?;
            length.after(start, &base.0.1)?;
            return Ok((start, Some(length)));
        }
        let end = Time { text: period.clone(), ..further.starts.clone() };
        let end = self.date(&end, Some(base))?;
        Ok((start, Some(EventLength::between(start, end))))
    }

    /// The instant of a date of a series that starts at `base`: a time without a zone is in that of the series; a day is that
    /// day's date, where the series has hours; hours mean their day, where it has none.
    pub(super) fn date(&mut self, time: &Time, base: Option<&(Local, bool)>) -> Result<MediaTime, String> {
        match base {
            Some(base @ ((local, zone), is_a_day)) if time.is_a_day() || *is_a_day => {
                let day = self.day(time, base)?;
                instant(day.to_datetime(local.time()), zone)
            }
            Some(((_, zone), _)) if time.is_floating() => instant(time.civil()?.0, zone),
            _ => {
                let (local, zone) = self.local(time)?;
                instant(local, &zone)
            }
        }
    }

    /// The day of a time as a series counts it: as it is written, unless it is in UTC or in another zone.
    fn day(&mut self, time: &Time, ((_, zone), is_a_day): &(Local, bool)) -> Result<Date, String> {
        let (local, is_utc) = time.civil()?;
        if time.is_a_day() || time.is_floating() || *is_a_day && !is_utc {
            return Ok(local.date());
        }
        let (local, own) = self.local(time)?;
        Ok(instant(local, &own)?.timestamp().to_zoned(zone.clone()).date())
    }
}
