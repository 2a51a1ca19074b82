//! What the admin port shows: REST, the console, and what the demo adds.

use std::sync::Arc;

use axum::Router;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::listeners::Addresses;
use super::recordings;
use super::settings::names;
use super::shared::ServerContext;
use super::watchman::WatchOutputs;
use amphi_admin::insight::Insight;
use amphi_admin::{
    self as admin, AdminState, Admissions, HealthWatch, RecordingWatch, Rehearsals, ReloadOrder, Tokens,
    console,
};
use amphi_config as config;
use amphi_control::admission::AdmissionBook;

/// What the admin port needs of other parts.
pub(super) struct AdminPort {
    /// True once the server has started.
    pub(super) ready: watch::Receiver<bool>,
    pub(super) said: WatchOutputs,
    pub(super) insight: Insight,
    pub(super) metrics: Registry,
    pub(super) rehearsals: Rehearsals,
    pub(super) reloads: mpsc::Sender<ReloadOrder>,
    pub(super) demo: Option<Router>,
    pub(super) book: AdmissionBook,
}

impl AdminPort {
    /// The router of the port; event streams end with `ending`.
    pub(super) fn router(
        self,
        shared: &ServerContext,
        addresses: &Addresses,
        ending: CancellationToken,
    ) -> Router {
        let Self { ready, said, insight, metrics, rehearsals, reloads, demo, book } = self;
        let config = shared.config.borrow();
        let config::Admin { token, viewer_token, .. } = &config.admin;
        let registry = Arc::clone(shared.delivery.registry());
        let state = AdminState {
            matrix: shared.matrix.clone(),
            tokens: Tokens { operator: token.clone(), viewer: viewer_token.clone() },
            health: HealthWatch { ready, doubts: said.doubts, tasks: shared.tasks.clone() },
            pushes: shared.pushes.clone(),
            alarms: said.alarms,
            plan: shared.plan.clone(),
            insight,
            audit: shared.audit.clone(),
            rehearsals,
            reloads,
            clock: Arc::clone(&shared.clocks.wall),
            metrics,
            ending,
            attempts: shared.attempts.clone(),
            names: names(&config),
            recordings: RecordingWatch::new(move || recordings::unplayed(&registry)),
            admissions: Admissions { config: shared.config.clone(), book },
        };
        let settings = console::ConsoleSettings {
            title: config.pages.title.clone(),
            public_url: config.pages.public_url.clone(),
            http_port: addresses.http.or(addresses.media).map(|address| address.port()),
            needs_token: !token.is_empty(),
            demo: demo.is_some(),
        };
        let router = admin::router(state).merge(console::router(settings)).merge(demo.unwrap_or_default());
        if token.is_empty() { admin::of_this_machine(router, names(&config)) } else { router }
    }
}
