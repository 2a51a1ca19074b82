//! The core of the matrix, without I/O and without a clock.
//!
//! Contract: make one with [`Matrix::new`], give it the saved overrides with [`Matrix::restore`], then give it its inputs
//! in any order: commands ([`Matrix::apply`]), reports ([`Matrix::source_status`], [`Matrix::on_air`]), and
//! the time ([`Matrix::tick`]) at the latest at [`Matrix::next_expiry`]. Every input that takes the time first
//! removes what has expired: an override or a schedule entry with `until` holds while `now < until`. After any input,
//! [`Matrix::view`] is the result, and [`Matrix::overrides`] is what to save. It has no end.

mod explain;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use self::explain::{TimeFormat, Voices, explain};
use super::command::{Command, MatrixError, NOTICE_CHARS, Notice, Scheduled};
use super::status::{OnAir, SourceOutcome, SourceState, SourceStatus};
use super::store::Override;
use super::view::{By, ChannelView, Desired, MatrixView, SourceView, Voice};
use amphi_media::{ChannelName, MediaTime, SourceName};

/// The configured channels and sources; [`Matrix::relayout`] changes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The channels; no two have the same name.
    pub channels: Vec<ChannelLayout>,
    /// The names of the sources, each once.
    pub sources: Vec<SourceName>,
}

/// A channel's part of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelLayout {
    /// The channel's name.
    pub name: ChannelName,
    /// The stream names that its URLs may use.
    pub streams: Vec<String>,
    /// The source that the configuration connects, if any.
    pub source: Option<SourceName>,
}

/// Which source is on which channel, and why.
#[derive(Clone, Debug)]
pub struct Matrix {
    channels: Vec<ChannelState>,
    sources: Vec<(SourceName, SourceStatus)>,
    /// Live sources whose pictures or sound do not come out: why, and since when.
    outcomes: BTreeMap<SourceName, (SourceOutcome, MediaTime)>,
    /// The time zone of explanations.
    zone: TimeZone,
    /// Overrides that have ended since [`Matrix::take_expired`].
    expired: Vec<Override>,
    /// The time of the last input that had one.
    now: MediaTime,
}

#[derive(Clone, Debug)]
struct ChannelState {
    layout: ChannelLayout,
    manual: Option<Override>,
    scheduled: Option<Scheduled>,
    notice: Option<Notice>,
    announced: Option<Notice>,
    desired: Desired,
    on_air: OnAir,
}

impl Matrix {
    /// A matrix without overrides and schedule: channels show what the configuration says.
    pub fn new(layout: Layout, now: MediaTime) -> Self {
        let nobody = Desired { source: None, by: By::None, reason: String::new(), since: now, until: None };
        let on_air = OnAir { source: None, reason: "the channel is starting".to_owned(), since: now };
        let channel = |layout| {
            let desired = nobody.clone();
            let on_air = on_air.clone();
            let (manual, scheduled, notice, announced) = (None, None, None, None);
            let mut channel = ChannelState { layout, manual, scheduled, notice, announced, desired, on_air };
            channel.decide(now);
            channel
        };
        Self {
            channels: layout.channels.into_iter().map(channel).collect(),
            sources: layout.sources.into_iter().map(|name| (name, SourceStatus::idle(now))).collect(),
            outcomes: BTreeMap::new(),
            zone: TimeZone::UTC,
            expired: Vec::new(),
            now,
        }
    }

    /// The same matrix, with explanations in the time of `zone` instead of UTC.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Self { zone, ..self }
    }

    /// Changes the time zone of explanations.
    pub fn set_zone(&mut self, zone: TimeZone) {
        self.zone = zone;
    }

    /// Takes the overrides that have expired since the last call.
    pub fn take_expired(&mut self) -> Vec<Override> {
        std::mem::take(&mut self.expired)
    }

    /// Takes overrides that an earlier run has saved. Those that no longer apply are left out; the answer says
    /// which and why, a sentence each.
    pub fn restore(&mut self, overrides: Vec<Override>, now: MediaTime) -> Vec<String> {
        let mut left_out = Vec::new();
        for kept in overrides {
            let source_is_known = kept.source.as_ref().is_none_or(|source| self.knows_source(source));
            let why = match self.channel_mut(&kept.channel) {
                Err(error) => error.to_string(),
                Ok(_) if !source_is_known => {
                    format!("no source is called {:?}", kept.source.as_deref().unwrap_or_default())
                }
                Ok(_) if kept.until.is_some_and(|until| until <= now) => {
                    self.expired.push(kept.clone());
                    "it has expired".to_owned()
                }
                Ok(channel) => {
                    channel.manual = Some(kept);
                    channel.decide(now);
                    continue;
                }
            };
            left_out.push(format!("the override of channel {:?} is dropped: {why}", kept.channel));
        }
        left_out
    }

    /// Carries out a command and returns the channel as it is then. After an error nothing has changed.
    pub fn apply(&mut self, command: Command, now: MediaTime) -> Result<ChannelView, MatrixError> {
        self.tick(now);
        match command {
            Command::Connect { channel, source, until } => {
                let known = self.knows_source(&source);
                let found = self.channel_mut(&channel)?;
                if !known {
                    return Err(MatrixError::UnknownSource(source));
                }
                if let Some(until) = until.filter(|&until| until <= now) {
                    return Err(MatrixError::Past { until, now });
                }
                found.overrule(Some(source), until, now);
                self.shown(&channel)
            }
            Command::Disconnect { channel } => {
                self.channel_mut(&channel)?.overrule(None, None, now);
                self.shown(&channel)
            }
            Command::ClearOverride { channel } => {
                let found = self.channel_mut(&channel)?;
                found.manual = None;
                found.decide(now);
                self.shown(&channel)
            }
            Command::Notice { channel, notice } => {
                self.channel_mut(&channel)?.notice = good_notice(notice)?;
                self.shown(&channel)
            }
            Command::Announce { channel, notice } => {
                self.channel_mut(&channel)?.announced = good_notice(notice)?;
                self.shown(&channel)
            }
            Command::Schedule { channel, scheduled } => {
                let unknown = scheduled.as_ref().filter(|scheduled| !self.knows_source(&scheduled.source));
                let unknown = unknown.map(|scheduled| scheduled.source.clone());
                let found = self.channel_mut(&channel)?;
                if let Some(source) = unknown {
                    return Err(MatrixError::UnknownSource(source));
                }
                found.scheduled = scheduled.filter(|scheduled| now < scheduled.until);
                found.decide(now);
                self.shown(&channel)
            }
        }
    }

    /// Takes another layout. Channels and sources that stay keep their overrides, schedule and states, except those that
    /// name a source that is gone.
    pub fn relayout(&mut self, layout: Layout, now: MediaTime) {
        let next = Self::new(layout, now).in_zone(self.zone.clone());
        let before = std::mem::replace(self, next);
        self.expired = before.expired;
        for (name, status) in before.sources {
            self.source_status(&name, status);
        }
        for (name, (outcome, since)) in before.outcomes {
            self.source_outcome(&name, outcome, since);
        }
        let known: Vec<SourceName> = self.sources.iter().map(|(name, _)| name.clone()).collect();
        let knows = |source: &SourceName| known.contains(source);
        for channel in before.channels {
            if let Ok(kept) = self.channel_mut(&channel.layout.name) {
                kept.manual = channel.manual.filter(|manual| manual.source.as_ref().is_none_or(knows));
                kept.scheduled = channel.scheduled.filter(|scheduled| knows(&scheduled.source));
                kept.notice = channel.notice;
                kept.announced = channel.announced;
                kept.on_air = channel.on_air;
                kept.desired = channel.desired;
                kept.decide(now);
            }
        }
    }

    /// Takes the status of a source. An unknown source is ignored.
    pub fn source_status(&mut self, source: &SourceName, status: SourceStatus) {
        if let Some((_, known)) = self.sources.iter_mut().find(|(name, _)| name == source) {
            if status.state != SourceState::Live {
                self.outcomes.remove(source);
            }
            *known = status;
        }
    }

    /// Takes whether a source's pictures and sound come out, at `at`. Ignored unless the source is live.
    pub fn source_outcome(&mut self, source: &SourceName, outcome: SourceOutcome, at: MediaTime) {
        let live =
            |(name, status): &(SourceName, SourceStatus)| name == source && status.state == SourceState::Live;
        if outcome == SourceOutcome::default() || !self.sources.iter().any(live) {
            self.outcomes.remove(source);
            return;
        }
        let before = self.outcomes.get(source);
        let same =
            |(before, _): &&(SourceOutcome, MediaTime)| before.picture.is_some() == outcome.picture.is_some();
        let since = before.filter(same).map_or(at, |(_, since)| *since);
        self.outcomes.insert(source.clone(), (outcome, since));
    }

    /// A source's status, combined with whether its pictures and sound come out.
    fn status_of(&self, name: &SourceName, status: &SourceStatus) -> SourceStatus {
        match self.outcomes.get(name) {
            Some((SourceOutcome { picture: Some(why), .. }, since)) => SourceStatus {
                state: SourceState::Undecodable,
                reason: why.clone(),
                since: *since,
                ..status.clone()
            },
            Some((SourceOutcome { sound: Some(why), .. }, _)) => {
                SourceStatus { reason: format!("no sound: {why}"), ..status.clone() }
            }
            _ => status.clone(),
        }
    }

    /// Takes what a channel shows. An unknown channel is ignored.
    pub fn on_air(&mut self, channel: &ChannelName, on_air: OnAir) {
        if let Ok(channel) = self.channel_mut(channel) {
            channel.on_air = on_air;
        }
    }

    /// Removes overrides and schedule entries that have expired at `now`.
    pub fn tick(&mut self, now: MediaTime) {
        self.now = now;
        for channel in &mut self.channels {
            let over = |manual: &mut Override| manual.until.is_some_and(|until| until <= now);
            self.expired.extend(channel.manual.take_if(over));
            channel.scheduled.take_if(|scheduled| scheduled.until <= now);
            channel.decide(now);
        }
    }

    /// When [`Matrix::tick`] has something to do next.
    pub fn next_expiry(&self) -> Option<MediaTime> {
        let manual = self.channels.iter().filter_map(|channel| channel.manual.as_ref()?.until);
        let scheduled = self.channels.iter().filter_map(|channel| Some(channel.scheduled.as_ref()?.until));
        manual.chain(scheduled).min()
    }

    /// The overrides in effect, which must survive a restart.
    pub fn overrides(&self) -> Vec<Override> {
        self.channels.iter().filter_map(|channel| channel.manual.clone()).collect()
    }

    /// All channels and sources at the time of the last input.
    pub fn view(&self) -> MatrixView {
        let wanted = |name: &SourceName| {
            self.channels.iter().any(|channel| channel.desired.source.as_ref() == Some(name))
        };
        let source = |(name, status): &(SourceName, SourceStatus)| SourceView {
            name: name.clone(),
            wanted: wanted(name),
            status: self.status_of(name, status),
        };
        MatrixView {
            channels: self.channels.iter().map(|channel| self.view_of(channel)).collect(),
            sources: self.sources.iter().map(source).collect(),
        }
    }

    fn shown(&self, name: &ChannelName) -> Result<ChannelView, MatrixError> {
        let found = self.channels.iter().find(|channel| channel.layout.name == *name);
        let unknown = || MatrixError::UnknownChannel(name.clone());
        found.map(|channel| self.view_of(channel)).ok_or_else(unknown)
    }

    fn view_of(&self, channel: &ChannelState) -> ChannelView {
        let clock = TimeFormat { zone: &self.zone, now: self.now };
        let source = channel.desired.source.as_ref().filter(|_| channel.on_air.source.is_none());
        let outcome = source.and_then(|source| self.outcomes.get(source));
        match (source, outcome) {
            (Some(source), Some((SourceOutcome { picture: Some(why), .. }, _))) => {
                let mut told = channel.clone();
                told.on_air.reason = format!("no picture comes out of what {source} sends: {why}");
                told.view(&clock)
            }
            _ => channel.view(&clock),
        }
    }

    fn channel_mut(&mut self, name: &ChannelName) -> Result<&mut ChannelState, MatrixError> {
        let found = self.channels.iter_mut().find(|channel| channel.layout.name == *name);
        found.ok_or_else(|| MatrixError::UnknownChannel(name.clone()))
    }

    fn knows_source(&self, name: &SourceName) -> bool {
        self.sources.iter().any(|(known, _)| known == name)
    }
}

impl ChannelState {
    /// Sets the manual override. Asking for the same source again only moves `until`.
    fn overrule(&mut self, source: Option<SourceName>, until: Option<MediaTime>, now: MediaTime) {
        let before = self.manual.as_ref().filter(|manual| manual.source == source);
        let since = before.map_or(now, |manual| manual.since);
        self.manual = Some(Override { channel: self.layout.name.clone(), source, since, until });
        self.decide(now);
    }

    /// Decides what the channel should show: manual override, else schedule, else configuration.
    fn decide(&mut self, now: MediaTime) {
        let (source, by, reason, until) = if let Some(manual) = &self.manual {
            let reason = match manual.source {
                Some(_) => "connected by hand",
                None => "switched to the waiting loop by hand",
            };
            (manual.source.clone(), By::Manual, reason.to_owned(), manual.until)
        } else if let Some(scheduled) = &self.scheduled {
            let Scheduled { source, reason, until } = scheduled.clone();
            (Some(source), By::Schedule, reason, Some(until))
        } else if let Some(source) = &self.layout.source {
            (Some(source.clone()), By::Configuration, "connected by the configuration".to_owned(), None)
        } else {
            (None, By::None, "no source is connected".to_owned(), None)
        };
        let since = match &self.manual {
            Some(manual) => manual.since,
            None if self.desired.by == by && self.desired.source == source => self.desired.since,
            None => now,
        };
        self.desired = Desired { source, by, reason, since, until };
    }

    fn view(&self, clock: &TimeFormat<'_>) -> ChannelView {
        let voices = Voices {
            scheduled: self.scheduled.as_ref(),
            configured: self.layout.source.as_deref(),
            desired: &self.desired,
            on_air: &self.on_air,
        };
        let manual = self.manual.as_ref();
        let scheduled = self.scheduled.as_ref();
        ChannelView {
            name: self.layout.name.clone(),
            streams: self.layout.streams.clone(),
            explanation: explain(&voices, clock),
            manual: manual.map(|it| Voice { source: it.source.clone(), reason: None, until: it.until }),
            scheduled: scheduled.map(|it| Voice {
                source: Some(it.source.clone()),
                reason: Some(it.reason.clone()),
                until: Some(it.until),
            }),
            configured: self.layout.source.clone(),
            desired: self.desired.clone(),
            on_air: self.on_air.clone(),
            notice: self.notice.clone().or_else(|| self.announced.clone()),
        }
    }
}

/// Checks that a notice fits onto a waiting picture.
fn good_notice(notice: Option<Notice>) -> Result<Option<Notice>, MatrixError> {
    let good = |text: &str| text.chars().count() <= NOTICE_CHARS && !text.contains(char::is_control);
    match notice {
        Some(notice) if !good(&notice.title) || !good(&notice.place) => Err(MatrixError::Notice),
        notice => Ok(notice),
    }
}

#[cfg(test)]
mod tests;
