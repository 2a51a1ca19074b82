//! Routes that the demo adds to the admin port: they make its halls fail, for which the console has a panel, and the
//! server's own tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};

use super::halls::Halls;
use amphi_runtime::tasks::Tasks;
use amphi_simulator::SimulatedFault;

/// The routes, to be merged with those of REST.
pub(super) fn router(halls: Arc<Halls>, tasks: Tasks) -> Router {
    let panics = Router::new().route("/demo/tasks/{name}/panic", post(end_task)).with_state(tasks);
    Router::new()
        .route("/demo/halls", get(faults))
        .route("/demo/halls/{hall}/fault", put(set_fault))
        .with_state(halls)
        .merge(panics)
}

/// Makes a task panic, to see that it starts again.
async fn end_task(State(tasks): State<Tasks>, Path(name): Path<String>) -> StatusCode {
    if tasks.strike(&name) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

/// Every hall with its fault.
async fn faults(State(halls): State<Arc<Halls>>) -> Json<BTreeMap<&'static str, Option<String>>> {
    Json(halls.faults().map(|(hall, fault)| (hall, fault.map(|fault| fault.to_string()))).collect())
}

/// The body is a fault's name, or nothing to mend the hall.
async fn set_fault(
    State(halls): State<Arc<Halls>>,
    Path(hall): Path<String>,
    body: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let fault = match body.trim() {
        "" => None,
        text => Some(
            text.parse::<SimulatedFault>().map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?,
        ),
    };
    if halls.set_fault(&hall, fault) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err((StatusCode::NOT_FOUND, format!("no hall is called {hall:?}")))
    }
}
