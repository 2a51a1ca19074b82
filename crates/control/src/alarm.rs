//! Alarms: faults that an operator should look at, in plain sentences, each with the time since when it has lasted.
//!
//! The server watches sources, ladders and channels and reports once a second which [`Condition`]s hold. The [`Board`]
//! (sans-IO) decides which of them are alarms:
//! * a condition becomes an alarm when it has held for the time of its kind ([`Thresholds`]);
//! * an alarm ends when its condition has not held for five seconds, so that a flapping one is one alarm;
//! * an alarm's `since` is when the condition began, not when it became an alarm.
//!
//! Alarms are about results, and one cause is one alarm. If pictures arrive and none can be decoded, [`Outcome`] says so; a
//! channel that does not show what it should is an alarm of its own only if no other alarm explains it.
//!
//! What does *not* belong here: how conditions are detected, where alarms are sent.

mod board;
mod outcome;

use serde::Serialize;
use utoipa::ToSchema;

pub use board::{Board, Change};
pub use outcome::{DRY, Outcome, OutcomeCounts, OutcomeFaults, UNBEGUN};

use amphi_media::{ChannelName, MediaTime, SourceName};

/// The kind of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// A source that a channel wants cannot be reached.
    Offline,
    /// A source is connected but sends nothing.
    Stalled,
    /// A source refuses our user name and password.
    Refused,
    /// The picture is black.
    Black,
    /// Not one sample of the picture changes.
    Frozen,
    /// The sound is silent.
    Silent,
    /// The sound clips again and again.
    Clipped,
    /// The source's clock runs much too fast or too slow.
    Skew,
    /// Packets of the source are lost in the network.
    Loss,
    /// This machine is too slow, and pictures are dropped.
    Overload,
    /// A live encoder's parameter sets differ from the waiting loop's: a bug of ours.
    ParameterSets,
    /// The calendar, or a part of it, cannot be fetched or read.
    Calendar,
    /// The plan has a conflict that should be resolved before it happens.
    Plan,
    /// A hall is not ready, and its lecture starts soon.
    Check,
    /// A channel cannot be pushed to another server.
    Push,
    /// A task of this server has failed and was restarted: a bug of ours.
    Task,
    /// A source sends pictures, and none can be decoded.
    Undecodable,
    /// A source sends sound, and none can be decoded.
    UndecodableSound,
    /// A channel does not show the source that it should, and no other alarm explains it.
    NotOnAir,
    /// A channel has no new segment: a bug of ours.
    Stale,
    /// The machine's clock is far from media time.
    Clock,
    /// The configuration file has changed, and the new version is not applied.
    Configuration,
    /// State that should survive a restart cannot be saved.
    State,
    /// A certificate of this server is refused, ends soon, or cannot be had.
    Certificate,
    /// The system gives this server no more file descriptors.
    Descriptors,
    /// Recordings have a picture or sound that their viewers do not get, or cannot be played at all.
    Recording,
}

/// A fault that is present now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The kind of alarm that it becomes.
    pub kind: AlarmKind,
    /// The source concerned, if any.
    pub source: Option<SourceName>,
    /// The channel concerned, if any.
    pub channel: Option<ChannelName>,
    /// Tells it from others of the same kind, source and channel, e.g. the identifiers of two events.
    pub about: Option<String>,
    /// The fault in a plain sentence without secrets.
    pub sentence: String,
    /// When it began, if that is known; otherwise the board's first observation counts.
    pub since: Option<MediaTime>,
}

/// A condition that has lasted too long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Alarm {
    /// The kind of alarm.
    pub kind: AlarmKind,
    /// The source concerned, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// The channel concerned, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelName>,
    /// Tells it from others of the same kind, source and channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// When the condition began.
    pub since: MediaTime,
    /// What is wrong, in a plain sentence.
    pub sentence: String,
}

/// How many seconds a condition must hold to be an alarm: the `[alarm]` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// For [`AlarmKind::Black`].
    pub black_s: u32,
    /// For [`AlarmKind::Frozen`].
    pub frozen_s: u32,
    /// For [`AlarmKind::Silent`].
    pub silent_s: u32,
    /// For [`AlarmKind::Clipped`].
    pub clipped_s: u32,
    /// For sources and pushes that are offline, stalled or cannot be decoded.
    pub offline_s: u32,
    /// For [`AlarmKind::NotOnAir`].
    pub not_on_air_s: u32,
}

/// The threshold of [`AlarmKind::Stale`], on top of the age at which a segment counts as too old.
const STALE_S: u32 = 2;

impl Default for Thresholds {
    fn default() -> Self {
        Self { black_s: 20, frozen_s: 120, silent_s: 60, clipped_s: 10, offline_s: 5, not_on_air_s: 10 }
    }
}

impl Thresholds {
    const fn of(self, kind: AlarmKind) -> u32 {
        match kind {
            AlarmKind::Offline
            | AlarmKind::Stalled
            | AlarmKind::Push
            | AlarmKind::Undecodable
            | AlarmKind::UndecodableSound => self.offline_s,
            AlarmKind::NotOnAir => self.not_on_air_s,
            AlarmKind::Stale => STALE_S,
            AlarmKind::Refused
            | AlarmKind::ParameterSets
            | AlarmKind::Calendar
            | AlarmKind::Plan
            | AlarmKind::Check
            | AlarmKind::Task
            | AlarmKind::Clock
            | AlarmKind::Configuration
            | AlarmKind::State
            | AlarmKind::Certificate
            | AlarmKind::Descriptors
            | AlarmKind::Recording => 0,
            AlarmKind::Black => self.black_s,
            AlarmKind::Frozen => self.frozen_s,
            AlarmKind::Silent => self.silent_s,
            AlarmKind::Clipped => self.clipped_s,
            AlarmKind::Skew => 60,
            AlarmKind::Loss | AlarmKind::Overload => 5,
        }
    }
}
