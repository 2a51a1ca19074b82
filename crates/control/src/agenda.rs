//! The agenda's words: what is planned for which channel, and what is wrong with the plan.
//!
//! [`Plan`] is made by the schedule and read by whoever shows or guards the day: it is immutable, shared, and the body of
//! `GET /api/v1/schedule`. What does *not* belong here: where events come from and how they are settled (the schedule),
//! who is on which channel at this moment and by whose word (the matrix).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use amphi_media::{ChannelName, EventId, MediaTime, SourceName};

/// Everything that is planned, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Plan {
    /// When it was made.
    pub as_of: MediaTime,
    /// IANA name of the zone in which its sentences tell the time.
    pub timezone: String,
    /// By start, then by identifier. Lectures of the last day stay in it.
    pub events: Vec<PlannedEvent>,
    /// What is wrong with it, by beginning; only what lies ahead.
    pub conflicts: Vec<Conflict>,
    /// How the calendar is.
    pub feed: FeedState,
    /// How long before it happens a conflict is an alarm.
    #[serde(skip)]
    pub warn_ahead: Duration,
}

/// A lecture, and where it is shown when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedEvent {
    /// Its identifier in the calendar.
    #[schema(value_type = String)]
    pub id: EventId,
    /// Its title.
    pub title: String,
    /// The title of its series, else the series' identifier.
    pub series: Option<String>,
    /// The series' identifier.
    pub series_id: Option<String>,
    /// The capture agent: the hall, as the calendar calls it.
    pub agent: String,
    /// Who speaks.
    pub presenters: Vec<String>,
    /// Where it should be shown; `None` where no rule says so.
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelName>,
    /// Which source films it; `None` where there is none.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// When it starts.
    pub starts: MediaTime,
    /// When it ends.
    pub ends: MediaTime,
    /// From when its source is on its channel: the lead-in counts. `None`: it never is.
    pub connect_from: Option<MediaTime>,
    /// Until when: the lead-out counts.
    pub connect_until: Option<MediaTime>,
    /// Until when it stays at the latest while somebody speaks or something moves: the overrun guard of its channel, cut
    /// short by what is planned next. `None`: it ends as planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_last_until: Option<MediaTime>,
}

impl PlannedEvent {
    /// Its source is on its channel at `now`, as far as the schedule is concerned.
    pub fn is_connected(&self, now: MediaTime) -> bool {
        self.connect_from.is_some_and(|from| from <= now)
            && self.connect_until.is_some_and(|until| now < until)
    }
}

impl Plan {
    /// The event whose source the schedule wants on `channel` at `now`; there is at most one.
    pub fn on(&self, channel: &str, now: MediaTime) -> Option<&PlannedEvent> {
        self.of(channel).find(|event| event.is_connected(now))
    }

    /// The first event of `channel` that is not over at `now` and is shown at some time.
    pub fn next(&self, channel: &str, now: MediaTime) -> Option<&PlannedEvent> {
        self.of(channel).filter(|event| event.connect_from.is_some()).find(|event| now < event.ends)
    }

    /// The events of `channel`, by start.
    pub fn of<'a, 'b>(&'a self, channel: &'b str) -> impl Iterator<Item = &'a PlannedEvent> + use<'a, 'b> {
        self.events.iter().filter(move |event| event.channel.as_deref() == Some(channel))
    }
}

/// Something in the plan that somebody should mend before it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conflict {
    /// What.
    pub kind: ConflictKind,
    /// The channel concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelName>,
    /// The source concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// Identifiers of the events concerned.
    #[schema(value_type = Vec<String>)]
    pub events: Vec<EventId>,
    /// When it begins.
    pub from: MediaTime,
    /// When it is over.
    pub until: MediaTime,
    /// What, in a plain sentence with the day and the hour.
    pub sentence: String,
}

/// What can be wrong with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Two events at once on one channel.
    ChannelTwice,
    /// Two events at once in one hall, on two channels.
    SourceTwice,
    /// No rule says where the event goes.
    NoRule,
    /// The event belongs to no series, and no rule takes it for its title.
    NoSeries,
    /// A rule leads to a channel that there is not.
    UnknownChannel,
    /// There is no source for the event's hall.
    UnknownSource,
    /// The event ends when it starts, or before.
    NoLength,
}

/// How the calendar is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FeedState {
    /// A calendar is configured.
    pub configured: bool,
    /// The last try was good, or none was made yet.
    pub ok: bool,
    /// What is wrong, in a plain sentence without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Since when something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_since: Option<MediaTime>,
    /// When it was last read well; the plan is that old. May be of a life before this one.
    pub last_good: Option<MediaTime>,
    /// When it was last asked for.
    pub last_try: Option<MediaTime>,
    /// What it speaks, once known.
    pub format: Option<FeedFormat>,
    /// What was left out of it or taken as strange, one sentence each; bounded.
    pub notes: Vec<String>,
}

/// What calendars speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeedFormat {
    /// iCalendar (RFC 5545).
    Ical,
    /// Opencast's `calendar.json`.
    Json,
}
