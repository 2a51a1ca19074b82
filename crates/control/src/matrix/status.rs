//! The words in which sources and channels say how they are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use amphi_media::{MediaTime, SourceName};

/// Where a source's supervisor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Nobody wants it; not connected.
    Idle,
    /// A connection is being made.
    Connecting,
    /// Media flows, and pictures come out of it.
    Live,
    /// Media flows, and no picture comes out of it.
    Undecodable,
    /// Connected, but nothing has come for a while.
    Stalled,
    /// The encoder said no (401, 403): tried again slowly.
    Refused,
    /// Waiting before the next try.
    BackingOff,
}

/// A source's state with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceStatus {
    /// Where it stands.
    pub state: SourceState,
    /// Why, in a plain sentence without secrets; empty where the state says it all.
    pub reason: String,
    /// Since when the state holds.
    pub since: MediaTime,
    /// What the source sends, once known.
    pub media: Option<SourceMedia>,
    /// Connections made since start.
    pub connects: u64,
}

/// What becomes of what a source sends: where nothing comes out although something goes in, why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOutcome {
    /// Why no picture comes out.
    pub picture: Option<String>,
    /// Why no sound comes out.
    pub sound: Option<String>,
}

/// What a source sends, as its description and its first seconds show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SourceMedia {
    /// RFC 6381 codec of the picture, e.g. `avc1.640029`.
    pub video_codec: Option<String>,
    /// Picture width in luma samples.
    pub width: Option<u32>,
    /// Picture height in luma samples.
    pub height: Option<u32>,
    /// RFC 6381 codec of the sound, e.g. `mp4a.40.2`.
    pub audio_codec: Option<String>,
    /// Samples per second.
    pub sample_rate: Option<u32>,
    /// Channels.
    pub channels: Option<u8>,
}

impl Eq for SourceMedia {}

/// What a channel shows its viewers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OnAir {
    /// The source whose cells are on air; `None` = the waiting loop.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// Why, in a plain sentence.
    pub reason: String,
    /// Since when, as the first cell's start.
    pub since: MediaTime,
}

impl SourceStatus {
    /// A source that nobody has wanted yet.
    pub const fn idle(since: MediaTime) -> Self {
        Self { state: SourceState::Idle, reason: String::new(), since, media: None, connects: 0 }
    }
}
