//! Opens the ports, and serves them.

use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use http::{HeaderValue, Request};
use tokio::net::TcpListener;
use tower::util::MapRequestLayer;
use tracing::info;

use super::access::ViewerGate;
use super::certificates::Certificates;
use super::media_port::{self, Gate, HttpViewers, Speakers};
use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use super::wowza_port;
use crate::delivery::TlsPolicy;
use amphi_admin::wowza;
use amphi_config::Config;
use amphi_http::{self as connections, Limits, Places, Port, SlowPath};
use amphi_media::meter::Note;
use amphi_runtime::socket::Handshakes;

/// The addresses that the server listens on; `None` for a port that is off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// `server.listen`: RTMP, HTTP and RTSP.
    pub media: Option<SocketAddr>,
    /// `server.http_listen`: HLS, DASH and the public pages.
    pub http: Option<SocketAddr>,
    /// `server.https_listen`: the same inside TLS.
    pub https: Option<SocketAddr>,
    /// `server.admin_listen`: REST, the console and metrics.
    pub admin: Option<SocketAddr>,
}

/// The open ports. Connections wait until they are served.
pub(super) struct OpenPorts {
    media: Option<TcpListener>,
    http: Option<TcpListener>,
    https: Option<TcpListener>,
    admin: Option<ControlPort>,
    wowza_rest: Option<ControlPort>,
    wowza_counts: Option<ControlPort>,
    pub(super) addresses: Addresses,
    /// Places for viewers and publishers.
    pub(super) places: Places,
}

/// A port for operators and scripts, with places of its own.
struct ControlPort {
    name: &'static str,
    listener: TcpListener,
    limits: Limits,
    places: Places,
}

/// A port, and why it can accept no connection.
pub(super) type Starving = (&'static str, Arc<Note>);

impl OpenPorts {
    /// Opens the ports that the configuration names, with so many places for viewers and publishers. Fails if one is taken.
    pub(super) fn open(config: &Config, places: u64) -> anyhow::Result<Self> {
        let server = &config.server;
        let media = open("media", "server.listen", &server.listen)?;
        let plain = open("http", "server.http_listen", &server.http_listen)?;
        let admin = open("admin", "server.admin_listen", &server.admin_listen)?;
        let rest = open("wowza-rest", "server.wowza_rest_listen", &server.wowza_rest_listen)?;
        let counts = open("wowza-counts", "server.wowza_counts_listen", &server.wowza_counts_listen)?;
        let https = open("https", "server.https_listen", &server.https_listen)?;
        let address = |port: &Option<TcpListener>| port.as_ref().and_then(|it| it.local_addr().ok());
        let addresses = Addresses {
            media: address(&media),
            http: address(&plain),
            https: address(&https),
            admin: address(&admin),
        };
        Ok(Self {
            media,
            http: plain,
            https,
            admin: admin.map(|listener| ControlPort::new("admin", listener)),
            wowza_rest: rest.map(|listener| ControlPort::new("wowza-rest", listener)),
            wowza_counts: counts.map(|listener| ControlPort::new("wowza-counts", listener)),
            addresses,
            places: Places::new(places as usize, server.connections_per_address as usize),
        })
    }

    /// For each port, a note that says why it cannot accept connections, while it cannot.
    pub(super) fn starving(&self) -> Vec<Starving> {
        let control = [&self.wowza_rest, &self.wowza_counts, &self.admin].into_iter().flatten();
        let control = control.map(|port| (port.name, port.places.starving()));
        std::iter::once(("connections", self.places.starving())).chain(control).collect()
    }

    /// Serves all ports; `admin` is the router of the admin port.
    pub(super) fn serve(
        self,
        shared: &ServerContext,
        viewers: ViewerGate,
        admin: Router,
        certificates: &Certificates,
        stage: &mut Stage,
    ) -> anyhow::Result<()> {
        let gate = Arc::new(Gate::new(
            shared.inventory.clone(),
            shared.attempts.clone(),
            Arc::clone(&shared.clocks.media),
            viewers,
        )?);
        let policy = {
            let config = shared.config.borrow();
            let redirect_to = self.addresses.https.filter(|_| config.tls.redirect).map(|it| it.port());
            TlsPolicy { hsts_s: config.tls.hsts_s, redirect_to }
        };
        let tls = &certificates.handshakes;
        let delivery = shared.delivery.behind(Arc::clone(&gate) as _);
        let delivery = delivery.telling(policy, certificates.proofs.clone());
        let control = [
            (self.wowza_rest, wowza::router(wowza_port::state(shared, &delivery)), None),
            (self.wowza_counts, wowza::counts::router(wowza_port::state(shared, &delivery)), None),
            (self.admin, admin, shared.config.borrow().server.admin_tls.then(|| tls.apart())),
        ];
        for (port, router, tls) in control {
            if let Some(port) = port {
                port.serve(router, tls, stage);
            }
        }
        let slow = SlowPath::new(std::thread::available_parallelism().map_or(2, NonZero::get))?;
        if let Some(listener) = self.media {
            let (places, clock) = (self.places.clone(), Arc::clone(&shared.clocks.media));
            let speakers =
                Speakers::new(delivery.clone(), slow.clone(), gate, places.clone(), clock, tls.clone());
            let end = stage.end.clone();
            stage.supervise(TaskSpec::new("port media").needed(), Port::new(listener), move |port| {
                Box::pin(media_port::serve(port, speakers.clone(), places.clone(), end.clone()))
            });
        }
        for (name, listener, tls) in
            [("port http", self.http, None), ("port https", self.https, Some(tls.clone()))]
        {
            if let Some(listener) = listener {
                let viewers = HttpViewers { delivery: delivery.clone(), slow: slow.clone(), tls };
                let (end, places) = (stage.end.clone(), self.places.clone());
                stage.supervise(TaskSpec::new(name).needed(), Port::new(listener), move |port| {
                    Box::pin(media_port::serve_http(port, viewers.clone(), places.clone(), end.clone()))
                });
            }
        }
        Ok(())
    }
}

impl ControlPort {
    fn new(name: &'static str, listener: TcpListener) -> Self {
        let limits = Limits::of_control();
        Self { name, listener, limits, places: limits.places() }
    }

    fn serve(self, router: Router, tls: Option<Handshakes>, stage: &mut Stage) {
        let router = if tls.is_some() { router.layer(MapRequestLayer::new(over_tls)) } else { router };
        let Self { name, listener, limits, places } = self;
        let end = stage.end.clone();
        // If the accept loop panics, its connections go on and keep their places.
        stage.supervise(TaskSpec::new(format!("port {name}")), Port::new(listener), move |port| {
            let (router, places, tls) = (router.clone(), places.clone(), tls.clone());
            Box::pin(connections::serve_with_peer(port, router, places, limits, tls, end.clone()))
        });
    }
}

/// Says as a proxy would that a request has come inside TLS: cookies are for TLS only then.
fn over_tls<B>(mut request: Request<B>) -> Request<B> {
    request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
    request
}

fn open(service: &str, key: &str, address: &str) -> anyhow::Result<Option<TcpListener>> {
    if address.is_empty() {
        return Ok(None);
    }
    let wanted: SocketAddr =
        address.parse().with_context(|| format!("{key} = {address:?} is not an address"))?;
    let listener = connections::listen(wanted).context(key.to_owned())?;
    info!(service, address = %listener.local_addr()?, "listening");
    Ok(Some(listener))
}
