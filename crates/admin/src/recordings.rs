//! `GET /api/v1/recordings`: what of the mounts cannot be played as it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::openapi::GuardResponses;

/// A media file that cannot be played as it is, a SMIL file that is not obeyed in all it says, or subtitles that are not read.
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
    /// What is not played as it is in the file, track by track, or the values that are left out of a SMIL file.
    pub left_out: Vec<UnplayedTrack>,
}

/// A track that is not played, or not all of it; a value of a SMIL file; or some of a file of subtitles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnplayedTrack {
    /// `track_ID` in the file; 0 if it cannot be read, for a box of the file that is of no track, and for files of SMIL and
    /// subtitles.
    pub track: u32,
    /// `picture`, `sound`, `text` or `other`.
    pub kind: String,
    /// Why, in words; of a SMIL file with the line.
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

/// What of the mounts' recordings cannot be played as it is, and why: of the files that viewers have opened, of SMIL
/// files that cannot be read, and of the files that the 500 newest SMIL files of each mount name, as far as they have been
/// looked at since the start; at most 1000 of each mount. A file of subtitles that cannot be read, or not all of it, is one with
/// `played` and parts of kind `text`.
#[utoipa::path(get, path = "/api/v1/recordings", tag = "recordings", responses(
    (status = 200, description = "By mount and path", body = Vec<UnplayedRecording>), GuardResponses,
))]
pub(super) async fn list(State(state): Shared) -> Json<Vec<UnplayedRecording>> {
    Json((state.recordings.0)())
}
