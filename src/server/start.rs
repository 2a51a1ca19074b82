//! A running server: its start, and its end in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tracing::info;

use super::clock_watch::ClockWatch;
use super::conductor::{Conductor, RunningLadders, warn_without_assembler};
use super::estate::Estate;
use super::holds::Holds;
use super::ladders::Ladders;
use super::listeners::{Addresses, AdminPort, listeners};
use super::metrics::Measures;
use super::observer::{Observer, Seen};
use super::outcome::Outcomes;
use super::portal::Press;
use super::rehearser::{Rehearser, rehearsals};
use super::schedule::{Desktop, Secretary};
use super::settings::{layout, thresholds, zone};
use super::shared::Means;
use super::stage::{Job, Patience, Stage};
use super::thumbnails::{Gallery, Glancer};
use super::watchman::Watchman;
use super::webhook::Webhooks;
use super::{channels, descriptors, mounts};
use crate::admin::insight::Insight;
use crate::admin::{HealthWatch, ReloadOrder};
use crate::alarm::{AlarmKind, Board, Condition};
use crate::audit::{self, Action, AuditLog, Entry};
use crate::clock::Clocks;
use crate::config::Config;
use crate::delivery::{Delivery, Pages, Showing};
use crate::http::{Attempts, Places};
use crate::matrix::{self, FileStore, OnExpiry, Override};
use crate::media::Grid;
use crate::push::PushBoard;
use crate::tasks::Tasks;

/// A running server.
pub struct Server {
    addresses: Addresses,
    listening: Stage,
    scheduling: Stage,
    pub(super) estate: Estate,
    conducting: Stage,
    control: Stage,
    /// The configuration in force, for the schedule.
    pub(super) orders: watch::Sender<Arc<Config>>,
    pub(super) audit: AuditLog,
    pub(super) clocks: Clocks,
    /// What is wrong with the configuration's file, as an alarm.
    pub(super) pending: watch::Sender<Option<Condition>>,
    /// Callers of REST who ask for a reload; `None` where there is no file to read.
    reloads: Option<mpsc::Receiver<ReloadOrder>>,
    /// Says for as long as the server lives that it is ready.
    _ready: watch::Sender<bool>,
}

impl Server {
    /// Starts everything. The listeners answer 503 while the waiting loops are being coded. `demo` are the
    /// routes that the demo adds to the admin port; `tasks` is where everything that lives long is listed.
    pub async fn start(
        config: Config,
        clocks: Clocks,
        tasks: Tasks,
        demo: Option<Router>,
    ) -> anyhow::Result<Self> {
        let grid = Grid::new(config.segment.duration_ms);
        let mut control = Stage::new("matrix", &tasks);
        let store = FileStore::new(&config.server.state_dir);
        let (audit, writing) = audit::prepare(&config.server.state_dir);
        let expired = on_expiry(audit.clone());
        let zone = zone(&config);
        let (matrix, owner) =
            matrix::prepare(layout(&config), store, Arc::clone(&clocks.wall), zone, expired);
        control.supervise_until_done(Job::new("matrix").needed(), owner, |owner| Box::pin(owner.run()));
        control.supervise_until_done(Job::new("audit"), writing, |writer| Box::pin(writer.run()));

        let ladders = Ladders::default();
        let (orders, orders_watch) = watch::channel(Arc::new(config.clone()));
        let desktop = Desktop {
            matrix: matrix.clone(),
            signs: Arc::new({
                let (ladders, clocks) = (ladders.clone(), clocks.clone());
                move |source| ladders.signs_of_life(source, &clocks)
            }),
            audit: audit.clone(),
            clock: Arc::clone(&clocks.wall),
        };
        let (secretary, plan) = Secretary::new(orders_watch.clone(), desktop)?;
        let showing = Showing { matrix: matrix.watch(), plan: plan.clone(), clock: Arc::clone(&clocks.wall) };
        let pages = Pages::new(&config.pages.title, &config.pages.embed_from).showing(showing);
        let budget = descriptors::divide(&config);
        let delivery = Delivery::new(pages).with_pages(budget.pages as usize);
        channels::announce(&config, &delivery);
        mounts::mount(&config.vods, budget.open_max, &delivery);
        let (ready, ready_watch) = watch::channel(false);
        let (pending, pending_watch) = watch::channel(None);
        let (alarms, alarms_watch) = watch::channel(Arc::default());
        let pushes = PushBoard::default();
        let means = Means {
            grid,
            window: config.segment.window,
            matrix: matrix.clone(),
            plan: plan.clone(),
            clocks: clocks.clone(),
            delivery: delivery.clone(),
            pushes: pushes.clone(),
            tasks: tasks.clone(),
        };
        let (mut estate, inventory) = Estate::new(means, config.clone());
        let per_address = config.server.connections_per_address as usize;
        let places = Places::new(budget.places as usize, per_address);
        let attempts = Attempts::default();
        let mut metrics = Registry::default();
        metrics.register_collector(Box::new(Measures {
            inventory: inventory.clone(),
            ladders: ladders.clone(),
            delivery: Arc::clone(delivery.counts()),
            workshop: delivery.workshop().clone(),
            registry: Arc::clone(delivery.registry()),
            places: places.clone(),
            attempts: attempts.clone(),
            descriptors: budget.limit,
            pushes: pushes.clone(),
            audience: Arc::clone(delivery.audience()),
            alarms: alarms_watch.clone(),
            tasks: tasks.clone(),
            clocks: clocks.clone(),
            runtime: tokio::runtime::Handle::current(),
        }));
        let mut listening = Stage::new("listeners", &tasks);
        let (doubts, doubts_watch) = watch::channel(Arc::default());
        let gallery =
            Gallery::new(ladders.clone(), Arc::clone(delivery.registry()), grid, delivery.workshop().clone());
        let (vitals, vitals_watch) = watch::channel(Arc::default());
        let (viewers, viewers_watch) = watch::channel(Arc::default());
        let (rehearsals, rehearsing) = rehearsals(&config);
        let (reload_orders, reloads) = mpsc::channel(1);
        // The demo has no file.
        let reloads = demo.is_none().then_some(reloads);
        let port = AdminPort {
            matrix: &matrix,
            health: HealthWatch { ready: ready_watch, doubts: doubts_watch, tasks: tasks.clone() },
            alarms: alarms_watch,
            plan: plan.clone(),
            insight: Insight {
                vitals: vitals_watch,
                viewers: viewers_watch,
                thumbnails: Arc::new(gallery.clone()),
            },
            metrics,
            clocks: &clocks,
            inventory: inventory.clone(),
            audit: audit.clone(),
            rehearsals,
            reloads: reload_orders,
            pushes: pushes.clone(),
            attempts: attempts.clone(),
        };
        let (addresses, starving) = listeners(&config, &delivery, port, demo, &places, &mut listening)?;
        let unsaved =
            [("overrides", matrix.unsaved()), ("audit", audit.unsaved()), ("schedule", secretary.unsaved())];
        let unsaved = unsaved.into_iter().map(|(about, note)| (AlarmKind::State, about, note));
        let starving = starving.into_iter().map(|(about, note)| (AlarmKind::Descriptors, about, note));
        let notes = unsaved.chain(starving).collect();
        let watchman = Watchman {
            matrix: matrix.clone(),
            inventory: inventory.clone(),
            plan: plan.clone(),
            ladders: ladders.clone(),
            pushes,
            board: Board::new(thresholds(&config.alarm)),
            checks: rehearsing.conditions.subscribe(),
            notes,
            webhooks: Webhooks::start(&config.alarm.webhooks, &mut listening)?,
            alarms,
            doubts,
            tasks: tasks.clone(),
            lost: BTreeMap::new(),
            outcomes: Outcomes::default(),
            registry: Arc::clone(delivery.registry()),
            told: 0,
            clocks: clocks.clone(),
            clock_watch: ClockWatch::new(),
            configuration: pending_watch,
        };
        let end = listening.end.clone();
        listening.supervise(Job::new("watchman"), watchman, move |it| Box::pin(it.run(end.clone())));
        let glancer = Glancer {
            gallery: gallery.clone(),
            matrix: matrix.clone(),
            inventory: inventory.clone(),
            // One receiver is the admin port's own, every other one an event stream's.
            watched: Arc::new({
                let vitals = vitals.clone();
                move || vitals.receiver_count() > 1
            }),
            every: Duration::from_secs(u64::from(config.console.glance_s)),
            rest: BTreeMap::new(),
            clock: Arc::clone(&clocks.media),
        };
        let end = listening.end.clone();
        listening.supervise(Job::new("thumbnails"), glancer, move |it| Box::pin(it.run(end.clone())));
        let observer = Observer {
            inventory: inventory.clone(),
            ladders: ladders.clone(),
            delivery: delivery.clone(),
            gallery,
            vitals,
            viewers,
            seen: Seen::default(),
            clocks: clocks.clone(),
        };
        let end = listening.end.clone();
        listening.supervise(Job::new("observer"), observer, move |it| Box::pin(it.run(end.clone())));

        let mut scheduling = Stage::new("schedule", &tasks);
        let end = scheduling.end.clone();
        scheduling.supervise(Job::new("calendar"), secretary, move |it| Box::pin(it.run(end.clone())));
        let mut conducting = Stage::new("ladders", &tasks);
        let holds = Holds::default();
        let press = Press {
            matrix: matrix.clone(),
            plan: plan.clone(),
            delivery: delivery.clone(),
            clock: Arc::clone(&clocks.wall),
            public_url: config.pages.public_url.clone(),
        };
        let end = listening.end.clone();
        listening.supervise(Job::new("portal"), press, move |it| Box::pin(it.run(end.clone())));
        let rehearser = Rehearser {
            inventory: inventory.clone(),
            plan,
            configs: orders_watch,
            holds: holds.clone(),
            doors: rehearsing,
            clocks: clocks.clone(),
        };
        let end = listening.end.clone();
        listening.supervise(Job::new("rehearser"), rehearser, move |it| Box::pin(it.run(end.clone())));
        let conductor = Conductor {
            inventory,
            matrix,
            running: ladders,
            holds,
            tasks,
            ladders: RunningLadders::default(),
            clock: Arc::clone(&clocks.media),
        };
        let end = conducting.end.clone();
        let job = Job::new("conductor").needed();
        conducting.supervise(job, conductor, move |it| Box::pin(it.run(end.clone())));
        warn_without_assembler();
        estate.apply(config).await?;
        ready.send_replace(true);
        let config = estate.config();
        info!(channels = config.channels.len(), sources = config.sources.len(), "ready");
        Ok(Self {
            addresses,
            listening,
            estate,
            scheduling,
            conducting,
            control,
            orders,
            audit,
            clocks,
            pending,
            reloads,
            _ready: ready,
        })
    }

    /// Where it listens.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The next order of a reload; never, where there is no file to read.
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

    /// Ends everything, stage by stage.
    pub async fn end(self) {
        let Self { listening, scheduling, mut estate, conducting, control, audit, .. } = self;
        let patience = Patience::new();
        listening.end(patience.of_stage()).await;
        scheduling.end(patience.of_stage()).await;
        estate.end_all_pushes(patience.of_stage()).await;
        estate.end_all_sources(patience.of_stage()).await;
        estate.end_all_channels(patience.of_stage()).await;
        conducting.end(patience.of_stage()).await;
        // The matrix ends when nobody can talk to it any more, and the audit log with its last handle.
        drop((estate, audit));
        control.end(patience.of_the_last()).await;
        info!("ended");
    }
}

/// Records overrides that end by themselves.
fn on_expiry(audit: AuditLog) -> OnExpiry {
    Box::new(move |ended: &Override| {
        let at = ended.until.unwrap_or(ended.since);
        let entry = Entry::new(at, "expiry", Action::OverrideExpired).on(&ended.channel);
        audit.record(entry.with(ended.source.as_deref()));
    })
}
