//! `GET /api/v1/schedule`: what is planned.

use axum::Json;
use axum::extract::State;

use super::Shared;
use super::openapi::GuardResponses;
use amphi_control::agenda::Plan;

/// What is planned, what is wrong with it, and how the calendar is.
#[utoipa::path(get, path = "/api/v1/schedule", tag = "schedule", responses(
    (status = 200, description = "The plan", body = Plan), GuardResponses,
))]
pub(super) async fn show(State(state): Shared) -> Json<Plan> {
    Json(Plan::clone(&state.plan.borrow()))
}
