//! The server: everything joined, supervised, and ended in order.
//!
//! Order of ending, within five seconds: listeners stop accepting, pushes say good-bye, the schedule falls silent, sources say TEARDOWN, channels stop, ladders'
//! threads are joined, connections are drained, the matrix writes its state.

mod ask;
mod budget;
mod channel_task;
mod clock_watch;
mod conductor;
mod demo;
mod demo_day;
mod estate;
mod faults;
mod media_port;
mod metrics;
mod observer;
mod outcome;
mod painter;
mod portal;
mod rehearser;
mod reload;
mod schedule;
mod signals;
mod simulate;
#[cfg(test)]
mod skew_tests;
mod stage;
mod start;
mod thumbnails;
mod watchman;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::info;

use crate::admin::insight::Insight;
use crate::admin::{HealthWatch, ReloadOrder};
use crate::alarm::{AlarmKind, Board, Condition, Thresholds};
use crate::audit::{self, Action, AuditLog, Entry};
use crate::clock::Clocks;
use crate::config::{self, Config};
use crate::delivery::{Delivery, Pages, Showing};
use crate::http::{Attempts, Places};
use crate::matrix::{self, ChannelLayout, FileStore, Layout, OnExpiry, Override};
use crate::media::Grid;
use crate::push::PushBoard;
use crate::tasks::Tasks;

use clock_watch::ClockWatch;
use conductor::{Conductor, RunningLadders};
use estate::{Estate, Means};
use metrics::Measures;
use observer::{Observer, Seen};
use outcome::Outcomes;
use portal::Press;
use rehearser::{Holds, Rehearser};
use reload::Reloader;
use schedule::{Desktop, Secretary};
use signals::{Signal, Signals};
use stage::{Job, Stage};
use thumbnails::{Gallery, Glancer};
use watchman::{Ladders, Watchman};
use webhook::Webhooks;

pub use ask::{ReloadOutcome, reload};
pub use demo::{DemoOptions, demo};
pub use simulate::{SimulateOptions, simulate};

/// Serves the configuration at `path` until a signal comes; takes a changed file over.
pub async fn run(path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path);
    let config = Config::load_read(path, text.as_deref())
        .map_err(|faults| anyhow::anyhow!("the configuration has faults\n{faults}"))?;
    let mut signals = Signals::new(path)?;
    let clocks = Clocks::system();
    let tasks = Tasks::new(Arc::clone(&clocks.wall));
    let listening = tasks.begin("signals", false);
    let starting = Server::start(config, clocks, tasks, None);
    // Waiting videos may take their time to be coded; nobody who asks us to end waits for them.
    let mut server = tokio::select! {
        server = starting => server?,
        () = signals.end() => return Ok(()),
    };
    let mut reloader = Reloader::new(path, text.unwrap_or_default());
    loop {
        let order = tokio::select! {
            signal = listening.attempt(signals.next()) => match signal {
                Ok(Signal::End) => break,
                Ok(Signal::Reload) => None,
                Err(why) => {
                    listening.again(&why).await;
                    continue;
                }
            },
            order = server.next_order() => Some(order),
        };
        if order.is_some() {
            signals.seen();
        }
        // A fault of ours in it ends nothing that runs.
        let reloaded = AssertUnwindSafe(reloader.reload(&mut server, order)).catch_unwind().await;
        if let Err(panic) = reloaded {
            reloader.fell(&server, &crate::log::why(&*panic));
        }
    }
    server.end().await;
    Ok(())
}

/// Where the server listens, once it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// RTMP, HTTP and RTSP.
    pub media: Option<SocketAddr>,
    /// Plain HTTP.
    pub http: Option<SocketAddr>,
    /// REST and pages.
    pub admin: Option<SocketAddr>,
}

/// Everything ends within so long; what does not is left behind.
const ENDING: Duration = Duration::from_millis(4500);
/// Each stage may take so long of it.
const STAGE_PATIENCE: Duration = Duration::from_millis(2500);
/// Of it, what is left to the matrix, which writes its state last.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How much time the next stage may take.
struct Patience(Instant);

impl Patience {
    fn new() -> Self {
        Self(Instant::now() + ENDING)
    }

    fn of_stage(&self) -> Duration {
        STAGE_PATIENCE.min((self.0 - LAST_WORDS).saturating_duration_since(Instant::now()))
    }

    fn of_the_last(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// A running server.
pub struct Server {
    addresses: Addresses,
    listening: Stage,
    scheduling: Stage,
    estate: Estate,
    conducting: Stage,
    control: Stage,
    /// The configuration in force, for the schedule.
    orders: watch::Sender<Arc<Config>>,
    audit: AuditLog,
    clocks: Clocks,
    /// What is wrong with the configuration's file, as an alarm.
    pending: watch::Sender<Option<Condition>>,
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
        let zone = start::zone(&config);
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
        let budget = start::descriptors(&config);
        let delivery = Delivery::new(pages).with_pages(budget.pages as usize);
        start::announce(&config, budget.open_max, &delivery);
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
        let (rehearsals, rehearsing) = start::rehearsals(&config);
        let (reload_orders, reloads) = mpsc::channel(1);
        // The demo has no file.
        let reloads = demo.is_none().then_some(reloads);
        let port = start::AdminPort {
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
        let (addresses, starving) =
            start::listeners(&config, &delivery, port, demo, &places, &mut listening)?;
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
        start::warn_without_assembler();
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
    async fn next_order(&mut self) -> ReloadOrder {
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

fn thresholds(alarm: &config::Alarm) -> Thresholds {
    Thresholds {
        black_s: alarm.black_s,
        frozen_s: alarm.frozen_s,
        silent_s: alarm.silent_s,
        clipped_s: alarm.clipped_s,
        offline_s: alarm.offline_s,
        not_on_air_s: alarm.not_on_air_s,
    }
}

fn layout(config: &Config) -> Layout {
    let channel = |channel: &config::Channel| ChannelLayout {
        name: channel.name.clone(),
        streams: channel.streams.clone(),
        source: Some(channel.source.clone()).filter(|source| !source.is_empty()),
    };
    Layout {
        channels: config.channels.iter().map(channel).collect(),
        sources: config.sources.iter().map(|source| source.name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stages_that_do_not_end_are_left_behind_within_five_seconds() {
        let begun = Instant::now();
        let patience = Patience::new();
        let tasks = Tasks::new(Arc::new(crate::clock::MachineClock));
        for name in ["listeners", "sources", "channels", "ladders"] {
            let mut stage = Stage::new(name, &tasks);
            stage.supervise_until_done(Job::new(name), (), |()| Box::pin(std::future::pending()));
            stage.end(patience.of_stage()).await;
        }
        // The matrix, which does end, still has its time.
        let mut matrix = Stage::new("matrix", &tasks);
        let (written, seen) = tokio::sync::oneshot::channel();
        let end = matrix.end.clone();
        matrix.supervise(Job::new("matrix"), Some(written), move |written| {
            let end = end.clone();
            Box::pin(async move {
                end.cancelled().await;
                tokio::time::sleep(Duration::from_millis(400)).await;
                let _ = written.take().map(|written| written.send(()));
            })
        });
        matrix.end(patience.of_the_last()).await;
        assert_eq!(seen.await, Ok(()));
        // On a clock that is moved by hand.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
