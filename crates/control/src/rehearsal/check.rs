//! The results of checking sources.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use amphi_media::{MediaTime, SourceName};

/// The result of checking one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// The name of the source.
    #[schema(value_type = String)]
    pub source: SourceName,
    /// When it was checked.
    pub at: MediaTime,
    /// What is wrong, in a plain sentence; absent if it is ready for a lecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// It is a publishing source and did not publish at that time, so nothing could be checked. At night that is no fault.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits_for_publisher: bool,
    /// What the source sent.
    pub facts: Facts,
}

/// What a source sent while it was checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    /// RFC 6381 codec of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// Width of the picture in luma samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of the picture in luma samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Pictures per second, as measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// RFC 6381 codec of the sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// Samples of sound per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// Last peak of the sound in decibels of full scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_dbfs: Option<f64>,
    /// Whether the picture was black.
    pub black: bool,
    /// Whether not one sample of the picture changed.
    pub still: bool,
    /// Whether the sound was silent.
    pub silent: bool,
}

/// Whether a rehearsal is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalState {
    /// There was no rehearsal yet.
    #[default]
    None,
    /// Halls are being checked.
    Running,
    /// The last rehearsal has ended.
    Done,
}

/// A rehearsal: a check of all halls, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rehearsal {
    /// Whether it is still running.
    pub state: RehearsalState,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<MediaTime>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<MediaTime>,
    /// Who or what started it: `night`, or the caller as in the audit log's `who`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When the next nightly one starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<MediaTime>,
    /// The number of halls that are not ready for a lecture.
    pub faults: usize,
    /// The halls checked so far, in the configuration's order.
    pub checks: Vec<Check>,
}

impl Rehearsal {
    /// A rehearsal that starts now.
    pub fn begin(now: MediaTime, by: &str) -> Self {
        let (state, by) = (RehearsalState::Running, Some(by.to_owned()));
        Self { state, started: Some(now), by, ..Self::default() }
    }

    /// Adds the check of another hall.
    pub fn push(&mut self, check: Check) {
        self.faults += usize::from(check.fault.is_some());
        self.checks.push(check);
    }

    /// Marks the rehearsal as done.
    pub fn end(&mut self, now: MediaTime) {
        self.state = RehearsalState::Done;
        self.ended = Some(now);
    }
}
