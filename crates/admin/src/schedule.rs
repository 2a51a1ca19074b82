//! `GET /api/v1/schedule`: the plan.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::openapi::GuardResponses;
use amphi_control::agenda::Plan;

/// The planned lectures, conflicts between them, and the state of the calendar.
#[utoipa::path(get, path = "/api/v1/schedule", tag = "schedule", responses(
    (status = 200, description = "The plan", body = Plan), GuardResponses,
))]
pub(super) async fn show(State(state): Shared) -> Json<Plan> {
    Json(Plan::clone(&state.plan.borrow()))
}
