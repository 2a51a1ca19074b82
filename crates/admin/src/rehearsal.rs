//! `/api/v1/rehearsal`: how the halls were at the last rehearsal, and ordering one.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::Shared;
use super::access::Caller;
use super::openapi::{Busy, GuardResponses};
use super::problem::Problem;
use amphi_control::audit::Action;
use amphi_control::rehearsal::{Rehearsal, RehearsalState};

/// The door to whoever rehearses.
pub struct Rehearsals {
    /// The last one, or the one that runs.
    pub report: watch::Receiver<std::sync::Arc<Rehearsal>>,
    /// Orders one, by the name of who does.
    pub orders: mpsc::Sender<String>,
}

/// The last rehearsal of all halls, or the one that runs.
#[utoipa::path(get, path = "/api/v1/rehearsal", tag = "rehearsal", responses(
    (status = 200, description = "How every hall was", body = Rehearsal), GuardResponses,
))]
pub(super) async fn show(State(state): Shared) -> Json<Rehearsal> {
    Json(Rehearsal::clone(&state.rehearsals.report.borrow()))
}

/// Starts a rehearsal of all halls now. What is on air is not disturbed.
#[utoipa::path(post, path = "/api/v1/rehearsal", tag = "rehearsal", responses(
    (status = 202, description = "It begins; ask for it with GET", body = Rehearsal), GuardResponses, Busy,
))]
pub(super) async fn start(
    State(state): Shared,
    caller: Caller,
) -> Result<(StatusCode, Json<Rehearsal>), Problem> {
    let report = Rehearsal::clone(&state.rehearsals.report.borrow());
    let busy = || Problem::new(StatusCode::CONFLICT, "a rehearsal is under way, or about to begin");
    let ordered = if report.state == RehearsalState::Running {
        Err(busy())
    } else {
        state.rehearsals.orders.try_send(caller.name().to_owned()).map_err(|error| match error {
            TrySendError::Full(_) => busy(),
            TrySendError::Closed(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is ending"),
        })
    };
    let entry = caller.does(Action::Rehearsal, state.clock.now());
    state.audit.record(entry.result(&ordered));
    ordered.map(|()| (StatusCode::ACCEPTED, Json(report)))
}
