//! The admin port: the REST interface of the matrix, its events, health and metrics, as one axum [`Router`].
//!
//! | | |
//! |---|---|
//! | `GET /api/v1/matrix` | everything |
//! | `GET /api/v1/channels`, `…/{channel}` | channels |
//! | `PUT /api/v1/channels/{channel}/source` | manual connect: `{"source": "…", "until": "…"?}` |
//! | `DELETE /api/v1/channels/{channel}/source` | manual override: the waiting loop |
//! | `DELETE /api/v1/channels/{channel}/override` | back to the schedule or the configuration |
//! | `GET /api/v1/sources`, `…/{source}` | sources |
//! | `GET /api/v1/schedule` | what is planned, what is wrong with it, how the calendar is |
//! | `GET /api/v1/events` | server-sent events: the matrix, the alarms, the schedule now and at every change |
//! | `GET /api/v1/vitals`, `/api/v1/viewers`, `…/thumbnail.jpg` | see [`insight`] |
//! | `GET /` | the [`console`] |
//! | `GET /metrics` | OpenMetrics |
//! | `GET /healthz`, `GET /readyz` | alive; ready to serve. Open to all |
//!
//! Every change answers the channel as it is then. Every error is a problem in the sense of RFC 9457. Who may
//! ask is decided in `guard`.
//!
//! Not here: listening, and what the matrix's words mean for sources and channels.

pub mod attendance;
mod channels;
pub mod console;
mod events;
mod guard;
pub mod insight;
mod metrics;
mod problem;
#[cfg(test)]
mod tests;
pub mod wowza;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router, middleware};
use http::{Method, StatusCode, Uri};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::insight::Insight;
use self::problem::Problem;
use crate::agenda::Plan;
use crate::alarm::Alarm;
use crate::config::Secret;
use crate::matrix::{MatrixHandle, SourceView};

/// Bytes of a request's body; ours have some hundred.
const BODY_LIMIT: usize = 64 * 1024;

/// What the admin port shows and steers.
#[derive(Debug)]
pub struct AdminState {
    /// The matrix.
    pub matrix: MatrixHandle,
    /// What callers must show; `None` or empty = the port is bound to loopback only.
    pub token: Option<Secret>,
    /// The server is ready to serve viewers.
    pub ready: watch::Receiver<bool>,
    /// The alarms of this moment.
    pub alarms: watch::Receiver<Arc<Vec<Alarm>>>,
    /// What is planned.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// How sources and channels fare, who watches, pictures.
    pub insight: Insight,
    /// What other parts of the server measure; the matrix's own metrics are added here.
    pub metrics: Registry,
    /// Cancelled when the server begins to end: event streams end then, which would otherwise hold their
    /// connections open for ever.
    pub ending: CancellationToken,
}

type Shared = State<Arc<AdminState>>;

/// The routes. Serve them over loopback, or over anything when there is a token.
pub fn router(mut state: AdminState) -> Router {
    state.token = state.token.filter(|token| !token.is_empty());
    metrics::register(&mut state.metrics, state.matrix.clone());
    let state = Arc::new(state);
    Router::new()
        .route("/api/v1/matrix", get(matrix))
        .route("/api/v1/channels", get(channels::list))
        .route("/api/v1/channels/{channel}", get(channels::one))
        .route("/api/v1/channels/{channel}/source", put(channels::connect).delete(channels::disconnect))
        .route("/api/v1/channels/{channel}/override", axum::routing::delete(channels::clear_override))
        .route("/api/v1/channels/{channel}/notice", put(channels::notice).delete(channels::clear_notice))
        .route("/api/v1/sources", get(sources))
        .route("/api/v1/sources/{source}", get(source))
        .route("/api/v1/alarms", get(alarms))
        .route("/api/v1/schedule", get(schedule))
        .route("/api/v1/vitals", get(insight::vitals))
        .route("/api/v1/viewers", get(insight::viewers))
        .route("/api/v1/sources/{source}/thumbnail.jpg", get(insight::of_source))
        .route("/api/v1/channels/{channel}/thumbnail.jpg", get(insight::of_channel))
        .route("/api/v1/events", get(events::stream))
        .route("/metrics", get(metrics::page))
        .route(guard::HEALTH, get(async || "alive\n"))
        .route(guard::READINESS, get(ready))
        .fallback(async |uri: Uri| {
            Problem::new(StatusCode::NOT_FOUND, format!("{} leads nowhere", uri.path()))
        })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), guard::guard))
        .with_state(state)
}

async fn matrix(State(state): Shared) -> Response {
    Json(&*state.matrix.view()).into_response()
}

async fn alarms(State(state): Shared) -> Response {
    let alarms = Arc::clone(&state.alarms.borrow());
    Json(&*alarms).into_response()
}

async fn schedule(State(state): Shared) -> Response {
    let plan = Arc::clone(&state.plan.borrow());
    Json(&*plan).into_response()
}

async fn sources(State(state): Shared) -> Response {
    Json(&state.matrix.view().sources).into_response()
}

async fn source(State(state): Shared, name: problem::Name) -> Result<Json<SourceView>, Problem> {
    let view = state.matrix.view();
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("no source is called {:?}", name.0));
    view.source(&name.0).cloned().map(Json).ok_or_else(unknown)
}

async fn ready(State(state): Shared) -> Result<&'static str, Problem> {
    let ready = *state.ready.borrow();
    let not_yet = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not ready to serve viewers");
    ready.then_some("ready\n").ok_or_else(not_yet)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not among the methods of {}; see Allow", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
