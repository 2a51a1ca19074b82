//! `/api/v1/sources`, `/api/v1/alarms` and `/api/v1/pushes`.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::Shared;
use super::openapi::{GuardResponses, NoSuchName};
use super::problem::{Name, Problem};
use amphi_control::alarm::Alarm;
use amphi_control::matrix::SourceView;
use amphi_control::push::PushStatus;
use amphi_media::SourceName;

/// All sources.
#[utoipa::path(get, path = "/api/v1/sources", tag = "sources", responses(
    (status = 200, description = "In the configuration's order", body = Vec<SourceView>), GuardResponses,
))]
pub(super) async fn list(State(state): Shared) -> Json<Vec<SourceView>> {
    Json(state.matrix.view().sources.clone())
}

/// One source.
#[utoipa::path(get, path = "/api/v1/sources/{source}", tag = "sources",
    params(("source" = String, Path, description = "The source's name")),
    responses((status = 200, description = "The source", body = SourceView), GuardResponses, NoSuchName),
)]
pub(super) async fn one(
    State(state): Shared,
    Name(name): Name<SourceName>,
) -> Result<Json<SourceView>, Problem> {
    let view = state.matrix.view();
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("no source is called {name:?}"));
    view.source(&name).cloned().map(Json).ok_or_else(unknown)
}

/// The present alarms.
#[utoipa::path(get, path = "/api/v1/alarms", tag = "alarms", responses(
    (status = 200, description = "By kind", body = Vec<Alarm>), GuardResponses,
))]
pub(super) async fn alarms(State(state): Shared) -> Json<Vec<Alarm>> {
    let alarms = std::sync::Arc::clone(&state.alarms.borrow());
    Json(alarms.to_vec())
}

/// The states of the pushes to other servers.
#[utoipa::path(get, path = "/api/v1/pushes", tag = "alarms", responses(
    (status = 200, description = "By name", body = Vec<PushStatus>), GuardResponses,
))]
pub(super) async fn pushes(State(state): Shared) -> Json<Vec<PushStatus>> {
    Json(state.pushes.all())
}
