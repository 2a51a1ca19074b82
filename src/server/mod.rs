//! The server: everything joined, supervised, and ended in order.
//!
//! Order of ending, within five seconds: listeners stop accepting, pushes say good-bye, the schedule falls silent, sources say TEARDOWN, channels stop, ladders'
//! threads are joined, connections are drained, the matrix writes its state.

mod budget;
mod channel_task;
mod conductor;
mod demo;
mod demo_day;
mod estate;
mod faults;
mod media_port;
mod metrics;
mod observer;
mod painter;
mod portal;
mod rehearser;
mod schedule;
mod signals;
mod simulate;
#[cfg(test)]
mod skew_tests;
mod start;
mod thumbnails;
mod watchman;
mod webhook;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::admin::insight::Insight;
use crate::alarm::{AlarmKind, Board, Thresholds};
use crate::audit::{self, Action, AuditLog, Entry};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Faults};
use crate::delivery::{Delivery, Pages, Showing};
use crate::http::{Attempts, Places};
use crate::matrix::{self, ChannelLayout, FileStore, Layout, OnExpiry, Override};
use crate::media::Grid;
use crate::push::PushBoard;

use conductor::Conductor;
use estate::{Estate, Means};
use metrics::Measures;
use observer::Observer;
use portal::Press;
use rehearser::{Holds, Rehearser};
use schedule::{Desktop, Secretary};
use signals::{Signal, Signals};
use thumbnails::{Gallery, Glancer};
use watchman::{Ladders, Watchman};
use webhook::Webhooks;

pub use demo::{DemoOptions, demo};
pub use simulate::{SimulateOptions, simulate};

/// Serves the configuration at `path` until a signal comes; takes a changed file over.
pub async fn run(path: &Path) -> anyhow::Result<()> {
    let config =
        Config::load(path).map_err(|faults| anyhow::anyhow!("the configuration has faults\n{faults}"))?;
    let mut signals = Signals::new(path)?;
    let starting = Server::start(config, Arc::new(SystemClock::default()), None);
    // Waiting videos may take their time to be coded; nobody who asks us to end waits for them.
    let mut server = tokio::select! {
        server = starting => server?,
        () = signals.end() => return Ok(()),
    };
    loop {
        match signals.next().await {
            Signal::End => break,
            Signal::Reload => server.reload(Config::load(path)).await,
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
    clock: Arc<dyn Clock>,
    /// Says for as long as the server lives that it is ready.
    _ready: watch::Sender<bool>,
}

/// Tasks that end together.
struct Stage {
    name: &'static str,
    end: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Stage {
    fn new(name: &'static str) -> Self {
        Self { name, end: CancellationToken::new(), tasks: Vec::new() }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    async fn end(self, patience: Duration) {
        self.end.cancel();
        let all = async {
            for task in self.tasks {
                if let Err(error) = task.await {
                    error!(stage = self.name, %error, "a task did not end well");
                }
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            warn!(stage = self.name, "not ended in time; left behind");
        }
        debug!(stage = self.name, "ended");
    }
}

impl Server {
    /// Starts everything. The listeners answer 503 while the waiting loops are being coded. `demo` are the
    /// routes that the demo adds to the admin port.
    pub async fn start(config: Config, clock: Arc<dyn Clock>, demo: Option<Router>) -> anyhow::Result<Self> {
        let grid = Grid::new(config.segment.duration_ms);
        let mut control = Stage::new("matrix");
        let store = FileStore::new(&config.server.state_dir);
        let (audit, writing) = audit::open(&config.server.state_dir);
        let expired = on_expiry(audit.clone());
        let zone = start::zone(&config);
        let (matrix, owner) =
            matrix::spawn_telling(layout(&config), store, Arc::clone(&clock), zone, expired);
        control.tasks.push(owner);
        control.tasks.push(writing);

        let ladders = Ladders::default();
        let (orders, orders_watch) = watch::channel(Arc::new(config.clone()));
        let desktop = Desktop {
            matrix: matrix.clone(),
            signs: Arc::new({
                let ladders = ladders.clone();
                move |source| ladders.signs_of_life(source)
            }),
            audit: audit.clone(),
            clock: Arc::clone(&clock),
        };
        let (secretary, plan) = Secretary::new(orders_watch.clone(), desktop)?;
        let showing = Showing { matrix: matrix.watch(), plan: plan.clone(), clock: Arc::clone(&clock) };
        let pages = Pages::new(&config.pages.title, &config.pages.embed_from).showing(showing);
        let budget = start::descriptors(&config);
        let delivery = Delivery::new(pages).with_pages(budget.pages as usize);
        start::announce(&config, &delivery);
        let (ready, ready_watch) = watch::channel(false);
        let (alarms, alarms_watch) = watch::channel(Arc::default());
        let pushes = PushBoard::default();
        let means = Means {
            grid,
            window: config.segment.window,
            matrix: matrix.clone(),
            plan: plan.clone(),
            clock: Arc::clone(&clock),
            delivery: delivery.clone(),
            pushes: pushes.clone(),
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
            registry: Arc::clone(delivery.registry()),
            places: places.clone(),
            attempts: attempts.clone(),
            descriptors: budget.limit,
            pushes: pushes.clone(),
            audience: Arc::clone(delivery.audience()),
            alarms: alarms_watch.clone(),
            clock: Arc::clone(&clock),
            runtime: tokio::runtime::Handle::current(),
        }));
        let mut listening = Stage::new("listeners");
        let gallery = Gallery::new(ladders.clone(), Arc::clone(delivery.registry()), grid);
        let (vitals, vitals_watch) = watch::channel(Arc::default());
        let (viewers, viewers_watch) = watch::channel(Arc::default());
        let (rehearsals, rehearsing) = start::rehearsals(&config);
        let port = start::AdminPort {
            matrix: &matrix,
            ready: ready_watch,
            alarms: alarms_watch,
            plan: plan.clone(),
            insight: Insight {
                vitals: vitals_watch,
                viewers: viewers_watch,
                thumbnails: Arc::new(gallery.clone()),
            },
            metrics,
            clock: &clock,
            inventory: inventory.clone(),
            audit: audit.clone(),
            rehearsals,
            pushes: pushes.clone(),
            attempts: attempts.clone(),
        };
        let addresses = start::listeners(&config, &delivery, port, demo, &places, &mut listening)?;
        let watchman = Watchman {
            matrix: matrix.clone(),
            inventory: inventory.clone(),
            plan: plan.clone(),
            ladders: ladders.clone(),
            pushes,
            board: Board::new(thresholds(&config.alarm)),
            checks: rehearsing.conditions.subscribe(),
            notes: vec![
                (AlarmKind::State, "overrides", matrix.unsaved()),
                (AlarmKind::State, "audit", audit.unsaved()),
                (AlarmKind::State, "schedule", secretary.unsaved()),
                (AlarmKind::Descriptors, "connections", places.starving()),
            ],
            webhooks: Webhooks::start(&config.alarm.webhooks, &mut listening)?,
            alarms,
            clock: Arc::clone(&clock),
        };
        listening.spawn(watchman.run(listening.end.clone()));
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
            clock: Arc::clone(&clock),
        };
        listening.spawn(glancer.run(listening.end.clone()));
        let observer = Observer {
            inventory: inventory.clone(),
            ladders: ladders.clone(),
            delivery: delivery.clone(),
            gallery,
            vitals,
            viewers,
            clock: Arc::clone(&clock),
        };
        listening.spawn(observer.run(listening.end.clone()));

        let mut scheduling = Stage::new("schedule");
        scheduling.spawn(secretary.run(scheduling.end.clone()));
        let mut conducting = Stage::new("ladders");
        let holds = Holds::default();
        let press = Press {
            matrix: matrix.clone(),
            plan: plan.clone(),
            delivery: delivery.clone(),
            clock: Arc::clone(&clock),
        };
        listening.spawn(press.run(listening.end.clone()));
        let rehearser = Rehearser {
            inventory: inventory.clone(),
            plan,
            configs: orders_watch,
            holds: holds.clone(),
            doors: rehearsing,
            clock: Arc::clone(&clock),
        };
        listening.spawn(rehearser.run(listening.end.clone()));
        let conductor = Conductor { inventory, matrix, running: ladders, holds, clock: Arc::clone(&clock) };
        conducting.spawn(conductor.run(conducting.end.clone()));
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
            clock,
            _ready: ready,
        })
    }

    /// Where it listens.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reads a configuration again and takes it over, or says why not. Where taking over fails, what was done until then
    /// holds.
    async fn reload(&mut self, read: Result<Config, Faults>) {
        let entry = Entry::new(self.clock.now(), "configuration", Action::Reload);
        let config = match read {
            Ok(config) => config,
            Err(faults) => {
                error!("the new configuration has faults, the old one stays\n{faults}");
                return self.audit.record(entry.result(&Err::<(), _>(faults)));
            }
        };
        let taken = self.estate.reload(config).await;
        match &taken {
            Ok(what) => self.audit.record(entry.saying(what)),
            Err(error) => {
                error!("the new configuration is taken over in part: {error:#}");
                self.audit.record(entry.result(&Err::<(), _>(format!("taken over in part: {error:#}"))));
            }
        }
        // The matrix has its new layout: the schedule may speak of new channels. What it does stands behind its cause in
        // the log.
        self.orders.send_replace(Arc::new(self.estate.config().clone()));
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
        for name in ["listeners", "sources", "channels", "ladders"] {
            let mut stage = Stage::new(name);
            stage.spawn(std::future::pending());
            stage.end(patience.of_stage()).await;
        }
        // The matrix, which does end, still has its time.
        let mut matrix = Stage::new("matrix");
        let (written, seen) = tokio::sync::oneshot::channel();
        let end = matrix.end.clone();
        matrix.spawn(async move {
            end.cancelled().await;
            tokio::time::sleep(Duration::from_millis(400)).await;
            let _ = written.send(());
        });
        matrix.end(patience.of_the_last()).await;
        assert_eq!(seen.await, Ok(()));
        // On a clock that is moved by hand.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
