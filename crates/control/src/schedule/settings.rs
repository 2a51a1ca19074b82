//! The settings of the schedule, made from the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::routing::Routing;
use amphi_config::Config;
use amphi_media::{ChannelName, SourceName};

/// `[schedule]` and what the schedule needs of channels and sources: expressions compiled, times as durations.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) routing: Routing,
    pub(super) lead_in: Duration,
    pub(super) lead_out: Duration,
    /// Sources that two events may put on two channels at once.
    pub(super) shared: BTreeSet<SourceName>,
    pub(super) channels: Vec<ChannelName>,
    /// How long an event may stay beyond its lead-out, by channel. Channels without an overrun guard are left out.
    overruns: BTreeMap<ChannelName, Duration>,
    pub(super) zone: TimeZone,
    pub(super) warn_ahead: Duration,
    pub(super) notice_ahead: Duration,
    pub(super) poll: Duration,
    /// Whether a calendar is configured.
    pub(super) configured: bool,
}

/// The configuration is wrong. Checking the configuration finds the same faults, with line and column.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// A rule's `series` or `title` is not a regular expression.
    #[error("a rule of [schedule] is no regular expression: {0}")]
    Rule(#[from] regex::Error),
    /// The time zone is not in this machine's database.
    #[error("schedule.timezone: this machine knows no zone {0:?}")]
    Zone(String),
}

impl Settings {
    /// Makes them from a configuration. Fails if an expression or the time zone is wrong.
    pub fn new(config: &Config) -> Result<Self, SettingsError> {
        let schedule = &config.schedule;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(Self {
            routing: Routing::new(config)?,
            lead_in: seconds(schedule.lead_in_s),
            lead_out: seconds(schedule.lead_out_s),
            shared: schedule.shared_sources.iter().map(SourceName::from).collect(),
            channels: config.channels.iter().map(|channel| channel.name.as_str().into()).collect(),
            overruns: config
                .channels
                .iter()
                .filter(|channel| channel.overrun_max_s > 0)
                .map(|channel| (channel.name.as_str().into(), seconds(channel.overrun_max_s)))
                .collect(),
            zone: zone(&schedule.timezone)?,
            warn_ahead: seconds(schedule.warn_ahead_s),
            notice_ahead: seconds(schedule.notice_ahead_s),
            poll: seconds(schedule.poll_s.max(1)),
            configured: !schedule.url.is_empty(),
        })
    }

    /// The time zone of the site.
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// How long an event may stay on `channel` beyond its lead-out; zero without a guard.
    pub(super) fn overrun(&self, channel: &ChannelName) -> Duration {
        self.overruns.get(channel).copied().unwrap_or_default()
    }

    /// How long before it happens a conflict is an alarm.
    pub const fn warn_ahead(&self) -> Duration {
        self.warn_ahead
    }
}

/// The time zone of the site, from the configuration's `schedule.timezone`; empty = this machine's.
pub fn zone(name: &str) -> Result<TimeZone, SettingsError> {
    if name.is_empty() {
        return Ok(TimeZone::system());
    }
    TimeZone::get(name).map_err(|_| SettingsError::Zone(name.to_owned()))
}
