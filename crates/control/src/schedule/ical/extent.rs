//! How long an event lasts (RFC 5545 §3.3.6), and instants of local times (§3.3.5).

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};

use amphi_media::MediaTime;

/// How long an event lasts: days of the calendar, which may have 23 or 25 hours, and a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventLength {
    days: i64,
    nanos: i64,
}

impl EventLength {
    pub(super) const fn of_days(days: i64) -> Self {
        Self { days, nanos: 0 }
    }

    pub(super) const fn between(starts: MediaTime, ends: MediaTime) -> Self {
        Self { days: 0, nanos: ends.nanos_since(starts) }
    }

    /// A `DURATION`.
    pub(super) fn of_duration(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration");
        let span: Span = text.parse().map_err(|_| wrong())?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(wrong());
        }
        let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
        let seconds = i64::from(span.get_hours()) * 3600 + span.get_minutes() * 60 + span.get_seconds();
        let nanos = seconds.checked_mul(1_000_000_000).ok_or_else(wrong)?;
        Ok(Self { days, nanos })
    }

    /// The end of what begins at `begins`; days are those of `zone`.
    pub(super) fn after(self, begins: MediaTime, zone: &TimeZone) -> Result<MediaTime, String> {
        let out_of_range = || "it is out of range".to_owned();
        let mut end = begins.timestamp();
        if self.days != 0 {
            let days = Span::new().try_days(self.days).map_err(|_| out_of_range())?;
            let day = end.to_zoned(zone.clone()).datetime().checked_add(days).map_err(|_| out_of_range())?;
            end = instant(day, zone)?.timestamp();
        }
        let end = end.checked_add(SignedDuration::from_nanos(self.nanos));
        end.map(MediaTime::from).map_err(|_| out_of_range())
    }

    /// No less than it lasts.
    pub(super) fn at_most(self) -> Duration {
        let days = u64::try_from(self.days).unwrap_or(0).saturating_add(1).saturating_mul(24 * 3600);
        Duration::from_secs(days).saturating_add(Duration::from_nanos(u64::try_from(self.nanos).unwrap_or(0)))
    }
}

/// The instant of a local time. One that summer time skips is read an hour later; one that occurs twice is the first (§3.3.5).
pub(super) fn instant(local: DateTime, zone: &TimeZone) -> Result<MediaTime, String> {
    let zoned = zone.to_ambiguous_zoned(local).compatible();
    zoned.map(|zoned| zoned.timestamp().into()).map_err(|_| format!("{local} is out of range"))
}
