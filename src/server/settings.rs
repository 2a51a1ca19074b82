//! The settings of components, from the configuration.

use axum::http::Uri;
use axum::http::uri::Authority;
use jiff::tz::TimeZone;
use tracing::error;

use amphi_config::{self as config, Config};
use amphi_control::alarm::Thresholds;
use amphi_control::matrix::{ChannelLayout, Layout};
use amphi_control::schedule;
use amphi_media::SourceName;

/// The site's time zone; this machine's if the configuration's is unknown.
pub(super) fn zone(config: &Config) -> TimeZone {
    schedule::zone(&config.schedule.timezone).unwrap_or_else(|error| {
        error!(%error, "this machine's own time zone is used");
        TimeZone::system()
    })
}

/// How long conditions must last to be alarms.
pub(super) fn thresholds(alarm: &config::Alarm) -> Thresholds {
    Thresholds {
        black_s: alarm.black_s,
        frozen_s: alarm.frozen_s,
        silent_s: alarm.silent_s,
        clipped_s: alarm.clipped_s,
        offline_s: alarm.offline_s,
        not_on_air_s: alarm.not_on_air_s,
    }
}

/// The channels and sources, for the matrix.
pub(super) fn layout(config: &Config) -> Layout {
    let channel = |channel: &config::Channel| ChannelLayout {
        name: channel.name.as_str().into(),
        streams: channel.streams.clone(),
        source: Some(&channel.source).filter(|source| !source.is_empty()).map(SourceName::from),
    };
    Layout {
        channels: config.channels.iter().map(channel).collect(),
        sources: config.sources.iter().map(|source| source.name.as_str().into()).collect(),
    }
}

/// The host of `pages.public_url`, under which a proxy serves this server.
pub(super) fn names(config: &Config) -> Vec<Authority> {
    let url = config.pages.public_url.parse::<Uri>().ok();
    url.and_then(|url| url.authority().cloned()).into_iter().collect()
}
