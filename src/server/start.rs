//! A running server: its start, and its end in order.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use tokio::sync::{mpsc, watch};
use tracing::info;

use super::admin_port::{self, AdminPort};
use super::certificates::Certificates;
use super::listeners::{Addresses, OpenPorts};
use super::running::RunningParts;
use super::shared::{ServerContext, Tellers};
use super::stage::{ShutdownBudget, Stage};
use super::thumbnails::ThumbnailCache;
use super::watchman::WatchInputs;
use super::{
    access, conductor, control, descriptors, metrics, observer, portal, recordings, rehearser, scheduler,
    thumbnails, watchman,
};
use amphi_admin::ReloadOrder;
use amphi_config::Config;
use amphi_control::admission::AdmissionBook;
use amphi_control::alarm::{AlarmKind, Condition};
use amphi_control::audit::AuditLog;
use amphi_media::clock::Clocks;
use amphi_media::meter::Note;
use amphi_runtime::tasks::Tasks;

/// A running server.
pub struct Server {
    addresses: Addresses,
    stages: Stages,
    pub(super) running: RunningParts,
    /// Publishes the configuration in force.
    pub(super) orders: watch::Sender<Arc<Config>>,
    pub(super) audit: AuditLog,
    pub(super) clocks: Clocks,
    /// What is wrong with the configuration's file, as a condition.
    pub(super) pending: watch::Sender<Option<Condition>>,
    /// Requests for a reload by REST; `None` if there is no file to read.
    reloads: Option<mpsc::Receiver<ReloadOrder>>,
    /// Keeps the server ready for as long as it lives.
    _ready: watch::Sender<bool>,
}

/// The tasks besides those of what runs, in the order in which they end.
struct Stages {
    listening: Stage,
    schedule: Stage,
    ladders: Stage,
    control: Stage,
}

impl Server {
    /// Starts everything. The listeners answer 503 while the waiting loops are being coded. `demo` are the
    /// routes that the demo adds to the admin port; `tasks` is the list of all long-lived tasks. Fails if a port is taken,
    /// before anything runs, or if a waiting loop cannot be coded.
    pub async fn start(
        config: Config,
        clocks: Clocks,
        tasks: Tasks,
        demo: Option<Router>,
    ) -> anyhow::Result<Self> {
        let budget = descriptors::divide(&config);
        let ports = OpenPorts::open(&config, budget.places)?;
        let mut stages = Stages::new(&tasks);
        let (ready, ready_watch) = watch::channel(false);
        let (pending, configuration) = watch::channel(None);
        let (reload_orders, reloads) = mpsc::channel(1);
        // The demo has no file.
        let reloads = demo.is_none().then_some(reloads);

        let control = control::spawn(&config, &clocks, &mut stages.control);
        let sessions = admin_port::sessions(&config, &clocks, &mut stages.control);
        let (shared, Tellers { config: orders, plan, inventory }) =
            ServerContext::new(&config, control, clocks, tasks, budget.pages as usize);
        let mut running = RunningParts::new(shared.clone(), inventory, config.clone());
        let plan_unsaved = scheduler::spawn(&shared, plan, &mut stages.schedule)?;
        let cache = ThumbnailCache::new(&shared);
        let (insight, watched) = observer::spawn(&shared, &cache, &mut stages.listening);
        thumbnails::spawn(&shared, cache, watched, &mut stages.listening);
        let (rehearsals, checks) = rehearser::spawn(&shared, &mut stages.listening);
        let book = AdmissionBook::open(&config.server.state_dir).context("the secret of grants")?;
        let viewers = access::spawn(&shared, &book, &mut stages.listening);
        let others =
            [("schedule", plan_unsaved), ("access", book.unsaved()), ("sessions", sessions.unsaved())];
        let mut notes = notes(&shared, others, &ports);
        let certificates = Certificates::new()?;
        certificates.watch(shared.config.clone(), Arc::clone(&shared.clocks.wall), &mut stages.listening)?;
        notes.push((AlarmKind::Certificate, "certificates", Arc::clone(&certificates.note)));
        let found = WatchInputs { checks, configuration, notes };
        let said = watchman::spawn(&shared, found, &mut stages.listening)?;
        portal::spawn(&shared, &mut stages.listening);
        recordings::spawn(&shared, &mut stages.listening);
        conductor::spawn(&shared, &mut stages.ladders);
        let metrics = metrics::registry(&shared, &ports.places, budget.limit, &said.alarms);
        let admin = AdminPort {
            ready: ready_watch,
            said,
            insight,
            metrics,
            rehearsals,
            reloads: reload_orders,
            sessions,
            demo,
            book,
        };
        let addresses = ports.addresses.clone();
        let router = admin.router(&shared, &addresses, stages.listening.end.clone())?;
        ports.serve(&shared, viewers, router, &certificates, &mut stages.listening)?;

        running.apply(config).await?;
        ready.send_replace(true);
        let config = running.config();
        info!(channels = config.channels.len(), sources = config.sources.len(), "ready");
        let ServerContext { audit, clocks, .. } = shared;
        Ok(Self { addresses, stages, running, orders, audit, clocks, pending, reloads, _ready: ready })
    }

    /// The addresses that it listens on, with the ports that the system chose.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Waits for the next request for a reload; forever, if there is no file to read.
    pub(super) async fn next_order(&mut self) -> ReloadOrder {
        let order = match &mut self.reloads {
            Some(orders) => orders.recv().await,
            None => None,
        };
        match order {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }

    /// Ends everything, stage by stage, in the order of the module [`server`](super).
    pub async fn end(self) {
        let Self { stages, mut running, audit, .. } = self;
        let Stages { listening, schedule, ladders, control } = stages;
        let patience = ShutdownBudget::new();
        listening.end(patience.of_stage()).await;
        schedule.end(patience.of_stage()).await;
        running.end_all_pushes(patience.of_stage()).await;
        running.end_all_sources(patience.of_stage()).await;
        running.end_all_channels(patience.of_stage()).await;
        ladders.end(patience.of_stage()).await;
        // The matrix and the audit log end when their last handles are dropped.
        drop((running, audit));
        control.end(patience.of_the_last()).await;
        info!("ended");
    }
}

impl Stages {
    fn new(tasks: &Tasks) -> Self {
        Self {
            listening: Stage::new("listeners", tasks),
            schedule: Stage::new("schedule", tasks),
            ladders: Stage::new("ladders", tasks),
            control: Stage::new("matrix", tasks),
        }
    }
}

/// Notes about files that cannot be written, and ports that cannot accept connections.
fn notes(
    shared: &ServerContext,
    others: [(&'static str, Arc<Note>); 3],
    ports: &OpenPorts,
) -> Vec<(AlarmKind, &'static str, Arc<Note>)> {
    let unsaved = [("overrides", shared.matrix.unsaved()), ("audit", shared.audit.unsaved())];
    let unsaved = unsaved.into_iter().chain(others).map(|(about, note)| (AlarmKind::State, about, note));
    let starving = ports.starving().into_iter().map(|(about, note)| (AlarmKind::Descriptors, about, note));
    unsaved.chain(starving).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One task of each stage, as they end.
    const ORDER: [&str; 7] =
        ["watchman", "calendar", "push other", "source hall", "channel Live", "conductor", "matrix"];

    const CONFIG: &str = r#"
        [[source]]
        name = "hall"
        url = "rtsp://127.0.0.1:9/"

        [[ladder]]
        name = "small"
        rung = [{ name = "180p", width = 320, height = 180, fps = 15, bitrate = 100000 }]

        [[channel]]
        name = "Live"
        streams = ["live"]
        ladder = "small"
        waiting = "fixtures/black.mp4"

        [[push]]
        name = "other"
        channel = "Live"
        rung = "180p"
        url = "rtmp://127.0.0.1:9/live/other"
    "#;

    #[tokio::test]
    async fn the_stated_order_of_ending_is_the_order_of_ending() {
        let state = tempfile::tempdir().expect("a directory");
        let mut config = Config::parse(CONFIG, "test").expect("a configuration");
        config.server.state_dir = state.path().to_owned();
        for address in [
            &mut config.server.listen,
            &mut config.server.http_listen,
            &mut config.server.admin_listen,
            &mut config.server.wowza_rest_listen,
            &mut config.server.wowza_counts_listen,
        ] {
            address.clear();
        }
        let clocks = Clocks::system();
        let tasks = Tasks::new(Arc::clone(&clocks.wall));
        let server = Server::start(config, clocks, tasks.clone(), None).await.expect("it starts");
        let runs = |name: &str| tasks.all().iter().any(|task| &*task.name == name);
        assert!(ORDER.into_iter().all(runs), "{:?}", tasks.all());
        let mut ended = Vec::new();
        let mut ending = std::pin::pin!(server.end());
        loop {
            let over = futures_util::poll!(&mut ending).is_ready();
            let now: Vec<_> = ORDER.into_iter().filter(|name| !ended.contains(name) && !runs(name)).collect();
            assert!(now.len() <= 1, "{now:?} ended at once");
            ended.extend(now);
            if over {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(ended, ORDER);
    }
}
