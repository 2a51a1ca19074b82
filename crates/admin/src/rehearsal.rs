//! `/api/v1/rehearsal`: the results of the last rehearsal, and starting one.

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

/// The connection to the task that rehearses.
pub struct Rehearsals {
    /// The rehearsal that is running, or the last one.
    pub report: watch::Receiver<std::sync::Arc<Rehearsal>>,
    /// Starts a rehearsal; the text is who asks, as in the audit log.
    pub orders: mpsc::Sender<String>,
}

/// The rehearsal of all halls that is running, or the last one.
#[utoipa::path(get, path = "/api/v1/rehearsal", tag = "rehearsal", responses(
    (status = 200, description = "The check of every hall", body = Rehearsal), GuardResponses,
))]
pub(super) async fn show(State(state): Shared) -> Json<Rehearsal> {
    Json(Rehearsal::clone(&state.rehearsals.report.borrow()))
}

/// Starts a rehearsal of all halls now. What is on air is not disturbed.
#[utoipa::path(post, path = "/api/v1/rehearsal", tag = "rehearsal", responses(
    (status = 202, description = "It starts; GET returns its results", body = Rehearsal), GuardResponses, Busy,
))]
pub(super) async fn start(
    State(state): Shared,
    caller: Caller,
) -> Result<(StatusCode, Json<Rehearsal>), Problem> {
    let report = Rehearsal::clone(&state.rehearsals.report.borrow());
    let busy = || Problem::new(StatusCode::CONFLICT, "a rehearsal is running, or about to start");
    let ordered = if report.state == RehearsalState::Running {
        Err(busy())
    } else {
        state.rehearsals.orders.try_send(caller.name()).map_err(|error| match error {
            TrySendError::Full(_) => busy(),
            TrySendError::Closed(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is ending"),
        })
    };
    let entry = caller.does(Action::Rehearsal, state.clock.now());
    state.audit.record(entry.result(&ordered));
    ordered.map(|()| (StatusCode::ACCEPTED, Json(report)))
}
