//! When the nightly rehearsal starts.

use jiff::ToSpan as _;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use amphi_media::MediaTime;

/// A text that is not a time of day: the configuration's `rehearsal`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time of day like \"03:00\"")]
pub struct NightError(pub String);

/// Parses `HH:MM`; an empty text is `None`, which means off.
pub fn time_of_day(text: &str) -> Result<Option<Time>, NightError> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || NightError(text.to_owned());
    let (hour, minute) = text.split_once(':').filter(|_| text.len() == 5).ok_or_else(wrong)?;
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse().ok() } else { None }
    };
    let (hour, minute) = number(hour).zip(number(minute)).ok_or_else(wrong)?;
    Time::new(hour, minute, 0, 0).map(Some).map_err(|_| wrong())
}

/// The first moment after `now` at which clocks in `zone` show `time`. On a day on which clocks are put forward over it, it
/// is later by as much; on a day on which they show it twice, it is the first.
pub fn next_rehearsal(now: MediaTime, time: Time, zone: &TimeZone) -> Option<MediaTime> {
    let today = now.timestamp().to_zoned(zone.clone()).date();
    // Today's may be over, so tomorrow's is computed too.
    let mut days = [Ok(today), today.checked_add(1.day())].into_iter().flatten();
    days.find_map(|day| {
        let stamp = zone.to_timestamp(day.to_datetime(time)).ok()?;
        Some(MediaTime::from(stamp)).filter(|at| now < *at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> MediaTime {
        text.parse::<jiff::Timestamp>().expect("a time").into()
    }

    #[test]
    fn times_of_day_are_read() {
        assert_eq!(time_of_day(""), Ok(None));
        assert_eq!(time_of_day("03:00"), Ok(Some(Time::constant(3, 0, 0, 0))));
        assert_eq!(time_of_day("23:59"), Ok(Some(Time::constant(23, 59, 0, 0))));
        for wrong in ["3:00", "24:00", "03:60", "03", "03:00:00", "+3:00", "ab:cd", "03.00", "é3:0"] {
            assert_eq!(time_of_day(wrong), Err(NightError(wrong.to_owned())), "{wrong}");
        }
    }

    #[test]
    fn the_next_night_is_found_also_when_clocks_change() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let three = Time::constant(3, 0, 0, 0);
        let half_past_two = Time::constant(2, 30, 0, 0);
        for (now, time, next) in [
            ("2026-11-23T01:59:59Z", three, "2026-11-23T02:00:00Z"),
            ("2026-11-23T02:00:00Z", three, "2026-11-24T02:00:00Z"),
            ("2026-12-31T23:30:00Z", three, "2027-01-01T02:00:00Z"),
            // 29 March 2026: 02:30 does not exist and becomes 03:30, summer time.
            ("2026-03-28T20:00:00Z", half_past_two, "2026-03-29T01:30:00Z"),
            // 25 October 2026: 02:30 exists twice.
            ("2026-10-24T20:00:00Z", half_past_two, "2026-10-25T00:30:00Z"),
            ("2026-10-25T00:30:00Z", half_past_two, "2026-10-26T01:30:00Z"),
        ] {
            assert_eq!(next_rehearsal(at(now), time, &zone), Some(at(next)), "{now}");
        }
    }
}
