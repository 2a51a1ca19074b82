//! The planner keeps the last good calendar, and computes from it the plan and what the matrix should be told.
//!
//! Contract: make one with [`Planner::new`], perhaps with what an earlier run has saved. Poll the calendar when
//! [`Planner::poll_due`] says so, and pass the result to [`Planner::take`]; parts that failed leave what was known. At any time,
//! [`Planner::channel_plans`] is what the matrix should be told, [`Planner::next_change`] is when that changes by itself, and
//! [`Planner::plan`] is everything. It has no end.
//!
//! A lecture that disappears from the calendar before its end was cancelled. One that disappears later was over (Opencast
//! drops events an hour after their end): it is remembered for a day, for its lead-out and for showing the day.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{CalendarEvent, PollResult};
use super::settings::Settings;
use super::timetable::{Settled, settle};
use super::words::{id_order, reason};
use crate::agenda::{Conflict, FeedFormat, FeedState, Plan, PlannedEvent};
use crate::matrix::{NOTICE_CHARS, Notice, Scheduled};
use amphi_media::{ChannelName, EventId, MediaTime, SourceName};

/// How long lectures that are over are remembered.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// What is saved across a restart: the last good calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredCalendar {
    /// When all of it was last read successfully.
    pub last_good: Option<jiff::Timestamp>,
    /// The format of the calendar.
    pub format: Option<FeedFormat>,
    /// The lectures by capture agent; the empty one is all agents.
    pub parts: BTreeMap<String, StoredPart>,
}

/// The last good answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPart {
    /// When it was read.
    pub read: jiff::Timestamp,
    /// The lectures, with those that are over and remembered.
    pub events: Vec<CalendarEvent>,
}

/// What the matrix should be told about one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPlan {
    /// The name of the channel.
    pub channel: ChannelName,
    /// What the schedule wants on it; `None` = nothing.
    pub scheduled: Option<Scheduled>,
    /// The lecture that may stay beyond its planned end, if somebody speaks or something moves then.
    pub overrun: Option<MayOverrun>,
    /// The text of the waiting picture: the next lecture.
    pub notice: Option<Notice>,
}

/// A lecture that may stay on its channel beyond its planned end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayOverrun {
    /// The lecture's identifier.
    pub event: EventId,
    /// The name of its source.
    pub source: SourceName,
    /// The reason why it is shown, in a plain sentence.
    pub reason: String,
    /// Its end by the plan, lead-out included.
    pub planned: MediaTime,
    /// Its latest end, by the channel's overrun guard.
    pub latest: MediaTime,
}

/// The last good calendar, and what follows from it; the module's text has the contract.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    kept: StoredCalendar,
    state: FeedState,
    settled: Settled,
    next_poll: MediaTime,
}

impl Planner {
    /// A planner that wants to poll the calendar at once.
    pub fn new(settings: Settings, kept: Option<StoredCalendar>, now: MediaTime) -> Self {
        let kept = kept.unwrap_or_default();
        let mut planner =
            Self { settings, kept, state: FeedState::default(), settled: Settled::default(), next_poll: now };
        planner.state = planner.fresh_state();
        planner.settle();
        planner
    }

    /// Changes the settings. The calendar is polled again at once. `kept` replaces what was known; give it if the settings
    /// name another calendar.
    pub fn change(&mut self, settings: Settings, kept: Option<StoredCalendar>, now: MediaTime) {
        self.settings = settings;
        if let Some(kept) = kept {
            self.kept = kept;
        }
        self.state = self.fresh_state();
        self.next_poll = now;
        self.settle();
    }

    /// Whether the calendar should be polled at `now`.
    pub fn poll_due(&self, now: MediaTime) -> bool {
        // Also when the clock was stepped back by more than a poll's interval.
        self.settings.configured && (self.next_poll <= now || now + self.settings.poll < self.next_poll)
    }

    /// The calendar is being polled at `now`; the next poll is due one interval later.
    pub fn polled(&mut self, now: MediaTime) {
        self.next_poll = now + self.settings.poll;
        self.state.last_try = Some(now);
    }

    /// Takes the result of a poll. Returns `true` if something has changed, so that [`Planner::kept`] must be saved.
    pub fn take(&mut self, result: PollResult, now: MediaTime) -> bool {
        let mut faults = Vec::new();
        let mut notes = Vec::new();
        let asked: Vec<String> = result.parts.iter().map(|part| part.agent.clone()).collect();
        let (mut good, mut changed) = (false, false);
        for part in result.parts {
            match part.outcome {
                Err(fault) => faults.push(fault.to_string()),
                Ok(reading) => {
                    good = true;
                    if let Some(reading) = reading {
                        notes.extend(reading.notes);
                        changed |= self.replace(&part.agent, reading.events, now);
                    }
                }
            }
        }
        if good {
            // Parts of agents that are no longer configured stay until a poll has succeeded.
            let before = self.kept.parts.len();
            self.kept.parts.retain(|agent, _| asked.contains(agent));
            changed |= self.kept.parts.len() != before;
        }
        if result.format.is_some() {
            self.kept.format = result.format;
        }
        let since = self.state.fault_since;
        self.state.ok = faults.is_empty();
        self.state.fault_since = if faults.is_empty() { None } else { since.or(Some(now)) };
        if faults.is_empty() {
            self.kept.last_good = Some(now.timestamp());
        }
        // Equal faults are reported once.
        faults.dedup();
        self.state.fault = faults.first().map(|first| match faults.len() {
            1 => first.clone(),
            more => format!("{first}; and {} more", more - 1),
        });
        self.state.last_good = self.kept.last_good.map(MediaTime::from);
        self.state.format = self.kept.format;
        self.state.notes = notes;
        if changed {
            self.settle();
        }
        changed
    }

    /// What is to be saved across a restart.
    pub const fn kept(&self) -> &StoredCalendar {
        &self.kept
    }

    /// The plan at `now`: lectures and conflicts, without those that ended more than a day ago.
    pub fn plan(&self, now: MediaTime) -> Plan {
        let Settled { events, conflicts } = &self.settled;
        let recent = |event: &&PlannedEvent| now < event.ends.max(event.starts) + MEMORY;
        let zone = self.settings.zone.iana_name().unwrap_or("UTC").to_owned();
        Plan {
            as_of: now,
            timezone: zone,
            events: events.iter().filter(recent).cloned().collect(),
            conflicts: conflicts.iter().filter(|conflict| now < conflict.until).cloned().collect(),
            feed: self.state.clone(),
            warn_ahead: self.settings.warn_ahead,
        }
    }

    /// What the matrix should be told at `now`, for every channel.
    pub fn channel_plans(&self, now: MediaTime) -> Vec<ChannelPlan> {
        self.settings.channels.iter().map(|channel| self.channel_plan(channel, now)).collect()
    }

    fn channel_plan(&self, channel: &ChannelName, now: MediaTime) -> ChannelPlan {
        let on_it = || self.settled.events.iter().filter(|event| event.channel.as_ref() == Some(channel));
        let scheduled = on_it().find(|event| event.is_connected(now)).and_then(|event| {
            Some(Scheduled {
                source: event.source.clone()?,
                reason: reason(event, &self.settings.zone),
                until: event.connect_until?,
            })
        });
        let may_last = |event: &&PlannedEvent| {
            event.connect_from.is_some_and(|from| from <= now)
                && event.may_last_until.is_some_and(|until| now < until)
        };
        let overrun = on_it().find(may_last).and_then(|event| {
            Some(MayOverrun {
                event: event.id.clone(),
                source: event.source.clone()?,
                reason: reason(event, &self.settings.zone),
                planned: event.connect_until?,
                latest: event.may_last_until?,
            })
        });
        let next = on_it().find(|event| event.connect_from.is_some() && now < event.ends);
        let announced = next.filter(|event| self.announces(event, now));
        ChannelPlan { channel: channel.clone(), scheduled, overrun, notice: announced.map(notice) }
    }

    fn announces(&self, event: &PlannedEvent, now: MediaTime) -> bool {
        !self.settings.notice_ahead.is_zero() && event.starts - self.settings.notice_ahead <= now
    }

    /// When the result of [`Planner::channel_plans`] changes next, if no new calendar is taken.
    pub fn next_change(&self, now: MediaTime) -> Option<MediaTime> {
        let of_event = |event: &PlannedEvent| {
            let notice = event.starts - self.settings.notice_ahead;
            [event.connect_from, event.connect_until, Some(event.ends), Some(notice)]
        };
        let instants = self.settled.events.iter().flat_map(of_event).flatten();
        instants.filter(|&instant| now < instant).min()
    }

    /// All conflicts of the calendar, past ones included.
    pub fn all_conflicts(&self) -> &[Conflict] {
        &self.settled.conflicts
    }

    /// The present settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    fn fresh_state(&self) -> FeedState {
        FeedState {
            configured: self.settings.configured,
            ok: true,
            last_good: self.kept.last_good.map(MediaTime::from),
            format: self.kept.format,
            ..FeedState::default()
        }
    }

    /// Replaces an agent's lectures, keeping those that are over; `true` if they have changed.
    fn replace(&mut self, agent: &str, mut events: Vec<CalendarEvent>, now: MediaTime) -> bool {
        let before = self.kept.parts.remove(agent);
        let mut remembered: Vec<CalendarEvent> = before.as_ref().map_or_else(Vec::new, |part| {
            let over = |event: &&CalendarEvent| event.ends <= now && now < event.ends + MEMORY;
            let gone = |event: &&CalendarEvent| !events.iter().any(|known| known.id == event.id);
            part.events.iter().filter(over).filter(gone).cloned().collect()
        });
        events.append(&mut remembered);
        events.sort_by(|one, two| id_order(&one.id).cmp(&id_order(&two.id)));
        let changed = before.is_none_or(|before| before.events != events);
        self.kept.parts.insert(agent.to_owned(), StoredPart { read: now.timestamp(), events });
        changed
    }

    /// Computes the timetable. An event that is in the answers of two agents, because it was moved between the two requests,
    /// counts as in the later answer.
    fn settle(&mut self) {
        let mut parts: Vec<&StoredPart> = self.kept.parts.values().collect();
        parts.sort_by_key(|part| part.read);
        let all = parts.into_iter().flat_map(|part| &part.events);
        let by_id: BTreeMap<&EventId, &CalendarEvent> = all.map(|event| (&event.id, event)).collect();
        self.settled = settle(by_id.into_values(), &self.settings);
    }
}

/// The text of a waiting picture that announces the event.
fn notice(event: &PlannedEvent) -> Notice {
    let fitting = |text: &str| -> String {
        text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(NOTICE_CHARS).collect()
    };
    Notice {
        title: fitting(&event.title),
        place: fitting(&event.agent.replace('_', " ")),
        starts: Some(event.starts),
    }
}

#[cfg(test)]
mod tests;
