//! What is planned for which channel, and what is wrong with the plan.
//!
//! [`Plan`] is made by the schedule, and read by the console, the alarms and the overrun guard. It is immutable, shared, and
//! the body of `GET /api/v1/schedule`. What does *not* belong here: where events come from and how conflicts between them
//! are resolved (the schedule), which source is on which channel at this moment and why (the matrix).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use amphi_media::{ChannelName, EventId, MediaTime, SourceName};

/// Everything that is planned, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Plan {
    /// When the plan was made.
    pub as_of: MediaTime,
    /// IANA name of the time zone of its sentences.
    pub timezone: String,
    /// By start, then by identifier. Lectures of the last day stay in it.
    pub events: Vec<PlannedEvent>,
    /// What is wrong with it, by beginning; none that is over.
    pub conflicts: Vec<Conflict>,
    /// Whether the calendar could be read.
    pub feed: FeedState,
    /// How long before it happens a conflict is an alarm.
    #[serde(skip)]
    pub warn_ahead: Duration,
}

/// A lecture, with its channel and the times at which it is connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedEvent {
    /// Its identifier in the calendar.
    #[schema(value_type = String)]
    pub id: EventId,
    /// The lecture's title; may be empty.
    pub title: String,
    /// The title of its series, else the series' identifier.
    pub series: Option<String>,
    /// The identifier of its series.
    pub series_id: Option<String>,
    /// The capture agent: the hall, as the calendar calls it.
    pub agent: String,
    /// The names of the presenters.
    pub presenters: Vec<String>,
    /// The channel that it is shown on; `None` if no rule matches.
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelName>,
    /// The source in its hall; `None` if there is none.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// When the lecture starts.
    pub starts: MediaTime,
    /// When the lecture ends.
    pub ends: MediaTime,
    /// From when its source is on its channel, lead-in included. `None`: it never is.
    pub connect_from: Option<MediaTime>,
    /// Until when its source is on its channel, lead-out included.
    pub connect_until: Option<MediaTime>,
    /// Until when it stays at the latest while somebody speaks or something moves: the overrun guard of its channel, cut
    /// short by what is planned next. `None`: it ends as planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_last_until: Option<MediaTime>,
}

impl PlannedEvent {
    /// Whether the schedule wants its source on its channel at `now`.
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

    /// The first event of `channel` that has not ended at `now` and is ever connected.
    pub fn next(&self, channel: &str, now: MediaTime) -> Option<&PlannedEvent> {
        self.of(channel).filter(|event| event.connect_from.is_some()).find(|event| now < event.ends)
    }

    /// The events of `channel`, in the order of their start.
    pub fn of<'a, 'b>(&'a self, channel: &'b str) -> impl Iterator<Item = &'a PlannedEvent> + use<'a, 'b> {
        self.events.iter().filter(move |event| event.channel.as_deref() == Some(channel))
    }
}

/// Something in the plan that should be corrected before it happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conflict {
    /// The kind of conflict.
    pub kind: ConflictKind,
    /// The channel concerned, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelName>,
    /// The source concerned, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// Identifiers of the events concerned.
    #[schema(value_type = Vec<String>)]
    pub events: Vec<EventId>,
    /// When the conflict begins.
    pub from: MediaTime,
    /// When the conflict is over.
    pub until: MediaTime,
    /// The conflict in a plain sentence, with the day and the hour.
    pub sentence: String,
}

/// What can be wrong with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Two events at the same time on one channel.
    ChannelTwice,
    /// Two events at the same time in one hall, on two channels.
    SourceTwice,
    /// No rule matches the event.
    NoRule,
    /// The event belongs to no series, and no rule matches its title.
    NoSeries,
    /// The rule's channel is not configured.
    UnknownChannel,
    /// No source is configured for the event's hall.
    UnknownSource,
    /// The event does not end after its start.
    NoLength,
}

/// Whether the calendar could be read, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FeedState {
    /// Whether a calendar is configured.
    pub configured: bool,
    /// Whether the last poll succeeded; `true` before the first one.
    pub ok: bool,
    /// Why the last poll failed, in a plain sentence without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Since when polls have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_since: Option<MediaTime>,
    /// When the calendar was last read successfully, perhaps before a restart. The plan is that old.
    pub last_good: Option<MediaTime>,
    /// When it was last polled.
    pub last_try: Option<MediaTime>,
    /// Its format, once known.
    pub format: Option<FeedFormat>,
    /// What was left out of it or looked strange, one sentence each; their number is bounded.
    pub notes: Vec<String>,
}

/// The format of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeedFormat {
    /// iCalendar (RFC 5545).
    Ical,
    /// Opencast's `calendar.json` (11.4 and newer).
    Json,
}
