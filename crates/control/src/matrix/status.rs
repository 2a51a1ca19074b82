//! What sources and channels report about themselves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use amphi_media::{MediaTime, SourceName};

/// The state of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Not connected, because no channel wants it.
    Idle,
    /// The connection is being opened.
    Connecting,
    /// Media arrives, and its pictures can be decoded.
    Live,
    /// Media arrives, and none of its pictures can be decoded.
    Undecodable,
    /// Connected, but nothing has arrived for a while.
    Stalled,
    /// The encoder refused us (401, 403); retried at long intervals.
    Refused,
    /// Waiting before the next attempt.
    BackingOff,
}

/// A source's state with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceStatus {
    /// Whether it is connected and delivers.
    pub state: SourceState,
    /// The reason, in a plain sentence without secrets; empty where the state needs none.
    pub reason: String,
    /// When the state began.
    pub since: MediaTime,
    /// What the source sends, once known.
    pub media: Option<SourceMedia>,
    /// The number of connections made since start.
    pub connects: u64,
}

/// Why a source's pictures or sound do not come out of the ladder, although they arrive; `None` where they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOutcome {
    /// Why no picture comes out.
    pub picture: Option<String>,
    /// Why no sound comes out.
    pub sound: Option<String>,
}

/// What a source sends, according to its description and its first seconds.
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
    /// Samples of sound per second.
    pub sample_rate: Option<u32>,
    /// The number of sound channels.
    pub channels: Option<u8>,
}

impl Eq for SourceMedia {}

/// What a channel shows its viewers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OnAir {
    /// The source whose cells are on air; `None` = the waiting loop.
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// The reason, in a plain sentence.
    pub reason: String,
    /// Since when: the start of the first cell of it.
    pub since: MediaTime,
}

impl SourceStatus {
    /// The status of a source that no channel has wanted yet.
    pub const fn idle(since: MediaTime) -> Self {
        Self { state: SourceState::Idle, reason: String::new(), since, media: None, connects: 0 }
    }
}
