//! Alarms: what somebody should look at, in plain sentences, each with since-when.
//!
//! Others look at sources, ladders and channels and say once a second which [`Condition`]s hold; the [`Board`]
//! (sans-IO) decides which of them are alarms:
//! * a condition becomes an alarm when it has held for its kind's patience ([`Thresholds`]);
//! * an alarm ends when its condition has not held for five seconds, so that a flapping one is one alarm;
//! * since-when is when the condition began, not when the patience was over.
//!
//! Alarms look at the outcome, and one cause is one alarm: where pictures come and none comes out, [`Outcome`] says so; a channel
//! that does not show what it should is an alarm of its own only if nothing else says why.
//!
//! What does *not* belong here: how conditions are noticed, where alarms are sent.

mod board;
mod outcome;

use serde::Serialize;
use utoipa::ToSchema;

pub use board::{Board, Change};
pub use outcome::{DRY, Faults, Outcome, Reading, UNBEGUN};

use amphi_media::{ChannelName, MediaTime, SourceName};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// A wanted source cannot be had.
    Offline,
    /// A source is connected, and nothing comes.
    Stalled,
    /// A source refuses our credentials.
    Refused,
    /// The picture is black.
    Black,
    /// The picture has not changed in a single sample.
    Frozen,
    /// The sound is silence.
    Silent,
    /// The sound is at full scale again and again.
    Clipped,
    /// The source's clock runs much too fast or too slow.
    Skew,
    /// Packets of the source are lost on the way.
    Loss,
    /// The machine cannot follow; pictures are left out.
    Overload,
    /// A live encoder's parameter sets differ from the waiting loop's: a fault of ours.
    ParameterSets,
    /// The calendar cannot be had or makes no sense.
    Calendar,
    /// Something in the plan must be mended before it happens.
    Plan,
    /// A hall is not ready, and its lecture is near.
    Check,
    /// A channel cannot be pushed to another server.
    Push,
    /// A part of the server has ended by a fault of ours, and was started again.
    Task,
    /// A source sends pictures, and none of them comes out.
    Undecodable,
    /// A source sends sound, and none of it comes out.
    UndecodableSound,
    /// A channel does not show the source that it should, and no other alarm says why.
    NotOnAir,
    /// No new segment comes of a channel: a fault of ours.
    Stale,
    /// The machine's clock is far from media time.
    Clock,
    /// The configuration's file is not what runs, and was not taken over.
    Configuration,
    /// What must outlive a restart cannot be saved.
    State,
    /// The system gives this server no more descriptors.
    Descriptors,
}

/// Something that holds at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What.
    pub kind: AlarmKind,
    /// The source concerned.
    pub source: Option<SourceName>,
    /// The channel concerned.
    pub channel: Option<ChannelName>,
    /// What tells it from others of its kind, source and channel, e.g. the identifiers of two events.
    pub about: Option<String>,
    /// A plain sentence without secrets.
    pub sentence: String,
    /// Since when, where whoever noticed it knows; else the board's first look at it counts.
    pub since: Option<MediaTime>,
}

/// A condition that has held for too long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// The source concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    /// The channel concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub channel: Option<ChannelName>,
    /// What tells it from others of its kind, source and channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Since when.
    pub since: MediaTime,
    /// A plain sentence.
    pub sentence: String,
}

/// How many seconds a condition must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// A black picture.
    pub black_s: u32,
    /// A picture that does not change in a single sample.
    pub frozen_s: u32,
    /// Silence.
    pub silent_s: u32,
    /// Sound that clips.
    pub clipped_s: u32,
    /// A source that cannot be had, stalls or refuses.
    pub offline_s: u32,
    /// A channel that does not show what it should.
    pub not_on_air_s: u32,
}

/// No new segment, beyond the age that makes it too old.
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
            | AlarmKind::Descriptors => 0,
            AlarmKind::Black => self.black_s,
            AlarmKind::Frozen => self.frozen_s,
            AlarmKind::Silent => self.silent_s,
            AlarmKind::Clipped => self.clipped_s,
            AlarmKind::Skew => 60,
            AlarmKind::Loss | AlarmKind::Overload => 5,
        }
    }
}
