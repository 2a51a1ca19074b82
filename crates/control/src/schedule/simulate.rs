//! Plays a calendar without waiting: what the matrix would do, and what is wrong with the plan.
//!
//! This is the same [`Planner`] and the same [`Matrix`] as in the server, called at the same instants, without the time between.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::event::{FeedAnswer, PollResult, Reading};
use super::planner::Planner;
use super::settings::Settings;
use super::words::{day_and_hour, hour};
use crate::agenda::{Conflict, FeedFormat};
use crate::matrix::{By, Command, Layout, Matrix};
use amphi_media::{ChannelName, MediaTime, SourceName};

/// The result of a simulation: what the matrix would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Simulation {
    /// When it begins.
    pub from: MediaTime,
    /// When it ends, exclusive.
    pub to: MediaTime,
    /// IANA name of the time zone of the table.
    pub timezone: String,
    /// By time, then in the order of the channels. The first of each channel is what it shows at `from`.
    pub steps: Vec<Step>,
    /// What is wrong with the plan between `from` and `to`.
    pub conflicts: Vec<Conflict>,
    /// What was left out of the calendar, one sentence each.
    pub notes: Vec<String>,
    #[serde(skip)]
    zone: TimeZone,
}

/// A change of what a channel shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When it happens.
    pub at: MediaTime,
    /// The name of the channel.
    pub channel: ChannelName,
    /// The source shown from then on; `None` = the waiting loop.
    pub source: Option<SourceName>,
    /// Who decides that.
    pub by: By,
    /// The reason, in a plain sentence.
    pub reason: String,
    /// Until when it may stay, beyond its planned end, while somebody speaks or something moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_last_until: Option<MediaTime>,
}

impl Simulation {
    /// Whether there is no conflict and nothing was left out of the calendar.
    pub fn is_good(&self) -> bool {
        self.conflicts.is_empty() && self.notes.is_empty()
    }
}

/// Plays the calendar `reading` from `from` until before `to`.
pub fn simulate(
    reading: Reading,
    format: FeedFormat,
    settings: Settings,
    layout: Layout,
    (from, to): (MediaTime, MediaTime),
) -> Simulation {
    let zone = settings.zone.clone();
    let channels: Vec<ChannelName> = layout.channels.iter().map(|channel| channel.name.clone()).collect();
    let notes = reading.notes.clone();
    let mut planner = Planner::new(settings, None, from);
    let part = FeedAnswer { agent: String::new(), outcome: Ok(Some(reading)) };
    planner.take(PollResult { parts: vec![part], format: Some(format) }, from);
    let mut matrix = Matrix::new(layout, from);
    let mut shown: Vec<Option<(Option<SourceName>, String)>> = vec![None; channels.len()];
    let mut steps = Vec::new();
    let mut now = from;
    while now < to {
        matrix.tick(now);
        let mut may_last = BTreeMap::new();
        for channel_plan in planner.channel_plans(now) {
            may_last
                .extend(channel_plan.overrun.map(|overrun| (channel_plan.channel.clone(), overrun.latest)));
            // Both names come from the configuration, so the command cannot fail.
            let _ = matrix.apply(
                Command::Schedule { channel: channel_plan.channel, scheduled: channel_plan.scheduled },
                now,
            );
        }
        let view = matrix.view();
        for (name, before) in channels.iter().zip(&mut shown) {
            let Some(channel) = view.channel(name) else { continue };
            let desired = &channel.desired;
            let is = Some((desired.source.clone(), desired.reason.clone()));
            if *before != is {
                *before = is;
                steps.push(Step {
                    at: now,
                    channel: name.clone(),
                    source: desired.source.clone(),
                    by: desired.by,
                    reason: desired.reason.clone(),
                    may_last_until: may_last.get(name).copied().filter(|_| desired.by == By::Schedule),
                });
            }
        }
        let Some(next) = planner.next_change(now) else { break };
        now = next;
    }
    let plan = planner.plan(from);
    let within = |conflict: &Conflict| conflict.from < to && from <= conflict.until;
    let conflicts = planner.all_conflicts().iter().filter(|conflict| within(conflict)).cloned().collect();
    Simulation { from, to, timezone: plan.timezone, steps, conflicts, notes, zone }
}

/// Parses a time of the command line: RFC 3339, or a date with or without a time of day in `zone`.
pub fn instant(text: &str, zone: &TimeZone) -> Result<MediaTime, String> {
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Ok(stamp.into());
    }
    let civil: Result<civil::DateTime, _> = match text.parse::<civil::Date>() {
        Ok(date) if !text.contains([':', 'T', ' ']) => Ok(date.to_datetime(civil::Time::midnight())),
        _ => text.parse(),
    };
    let wrong =
        |_| format!("{text:?} is no time: 2026-11-23, 2026-11-23T08:00 or 2026-11-23T07:00:00Z is expected");
    let zoned = zone.to_ambiguous_zoned(civil.map_err(wrong)?).compatible().map_err(wrong)?;
    Ok(zoned.timestamp().into())
}

/// The midnight before `time` in `zone`.
pub fn midnight(time: MediaTime, zone: &TimeZone) -> MediaTime {
    let zoned = time.timestamp().to_zoned(zone.clone());
    zoned.start_of_day().map_or(time, |midnight| midnight.timestamp().into())
}

const WAITING: &str = "waiting loop";

/// The table for people.
impl fmt::Display for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |time: MediaTime| day_and_hour(time, &self.zone);
        writeln!(f, "{} to {} ({})", day(self.from), day(self.to), self.timezone)?;
        let width =
            |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
        let source =
            |step: &Step| step.source.as_ref().map_or_else(|| WAITING.to_owned(), ToString::to_string);
        let channels = width(&mut self.steps.iter().map(|step| step.channel.as_str()));
        let sources: Vec<String> = self.steps.iter().map(source).collect();
        let source_width = width(&mut sources.iter().map(String::as_str));
        let mut date = String::new();
        for (step, source) in self.steps.iter().zip(&sources) {
            let whole = day(step.at);
            let today = whole.rsplit_once(' ').map_or(whole.as_str(), |(today, _)| today);
            if today != date {
                writeln!(f, "\n{today}")?;
                today.clone_into(&mut date);
            }
            let at = hour(step.at, &self.zone);
            write!(f, "  {at}  {:channels$}  {source:source_width$}  {}", step.channel, step.reason)?;
            if let Some(latest) = step.may_last_until {
                let latest = hour(latest, &self.zone);
                write!(f, "; until {latest} at the latest, if somebody still speaks or something moves")?;
            }
            writeln!(f)?;
        }
        if !self.conflicts.is_empty() {
            writeln!(f, "\n{} conflict(s)", self.conflicts.len())?;
            self.conflicts.iter().try_for_each(|conflict| writeln!(f, "  {}", conflict.sentence))?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "\nleft out of the calendar")?;
            self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        }
        Ok(())
    }
}
