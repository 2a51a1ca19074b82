//! What the matrix shows of itself: immutable, shared, and the body of `GET /api/v1/matrix`.

use serde::Serialize;
use utoipa::ToSchema;

use super::command::Notice;
use super::status::{OnAir, SourceStatus};
use amphi_media::{ChannelName, MediaTime, SourceName};

/// Channels and sources at one moment, each in the configuration's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct MatrixView {
    /// Every channel.
    pub channels: Vec<ChannelView>,
    /// Every source.
    pub sources: Vec<SourceView>,
}

/// A channel: what it should show and what it shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ChannelName,
    /// Stream names that its URLs may use.
    pub streams: Vec<String>,
    /// What it should show.
    pub desired: Desired,
    /// What it shows.
    pub on_air: OnAir,
    /// Why, in one sentence, with what is overruled; times are local.
    pub explanation: String,
    /// What a person asks for: above the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual: Option<Voice>,
    /// What the schedule asks for: above the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Voice>,
    /// The source that the configuration asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub configured: Option<SourceName>,
    /// What its waiting picture says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
}

/// What a channel should show, and whose word that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Desired {
    /// The source; `None` = the waiting loop.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// Whose word it is.
    pub by: By,
    /// Why, in a plain sentence.
    pub reason: String,
    /// Since when `source` and `by` have been what they are.
    pub since: MediaTime,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<MediaTime>,
}

/// What one of those who may ask for something asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Voice {
    /// The source; `None` = the waiting loop.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// Why, where it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<MediaTime>,
}

/// Whose word decides, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A person's override.
    Manual,
    /// The schedule.
    Schedule,
    /// The configuration's `source`.
    Configuration,
    /// Nobody's: the waiting loop.
    None,
}

/// A source: how it is, and whether a channel wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: SourceName,
    /// At least one channel should show it.
    pub wanted: bool,
    /// How it is.
    #[serde(flatten)]
    pub status: SourceStatus,
}

impl MatrixView {
    /// The channel called `name`.
    pub fn channel(&self, name: &str) -> Option<&ChannelView> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// The source called `name`.
    pub fn source(&self, name: &str) -> Option<&SourceView> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// At least one channel should show `source`.
    pub fn wanted(&self, source: &str) -> bool {
        self.source(source).is_some_and(|source| source.wanted)
    }
}
