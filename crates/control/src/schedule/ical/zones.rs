//! Time zones as calendars name them (`TZID`, RFC 5545 §3.2.19): names of the IANA database; names for which the calendar's
//! own `VTIMEZONE` has an `X-LIC-LOCATION`; names with an IANA name at their end, as in `/example.org/2019/Europe/Paris`;
//! and those of Windows, which Outlook and Exchange write. The offsets within a `VTIMEZONE` are not read.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

/// The zones that a calendar defines itself.
#[derive(Debug, Default)]
pub(super) struct Zones {
    /// `TZID` to `X-LIC-LOCATION`.
    locations: BTreeMap<String, String>,
    /// `TZID` of the zone that is being read.
    open: String,
}

/// The most zones that one calendar may define.
const MOST: usize = 200;
/// The most bytes of a zone's name.
const LONGEST: usize = 255;

impl Zones {
    /// Takes a line of a `VTIMEZONE`.
    pub(super) fn take(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else { return };
        let name = name.split(';').next().unwrap_or_default();
        if name.eq_ignore_ascii_case("TZID") {
            value.trim().clone_into(&mut self.open);
        } else if name.eq_ignore_ascii_case("X-LIC-LOCATION") && self.locations.len() < MOST {
            self.locations.insert(self.open.clone(), value.trim().to_owned());
        }
    }

    /// The zone called `name`.
    pub(super) fn find(&self, name: &str) -> Option<TimeZone> {
        if name.len() > LONGEST {
            return None;
        }
        let get = |name: &str| TimeZone::get(name).ok();
        let explained = || self.locations.get(name).and_then(|location| get(location));
        let ending = || {
            let starts = name.match_indices('/').map(|(at, _)| at + 1);
            starts.filter_map(|at| name.get(at..)).filter(|rest| rest.contains('/')).find_map(get)
        };
        let windows = || WINDOWS.iter().find(|(known, _)| *known == name).and_then(|(_, iana)| get(iana));
        get(name).or_else(explained).or_else(windows).or_else(ending)
    }
}

/// Windows' names and an IANA zone for each (Unicode CLDR, `windowsZones`); only zones that every tz database has.
const WINDOWS: [(&str, &str); 58] = [
    ("AUS Eastern Standard Time", "Australia/Sydney"),
    ("Alaskan Standard Time", "America/Anchorage"),
    ("Arab Standard Time", "Asia/Riyadh"),
    ("Arabian Standard Time", "Asia/Dubai"),
    ("Arabic Standard Time", "Asia/Baghdad"),
    ("Argentina Standard Time", "America/Argentina/Buenos_Aires"),
    ("Atlantic Standard Time", "America/Halifax"),
    ("Azores Standard Time", "Atlantic/Azores"),
    ("Bangladesh Standard Time", "Asia/Dhaka"),
    ("Belarus Standard Time", "Europe/Minsk"),
    ("Cape Verde Standard Time", "Atlantic/Cape_Verde"),
    ("Central Africa Standard Time", "Africa/Maputo"),
    ("Central America Standard Time", "America/Guatemala"),
    ("Central Asia Standard Time", "Asia/Almaty"),
    ("Central Europe Standard Time", "Europe/Budapest"),
    ("Central European Standard Time", "Europe/Warsaw"),
    ("Central Pacific Standard Time", "Pacific/Guadalcanal"),
    ("Central Standard Time", "America/Chicago"),
    ("China Standard Time", "Asia/Shanghai"),
    ("E. Africa Standard Time", "Africa/Nairobi"),
    ("E. Europe Standard Time", "Europe/Chisinau"),
    ("E. South America Standard Time", "America/Sao_Paulo"),
    ("Eastern Standard Time", "America/New_York"),
    ("Egypt Standard Time", "Africa/Cairo"),
    ("FLE Standard Time", "Europe/Helsinki"),
    ("GMT Standard Time", "Europe/London"),
    ("GTB Standard Time", "Europe/Bucharest"),
    ("Georgian Standard Time", "Asia/Tbilisi"),
    ("Greenland Standard Time", "America/Nuuk"),
    ("Greenwich Standard Time", "Atlantic/Reykjavik"),
    ("Hawaiian Standard Time", "Pacific/Honolulu"),
    ("India Standard Time", "Asia/Kolkata"),
    ("Iran Standard Time", "Asia/Tehran"),
    ("Israel Standard Time", "Asia/Jerusalem"),
    ("Kaliningrad Standard Time", "Europe/Kaliningrad"),
    ("Korea Standard Time", "Asia/Seoul"),
    ("Mauritius Standard Time", "Indian/Mauritius"),
    ("Middle East Standard Time", "Asia/Beirut"),
    ("Morocco Standard Time", "Africa/Casablanca"),
    ("Mountain Standard Time", "America/Denver"),
    ("New Zealand Standard Time", "Pacific/Auckland"),
    ("Newfoundland Standard Time", "America/St_Johns"),
    ("Pacific SA Standard Time", "America/Santiago"),
    ("Pacific Standard Time", "America/Los_Angeles"),
    ("Pakistan Standard Time", "Asia/Karachi"),
    ("Romance Standard Time", "Europe/Paris"),
    ("Russian Standard Time", "Europe/Moscow"),
    ("SA Eastern Standard Time", "America/Cayenne"),
    ("SA Pacific Standard Time", "America/Bogota"),
    ("SA Western Standard Time", "America/La_Paz"),
    ("SE Asia Standard Time", "Asia/Bangkok"),
    ("Singapore Standard Time", "Asia/Singapore"),
    ("South Africa Standard Time", "Africa/Johannesburg"),
    ("Tokyo Standard Time", "Asia/Tokyo"),
    ("Turkey Standard Time", "Europe/Istanbul"),
    ("UTC", "UTC"),
    ("W. Central Africa Standard Time", "Africa/Lagos"),
    ("W. Europe Standard Time", "Europe/Berlin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_under_every_kind_of_name() {
        let mut zones = Zones::default();
        for line in
            ["TZID:Campus", "X-LIC-LOCATION:Europe/Paris", "TZOFFSETFROM:+0100", "TZID:Other", "nonsense"]
        {
            zones.take(line);
        }
        let found = |name| zones.find(name).and_then(|zone| zone.iana_name().map(str::to_owned));
        for name in [
            "Europe/Paris",
            "Campus",
            "Romance Standard Time",
            "/freeassociation.sourceforge.net/Europe/Paris",
            "/example.org/20190914_1/Europe/Paris",
        ] {
            assert_eq!(found(name).as_deref(), Some("Europe/Paris"), "{name}");
        }
        for name in ["Other", "Mars/Olympus", "", "/", "Paris"] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[test]
    fn this_machine_knows_every_city_of_the_table() {
        for (name, city) in WINDOWS {
            assert!(TimeZone::get(city).is_ok(), "{name}: {city}");
        }
    }
}
