//! The admin port: the REST interface of the matrix, its events, health and metrics, as one axum [`Router`].
//!
//! | | |
//! |---|---|
//! | `GET /api/v1/matrix` | everything |
//! | `GET /api/v1/channels`, `…/{channel}` | channels |
//! | `PUT /api/v1/channels/{channel}/source` | manual connect: `{"source": "…", "until": "…"?}` |
//! | `DELETE /api/v1/channels/{channel}/source` | manual override: the waiting loop |
//! | `DELETE /api/v1/channels/{channel}/override` | back to the schedule or the configuration |
//! | `PUT`, `DELETE /api/v1/channels/{channel}/notice` | what the waiting picture says |
//! | `GET /api/v1/sources`, `…/{source}` | sources |
//! | `GET /api/v1/alarms` | what somebody should look at |
//! | `GET /api/v1/schedule` | what is planned, what is wrong with it, how the calendar is |
//! | `GET`, `POST /api/v1/rehearsal` | how all halls were at night; looks at them now |
//! | `POST /api/v1/reload` | reads the configuration again: `{"confirm": true}?` |
//! | `GET /api/v1/audit?limit=` | who did what, newest first |
//! | `GET /api/v1/pushes` | pushes to other servers |
//! | `GET /api/v1/health` | which tasks run, how often each has begun again, and why |
//! | `GET /api/v1/events` | server-sent events: the matrix, the alarms, the schedule now and at every change |
//! | `GET`, `POST`, `DELETE /api/v1/session` | a token turned into a cookie, see `session` |
//! | `GET /api/v1/vitals`, `/api/v1/viewers`, `…/thumbnail.jpg` | see [`insight`] |
//! | `GET /` | the [`console`] |
//! | `GET /api/v1/openapi.json` | all of this as an OpenAPI document |
//! | `GET /metrics` | OpenMetrics |
//! | `GET /healthz`, `GET /readyz` | alive; ready to serve. Open to all |
//!
//! Every change answers the channel as it is then. Every error is a problem in the sense of RFC 9457. Who may
//! ask is decided in `guard`, as which [`Role`]. Every change is recorded in the audit log.
//!
//! A new route: write its handler with `#[utoipa::path]`, give it the responses of `openapi` that it may answer, and
//! register it with `routes!` below; the tests then ask that its answers are as documented.
//!
//! **What does not belong here:** listening, and what commands do. They go to the matrix; the server obeys it.
//!
//! **Where to start.** `channels.rs` for a route from request to answer, `guard.rs` for who may ask, [`console`] for the
//! page, [`wowza`] for the interface that scripts of Wowza call.
//!
//! # Example
//! ```
//! let tokens = amphi_admin::Tokens::default();
//! assert!(tokens.operator.is_empty(), "without a token the port is bound to loopback only");
//! ```

mod access;
#[cfg(test)]
mod access_tests;
pub mod attendance;
mod audit;
mod channels;
pub mod console;
mod cookie;
mod events;
mod guard;
mod health;
pub mod insight;
mod metrics;
mod openapi;
#[cfg(test)]
mod openapi_tests;
mod problem;
mod rehearsal;
mod reload;
mod schedule;
mod session;
mod sources;
#[cfg(test)]
mod tests;
pub mod wowza;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::{Extension, Router, middleware};
use http::uri::Authority;
use http::{Method, StatusCode, Uri};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::access::{Role, Tokens};
pub use self::guard::of_this_machine;
pub use self::health::HealthWatch;
use self::insight::Insight;
use self::problem::Problem;
pub use self::rehearsal::Rehearsals;
pub use self::reload::{ReloadAnswer, ReloadOrder, ReloadRefused};
use amphi_control::agenda::Plan;
use amphi_control::alarm::Alarm;
use amphi_control::audit::AuditLog;
use amphi_control::matrix::MatrixHandle;
use amphi_control::push::PushBoard;
use amphi_http::Attempts;
use amphi_media::clock::WallClock;

/// Bytes of a request's body; ours have some hundred.
const BODY_LIMIT: usize = 64 * 1024;

/// What the admin port shows and steers.
pub struct AdminState {
    /// The matrix.
    pub matrix: MatrixHandle,
    /// What callers must show.
    pub tokens: Tokens,
    /// Whether the server is ready to serve viewers, and how its tasks are.
    pub health: HealthWatch,
    /// Pushes to other servers.
    pub pushes: PushBoard,
    /// The alarms of this moment.
    pub alarms: watch::Receiver<Arc<Vec<Alarm>>>,
    /// What is planned.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// How sources and channels fare, who watches, pictures.
    pub insight: Insight,
    /// Where changes are recorded.
    pub audit: AuditLog,
    /// Looks at all halls.
    pub rehearsals: Rehearsals,
    /// Reads the configuration again.
    pub reloads: mpsc::Sender<ReloadOrder>,
    /// The clock.
    pub clock: Arc<dyn WallClock>,
    /// What other parts of the server measure; the matrix's own metrics are added here.
    pub metrics: Registry,
    /// Cancelled when the server begins to end: event streams end then, which would otherwise hold their
    /// connections open for ever.
    pub ending: CancellationToken,
    /// Where wrong tokens are counted.
    pub attempts: Attempts,
    /// Names besides those of loopback under which a port without a token answers.
    pub names: Vec<Authority>,
}

/// What the routes share.
struct AdminContext {
    state: AdminState,
    started: Instant,
    sessions: session::Sessions,
    streams: events::Streams,
}

impl std::ops::Deref for AdminContext {
    type Target = AdminState;

    fn deref(&self) -> &AdminState {
        &self.state
    }
}

type Shared = State<Arc<AdminContext>>;

/// The routes. Serve them over loopback, or over anything when there is an operator's token.
pub fn router(mut state: AdminState) -> Router {
    metrics::register(&mut state.metrics, state.matrix.clone());
    let started = Instant::now();
    let (sessions, streams) = (session::Sessions::default(), events::Streams::default());
    let context = Arc::new(AdminContext { state, started, sessions, streams });
    let (router, document) = api().split_for_parts();
    router
        .fallback(async |uri: Uri| {
            Problem::new(StatusCode::NOT_FOUND, format!("{} leads nowhere", uri.path()))
        })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(Extension(openapi::Served::new(&document)))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&context), guard::guard))
        .with_state(context)
}

/// The routes with their document.
fn api() -> OpenApiRouter<Arc<AdminContext>> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .routes(routes!(channels::matrix))
        .routes(routes!(channels::list))
        .routes(routes!(channels::one))
        .routes(routes!(channels::connect, channels::disconnect))
        .routes(routes!(channels::clear_override))
        .routes(routes!(channels::notice, channels::clear_notice))
        .routes(routes!(sources::list))
        .routes(routes!(sources::one))
        .routes(routes!(sources::alarms))
        .routes(routes!(sources::pushes))
        .routes(routes!(schedule::show))
        .routes(routes!(insight::vitals))
        .routes(routes!(insight::viewers))
        .routes(routes!(insight::of_source))
        .routes(routes!(insight::of_channel))
        .routes(routes!(rehearsal::show, rehearsal::start))
        .routes(routes!(audit::list))
        .routes(routes!(reload::reload))
        .routes(routes!(events::stream))
        .routes(routes!(session::show, session::open, session::end))
        .routes(routes!(openapi::document))
        .routes(routes!(metrics::page))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::show))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not among the methods of {}; see Allow", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
