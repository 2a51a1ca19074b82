//! Finds conflicts in a plan, and writes a sentence with the day and the hour for each.

use super::routed::Routed;
use super::routing::Astray;
use super::settings::Settings;
use super::words::{day_and_hour, hour, named, span};
use crate::agenda::{Conflict, ConflictKind, PlannedEvent};
use amphi_media::MediaTime;

/// The most conflicts of one plan; a calendar with more is wrong as a whole.
const LIMIT: usize = 500;

/// All conflicts, by beginning. `events` are sorted by start and settled.
pub(super) fn conflicts(events: &[Routed], settings: &Settings) -> Vec<Conflict> {
    let alone = events.iter().flat_map(|routed| of_one(routed, settings));
    let mut found: Vec<Conflict> = alone.chain(of_two(events, settings)).take(LIMIT).collect();
    found.sort_by(|one, two| (one.from, one.kind, &one.events).cmp(&(two.from, two.kind, &two.events)));
    found
}

/// Conflicts of a single event: no channel, no source, no length.
fn of_one(routed: &Routed, settings: &Settings) -> Vec<Conflict> {
    let event = &routed.event;
    let when = span(event.starts, event.ends, &settings.zone);
    let conflict = |kind, channel, source, sentence| Conflict {
        kind,
        channel,
        source,
        events: vec![event.id.clone()],
        from: event.starts,
        until: event.ends.max(event.starts),
        sentence,
    };
    let subject = format!("{} in {}, {when},", named(event), hall(event));
    let mut found = Vec::new();
    if !routed.has_length() {
        let day = day_and_hour(event.starts, &settings.zone);
        let what = if event.starts == event.ends { "at its start" } else { "before its start" };
        let sentence = format!("{} on {day} ends {what}: it is not shown", named(event));
        found.push(conflict(ConflictKind::NoLength, event.channel.clone(), event.source.clone(), sentence));
    }
    match &routed.astray {
        None => {}
        Some(Astray::NoSeries) => found.push(conflict(
            ConflictKind::NoSeries,
            None,
            event.source.clone(),
            format!("{subject} belongs to no series: it is not shown"),
        )),
        Some(Astray::NoRule) => {
            let series = event.series.as_deref().unwrap_or_default();
            let sentence = format!("no rule says where series {series} goes: {subject} is not shown");
            found.push(conflict(ConflictKind::NoRule, None, event.source.clone(), sentence));
        }
        Some(Astray::UnknownChannel(channel)) => {
            let sentence =
                format!("{subject} belongs on channel {channel}, which there is not: it is not shown");
            let source = event.source.clone();
            found.push(conflict(ConflictKind::UnknownChannel, Some(channel.clone()), source, sentence));
        }
    }
    if let Some(source) = &routed.missing_source {
        let sentence = format!("{subject} needs source {source}, which there is not: it is not shown");
        let channel = event.channel.clone();
        found.push(conflict(ConflictKind::UnknownSource, channel, Some(source.clone()), sentence));
    }
    found
}

/// Conflicts of two events that overlap on one channel or in one hall.
fn of_two(events: &[Routed], settings: &Settings) -> Vec<Conflict> {
    let mut found = Vec::new();
    let shown: Vec<&PlannedEvent> = events
        .iter()
        .filter(|routed| {
            routed.has_length() && routed.event.channel.is_some() && routed.event.source.is_some()
        })
        .map(|routed| &routed.event)
        .collect();
    for (index, first) in shown.iter().enumerate() {
        let behind = shown.iter().skip(index + 1).take_while(|second| second.starts < first.ends);
        for second in behind {
            let (from, until) = (second.starts, first.ends.min(second.ends));
            let kind = if first.channel == second.channel {
                ConflictKind::ChannelTwice
            } else if first.source == second.source
                && !first.source.as_ref().is_some_and(|source| settings.shared.contains(source))
            {
                ConflictKind::SourceTwice
            } else {
                continue;
            };
            if found.len() >= LIMIT {
                return found;
            }
            found.push(Conflict {
                kind,
                channel: first.channel.clone().filter(|_| kind == ConflictKind::ChannelTwice),
                source: first.source.clone().filter(|_| first.source == second.source),
                events: vec![first.id.clone(), second.id.clone()],
                from,
                until,
                sentence: sentence_of_two(kind, first, second, (from, until), settings),
            });
        }
    }
    found
}

fn sentence_of_two(
    kind: ConflictKind,
    first: &PlannedEvent,
    second: &PlannedEvent,
    (from, until): (MediaTime, MediaTime),
    settings: &Settings,
) -> String {
    let when = span(from, until, &settings.zone);
    let channel = |event: &PlannedEvent| event.channel.clone().unwrap_or_default();
    let (what, one, two) = if kind == ConflictKind::ChannelTwice {
        let what = format!("channel {} has two events at once", channel(first));
        (what, format!("in {}", hall(first)), format!("in {}", hall(second)))
    } else {
        let what = format!("{} is on two channels at once", hall(first));
        (what, format!("on {}", channel(first)), format!("on {}", channel(second)))
    };
    let fate = |event: &PlannedEvent, place: &str| {
        let fate = match (event.connect_from, event.connect_until) {
            (Some(from), _) if from <= event.starts => "is shown".to_owned(),
            (Some(from), _) => format!("is shown from {} on", hour(from, &settings.zone)),
            _ => "is not shown".to_owned(),
        };
        format!("{} {place} {fate}", named(event))
    };
    format!("{when}: {what}: {}, {}", fate(first, &one), fate(second, &two))
}

fn hall(event: &PlannedEvent) -> &str {
    if event.agent.is_empty() { "no hall" } else { &event.agent }
}
