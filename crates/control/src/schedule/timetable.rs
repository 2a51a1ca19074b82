//! The timetable: which event is on which channel, from when to when.
//!
//! Contract: [`settle`] takes events in any order and decides by these rules alone; the present time does not matter:
//! 1. An event holds its channel and its hall from its start to its own end. No other event takes them away before.
//! 2. An event whose channel or hall is held waits; it begins when both are free. Of several that wait, the one
//!    that started first is next (of two that start together, the one whose identifier comes first). An event that ends
//!    while it waits is never shown.
//! 3. A hall is held by one event at a time, unless its source is among the shared ones.
//! 4. Lead-in and lead-out are margins: a lead-in does not overlap an event that holds, and a lead-out gives way to the
//!    next lead-in, on the same channel and in the same hall.
//!    On a channel with an overrun guard, an event may stay beyond its lead-out, and gives way in the same manner.
//! 5. An event without a channel, a source or a length holds nothing and is never shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::conflicts::conflicts;
use super::event::CalendarEvent;
use super::routed::Routed;
use super::settings::Settings;
use super::words::by_start;
use crate::agenda::{Conflict, PlannedEvent};
use amphi_media::{ChannelName, MediaTime, SourceName};

/// The result of [`settle`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// By start, then by identifier.
    pub events: Vec<PlannedEvent>,
    /// By beginning; past ones included.
    pub conflicts: Vec<Conflict>,
}

/// Decides when each event is on its channel, by the rules of the module's text.
pub fn settle<'a>(events: impl IntoIterator<Item = &'a CalendarEvent>, settings: &Settings) -> Settled {
    let mut events: Vec<&CalendarEvent> = events.into_iter().collect();
    events.sort_by(|one, two| by_start(one).cmp(&by_start(two)));
    let mut routed: Vec<Routed> = events.into_iter().map(|event| route(event, settings)).collect();
    hold(&mut routed, settings);
    let conflicts = conflicts(&routed, settings);
    Settled { events: routed.into_iter().map(|routed| routed.event).collect(), conflicts }
}

impl Routed {
    /// What the event holds: its channel, and its hall unless that is shared. `None`: nothing.
    fn holds<'a>(&'a self, settings: &Settings) -> Option<Held<'a>> {
        let (channel, source) = (self.event.channel.as_ref()?, self.event.source.as_ref()?);
        let hall = Some(source).filter(|source| !settings.shared.contains(*source));
        self.has_length().then_some(Held { channel, hall })
    }
}

#[derive(Clone, Copy, Debug)]
struct Held<'a> {
    channel: &'a ChannelName,
    hall: Option<&'a SourceName>,
}

impl Held<'_> {
    fn collides(&self, other: &Held<'_>) -> bool {
        self.channel == other.channel || self.hall.is_some() && self.hall == other.hall
    }
}

fn route(event: &CalendarEvent, settings: &Settings) -> Routed {
    let (channel, astray) = match settings.routing.channel(event) {
        Ok(channel) => (Some(channel), None),
        Err(astray) => (None, Some(astray)),
    };
    let (source, missing_source) = match settings.routing.source(&event.agent) {
        Ok(source) => (Some(source), None),
        Err(name) => (None, Some(name)),
    };
    let event = PlannedEvent {
        id: event.id.clone(),
        title: event.title.clone(),
        series: event.series.clone().or_else(|| event.series_id.clone()),
        series_id: event.series_id.clone(),
        agent: event.agent.clone(),
        presenters: event.presenters.clone(),
        channel,
        source,
        starts: event.starts,
        ends: event.ends,
        connect_from: None,
        connect_until: None,
        may_last_until: None,
    };
    Routed { event, astray, missing_source }
}

/// From when an event holds its channel and hall.
#[derive(Clone, Copy, Debug)]
struct EventBody {
    event: usize,
    from: MediaTime,
}

/// Rules 1 to 3, applied at each instant at which an event starts or ends; then rule 4. `events` are sorted by start.
fn hold(events: &mut [Routed], settings: &Settings) {
    let held: Vec<Option<Held<'_>>> = events.iter().map(|event| event.holds(settings)).collect();
    let starts = |index: usize| events.get(index).map(|event| event.event.starts);
    let ends = |index: usize| events.get(index).map_or(MediaTime::default(), |event| event.event.ends);
    let mut to_come =
        (0..events.len()).filter(|&index| held.get(index).is_some_and(Option::is_some)).peekable();
    let mut instants: BTreeSet<MediaTime> = to_come.clone().filter_map(starts).collect();
    let (mut waiting, mut holding, mut bodies) = (Vec::new(), Vec::<usize>::new(), Vec::new());
    while let Some(now) = instants.pop_first() {
        holding.retain(|&index| now < ends(index));
        while let Some(index) = to_come.next_if(|&index| starts(index).is_some_and(|start| start <= now)) {
            waiting.push(index);
        }
        waiting.retain(|&index| {
            let Some(Some(wanted)) = held.get(index) else { return false };
            if ends(index) <= now {
                return false;
            }
            let free = !holding.iter().any(|&other| {
                held.get(other).and_then(Option::as_ref).is_some_and(|other| other.collides(wanted))
            });
            if free {
                holding.push(index);
                bodies.push(EventBody { event: index, from: now });
                instants.insert(ends(index));
            }
            !free
        });
    }
    let spans = margins(&bodies, &held, &ends, settings);
    for EventSpan { event, from, until, longest } in spans {
        if let Some(routed) = events.get_mut(event) {
            (routed.event.connect_from, routed.event.connect_until) = (Some(from), Some(until));
            routed.event.may_last_until = Some(longest).filter(|&longest| until < longest);
        }
    }
}

/// When the source of an event is on its channel.
#[derive(Clone, Copy, Debug)]
struct EventSpan {
    event: usize,
    from: MediaTime,
    until: MediaTime,
    /// The latest end, with the overrun that its channel allows.
    longest: MediaTime,
}

/// Rule 4. Bodies that need the same channel or hall do not overlap, so each has at most one neighbour before and one after.
fn margins(
    bodies: &[EventBody],
    held: &[Option<Held<'_>>],
    ends: &impl Fn(usize) -> MediaTime,
    settings: &Settings,
) -> Vec<EventSpan> {
    // Bodies are sorted by their beginnings already.
    let mut last_end = BTreeMap::<Needed<'_>, MediaTime>::new();
    let mut froms = Vec::with_capacity(bodies.len());
    for body in bodies {
        let mut from = body.from - settings.lead_in;
        for key in needs(held, body.event) {
            if let Some(end) = last_end.insert(key, ends(body.event)) {
                from = from.max(end);
            }
        }
        froms.push(from.min(body.from));
    }
    let mut next_from = BTreeMap::<Needed<'_>, MediaTime>::new();
    let mut spans = Vec::with_capacity(bodies.len());
    for (body, from) in bodies.iter().zip(froms).rev() {
        let channel = held.get(body.event).copied().flatten().map(|held| held.channel);
        let mut until = ends(body.event) + settings.lead_out;
        let mut longest = until + channel.map_or(Duration::ZERO, |channel| settings.overrun(channel));
        for key in needs(held, body.event) {
            if let Some(next) = next_from.insert(key, from) {
                until = until.min(next);
                longest = longest.min(next);
            }
        }
        spans.push(EventSpan { event: body.event, from, until, longest });
    }
    spans
}

/// Something that one event at a time can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Needed<'a> {
    Channel(&'a ChannelName),
    Hall(&'a SourceName),
}

/// What an event needs, as keys: its channel and its hall.
fn needs<'a>(held: &[Option<Held<'a>>], event: usize) -> impl Iterator<Item = Needed<'a>> + use<'a> {
    let held = held.get(event).copied().flatten();
    let channel = held.map(|held| Needed::Channel(held.channel));
    let hall = held.and_then(|held| held.hall).map(Needed::Hall);
    channel.into_iter().chain(hall)
}

#[cfg(test)]
mod tests;
