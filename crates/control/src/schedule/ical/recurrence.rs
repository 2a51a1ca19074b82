//! Dates of recurring events (RFC 5545 §3.3.10, §3.8.5), computed by the `rrule` crate.
//!
//! A rule counts in the local time of the event's start: a lecture at 8:30 stays at 8:30 when clocks change. So it is
//! expanded in local time, and each date becomes an instant afterwards. Bounded: only dates within a window, at most
//! [`DATES`] of one rule, at most [`STEPS`] steps to get there.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rrule::RRuleSet;

/// The most dates of one rule within the window.
const DATES: usize = 1000;
/// The most steps from the first date to the last one: every day for more than a century.
const STEPS: usize = 50_000;

/// The dates in local time from `from` until before `to`. The error says what is wrong with the rule.
pub(super) fn dates(
    rule: &str,
    starts: DateTime,
    zone: &TimeZone,
    (from, to): (DateTime, DateTime),
) -> Result<Vec<DateTime>, String> {
    let rule = in_local_time(rule, zone)?;
    let wrong = |why: &dyn std::fmt::Display| {
        let why: String = why.to_string().chars().filter(|char| !char.is_control()).take(120).collect();
        format!("its rule cannot be read: {why}")
    };
    let text = format!("DTSTART:{}Z\nRRULE:{rule}", starts.strftime("%Y%m%dT%H%M%S"));
    let set: RRuleSet = text.parse().map_err(|error: rrule::RRuleError| wrong(&error))?;
    let set = set.limit();
    let mut found = Vec::new();
    for date in set.into_iter().take(STEPS) {
        let date = Timestamp::from_second(date.timestamp()).map_err(|error| wrong(&error))?;
        let date = date.to_zoned(TimeZone::UTC).datetime();
        if to <= date || found.len() >= DATES {
            break;
        }
        if from <= date {
            found.push(date);
        }
    }
    Ok(found)
}

/// The rule with its `UNTIL` in the local time of the event. Rules that recur within a day are refused.
fn in_local_time(rule: &str, zone: &TimeZone) -> Result<String, String> {
    let mut parts = Vec::new();
    for part in rule.split(';').filter(|part| !part.is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            return Err(format!("its rule cannot be read: {part:?}"));
        };
        let (key, value) = (key.trim().to_ascii_uppercase(), value.trim());
        match key.as_str() {
            "UNTIL" => parts.push(format!("UNTIL={}", until(value, zone)?)),
            "FREQ"
                if !["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
                    .iter()
                    .any(|it| it.eq_ignore_ascii_case(value)) =>
            {
                return Err(format!("it recurs {value:?}, which no lecture does"));
            }
            // The crate would build a list of a whole year of them before it returns the first.
            "BYHOUR" | "BYMINUTE" | "BYSECOND" if value.contains(',') => {
                return Err("it recurs within a day, which no lecture does".to_owned());
            }
            _ => parts.push(format!("{key}={value}")),
        }
    }
    Ok(parts.join(";"))
}

/// The value of `UNTIL` (§3.3.10: a date, a local time, or UTC) as a local time.
fn until(value: &str, zone: &TimeZone) -> Result<String, String> {
    let wrong = || format!("its rule ends at {value:?}, which is no time");
    if value.len() == 8 {
        return Ok(format!("{value}T235959Z"));
    }
    let Some(utc) = value.strip_suffix(['Z', 'z']) else { return Ok(format!("{value}Z")) };
    let utc = DateTime::strptime("%Y%m%dT%H%M%S", utc).map_err(|_| wrong())?;
    let instant = utc.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
    Ok(instant.with_time_zone(zone.clone()).strftime("%Y%m%dT%H%M%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().expect("a time")
    }

    fn found(rule: &str) -> Result<Vec<String>, String> {
        let paris = TimeZone::get("Europe/Paris").expect("known");
        let window = (at("2026-11-01T00:00"), at("2026-12-24T00:00"));
        let dates = dates(rule, at("2026-09-07T08:30"), &paris, window)?;
        Ok(dates.iter().map(|date| date.strftime("%m-%d %H:%M").to_string()).collect())
    }

    #[test]
    fn dates_within_the_window_are_found() {
        let weekly = ["11-02", "11-09", "11-16", "11-23", "11-30", "12-07", "12-14", "12-21"];
        let at_half_past_eight = |days: &[&str]| Ok(days.iter().map(|day| format!("{day} 08:30")).collect());
        assert_eq!(found("FREQ=WEEKLY"), at_half_past_eight(&weekly));
        assert_eq!(found("freq=weekly;until=20261116"), at_half_past_eight(&weekly[..3]));
        // 8:30 in Paris is 7:30 in UTC.
        assert_eq!(found("FREQ=WEEKLY;UNTIL=20261116T073000Z"), at_half_past_eight(&weekly[..3]));
        assert_eq!(found("FREQ=WEEKLY;UNTIL=20261116T072959Z"), at_half_past_eight(&weekly[..2]));
        assert_eq!(found("FREQ=WEEKLY;COUNT=10"), at_half_past_eight(&weekly[..2]));
        assert_eq!(
            found("FREQ=WEEKLY;INTERVAL=4;BYDAY=TU,TH"),
            at_half_past_eight(&["11-03", "11-05", "12-01", "12-03"])
        );
        assert_eq!(found("FREQ=MONTHLY;BYDAY=2MO"), at_half_past_eight(&["11-09", "12-14"]));
        assert_eq!(found("FREQ=DAILY").map(|days| days.len()), Ok(53));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for rule in [
            "",
            "FREQ",
            "FREQ=SECONDLY",
            "FREQ=WEEKLY;BYDAY=XX",
            "FREQ=WEEKLY;UNTIL=soonZ",
            "INTERVAL=2",
            "FREQ=DAILY;BYHOUR=8,9",
        ] {
            assert!(found(rule).is_err(), "{rule}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_stumble(rule in "FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;(INTERVAL|COUNT|BYHOUR|BYMINUTE|BYSECOND|BYYEARDAY|BYWEEKNO|BYMONTH|BYMONTHDAY|BYDAY|BYSETPOS|UNTIL|WKST)=-?[0-9MOTUWE,Z]{0,6}){0,3}") {
            let _ = found(&rule);
        }
    }
}
