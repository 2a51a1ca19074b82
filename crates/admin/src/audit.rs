//! `GET /api/v1/audit`: who did what.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;

use super::Shared;
use super::openapi::{BadQuery, GuardResponses};
use super::problem::{Parameters, Problem};
use amphi_control::audit::{Entry, KEPT};

/// The default of `limit`.
const USUAL: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    limit: Option<usize>,
}

/// The last entries of the audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit",
    params(("limit" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "How many entries; 100 if absent")),
    responses((status = 200, description = "The entries", body = Vec<Entry>), GuardResponses, BadQuery),
)]
pub(super) async fn list(
    State(state): Shared,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Vec<Entry>>, Problem> {
    let limit = wanted.limit.unwrap_or(USUAL);
    if !(1..=KEPT).contains(&limit) {
        let detail = format!("limit: {limit} is not between 1 and {KEPT}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(Json(state.audit.latest(limit)))
}
