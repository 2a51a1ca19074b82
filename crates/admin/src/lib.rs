//! The admin port: the REST interface of the matrix, its events, health and metrics, as one axum [`Router`].
//!
//! | | |
//! |---|---|
//! | `GET /api/v1/matrix` | all channels and sources |
//! | `GET /api/v1/channels`, `…/{channel}` | channels |
//! | `PUT /api/v1/channels/{channel}/source` | manual connect: `{"source": "…", "until": "…"?}` |
//! | `DELETE /api/v1/channels/{channel}/source` | manual override: the waiting loop |
//! | `DELETE /api/v1/channels/{channel}/override` | back to the schedule or the configuration |
//! | `PUT`, `DELETE /api/v1/channels/{channel}/notice` | the text of the waiting picture |
//! | `GET /api/v1/sources`, `…/{source}` | sources |
//! | `GET /api/v1/alarms` | alarms |
//! | `GET /api/v1/schedule` | the plan, its conflicts, the state of the calendar |
//! | `GET`, `POST /api/v1/rehearsal` | the last check of all halls; starts one now |
//! | `POST /api/v1/reload` | reads the configuration again: `{"confirm": true}?` |
//! | `GET /api/v1/audit?limit=` | who did what, newest first |
//! | `GET /api/v1/pushes` | pushes to other servers |
//! | `GET /api/v1/recordings` | what of the recordings cannot be played as it is, and why |
//! | `GET /api/v1/health` | which tasks are running, how often each was restarted, and why |
//! | `GET /api/v1/events` | server-sent events: matrix, alarms and schedule, now and at every change; vitals |
//! | `GET`, `POST`, `DELETE /api/v1/session` | exchanges a token for a cookie, see `session` |
//! | `GET /sign-in`, `/sign-in/callback` | to the OpenID provider and back, see `sign_in` |
//! | `GET /api/v1/vitals`, `/api/v1/viewers`, `…/thumbnail.jpg` | see [`insight`] |
//! | `GET /` | the [`console`] |
//! | `GET /api/v1/openapi.json` | all of this as an OpenAPI document |
//! | `GET /metrics` | OpenMetrics |
//! | `GET /healthz`, `GET /readyz` | alive; ready to serve. No token is needed |
//!
//! Every change is answered with the channel as it is then. Every error is a problem document (RFC 9457). `guard` decides
//! who may ask, and in which [`Role`]. Every change is recorded in the audit log.
//!
//! A new route: write its handler with `#[utoipa::path]`, give it the responses of `openapi` that it may answer, and
//! register it with `routes!` below; the tests then check that its answers are as documented.
//!
//! **What does not belong here:** listening, and what commands do. They go to the matrix; the server acts on it.
//!
//! **Where to start.** `channels.rs` for a route from request to answer, `guard.rs` for who may ask, [`console`] for the
//! page, [`wowza`] for the interface that Wowza's scripts call.
//!
//! # Example
//! ```
//! let tokens = amphi_admin::Tokens::default();
//! assert!(tokens.operator.is_empty(), "without a token the port is bound to loopback only");
//! ```

mod access;
#[cfg(test)]
mod access_tests;
mod admission;
pub mod attendance;
mod audit;
mod channels;
mod claims;
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
mod person;
mod problem;
mod recordings;
mod rehearsal;
mod reload;
mod remote;
mod schedule;
mod session;
mod sessions;
mod sign_in;
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
pub use self::admission::Admissions;
pub use self::guard::of_this_machine;
pub use self::health::HealthWatch;
use self::insight::Insight;
use self::problem::Problem;
pub use self::recordings::{RecordingWatch, UnplayedRecording, UnplayedTrack};
pub use self::rehearsal::Rehearsals;
pub use self::reload::{ReloadAnswer, ReloadOrder, ReloadRefused};
pub use self::sessions::{SessionKeeper, Sessions, prepare as prepare_sessions};
pub use self::sign_in::People;
use amphi_control::agenda::Plan;
use amphi_control::alarm::Alarm;
use amphi_control::audit::AuditLog;
use amphi_control::matrix::MatrixHandle;
use amphi_control::push::PushBoard;
use amphi_http::Attempts;
use amphi_media::clock::WallClock;

/// The most bytes of a request's body; ours have some hundred.
const BODY_LIMIT: usize = 64 * 1024;

/// What the admin port needs of the server.
pub struct AdminState {
    /// The handle of the matrix.
    pub matrix: MatrixHandle,
    /// The tokens that callers must show.
    pub tokens: Tokens,
    /// How people sign in beside them.
    pub people: People,
    /// The open sessions.
    pub sessions: Sessions,
    /// Whether the server is ready to serve viewers, and the state of its tasks.
    pub health: HealthWatch,
    /// The states of pushes to other servers.
    pub pushes: PushBoard,
    /// The present alarms.
    pub alarms: watch::Receiver<Arc<Vec<Alarm>>>,
    /// The plan of the schedule.
    pub plan: watch::Receiver<Arc<Plan>>,
    /// Measurements of sources and channels, numbers of viewers, thumbnails.
    pub insight: Insight,
    /// The log in which changes are recorded.
    pub audit: AuditLog,
    /// The last rehearsal, and the queue that starts one.
    pub rehearsals: Rehearsals,
    /// The queue of reloads of the configuration.
    pub reloads: mpsc::Sender<ReloadOrder>,
    /// The clock for times of entries and of sessions.
    pub clock: Arc<dyn WallClock>,
    /// The metrics of the other parts of the server; those of the matrix are added here.
    pub metrics: Registry,
    /// Cancelled when the server starts to shut down. Event streams end then; otherwise they would keep their
    /// connections open for ever.
    pub ending: CancellationToken,
    /// The counts of wrong tokens.
    pub attempts: Attempts,
    /// Host names besides loopback ones under which a port without a token answers.
    pub names: Vec<Authority>,
    /// What of the mounts' recordings cannot be played.
    pub recordings: RecordingWatch,
    /// Who may watch, and what is revoked.
    pub admissions: Admissions,
}

/// The state that all routes share.
struct AdminContext {
    state: AdminState,
    started: Instant,
    streams: events::Streams,
}

impl std::ops::Deref for AdminContext {
    type Target = AdminState;

    fn deref(&self) -> &AdminState {
        &self.state
    }
}

impl AdminState {
    /// Whether callers must show who they are.
    pub fn asks(&self) -> bool {
        self.tokens.are_set() || self.people.can_sign_in()
    }
}

type Shared = State<Arc<AdminContext>>;

/// The routes of the port. Serve them on loopback only, unless there is an operator's token.
pub fn router(mut state: AdminState) -> Router {
    metrics::register(&mut state.metrics, state.matrix.clone());
    let started = Instant::now();
    let context = Arc::new(AdminContext { state, started, streams: events::Streams::default() });
    let sign_in = sign_in::router(&context);
    let (router, document) = api().split_for_parts();
    router
        .fallback(async |uri: Uri| {
            Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
        })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(Extension(openapi::Served::new(&document)))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(Arc::clone(&context), guard::guard))
        .with_state(context)
        .merge(sign_in)
}

/// The routes with their OpenAPI document.
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
        .routes(routes!(recordings::list))
        .routes(routes!(insight::vitals))
        .routes(routes!(insight::viewers))
        .routes(routes!(insight::of_source))
        .routes(routes!(insight::of_channel))
        .routes(routes!(rehearsal::show, rehearsal::start))
        .routes(routes!(admission::show))
        .routes(routes!(admission::revoke_key, admission::restore_key))
        .routes(routes!(admission::revoke_grant))
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
    let detail = format!("{} does not support {method}; see Allow", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
