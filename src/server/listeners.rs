//! The ports: opened, each with what is served on it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};
use tracing::info;

use super::crowd::crowd;
use super::inventory::Inventory;
use super::media_port::{self, Gate};
use super::stage::{Job, Stage};
use crate::admin::console;
use crate::admin::insight::Insight;
use crate::admin::wowza::{self, Outgoing, WowzaState};
use crate::admin::{self, AdminState, HealthWatch, Rehearsals, ReloadOrder, Tokens};
use crate::agenda::Plan;
use crate::alarm::Alarm;
use crate::audit::AuditLog;
use crate::clock::Clocks;
use crate::config::{self, Config};
use crate::delivery::{self, Delivery};
use crate::http;
use crate::matrix::MatrixHandle;
use crate::meter::Note;
use crate::push::PushBoard;

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
                let delivery::Crowd { hls, dash, rtmp, rtsp, bytes } = crowd(&delivery, channel);
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
