//! What the admin port shows: REST, the console, and what the demo adds.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::listeners::Addresses;
use super::recordings;
use super::settings::names;
use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use super::watchman::WatchOutputs;
use amphi_admin::insight::Insight;
use amphi_admin::{
    self as admin, AdminState, Admissions, HealthWatch, People, RecordingWatch, Rehearsals, ReloadOrder,
    Sessions, Tokens, console,
};
use amphi_config::Config;
use amphi_control::admission::AdmissionBook;
use amphi_media::clock::Clocks;

/// What the admin port needs of other parts.
pub(super) struct AdminPort {
    /// True once the server has started.
    pub(super) ready: watch::Receiver<bool>,
    pub(super) said: WatchOutputs,
    pub(super) insight: Insight,
    pub(super) metrics: Registry,
    pub(super) rehearsals: Rehearsals,
    pub(super) reloads: mpsc::Sender<ReloadOrder>,
    pub(super) sessions: Sessions,
    pub(super) demo: Option<Router>,
    pub(super) book: AdmissionBook,
}

impl AdminPort {
    /// The router of the port; event streams end with `ending`. Fails if a file of `[admin.oidc]` cannot be read.
    pub(super) fn router(
        self,
        shared: &ServerContext,
        addresses: &Addresses,
        ending: CancellationToken,
    ) -> anyhow::Result<Router> {
        let Self { ready, said, insight, metrics, rehearsals, reloads, sessions, demo, book } = self;
        let config = shared.config.borrow();
        let registry = Arc::clone(shared.delivery.registry());
        let state = AdminState {
            matrix: shared.matrix.clone(),
            tokens: tokens(&config),
            people: People::new(&config).context("admin.oidc: ca_file")?,
            sessions,
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
            needs_token: state.asks(),
            takes_token: !config.admin.token.is_empty(),
            signs_in: !config.admin.oidc.issuer.is_empty(),
            sign_in_label: config.admin.oidc.label.clone(),
            demo: demo.is_some(),
        };
        let asks = state.asks();
        let router = admin::router(state).merge(console::router(settings)).merge(demo.unwrap_or_default());
        Ok(if asks { router } else { admin::of_this_machine(router, names(&config)) })
    }
}

fn tokens(config: &Config) -> Tokens {
    Tokens { operator: config.admin.token.clone(), viewer: config.admin.viewer_token.clone() }
}

/// The sessions of the port, and the task that keeps them.
pub(super) fn sessions(config: &Config, clocks: &Clocks, stage: &mut Stage) -> Sessions {
    let (place, oidc) = (&config.server.state_dir, &config.admin.oidc);
    let (sessions, keeper) = admin::prepare_sessions(place, &tokens(config), oidc, clocks.wall.now());
    let end = stage.end.clone();
    stage.supervise(TaskSpec::new("sessions"), keeper, move |keeper| Box::pin(keeper.run(end.clone())));
    sessions
}
