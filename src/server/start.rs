//! The steps of a start, one function each.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use jiff::tz::TimeZone;
use prometheus_client::registry::Registry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, info_span};

use crate::admin::console;
use crate::admin::insight::Insight;
use crate::admin::wowza::{self, Outgoing, WowzaState};
use crate::admin::{self, AdminState, HealthWatch, Rehearsals, ReloadOrder, Tokens};
use crate::agenda::Plan;
use crate::alarm::Alarm;
use crate::audit::AuditLog;
use crate::clock::Clocks;
use crate::config::{self, Config};
use crate::container::clip::Clip;
use crate::container::fmp4::{InitError, init_section};
use crate::delivery::{self, AirTiming, Delivery, PushTask};
use crate::feed::Publisher;
use crate::http;
use crate::ladder::sign::Words;
use crate::ladder::{LadderSpec, WaitingLoop, openh264};
use crate::matrix::{MatrixHandle, SourceStatus};
use crate::media::{Grid, Parts, RungTracks};
use crate::meter::Note;
use crate::push::PushBoard;
use crate::rehearsal::Archive;
use crate::rtmp::Target;
use crate::schedule;
use crate::source::{Current, Inlet, SourceGauges, SourceTask};
use crate::store::{self, Rung};
use crate::vod::{Mount, MountSettings};

use super::Addresses;
use super::budget::Budget;
use super::channel_task::{ChannelTask, Desk, options};
use super::conductor::{ChannelEntry, GuardedInlet, SourceEntry};
use super::estate::{Inventory, Means};
use super::media_port::{self, Gate};
use super::observer;
use super::painter::Painter;
use super::rehearser::Doors;
use super::stage::{Job, Stage};

/// How long before a channel's start RTMP's clock begins, in nanoseconds: longer than any window.
const RTMP_LEAD: i64 = 600_000_000_000;

/// Makes every channel known to viewers, who are asked to come again until its shelf is there, and every mount.
pub(super) fn announce(config: &Config, open_max: u64, delivery: &Delivery) {
    for channel in &config.channels {
        let streams = channel.streams.clone();
        delivery.registry().insert(&channel.name, delivery::Channel { streams, shelf: None, air: None });
    }
    mount(&config.vods, open_max, delivery);
}

/// Serves the recordings of these mounts, each of which keeps so many open; those that run as they should are left alone.
pub(super) fn mount(vods: &[config::Vod], open_max: u64, delivery: &Delivery) {
    let registry = delivery.registry();
    for vod in vods {
        let settings = MountSettings {
            root: vod.root.clone(),
            segment_ms: vod.segment_ms,
            download: vod.download,
            poster: vod.poster,
            index: vod.index,
        };
        if registry.mounted(&vod.name).is_none_or(|mount| *mount.settings() != settings) {
            info!(mount = vod.name, root = %vod.root.display(), "recordings are served");
            let mount = Mount::keeping_open(settings, open_max);
            registry.mount(&vod.name, mount.in_workshop(delivery.workshop().clone()));
        }
    }
}

/// A running channel may be reached by other stream names.
pub(super) fn rename(channel: &config::Channel, means: &Means) {
    let registry = means.delivery.registry();
    if let Some(known) = registry.get(&channel.name).filter(|known| known.streams != channel.streams) {
        let delivery::Channel { shelf, air, .. } = (*known).clone();
        registry.insert(&channel.name, delivery::Channel { streams: channel.streams.clone(), shelf, air });
    }
}

/// What the admin port shows.
pub(super) struct AdminPort<'a> {
    pub(super) matrix: &'a MatrixHandle,
    pub(super) health: HealthWatch,
    pub(super) alarms: watch::Receiver<Arc<Vec<Alarm>>>,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) insight: Insight,
    pub(super) metrics: Registry,
    pub(super) clocks: &'a Clocks,
    pub(super) inventory: watch::Receiver<Arc<Inventory>>,
    pub(super) audit: AuditLog,
    pub(super) rehearsals: Rehearsals,
    pub(super) reloads: mpsc::Sender<ReloadOrder>,
    pub(super) pushes: PushBoard,
    pub(super) attempts: http::Attempts,
}

impl AdminPort<'_> {
    /// What Wowza's REST shows.
    fn wowza(&self, config: &Config, delivery: &Delivery) -> WowzaState {
        let config::WowzaRest { username, password } = &config.wowza_rest;
        let credentials = (!username.is_empty()).then(|| (username.clone(), password.clone()));
        let (clock, begun) = (Arc::clone(&self.clocks.wall), std::time::Instant::now());
        let inventory = self.inventory.clone();
        let delivery = delivery.clone();
        WowzaState {
            matrix: self.matrix.clone(),
            credentials,
            started: clock.now(),
            now: Arc::new(move || clock.now()),
            running: Arc::new(move || begun.elapsed()),
            received: Arc::new(move |source| {
                let inventory = Arc::clone(&inventory.borrow());
                inventory.sources.get(source).map_or(0, |entry| entry.gauges.bytes.get())
            }),
            outgoing: Arc::new(move |channel| {
                let delivery::Crowd { hls, dash, rtmp, rtsp, bytes } = observer::crowd(&delivery, channel);
                Outgoing { hls, dash, rtmp, rtsp, bytes }
            }),
            audit: self.audit.clone(),
            attempts: self.attempts.clone(),
            names: names(config),
        }
    }
}

/// The name under which a proxy shows us, if the configuration says it.
fn names(config: &Config) -> Vec<axum::http::uri::Authority> {
    let url = config.pages.public_url.parse::<axum::http::Uri>().ok();
    url.and_then(|url| url.authority().cloned()).into_iter().collect()
}

/// Raises the soft limit of descriptors to the hard one, and divides what there is.
pub(super) fn descriptors(config: &Config) -> Budget {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let budget = Budget::new(if raised.is_ok() { maximum } else { current }, config);
    let Budget { limit, reserve, open_max, pages, places, .. } = budget;
    info!(?limit, reserve, open_max, pages, places, "descriptors");
    if let Some(advice) = budget.advice() {
        tracing::warn!("{advice}");
    }
    budget
}

/// Recordings that a mount of this configuration may keep open.
pub(super) fn open_max(config: &Config) -> u64 {
    Budget::new(getrlimit(Resource::Nofile).current, config).open_max
}

/// The zone in which people of this site tell the time.
pub(super) fn zone(config: &Config) -> TimeZone {
    schedule::zone(&config.schedule.timezone).unwrap_or_else(|error| {
        error!(%error, "this machine's own zone is taken");
        TimeZone::system()
    })
}

/// The doors of the rehearser: what the admin port has of them, and what it has itself. Reads a file.
pub(super) fn rehearsals(config: &Config) -> (Rehearsals, Doors) {
    let archive = Archive::new(&config.server.state_dir);
    let (report, seen) = watch::channel(Arc::new(archive.load()));
    let (conditions, _) = watch::channel(Arc::default());
    let (sender, orders) = mpsc::channel(1);
    (Rehearsals { report: seen, orders: sender }, Doors { archive, conditions, report, orders })
}

/// Opens the ports and serves on them.
pub(super) fn listeners(
    config: &Config,
    delivery: &Delivery,
    port: AdminPort<'_>,
    demo: Option<Router>,
    places: &http::Places,
    stage: &mut Stage,
) -> anyhow::Result<(Addresses, Vec<Starving>)> {
    let server = &config.server;
    let mut starving = vec![("connections", places.starving())];
    let gate = Gate::new(port.inventory.clone(), port.attempts.clone(), Arc::clone(&port.clocks.media))?;
    let gate = Arc::new(gate);
    let delivery = delivery.behind(Arc::clone(&gate) as _);
    let media = open("media", "server.listen", &server.listen)?;
    let plain = open("http", "server.http_listen", &server.http_listen)?;
    let control = open("admin", "server.admin_listen", &server.admin_listen)?;
    if let Some((listener, _)) = open("wowza-rest", "server.wowza_rest_listen", &server.wowza_rest_listen)? {
        starving.push(serve(stage, "wowza-rest", listener, wowza::router(port.wowza(config, &delivery))));
    }
    let counts = open("wowza-counts", "server.wowza_counts_listen", &server.wowza_counts_listen)?;
    if let Some((listener, _)) = counts {
        let router = wowza::counts::router(port.wowza(config, &delivery));
        starving.push(serve(stage, "wowza-counts", listener, router));
    }
    let addresses = Addresses {
        media: media.as_ref().map(|(_, address)| *address),
        http: plain.as_ref().map(|(_, address)| *address),
        admin: control.as_ref().map(|(_, address)| *address),
    };
    if let Some((listener, _)) = media {
        let speakers =
            media_port::Speakers::new(delivery.clone(), gate, places.clone(), Arc::clone(&port.clocks.media));
        let (places, end) = (places.clone(), stage.end.clone());
        stage.supervise(Job::new("port media").needed(), http::Port::new(listener), move |port| {
            Box::pin(media_port::serve(port, speakers.clone(), places.clone(), end.clone()))
        });
    }
    if let Some((listener, _)) = plain {
        let (places, end) = (places.clone(), stage.end.clone());
        stage.supervise(Job::new("port http").needed(), http::Port::new(listener), move |port| {
            Box::pin(media_port::serve_http(port, delivery.clone(), places.clone(), end.clone()))
        });
    }
    if let Some((listener, _)) = control {
        let AdminPort {
            matrix,
            health,
            alarms,
            plan,
            insight,
            metrics,
            clocks,
            audit,
            rehearsals,
            reloads,
            pushes,
            attempts,
            ..
        } = port;
        let config::Admin { token, viewer_token, .. } = &config.admin;
        let tokens = Tokens { operator: token.clone(), viewer: viewer_token.clone() };
        let (matrix, clock, ending) = (matrix.clone(), Arc::clone(&clocks.wall), stage.end.clone());
        let state = AdminState {
            matrix,
            tokens,
            health,
            pushes,
            alarms,
            plan,
            insight,
            audit,
            rehearsals,
            reloads,
            clock,
            metrics,
            ending,
            attempts,
            names: names(config),
        };
        let settings = console::ConsoleSettings {
            title: config.pages.title.clone(),
            public_url: config.pages.public_url.clone(),
            http_port: addresses.http.or(addresses.media).map(|address| address.port()),
            needs_token: !config.admin.token.is_empty(),
            demo: demo.is_some(),
        };
        let mut router =
            admin::router(state).merge(console::router(settings)).merge(demo.unwrap_or_default());
        if config.admin.token.is_empty() {
            router = admin::of_this_machine(router, names(config));
        }
        starving.push(serve(stage, "admin", listener, router));
    }
    Ok((addresses, starving))
}

/// A port, and why it can accept no connection.
pub(super) type Starving = (&'static str, Arc<Note>);

/// Serves a router on a port.
fn serve(
    stage: &mut Stage,
    service: &'static str,
    listener: tokio::net::TcpListener,
    router: Router,
) -> Starving {
    let (end, limits) = (stage.end.clone(), http::Limits::of_control());
    // Connections outlive a loop that has broken off, and so do the places that they have.
    let places = limits.places();
    let starving = (service, places.starving());
    stage.supervise(Job::new(format!("port {service}")), http::Port::new(listener), move |port| {
        Box::pin(http::serve_with_peer(port, router.clone(), places.clone(), limits, end.clone()))
    });
    starving
}

fn open(
    service: &str,
    key: &str,
    address: &str,
) -> anyhow::Result<Option<(tokio::net::TcpListener, SocketAddr)>> {
    if address.is_empty() {
        return Ok(None);
    }
    let wanted: SocketAddr = address.parse().with_context(|| format!("{key} = {address:?} is no address"))?;
    let listener = http::listen(wanted).context(key.to_owned())?;
    let address = listener.local_addr()?;
    info!(service, %address, "listening");
    Ok(Some((listener, address)))
}

/// A supervised task for a source, and one that carries its news to the matrix.
pub(super) fn source(
    source: &config::Source,
    lattice_fps: u32,
    zone: &TimeZone,
    means: &Means,
    stage: &mut Stage,
) -> SourceEntry {
    let (wanted, wanted_watch) = watch::channel(source.keep_open);
    let (status, status_watch) = watch::channel(SourceStatus::idle(means.clocks.wall.now()));
    let feed = Publisher::default();
    let gauges = Arc::new(SourceGauges::default());
    let span = info_span!(parent: None, "source", name = %source.name);
    let inlet = if source.url.is_empty() {
        let inlet = Inlet {
            lattice_fps,
            feed: feed.clone(),
            status,
            gauges: Arc::clone(&gauges),
            clocks: means.clocks.clone(),
            zone: zone.clone(),
            second: source.on_second_publisher,
            publisher: Current::default(),
        };
        inlet.wait();
        Some(GuardedInlet { inlet: Arc::new(inlet), key: source.publish_key.clone() })
    } else {
        let task = SourceTask {
            source: source.clone(),
            lattice_fps,
            wanted: wanted_watch,
            feed: feed.clone(),
            status,
            gauges: Arc::clone(&gauges),
            clocks: means.clocks.clone(),
            shutdown: stage.end.clone(),
        };
        let job = Job::of("source", &source.name, span.clone());
        stage.supervise_mending(job, task, |it| Box::pin(it.clone().run()), |it, why| it.fell(why));
        None
    };
    let (name, matrix, end) = (source.name.clone(), means.matrix.clone(), stage.end.clone());
    stage.supervise(Job::of("report", &name.clone(), span), status_watch.clone(), move |status| {
        Box::pin(report(name.clone(), status, matrix.clone(), end.clone()))
    });
    SourceEntry {
        feed,
        keep_open: source.keep_open,
        wanted,
        status: status_watch,
        gauges,
        url: source.url.clone(),
        transport: source.transport,
        inlet,
    }
}

async fn report(
    name: String,
    status: &mut watch::Receiver<SourceStatus>,
    matrix: MatrixHandle,
    end: CancellationToken,
) {
    loop {
        // Whatever was told before: after a fault of ours it is told again.
        let now = status.borrow_and_update().clone();
        matrix.source_status(&name, now);
        tokio::select! {
            () = end.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}

/// Says what a build without assembler costs.
pub(super) fn warn_without_assembler() {
    if !openh264::ASSEMBLER {
        tracing::warn!(
            "built without nasm: decoding costs 1.2 to 1.5 times the CPU, encoding 2.1 to 2.5 times; install nasm, run \
             cargo clean -p openh264-sys2 and build again"
        );
    }
}

/// The ladder of a channel and its waiting loop, without words.
pub(super) async fn waiting_loop(
    config: &Config,
    channel: &config::Channel,
    grid: Grid,
) -> anyhow::Result<(Arc<LadderSpec>, Arc<WaitingLoop>)> {
    let ladder = config.ladders.iter().find(|ladder| ladder.name == channel.ladder);
    let ladder =
        ladder.with_context(|| format!("channel {:?}: no ladder {:?}", channel.name, channel.ladder))?;
    let deadline = Duration::from_millis(u64::from(channel.live_deadline_ms));
    let spec = Arc::new(LadderSpec::new(ladder, grid, deadline));
    let (name, path, task_spec) = (channel.name.clone(), channel.waiting.clone(), Arc::clone(&spec));
    let coded =
        tokio::task::spawn_blocking(move || code_waiting(&name, &path, &task_spec, &Words::default()));
    let waiting = coded.await.context("the waiting video's task")??;
    info!(channel = channel.name, waiting = %channel.waiting.display(), "waiting loop coded");
    Ok((spec, Arc::new(waiting)))
}

/// Codes the file at `path`. One that is not there or not a video is said loudly, and a plain card takes its
/// place: a channel lives for ever.
pub(super) fn code_waiting(
    channel: &str,
    path: &Path,
    spec: &LadderSpec,
    words: &Words,
) -> anyhow::Result<WaitingLoop> {
    let from_file = || -> anyhow::Result<WaitingLoop> {
        let clip = Clip::parse(&std::fs::read(path)?.into())?;
        Ok(WaitingLoop::encode(Some(&clip), spec, words)?)
    };
    if !path.as_os_str().is_empty() {
        match from_file() {
            Ok(waiting) => return Ok(waiting),
            Err(error) => {
                error!(channel, waiting = %path.display(), "the waiting video cannot be used, a plain card is shown: {error:#}");
            }
        }
    }
    Ok(WaitingLoop::encode(None, spec, words)?)
}

/// What the rungs are shelved as: whole for HLS, then each picture alone, and the sound, for DASH.
fn representations(tracks: &[RungTracks]) -> Result<Vec<Rung>, InitError> {
    let whole = tracks.iter().map(|rung| (rung, Parts::All));
    let pictures = tracks.iter().filter(|rung| rung.video.is_some()).map(|rung| (rung, Parts::Picture));
    // An audio-only rung is the sound alone already.
    let has_sound_alone = tracks.iter().any(|rung| rung.video.is_none());
    let sound = tracks.first().filter(|_| !has_sound_alone).map(|rung| (rung, Parts::Sound));
    let all = whole.chain(pictures).chain(sound);
    all.map(|(rung, parts)| Ok(Rung::part(rung.clone(), parts, init_section(rung, parts)?))).collect()
}

/// The task of a push.
pub(super) fn push(push: &config::Push, means: &Means, stage: &mut Stage) -> anyhow::Result<()> {
    let target = Target::parse(push.url.reveal()).with_context(|| format!("push {:?}: url", push.name))?;
    let task = PushTask {
        name: push.name.clone(),
        channel: push.channel.clone(),
        rung: push.rung.clone(),
        target,
        ca_file: push.ca_file.clone(),
        when: push.when,
        registry: Arc::clone(means.delivery.registry()),
        matrix: means.matrix.watch(),
        board: means.pushes.clone(),
        clock: Arc::clone(&means.clocks.wall),
        shutdown: stage.end.clone(),
    };
    let job = Job::of("push", &push.name, info_span!(parent: None, "push", name = %push.name));
    stage.supervise_mending(job, task, |it| Box::pin(it.clone().run()), |it, why| it.fell(why));
    Ok(())
}

/// A channel's tasks: the one that shows, and the one that paints its waiting picture.
pub(super) fn channel(
    channel: &config::Channel,
    spec: Arc<LadderSpec>,
    waiting: Arc<WaitingLoop>,
    means: &Means,
    stage: &mut Stage,
) -> anyhow::Result<ChannelEntry> {
    let rungs = representations(waiting.tracks())?;
    let (shelf, reader) = store::shelf(means.grid, means.window, rungs);
    let tracks: Arc<[RungTracks]> = waiting.tracks().into();
    // Before the history that a channel begins with.
    let origin = means.clocks.media.now().offset_nanos(-RTMP_LEAD);
    let deadline = Duration::from_millis(u64::from(channel.live_deadline_ms));
    let timing = AirTiming { grid: means.grid, deadline };
    let (air, listener) = delivery::air(Arc::clone(&tracks), origin, timing);
    let listener = listener.listed(&channel.name, &means.tasks);
    let known =
        delivery::Channel { streams: channel.streams.clone(), shelf: Some(reader), air: Some(listener) };
    means.delivery.registry().insert(&channel.name, known);
    let (shown, shown_watch) = watch::channel(Arc::clone(&waiting));
    let painter = Painter {
        channel: channel.name.clone(),
        video: channel.waiting.clone(),
        spec: Arc::clone(&spec),
        plain: Arc::clone(&waiting),
        shown,
        matrix: means.matrix.clone(),
        plan: means.plan.clone(),
        painted: None,
        clock: Arc::clone(&means.clocks.wall),
    };
    let span = info_span!(parent: None, "channel", name = %channel.name);
    let (job, end) = (Job::of("painter", &channel.name, span.clone()), stage.end.clone());
    stage.supervise(job, painter, move |it| Box::pin(it.run(end.clone())));
    let (connection, connection_watch) = watch::channel(None);
    let task = ChannelTask {
        name: channel.name.clone(),
        options: options(channel, means.grid, means.window),
        air,
        waiting: shown_watch,
        shelf,
        connection: connection_watch,
        matrix: means.matrix.clone(),
        clocks: means.clocks.clone(),
        runs: 0,
        shelved: None,
        aired: None,
        fell_at: None,
    };
    let (job, end) = (Job::of("channel", &channel.name, span).needed(), stage.end.clone());
    stage.supervise_mending(
        job,
        (task, None::<Desk>),
        move |(task, desk)| Box::pin(task.run(desk, end.clone())),
        |(task, desk), _| task.fell(desk),
    );
    Ok(ChannelEntry { spec, waiting, connection })
}
