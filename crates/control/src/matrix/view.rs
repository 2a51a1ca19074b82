//! The matrix as others see it: immutable, shared, and the body of `GET /api/v1/matrix`.

use serde::Serialize;
use utoipa::ToSchema;

use super::command::Notice;
use super::status::{OnAir, SourceStatus};
use amphi_media::{ChannelName, MediaTime, SourceName};

/// Channels and sources at one moment, each in the configuration's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct MatrixView {
    /// All channels of the configuration.
    pub channels: Vec<ChannelView>,
    /// All sources of the configuration.
    pub sources: Vec<SourceView>,
}

/// A channel: what it should show and what it shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelView {
    /// The channel's name.
    #[schema(value_type = String)]
    pub name: ChannelName,
    /// The stream names that its URLs may use.
    pub streams: Vec<String>,
    /// What it should show.
    pub desired: Desired,
    /// What its viewers see.
    pub on_air: OnAir,
    /// Why it shows that, in one sentence, with what is overruled; times are local.
    pub explanation: String,
    /// The manual override, which goes before the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual: Option<Voice>,
    /// What the schedule asks for, which goes before the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Voice>,
    /// The source that the configuration connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub configured: Option<SourceName>,
    /// The text of its waiting picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
}

/// What a channel should show, and who decided that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Desired {
    /// The source; `None` = the waiting loop.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// Who decided that.
    pub by: By,
    /// The reason, in a plain sentence.
    pub reason: String,
    /// Since when `source` and `by` have these values.
    pub since: MediaTime,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<MediaTime>,
}

/// What a person or the schedule asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Voice {
    /// The source; `None` = the waiting loop.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// The reason, if one is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<MediaTime>,
}

/// Who decides what a channel shows, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A person, by a manual override.
    Manual,
    /// The schedule, by a lecture of the calendar.
    Schedule,
    /// The configuration, by the channel's `source`.
    Configuration,
    /// Nobody: the channel shows the waiting loop.
    None,
}

/// A source: its status, and whether a channel wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceView {
    /// The source's name.
    #[schema(value_type = String)]
    pub name: SourceName,
    /// Whether at least one channel should show it.
    pub wanted: bool,
    /// Its state, with the reason.
    #[serde(flatten)]
    pub status: SourceStatus,
}

impl MatrixView {
    /// The channel called `name`, if it is configured.
    pub fn channel(&self, name: &str) -> Option<&ChannelView> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// The source called `name`, if it is configured.
    pub fn source(&self, name: &str) -> Option<&SourceView> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Whether at least one channel should show `source`.
    pub fn wanted(&self, source: &str) -> bool {
        self.source(source).is_some_and(|source| source.wanted)
    }
}
