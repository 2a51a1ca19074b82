//! What the matrix can be told, and what it answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::ChannelView;
use amphi_media::{ChannelName, MediaTime, SourceName};

/// Characters of a notice's title and of its place.
pub const NOTICE_CHARS: usize = 200;

/// One thing that the matrix is told about one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Manual override: put `source` on the channel.
    Connect {
        /// The channel.
        channel: ChannelName,
        /// The source.
        source: SourceName,
        /// When the override ends by itself; must be in the future.
        until: Option<MediaTime>,
    },
    /// Manual override: show the waiting loop.
    Disconnect {
        /// The channel.
        channel: ChannelName,
    },
    /// No manual override any more: back to what the schedule or the configuration says.
    ClearOverride {
        /// The channel.
        channel: ChannelName,
    },
    /// What the waiting picture says; `None` = nothing.
    Notice {
        /// The channel.
        channel: ChannelName,
        /// The words.
        notice: Option<Notice>,
    },
    /// What the waiting picture says where no person has put words on it; `None` = nothing.
    Announce {
        /// The channel.
        channel: ChannelName,
        /// The words.
        notice: Option<Notice>,
    },
    /// What the schedule says from now on; `None` = nothing.
    Schedule {
        /// The channel.
        channel: ChannelName,
        /// The source and why.
        scheduled: Option<Scheduled>,
    },
}

/// What a channel's waiting picture says beside the time of day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// E.g. the next lecture's title.
    pub title: String,
    /// E.g. the hall.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// When it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<MediaTime>,
}

/// What the schedule asks for a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The source.
    pub source: SourceName,
    /// Why, in a plain sentence, e.g. the lecture's title.
    pub reason: String,
    /// When it ends.
    pub until: MediaTime,
}

/// A command that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The channel as it is now.
    pub channel: ChannelView,
    /// What went wrong beside it: the override holds, but would not outlive a restart.
    pub warning: Option<String>,
}

/// Why a command had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// The caller names a channel that the configuration does not.
    #[error("no channel is called {0:?}")]
    UnknownChannel(ChannelName),
    /// The caller names a source that the configuration does not.
    #[error("no source is called {0:?}")]
    UnknownSource(SourceName),
    /// The caller's override would be over before it began.
    #[error("until {until} is not in the future: it is {now}")]
    Past {
        /// What was asked for.
        until: MediaTime,
        /// The time here.
        now: MediaTime,
    },
    /// The caller's words are too long, or no words.
    #[error(
        "a notice's title and place have at most {NOTICE_CHARS} characters each, and no control characters"
    )]
    Notice,
    /// The server is ending.
    #[error("the matrix has ended with the server")]
    Ended,
}
