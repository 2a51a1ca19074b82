//! Dates of recurring events (RFC 5545 §3.3.10, §3.8.5), computed by the `rrule` crate.
//!
//! A rule counts in the local time of the event's start: a lecture at 8:30 stays at 8:30 when clocks change. So it is
//! expanded in local time, and each date becomes an instant afterwards; the crate's own time zones are not used, since it
//! knows only those of the IANA database. Bounded: only dates within a window, at most [`DATES`] of one rule, at most
//! [`STEPS`] steps to get there.
//!
//! The crate is stricter than calendars are, so a rule is put into its form first: `UNTIL` in the event's local time; parts
//! of RFC 7529 that change nothing and unknown `X-` parts left out; an ordinal in `BYDAY` of a weekly rule, which means
//! nothing there, too; an `INTERVAL` or `COUNT` of 0 read as 1.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rrule::RRuleSet;

/// The most dates of one rule within the window.
pub(super) const DATES: usize = 1000;
/// The most steps from the first date to the last one: every day for more than a century.
const STEPS: usize = 50_000;

/// The dates in local time from `from` until before `to`. The error says what is wrong with the rule.
pub(super) fn dates(
    rule: &str,
    starts: DateTime,
    zone: &TimeZone,
    (from, to): (DateTime, DateTime),
) -> Result<Vec<DateTime>, String> {
    let RecurrenceRule { parts, until, .. } = in_local_time(rule, zone)?;
    let within = |date: &DateTime| from <= *date && *date < to;
    if until.is_some_and(|until| until < starts) {
        // The start is always the first date (§3.8.5.3).
        return Ok([starts].into_iter().filter(within).collect());
    }
    let wrong = |why: &dyn std::fmt::Display| {
        let why: String = why.to_string().chars().filter(|char| !char.is_control()).take(120).collect();
        format!("its rule cannot be read: {why}")
    };
    let text = format!("DTSTART:{}Z\nRRULE:{}", starts.strftime("%Y%m%dT%H%M%S"), parts.join(";"));
    let set: RRuleSet = text.parse().map_err(|error: rrule::RRuleError| wrong(&error))?;
    let set = set.limit();
    let mut found = Vec::new();
    let mut steps = 0;
    for date in set.into_iter().take(STEPS) {
        steps += 1;
        let date = Timestamp::from_second(date.timestamp()).map_err(|error| wrong(&error))?;
        let date = date.to_zoned(TimeZone::UTC).datetime();
        if to <= date || found.len() >= DATES {
            break;
        }
        if from <= date {
            found.push(date);
        }
    }
    match steps {
        0 => Err("its rule has no date at all".to_owned()),
        STEPS if found.is_empty() => Err(format!("its rule has more than {STEPS} dates before this day")),
        _ => Ok(found),
    }
}

/// Whether a rule recurs once a year or less often.
pub(super) fn is_yearly(rule: &str) -> bool {
    in_local_time(rule, &TimeZone::UTC).is_ok_and(|rule| rule.frequency == "YEARLY")
}

/// A rule in the form that the crate takes.
#[derive(Debug, Default)]
struct RecurrenceRule {
    parts: Vec<String>,
    frequency: String,
    until: Option<DateTime>,
}

/// The rule with its `UNTIL` in the local time of the event. Rules that recur within a day are refused.
fn in_local_time(rule: &str, zone: &TimeZone) -> Result<RecurrenceRule, String> {
    let mut read = RecurrenceRule::default();
    let mut days = None;
    for part in rule.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            return Err(format!("its rule cannot be read: {part:?}"));
        };
        let (key, value) = (key.trim().to_ascii_uppercase(), value.trim().to_ascii_uppercase());
        match key.as_str() {
            "UNTIL" => read.until = Some(until(&value, zone)?),
            "FREQ" if !["DAILY", "WEEKLY", "MONTHLY", "YEARLY"].contains(&value.as_str()) => {
                return Err(format!("it recurs {value:?}, which no lecture does"));
            }
            "FREQ" => read.frequency = value,
            // The crate would build a list of a whole year of them before it returns the first.
            "BYHOUR" | "BYMINUTE" | "BYSECOND" if value.contains(',') => {
                return Err("it recurs within a day, which no lecture does".to_owned());
            }
            "BYDAY" => days = Some(value),
            "INTERVAL" | "COUNT" => {
                let number: u64 =
                    value.parse().map_err(|_| format!("its rule has {part:?}, which is no number"))?;
                let most = if key == "COUNT" { u64::from(u32::MAX) } else { u64::from(u16::MAX) };
                read.parts.push(format!("{key}={}", number.clamp(1, most)));
            }
            // RFC 7529 §4: the Gregorian calendar, and what is done with dates that do not exist in another.
            "RSCALE" if value == "GREGORIAN" => {}
            "SKIP" => {}
            _ if key.starts_with("X-") => {}
            _ => read.parts.push(format!("{key}={value}")),
        }
    }
    if let Some(days) = days {
        // §3.3.10: an ordinal is for monthly and yearly rules.
        let counts = matches!(read.frequency.as_str(), "MONTHLY" | "YEARLY");
        let plain = |day: &str| day.trim_matches(|char: char| !char.is_ascii_alphabetic()).to_owned();
        let days = days.split(',').map(|day| if counts { day.trim().to_owned() } else { plain(day) });
        read.parts.push(format!("BYDAY={}", days.collect::<Vec<_>>().join(",")));
    }
    read.parts.push(format!("FREQ={}", read.frequency));
    if let Some(until) = read.until {
        read.parts.push(format!("UNTIL={}", until.strftime("%Y%m%dT%H%M%SZ")));
    }
    Ok(read)
}

/// The value of `UNTIL` (§3.3.10: a date, a local time, or UTC) as a local time.
fn until(value: &str, zone: &TimeZone) -> Result<DateTime, String> {
    let wrong = || format!("its rule ends at {value:?}, which is no time");
    if value.len() == 8 {
        return DateTime::strptime("%Y%m%dT%H%M%S", format!("{value}T235959")).map_err(|_| wrong());
    }
    let (local, is_utc) = value.strip_suffix('Z').map_or((value, false), |utc| (utc, true));
    let local = DateTime::strptime("%Y%m%dT%H%M%S", local).map_err(|_| wrong())?;
    if !is_utc {
        return Ok(local);
    }
    let instant = local.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
    Ok(instant.with_time_zone(zone.clone()).datetime())
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
    fn every_part_of_a_rule_counts() {
        let days = |rule: &str| -> Vec<String> {
            let dates = found(rule).expect(rule);
            dates.iter().map(|date| date.split(' ').next().unwrap_or_default().to_owned()).collect()
        };
        // The start, 7 September 2026, is a Monday.
        assert_eq!(days("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"), ["11-30"]);
        assert_eq!(days("FREQ=MONTHLY;BYDAY=MO,WE;BYSETPOS=1,3"), ["11-02", "11-09", "12-02", "12-09"]);
        // With weeks that begin on Sunday, the Sunday after the first Monday is in the next week.
        assert_eq!(
            days("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=MO;UNTIL=20261117"),
            ["11-02", "11-08", "11-16"]
        );
        assert_eq!(
            days("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU;UNTIL=20261117"),
            ["11-01", "11-02", "11-15", "11-16"]
        );
        assert_eq!(days("FREQ=MONTHLY;BYMONTHDAY=-1"), ["11-30"]);
        assert_eq!(days("FREQ=YEARLY;BYMONTH=11;BYDAY=-1MO"), ["11-30"]);
        assert_eq!(days("FREQ=YEARLY;BYWEEKNO=47;BYDAY=MO"), ["11-16"]);
        assert_eq!(days("FREQ=DAILY;INTERVAL=70"), ["11-16"]);
        assert_eq!(days("FREQ=WEEKLY;UNTIL=20261109T083000"), ["11-02", "11-09"]);
    }

    #[test]
    fn what_other_readers_take_is_taken() {
        let weekly = found("FREQ=WEEKLY");
        for rule in [
            "FREQ=WEEKLY;INTERVAL=0",
            "FREQ=WEEKLY;BYDAY=1MO",
            "FREQ=WEEKLY; BYDAY=mo;",
            "RSCALE=GREGORIAN;FREQ=WEEKLY;SKIP=OMIT;X-NOTE=1",
            "FREQ=WEEKLY;COUNT=99999999999",
        ] {
            assert_eq!(found(rule), weekly, "{rule}");
        }
        assert_eq!(found("FREQ=WEEKLY;INTERVAL=100000"), Ok(Vec::new()), "only the start, before the window");
        let paris = TimeZone::get("Europe/Paris").expect("known");
        let window = (at("2026-09-01T00:00"), at("2026-12-24T00:00"));
        for rule in ["FREQ=WEEKLY;UNTIL=20260901", "FREQ=WEEKLY;UNTIL=20260907T000000Z", "FREQ=DAILY;COUNT=0"]
        {
            let only = dates(rule, at("2026-09-07T08:30"), &paris, window);
            assert_eq!(only, Ok(vec![at("2026-09-07T08:30")]), "{rule}");
        }
        let never = dates("FREQ=DAILY", at("1601-01-01T08:30"), &paris, window);
        assert_eq!(never, Err("its rule has more than 50000 dates before this day".to_owned()));
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
            "FREQ=WEEKLY;COUNT=many",
            "FREQ=WEEKLY;INTERVAL=-1",
            "RSCALE=CHINESE;FREQ=YEARLY",
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "FREQ=WEEKLY;UNTIL=20261301",
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
