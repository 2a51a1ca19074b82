//! `POST /api/v1/reload`: reads the configuration file again, as SIGHUP does, and answers with the result.
//!
//! What viewers are watching is ended only if the caller confirms it.

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::Shared;
use super::access::Caller;
use super::openapi::{GuardResponses, NotTaken};
use super::problem::Problem;
use amphi_control::audit::{Action, Entry};

/// A request for a reload.
#[derive(Debug)]
pub struct ReloadOrder {
    /// Whether the reload may end what viewers are watching.
    pub confirm: bool,
    /// The entry for the audit log, with the caller.
    pub entry: Entry,
    /// Where the result is sent.
    pub answer: oneshot::Sender<Result<ReloadAnswer, ReloadRefused>>,
}

/// The result of a reload that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReloadAnswer {
    /// The result in a sentence.
    pub sentence: String,
    /// Every changed key, a line each; secrets are not shown.
    pub changes: Vec<String>,
    /// What was ended or restarted, a sentence each.
    pub ended: Vec<String>,
    /// Changed sections that need a restart of the server.
    pub restart: Vec<String>,
}

/// Why a reload was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadRefused {
    /// The file cannot be read, or has faults.
    Faulty(String),
    /// It would end what viewers are watching, or the file seems to be cut off. It can be confirmed.
    Loses(String),
    /// It was started and failed halfway.
    Failed(String),
}

impl std::fmt::Display for ReloadRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Faulty(why) | Self::Loses(why) | Self::Failed(why)) = self;
        f.write_str(why)
    }
}

/// The body; an empty one and `null` count as `{}`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reload {
    /// Whether the reload may end what viewers are watching.
    confirm: bool,
}

/// Reads the configuration file again. If it would end what viewers are watching, it is refused with a list, unless confirmed.
#[utoipa::path(post, path = "/api/v1/reload", tag = "configuration", request_body = Option<Reload>, responses(
    (status = 200, description = "The new configuration is in effect", body = ReloadAnswer), GuardResponses, NotTaken,
))]
pub(super) async fn reload(
    State(state): Shared,
    caller: Caller,
    body: Bytes,
) -> Result<Json<ReloadAnswer>, Problem> {
    let Reload { confirm } = if body.trim_ascii().is_empty() {
        Reload::default()
    } else {
        let read = serde_json::from_slice::<Option<Reload>>(&body);
        let fault = |error| Problem::new(StatusCode::BAD_REQUEST, format!("in the body: {error}"));
        read.map_err(fault)?.unwrap_or_default()
    };
    let entry = caller.does(Action::Reload, state.clock.now());
    let (answer, answered) = oneshot::channel();
    let gone = || {
        let detail = "this server has no configuration file, or is shutting down";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    };
    state.reloads.send(ReloadOrder { confirm, entry, answer }).await.map_err(|_| gone())?;
    match answered.await.map_err(|_| gone())? {
        Ok(done) => Ok(Json(done)),
        Err(refused) => {
            let status = match &refused {
                ReloadRefused::Faulty(_) => StatusCode::UNPROCESSABLE_ENTITY,
                ReloadRefused::Loses(_) => StatusCode::CONFLICT,
                ReloadRefused::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Err(Problem::new(status, refused.to_string()))
        }
    }
}
