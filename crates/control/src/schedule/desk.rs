//! The desk: keeps the last good calendar and answers what follows from it.
//!
//! Contract: make one with [`Desk::new`], perhaps with what was kept from a life before. Ask for the calendar when
//! [`Desk::poll_due`] says so and tell what came with [`Desk::take`]; whatever fails leaves what was known. At any time ask
//! [`Desk::wishes`] what the matrix should be told, [`Desk::next_change`] when that changes by itself, and [`Desk::plan`]
//! for everything. Nothing ends it.
//!
//! A lecture that vanishes from the calendar before its end is gone. One that vanishes later was over (Opencast drops
//! events an hour after their end): it is remembered for a day, so that its lead-out is kept and the day can be shown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Event, Harvest};
use super::settings::Settings;
use super::timetable::{Settled, settle};
use super::words::{id_order, reason};
use crate::agenda::{Conflict, FeedFormat, FeedState, Plan, PlannedEvent};
use crate::matrix::{NOTICE_CHARS, Notice, Scheduled};
use amphi_media::{ChannelName, EventId, MediaTime, SourceName};

/// How long lectures that are over are remembered.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// What outlives a restart: the last good calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// When it was last read well.
    pub last_good: Option<jiff::Timestamp>,
    /// What it speaks.
    pub format: Option<FeedFormat>,
    /// By the agent asked for.
    pub parts: BTreeMap<String, KeptPart>,
}

/// What one request brought last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptPart {
    /// When.
    pub read: jiff::Timestamp,
    /// The lectures, with those that are over and remembered.
    pub events: Vec<Event>,
}

/// What the matrix should be told of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The channel.
    pub channel: ChannelName,
    /// What the schedule asks for.
    pub scheduled: Option<Scheduled>,
    /// The lecture that may stay beyond its planned end, if somebody speaks or something moves then.
    pub overrun: Option<MayOverrun>,
    /// What the waiting picture should say.
    pub notice: Option<Notice>,
}

/// A lecture that may stay on its channel beyond its planned end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MayOverrun {
    /// Its identifier.
    pub event: EventId,
    /// Its source.
    pub source: SourceName,
    /// Why it is shown.
    pub reason: String,
    /// When it ends by the plan, lead-out counted.
    pub planned: MediaTime,
    /// When it ends at the latest.
    pub latest: MediaTime,
}

/// See the module's text.
#[derive(Debug)]
pub struct Desk {
    settings: Settings,
    kept: Kept,
    state: FeedState,
    settled: Settled,
    next_poll: MediaTime,
}

impl Desk {
    /// A desk that asks for the calendar at once.
    pub fn new(settings: Settings, kept: Option<Kept>, now: MediaTime) -> Self {
        let kept = kept.unwrap_or_default();
        let mut desk =
            Self { settings, kept, state: FeedState::default(), settled: Settled::default(), next_poll: now };
        desk.state = desk.fresh_state();
        desk.settle();
        desk
    }

    /// Other rules from now on. The calendar is asked for again at once; `kept` takes the place of what was known, if it is
    /// another calendar.
    pub fn change(&mut self, settings: Settings, kept: Option<Kept>, now: MediaTime) {
        self.settings = settings;
        if let Some(kept) = kept {
            self.kept = kept;
        }
        self.state = self.fresh_state();
        self.next_poll = now;
        self.settle();
    }

    /// The calendar has to be asked for.
    pub fn poll_due(&self, now: MediaTime) -> bool {
        // A clock that was stepped back is not waited for.
        self.settings.configured && (self.next_poll <= now || now + self.settings.poll < self.next_poll)
    }

    /// The calendar has been asked for at `now`; the next time is a poll's distance later.
    pub fn polled(&mut self, now: MediaTime) {
        self.next_poll = now + self.settings.poll;
        self.state.last_try = Some(now);
    }

    /// Takes what came. The answer is `true` if it has to be kept: there is something new.
    pub fn take(&mut self, harvest: Harvest, now: MediaTime) -> bool {
        let mut faults = Vec::new();
        let mut notes = Vec::new();
        let asked: Vec<String> = harvest.parts.iter().map(|part| part.agent.clone()).collect();
        let (mut good, mut changed) = (false, false);
        for part in harvest.parts {
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
            // Parts that nobody asks for any more stay until something else is known.
            let before = self.kept.parts.len();
            self.kept.parts.retain(|agent, _| asked.contains(agent));
            changed |= self.kept.parts.len() != before;
        }
        if harvest.format.is_some() {
            self.kept.format = harvest.format;
        }
        let since = self.state.fault_since;
        self.state.ok = faults.is_empty();
        self.state.fault_since = if faults.is_empty() { None } else { since.or(Some(now)) };
        if faults.is_empty() {
            self.kept.last_good = Some(now.timestamp());
        }
        // Agents that fail alike are told together.
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

    /// What has to outlive a restart.
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Everything.
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

    /// What the matrix should be told at `now`, of every channel.
    pub fn wishes(&self, now: MediaTime) -> Vec<Wish> {
        self.settings.channels.iter().map(|channel| self.wish(channel, now)).collect()
    }

    fn wish(&self, channel: &ChannelName, now: MediaTime) -> Wish {
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
        Wish { channel: channel.clone(), scheduled, overrun, notice: announced.map(notice) }
    }

    fn announces(&self, event: &PlannedEvent, now: MediaTime) -> bool {
        !self.settings.notice_ahead.is_zero() && event.starts - self.settings.notice_ahead <= now
    }

    /// When [`Desk::wishes`] say something else next, if nothing new is taken.
    pub fn next_change(&self, now: MediaTime) -> Option<MediaTime> {
        let of_event = |event: &PlannedEvent| {
            let notice = event.starts - self.settings.notice_ahead;
            [event.connect_from, event.connect_until, Some(event.ends), Some(notice)]
        };
        let instants = self.settled.events.iter().flat_map(of_event).flatten();
        instants.filter(|&instant| now < instant).min()
    }

    /// What is wrong with the plan, at any time.
    pub fn all_conflicts(&self) -> &[Conflict] {
        &self.settled.conflicts
    }

    /// The rules in force.
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

    /// Puts what one request brought in the place of what it brought before; `true` if that is not the same.
    fn replace(&mut self, agent: &str, mut events: Vec<Event>, now: MediaTime) -> bool {
        let before = self.kept.parts.remove(agent);
        let mut remembered: Vec<Event> = before.as_ref().map_or_else(Vec::new, |part| {
            let over = |event: &&Event| event.ends <= now && now < event.ends + MEMORY;
            let gone = |event: &&Event| !events.iter().any(|known| known.id == event.id);
            part.events.iter().filter(over).filter(gone).cloned().collect()
        });
        events.append(&mut remembered);
        events.sort_by(|one, two| id_order(&one.id).cmp(&id_order(&two.id)));
        let changed = before.is_none_or(|before| before.events != events);
        self.kept.parts.insert(agent.to_owned(), KeptPart { read: now.timestamp(), events });
        changed
    }

    /// An event that two requests brought, because it was moved to another hall between them, counts as the later one said.
    fn settle(&mut self) {
        let mut parts: Vec<&KeptPart> = self.kept.parts.values().collect();
        parts.sort_by_key(|part| part.read);
        let all = parts.into_iter().flat_map(|part| &part.events);
        let by_id: BTreeMap<&EventId, &Event> = all.map(|event| (&event.id, event)).collect();
        self.settled = settle(by_id.into_values(), &self.settings);
    }
}

/// The event in the words of a waiting picture.
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
