//! `POST /api/v1/reload`: reads the configuration's file again, as SIGHUP does, and answers what came of it.
//!
//! What people watch at this moment is ended only if the caller confirms it.

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

/// Somebody asks for a reload.
#[derive(Debug)]
pub struct ReloadOrder {
    /// What people watch may be ended.
    pub confirm: bool,
    /// For the audit log: who asks.
    pub entry: Entry,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<ReloadAnswer, ReloadRefused>>,
}

/// A reload that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReloadAnswer {
    /// What came of it, in a sentence.
    pub sentence: String,
    /// Every key that is not the same as before, a line each; secrets are not shown.
    pub changes: Vec<String>,
    /// What was ended or began anew.
    pub ended: Vec<String>,
    /// Sections that take a restart.
    pub restart: Vec<String>,
}

/// A reload that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadRefused {
    /// The file cannot be read, or has faults.
    Faulty(String),
    /// It would end what people watch, or is cut off: it can be confirmed.
    Loses(String),
    /// It was begun and did not come to its end.
    Failed(String),
}

impl std::fmt::Display for ReloadRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Faulty(why) | Self::Loses(why) | Self::Failed(why)) = self;
        f.write_str(why)
    }
}

/// The body; nothing and `null` are `{}`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reload {
    /// What people watch at this moment may be ended.
    confirm: bool,
}

/// Reads the configuration's file again. Refused with a list, unless confirmed, where it would end what people watch.
#[utoipa::path(post, path = "/api/v1/reload", tag = "configuration", request_body = Option<Reload>, responses(
    (status = 200, description = "It was taken over", body = ReloadAnswer), GuardResponses, NotTaken,
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
        let detail = "this server reads no configuration's file, or is ending";
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
