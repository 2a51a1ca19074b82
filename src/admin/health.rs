//! `/healthz`, `/readyz`: for whoever watches over the process. Open to all; they tell what is wrong with
//! channels, and nothing else.

use std::sync::Arc;

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
    let doubts = Arc::clone(&state.doubts.borrow());
    if *state.ready.borrow() && doubts.is_empty() {
        return Ok("ready\n");
    }
    let why = if doubts.is_empty() { String::new() } else { format!(": {}", doubts.join("; ")) };
    let why = format!("not ready to serve viewers{why}");
    Err(Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, why))
}
