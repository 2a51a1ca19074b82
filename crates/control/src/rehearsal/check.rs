//! What a look at a source has shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use amphi_media::{MediaTime, SourceName};

/// One look at one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// The source.
    #[schema(value_type = String)]
    pub source: SourceName,
    /// When it was looked at.
    pub at: MediaTime,
    /// What is wrong, in a plain sentence; absent where it is fit for a lecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// It publishes to us and did not at that time: nothing could be looked at, which is no fault at night.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits_for_publisher: bool,
    /// What it sent.
    pub facts: Facts,
}

/// What a source sent while it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    /// RFC 6381 codec of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// Luma samples per row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Rows of luma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Measured pictures per second.
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
    /// The picture was black.
    pub black: bool,
    /// The picture did not change in a single sample.
    pub still: bool,
    /// The sound was silence.
    pub silent: bool,
}

/// Whether a rehearsal runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalState {
    /// There was none yet.
    #[default]
    None,
    /// Halls are being looked at.
    Running,
    /// The last one is over.
    Done,
}

/// All halls, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rehearsal {
    /// Whether one runs.
    pub state: RehearsalState,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<MediaTime>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<MediaTime>,
    /// Who or what began it: `night`, or as the audit log calls a caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When the next one begins by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<MediaTime>,
    /// Halls that are not fit for a lecture.
    pub faults: usize,
    /// Every hall that was looked at so far, in the configuration's order.
    pub checks: Vec<Check>,
}

impl Rehearsal {
    /// One that begins now.
    pub fn begin(now: MediaTime, by: &str) -> Self {
        let (state, by) = (RehearsalState::Running, Some(by.to_owned()));
        Self { state, started: Some(now), by, ..Self::default() }
    }

    /// Another hall was looked at.
    pub fn push(&mut self, check: Check) {
        self.faults += usize::from(check.fault.is_some());
        self.checks.push(check);
    }

    /// It is over.
    pub fn end(&mut self, now: MediaTime) {
        self.state = RehearsalState::Done;
        self.ended = Some(now);
    }
}
