//! `/healthz`, `/readyz`: for whoever watches over the process. Open to all; they tell nothing.

use axum::extract::State;

use super::Shared;
use super::openapi::NotReady;
use super::problem::Problem;

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses(
    (status = 200, description = "It is", body = String, content_type = "text/plain; charset=utf-8"),
))]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// The server is ready for viewers.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "It is", body = String, content_type = "text/plain; charset=utf-8"),
    NotReady,
))]
pub(super) async fn ready(State(state): Shared) -> Result<&'static str, Problem> {
    let ready = *state.ready.borrow();
    let not_yet = || Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, "not ready to serve viewers");
    ready.then_some("ready\n").ok_or_else(not_yet)
}
