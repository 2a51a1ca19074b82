//! Time zones as calendars name them (`TZID`, RFC 5545 §3.2.19).
//!
//! The order: 1. what the calendar itself defines under that name (`VTIMEZONE`, §3.6.5: the component is the definition,
//! whatever its name means elsewhere); 2. the IANA database; 3. the IANA name that the calendar gives beside
//! (`X-LIC-LOCATION`); 4. Windows' names; 5. an IANA or Windows name within the name, as in `/example.org/2019/Europe/Paris`,
//! `tzone://Microsoft/Utc` or `Romance Standard Time 1`; 6. names as people see them, `(UTC+01:00) Brussels, Madrid, Paris`,
//! by the first city that the IANA database has, else by the offset; 7. the site's zone, since a lecture that may be an
//! hour off is better than a dark hall. Only the last is said, once for each name.
//!
//! Names are compared without case, quotes and escapes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::observances::ZoneDraft;
use super::windows;

/// The zones that a calendar defines itself, and those that it has used.
#[derive(Debug, Default)]
pub(super) struct Zones {
    drafts: BTreeMap<String, ZoneDraft>,
    /// By the name as it is written: what it has turned out to be.
    known: BTreeMap<String, Result<TimeZone, UnknownZone>>,
    /// Rules expanded so far.
    rules: usize,
}

/// A name of which nothing is known, and what is wrong with the calendar's own definition of it, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownZone(pub(super) Option<String>);

/// The most zones that one calendar may define.
const MOST: usize = 200;
/// The most rules of all zones of a calendar; each may have a date for every year since the first.
const RULES: usize = 500;
/// The most bytes of a zone's name.
const LONGEST: usize = 255;

impl Zones {
    /// Takes a whole `VTIMEZONE`. Of two with the same name the last counts.
    pub(super) fn define(&mut self, draft: ZoneDraft) {
        if self.drafts.len() < MOST {
            self.drafts.insert(key(&draft.name), draft);
        }
    }

    /// The zone called `name`, right until a year after `until`; whether it was asked for before.
    pub(super) fn find(&mut self, name: &str, until: Timestamp) -> (Result<TimeZone, UnknownZone>, bool) {
        if let Some(found) = self.known.get(name) {
            return (found.clone(), true);
        }
        if name.len() > LONGEST || self.known.len() >= MOST * 10 {
            let clipped: String = name.chars().take(LONGEST).collect();
            let has_room = self.known.len() < MOST * 10;
            let is_new = has_room && self.known.insert(clipped, Err(UnknownZone(None))).is_none();
            return (Err(UnknownZone(None)), !is_new);
        }
        let draft = self.drafts.get(&key(name));
        let defined = draft.map(|draft| {
            self.rules += draft.rules();
            if self.rules > RULES {
                Err("the calendar's zones have too many rules".to_owned())
            } else {
                draft.zone(until)
            }
        });
        let found = match (defined, draft) {
            (Some(Ok(zone)), _) => Ok(zone),
            (defined, draft) => {
                let located = || draft.and_then(|draft| well_known(draft.location.as_deref()?));
                let why = defined.and_then(Result::err);
                well_known(&unescaped(name)).or_else(located).or_else(|| told(name)).ok_or(UnknownZone(why))
            }
        };
        self.known.insert(name.to_owned(), found.clone());
        (found, false)
    }
}

/// A name without what makes no difference.
fn key(name: &str) -> String {
    unescaped(name).to_lowercase()
}

fn unescaped(name: &str) -> String {
    let words = name.trim().trim_matches('"').split_whitespace();
    words.collect::<Vec<_>>().join(" ").replace('\\', "")
}

/// A name of the IANA database or of Windows.
fn well_known(name: &str) -> Option<TimeZone> {
    let get = |name: &str| TimeZone::get(name).ok();
    get(name).or_else(|| windows::iana(name).and_then(get))
}

/// The zone of a name that has more in it than an IANA or Windows name.
fn told(name: &str) -> Option<TimeZone> {
    let name = unescaped(name);
    let endings = name.match_indices('/').filter_map(|(at, _)| name.get(at + 1..));
    let is_whole = |ending: &&str| ending.contains('/') || is_utc(ending) || windows::iana(ending).is_some();
    // Outlook numbers the zones that it has changed, Yahoo and others add which half of the year it is.
    let plain = name.trim_end_matches(|char: char| char.is_ascii_digit() || char == ' ');
    let plain = plain.trim_end_matches("-(Standard)").trim_end_matches("-(Daylight)");
    let standard =
        plain.replace(" Daylight Time", " Standard Time").replace(" Summer Time", " Standard Time");
    endings
        .filter(is_whole)
        .find_map(well_known)
        .or_else(|| if is_utc(&name) { Some(TimeZone::UTC) } else { None })
        .or_else(|| well_known(plain))
        .or_else(|| well_known(&standard))
        .or_else(|| shown(&name))
}

fn is_utc(name: &str) -> bool {
    ["UTC", "GMT", "Z", "Coordinated Universal Time"].iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// A name as Windows, Outlook and Zimbra show it: `(GMT+01.00) Brussels / Madrid / Paris`; or an offset alone, `UTC+1`.
fn shown(name: &str) -> Option<TimeZone> {
    let (offset, cities) = match name.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((offset, cities)) => (offset, cities.trim()),
        None => (name, ""),
    };
    let offset = offset_of(offset)?;
    let american =
        cities.strip_suffix("(US & Canada)").map(|zone| zone.trim().replace(" Time", " Standard Time"));
    let american = american.and_then(|zone| well_known(&zone));
    american
        .or_else(|| cities.split([',', '/', ';', ':']).find_map(|city| of_city(city, offset)))
        .or(Some(TimeZone::fixed(offset)))
}

/// The zone of the IANA database that is named after `city` and has that offset in winter, of either hemisphere.
fn of_city(city: &str, offset: Offset) -> Option<TimeZone> {
    let city = city.trim().replace(' ', "_");
    if city.is_empty() {
        return None;
    }
    let is_there = |zone: &TimeZone| {
        let at = |second| Timestamp::from_second(second).map(|at| zone.to_offset(at));
        // January and July of 2026.
        at(1_768_000_000).is_ok_and(|it| it == offset) || at(1_784_000_000).is_ok_and(|it| it == offset)
    };
    let areas = ["Europe", "America", "Asia", "Africa", "Australia", "Pacific", "Atlantic", "Indian"];
    areas.iter().filter_map(|area| TimeZone::get(&format!("{area}/{city}")).ok()).find(is_there)
}

/// `UTC+01:00`, `GMT-5`, `+0530`, `(GMT+01.00` without its bracket.
fn offset_of(text: &str) -> Option<Offset> {
    let upper = text.trim().to_ascii_uppercase();
    let rest = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).unwrap_or(&upper).trim();
    if rest.is_empty() {
        return (!upper.is_empty()).then_some(Offset::UTC);
    }
    let (sign, rest) = match rest.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-" | "\u{2212}", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match (rest.split_once([':', '.']), rest.len()) {
        (Some(fields), _) => fields,
        (None, 4) => rest.split_at_checked(2)?,
        (None, _) => (rest, "0"),
    };
    let (hours, minutes): (i32, i32) = (hours.parse::<u8>().ok()?.into(), minutes.parse::<u8>().ok()?.into());
    (hours < 24 && minutes < 60).then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(zones: &mut Zones, name: &str) -> Option<String> {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().expect("a time");
        let (zone, _) = zones.find(name, now);
        zone.ok().map(|zone| zone.iana_name().map_or_else(|| zone.to_offset(now).to_string(), str::to_owned))
    }

    #[test]
    fn zones_are_found_under_every_kind_of_name() {
        let mut zones = Zones::default();
        let mut define = |lines: &[&str]| {
            let mut draft = ZoneDraft::default();
            for line in lines {
                draft.take(line);
            }
            zones.define(draft);
        };
        define(&["TZID:Campus", "X-LIC-LOCATION:Europe/Paris", "TZOFFSETFROM:+0100"]);
        define(&["TZID:Other", "nonsense"]);
        for name in [
            "Europe/Paris",
            "europe/paris",
            "Campus",
            "\"campus\"",
            "Romance Standard Time",
            "romance standard time",
            "Romance Standard Time 1",
            "Romance Daylight Time",
            "/freeassociation.sourceforge.net/Europe/Paris",
            "/example.org/20190914_1/Europe/Paris",
            "tzone://Microsoft/Romance Standard Time",
            "Europe/Paris-(Standard)",
        ] {
            assert_eq!(seen(&mut zones, name).as_deref(), Some("Europe/Paris"), "{name}");
        }
        for name in
            ["Other", "Mars/Olympus", "", "/", "Paris", "(Nowhere) Paris", "(UTC+99:00) X", &"x".repeat(300)]
        {
            assert_eq!(seen(&mut zones, name), None, "{name}");
        }
    }

    #[test]
    fn names_for_people_are_read_by_city_or_offset() {
        let mut zones = Zones::default();
        for (name, zone) in [
            ("tzone://Microsoft/Utc", "UTC"),
            ("utc", "UTC"),
            ("Coordinated Universal Time", "UTC"),
            ("(UTC+01:00) Brussels, Copenhagen, Madrid, Paris", "Europe/Brussels"),
            ("(UTC+01:00) Brussels\\, Copenhagen\\, Madrid\\, Paris", "Europe/Brussels"),
            ("(UTC+01:00) Bruxelles, Copenhague, Madrid, Paris", "Europe/Madrid"),
            ("(GMT+01.00) Sarajevo / Skopje / Warsaw / Zagreb", "Europe/Sarajevo"),
            ("(GMT) Greenwich Mean Time : Dublin, Edinburgh, Lisbon, London", "Europe/Dublin"),
            ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York"),
            ("(UTC+05:30) Chennai, Mumbai, New Delhi", "+05:30"),
            ("UTC+1", "+01"),
            ("GMT-0330", "-03:30"),
            ("+02:00", "+02"),
        ] {
            assert_eq!(seen(&mut zones, name).as_deref(), Some(zone), "{name}");
        }
    }
}
