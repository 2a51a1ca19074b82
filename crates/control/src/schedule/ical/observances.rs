//! A `VTIMEZONE` as a time zone (RFC 5545 §3.6.5): the onsets of its observances become the transitions of a TZif file
//! (RFC 8536), which `jiff` reads. No crate of those here reads a `VTIMEZONE`.
//!
//! Bounded: [`OBSERVANCES`] of a zone, [`LISTED`] rules and dates of each, [`ONSETS`] that they list; of all onsets the last
//! [`ONSETS`] are kept; rules are yearly, offsets less than a day (§3.3.14). Onsets are computed as far as events
//! are, and a year more. A component that breaks these rules defines nothing: half of it could be an hour wrong.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::recurrence;

/// The most observances of a zone: one that lists each of them has two for a year.
const OBSERVANCES: usize = 300;
/// The most onsets of a zone that are kept, and the most rules and dates that all its observances list.
const ONSETS: usize = 2000;
/// The most rules, and the most dates, of an observance.
const LISTED: usize = 300;
/// The first day for which rules are expanded; many begin in 1601, as Windows' calendar does, or in the year 1.
const OLDEST: DateTime = jiff::civil::date(1900, 1, 1).at(0, 0, 0, 0);
/// How far beyond the window onsets are computed.
const BEYOND: SignedDuration = SignedDuration::from_hours(400 * 24);

/// A `VTIMEZONE` as it is written.
#[derive(Debug, Default)]
pub(super) struct ZoneDraft {
    /// `TZID`.
    pub(super) name: String,
    /// `X-LIC-LOCATION`: an IANA name.
    pub(super) location: Option<String>,
    observances: Vec<Observance>,
    /// Whether lines are those of the last observance.
    in_observance: bool,
    /// How many rules and dates its observances list.
    listed: usize,
    /// Whether it has more than is read.
    is_too_long: bool,
}

/// A `STANDARD` or `DAYLIGHT`: which of them it is makes no difference.
#[derive(Debug, Default)]
struct Observance {
    starts: String,
    from: Option<String>,
    to: Option<String>,
    rules: Vec<String>,
    dates: Vec<String>,
}

impl ZoneDraft {
    /// Takes a line between `BEGIN:VTIMEZONE` and its end.
    pub(super) fn take(&mut self, line: &str) {
        let Some((head, value)) = line.split_once(':') else { return };
        let (name, value) =
            (head.split(';').next().unwrap_or_default().trim().to_ascii_uppercase(), value.trim());
        match name.as_str() {
            "BEGIN" if !self.is_too_long && self.observances.len() < OBSERVANCES => {
                self.observances.push(Observance::default());
                self.in_observance = true;
            }
            "BEGIN" => self.is_too_long = true,
            "END" => self.in_observance = false,
            "TZID" if !self.in_observance => value.clone_into(&mut self.name),
            "X-LIC-LOCATION" => self.location = Some(value.to_owned()),
            _ => {
                let open = self.observances.last_mut().filter(|_| self.in_observance);
                self.is_too_long |= open.is_some_and(|open| !open.take(&name, value, &mut self.listed));
            }
        }
        if self.is_too_long {
            // It defines nothing, so nothing of it is kept.
            self.observances.clear();
        }
    }

    /// How many rules its observances have.
    pub(super) fn rules(&self) -> usize {
        self.observances.iter().map(|observance| observance.rules.len()).sum()
    }

    /// The zone, right until a year after `until`. The error says why it defines none.
    pub(super) fn zone(&self, until: Timestamp) -> Result<TimeZone, String> {
        if self.is_too_long {
            return Err("it has too many observances".to_owned());
        }
        let until = until.saturating_add(BEYOND).map_err(|error| error.to_string())?;
        let mut onsets = Vec::new();
        for observance in &self.observances {
            observance.add_onsets(until, &mut onsets)?;
        }
        // Of two at the same time the later in the file counts.
        onsets.sort_by_key(|onset| onset.at);
        let first = onsets.first().ok_or("it has no STANDARD and no DAYLIGHT")?.from;
        let last = onsets.len().saturating_sub(ONSETS);
        let before = last.checked_sub(1).and_then(|index| onsets.get(index)).map_or(first, |onset| onset.to);
        onsets.drain(..last);
        onsets.reverse();
        onsets.dedup_by_key(|onset| onset.at);
        onsets.reverse();
        let tzif = tzif(before, &onsets).ok_or("it has too many offsets")?;
        TimeZone::tzif(&self.name, &tzif).map_err(|error| error.to_string())
    }
}

/// When an observance begins, and the offsets before and after.
#[derive(Clone, Copy, Debug)]
struct Onset {
    at: Timestamp,
    from: Offset,
    to: Offset,
}

impl Observance {
    /// Takes a property; `false` if there are too many of its kind, or more than [`ONSETS`] `listed` in the zone.
    fn take(&mut self, name: &str, value: &str, listed: &mut usize) -> bool {
        let before = self.rules.len() + self.dates.len();
        let value = value.to_owned();
        match name {
            "DTSTART" => self.starts = value,
            "TZOFFSETFROM" => self.from = Some(value),
            "TZOFFSETTO" => self.to = Some(value),
            "RRULE" if self.rules.len() < LISTED => self.rules.push(value),
            "RDATE" if self.dates.len() < LISTED => {
                let dates = value.split(',').map(|date| date.split('/').next().unwrap_or_default().trim());
                self.dates.extend(dates.take(LISTED + 1).map(str::to_owned));
                if self.dates.len() > LISTED {
                    return false;
                }
            }
            "RRULE" | "RDATE" => return false,
            _ => {}
        }
        *listed += self.rules.len() + self.dates.len() - before;
        *listed <= ONSETS
    }

    fn add_onsets(&self, until: Timestamp, onsets: &mut Vec<Onset>) -> Result<(), String> {
        let (from, to) = match (&self.from, &self.to) {
            (Some(from), Some(to)) => (offset(from)?, offset(to)?),
            // Where it is not said what was before, it was the same.
            (_, Some(to)) => (offset(to)?, offset(to)?),
            (_, None) => return Err("an observance has no TZOFFSETTO".to_owned()),
        };
        // §3.6.5: onsets are in the local time before them.
        let before = TimeZone::fixed(from);
        let onset = |(local, is_utc): (DateTime, bool)| {
            let zone = if is_utc { TimeZone::UTC } else { before.clone() };
            let at = zone.to_timestamp(local).map_err(|error| error.to_string())?;
            Ok::<Onset, String>(Onset { at, from, to })
        };
        let (starts, is_utc) = time(&self.starts)?;
        if self.rules.is_empty() {
            onsets.push(onset((starts, is_utc))?);
        }
        for rule in &self.rules {
            if !recurrence::is_yearly(rule) {
                return Err(format!("its rule {rule:?} is not yearly"));
            }
            let window = (OLDEST, until.to_zoned(before.clone()).datetime());
            let dates = recurrence::dates(rule, starts, &before, window)?;
            if dates.len() >= recurrence::DATES {
                return Err(format!("its rule {rule:?} has too many dates"));
            }
            for date in dates {
                onsets.push(onset((date, is_utc))?);
            }
            if window.1 <= starts {
                // It has not begun yet, but says what was before.
                onsets.push(onset((starts, is_utc))?);
            }
        }
        for date in &self.dates {
            onsets.push(onset(time(date)?)?);
        }
        Ok(())
    }
}

/// A local time, or one in UTC, or a day.
fn time(text: &str) -> Result<(DateTime, bool), String> {
    let (local, is_utc) = text.strip_suffix(['Z', 'z']).map_or((text, false), |local| (local, true));
    let whole = if local.len() == 8 { format!("{local}T000000") } else { local.to_owned() };
    let civil = DateTime::strptime("%Y%m%dT%H%M%S", whole).map_err(|_| format!("{text:?} is no time"))?;
    Ok((civil, is_utc))
}

/// An offset from UTC (§3.3.14): sign, hours, minutes, perhaps seconds; some write colons, or no sign.
fn offset(text: &str) -> Result<Offset, String> {
    let wrong = || format!("{text:?} is no offset from UTC");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace(':', "");
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let field = |at: usize| digits.get(at..at + 2).map_or(Some(0), |field| field.parse::<i32>().ok());
    let (Some(hours), Some(minutes), Some(seconds)) = (field(0), field(2), field(4)) else {
        return Err(wrong());
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(wrong());
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60 + seconds)).map_err(|_| wrong())
}

/// The designation of offsets that have none (RFC 8536 §3.2).
const UNSPECIFIED: &[u8] = b"-00\0";

/// A TZif file, version 2 (RFC 8536 §3): `before` until the first onset. `None` if there are more offsets than it can have.
fn tzif(before: Offset, onsets: &[Onset]) -> Option<Vec<u8>> {
    let mut offsets = vec![before];
    let mut types = Vec::new();
    for onset in onsets {
        let known = offsets.iter().position(|offset| *offset == onset.to);
        let index = known.unwrap_or(offsets.len());
        if known.is_none() {
            offsets.push(onset.to);
        }
        types.push(u8::try_from(index).ok()?);
    }
    let header = |times: usize, offsets: usize| {
        let counts = [0, 0, 0, times, offsets, UNSPECIFIED.len()];
        let counts = counts.into_iter().flat_map(|count| u32::try_from(count).unwrap_or(0).to_be_bytes());
        b"TZif2".iter().copied().chain([0; 15]).chain(counts).collect::<Vec<u8>>()
    };
    let of_type = |offset: &Offset| [&offset.seconds().to_be_bytes()[..], &[0, 0]].concat();
    // Readers of version 2 skip the first block, which has no transition.
    let mut file =
        [header(0, 1), of_type(&before), UNSPECIFIED.to_vec(), header(onsets.len(), offsets.len())].concat();
    file.extend(onsets.iter().flat_map(|onset| onset.at.as_second().to_be_bytes()));
    file.extend(types);
    file.extend(offsets.iter().flat_map(of_type));
    file.extend(UNSPECIFIED);
    // §3.3: no footer, so the last offset stays.
    file.extend(b"\n\n");
    Some(file)
}
