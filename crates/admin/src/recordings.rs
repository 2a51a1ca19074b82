//! `GET /api/v1/recordings`: what of the mounts cannot be played as it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::openapi::GuardResponses;

/// A recording that cannot be played as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnplayedRecording {
    /// The mount's name.
    pub mount: String,
    /// The file's path beneath the mount.
    pub path: String,
    /// Whether anything of it is played.
    pub played: bool,
    /// Why nothing of it is played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is still being written, so that it may be played soon.
    pub unfinished: bool,
    /// Of what viewers get nothing although the file has it: `picture`, `sound`.
    pub lacks: Vec<String>,
    /// The tracks that are not played.
    pub left_out: Vec<UnplayedTrack>,
}

/// A track that is not played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnplayedTrack {
    /// `track_ID` in the file; 0 if it cannot be read.
    pub track: u32,
    /// `picture`, `sound`, `text` or `other`.
    pub kind: String,
    /// Why, in words.
    pub reason: String,
}

/// Finds them at any moment, without waiting for a file.
#[derive(Clone)]
pub struct RecordingWatch(Arc<dyn Fn() -> Vec<UnplayedRecording> + Send + Sync>);

impl RecordingWatch {
    /// Found by `look`.
    pub fn new(look: impl Fn() -> Vec<UnplayedRecording> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }
}

/// What of the mounts' recordings cannot be played as it is, and why: of the files that viewers have opened, and of those
/// that SMIL files name, the newest first, as far as they have been looked at since the start; at most 1000 of each mount.
#[utoipa::path(get, path = "/api/v1/recordings", tag = "recordings", responses(
    (status = 200, description = "By mount and path", body = Vec<UnplayedRecording>), GuardResponses,
))]
pub(super) async fn list(State(state): Shared) -> Json<Vec<UnplayedRecording>> {
    Json((state.recordings.0)())
}
