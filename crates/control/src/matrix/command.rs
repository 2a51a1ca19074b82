//! The commands of the matrix, and its answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::ChannelView;
use amphi_media::{ChannelName, MediaTime, SourceName};

/// The most characters of a notice's title, and of its place.
pub const NOTICE_CHARS: usize = 200;

/// A command about one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Manual override: put `source` on the channel.
    Connect {
        /// The channel to put it on.
        channel: ChannelName,
        /// The source to show.
        source: SourceName,
        /// When the override ends by itself; must be in the future.
        until: Option<MediaTime>,
    },
    /// Manual override: show the waiting loop.
    Disconnect {
        /// The channel to disconnect.
        channel: ChannelName,
    },
    /// End the manual override: back to the schedule or the configuration.
    ClearOverride {
        /// The channel whose override ends.
        channel: ChannelName,
    },
    /// Set the text of the waiting picture, by hand.
    Notice {
        /// The channel that shows it.
        channel: ChannelName,
        /// The text; `None` removes it.
        notice: Option<Notice>,
    },
    /// Set the text of the waiting picture that is shown while none is set by hand.
    Announce {
        /// The channel that shows it.
        channel: ChannelName,
        /// The text; `None` removes it.
        notice: Option<Notice>,
    },
    /// Set what the schedule wants on the channel.
    Schedule {
        /// The channel that it is wanted on.
        channel: ChannelName,
        /// The source and the reason; `None` = nothing.
        scheduled: Option<Scheduled>,
    },
}

/// The text of a channel's waiting picture, beside the time of day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The first line, e.g. the next lecture's title.
    pub title: String,
    /// The place, e.g. the hall.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// When the lecture starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<MediaTime>,
}

/// What the schedule wants on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The source to show.
    pub source: SourceName,
    /// The reason in a plain sentence, e.g. with the lecture's title.
    pub reason: String,
    /// When the schedule no longer wants it.
    pub until: MediaTime,
}

/// The answer to a command that took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The channel after the command.
    pub channel: ChannelView,
    /// Set if the override could not be saved: it is in effect, but would not survive a restart.
    pub warning: Option<String>,
}

/// Why a command had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// The caller names a channel that is not configured.
    #[error("no channel is called {0:?}")]
    UnknownChannel(ChannelName),
    /// The caller names a source that is not configured.
    #[error("no source is called {0:?}")]
    UnknownSource(SourceName),
    /// The caller's override would end in the past.
    #[error("until {until} is not in the future: it is {now}")]
    Past {
        /// The end that the caller asked for.
        until: MediaTime,
        /// The time of this server.
        now: MediaTime,
    },
    /// The caller's notice is too long, or has control characters.
    #[error(
        "a notice's title and place have at most {NOTICE_CHARS} characters each, and no control characters"
    )]
    Notice,
    /// The server is shutting down.
    #[error("the matrix has ended with the server")]
    Ended,
}
