//! The subset of Wowza's REST API v2 that existing scripts call, on a port of its own. It acts on the same matrix.
//!
//! In this API's terms, an *application* is a channel, a *stream file* a source, an *incoming stream* the source that a
//! channel should show. Answers have the format of a recorded Wowza 4.7 and are always JSON; `success`
//! is the first key and without a blank, because an existing shell client cuts it out by position.
//!
//! * `connect` puts the source on the channel by hand. If it is connected already, that is a success too: Wowza answers
//!   `false`, upon which clients reset the stream that viewers are watching.
//! * `disconnectStream` takes the source off the channel. If another source is on it, the answer is 404 and that one stays.
//! * `resetStream` succeeds if the source is on the channel, and does nothing: sources reconnect by themselves.
//! * Stream files are those of the configuration; they cannot be created or changed here (409). There are no recorders, and
//!   starting one is refused (501).
//! * Applications are channels and cannot be created, changed or deleted here either.
//!
//! Viewers over HLS and DASH have no session: they are counted by the segments that they fetch, and their total since start
//! is not known. `/connectioncounts` on port 8086 ([`counts`]) has the same numbers.
//!
//! Every request that changes something or is refused is recorded in the audit log.
//!
//! If a user is configured, every request must authenticate (Digest, RFC 7616, MD5 or SHA-256, `qop="auth"`), and guessing is
//! slowed down. Without a user the port is bound to loopback, and answers only under a loopback name and to no page of
//! another site.

mod answer;
pub mod counts;
mod describe;
mod machine;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, put};
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::uri::Authority;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use self::answer::{WowzaFault, done};
use self::describe::Traffic;
use self::machine::Machine;
use amphi_config::Secret;
use amphi_control::audit::{Action, AuditLog, Entry};
use amphi_control::matrix::{ChannelView, MatrixHandle, MatrixView};
use amphi_http::{self as joints, Attempts, Authenticator, Credential, Peer, Verdict};
use amphi_media::{ChannelName, Lock, MediaTime, SourceName};

const SERVER: &str = "_defaultServer_";
const INSTANCE: &str = "_definst_";
const BASE: &str = "/v2/servers/_defaultServer_/vhosts/_defaultVHost_";

/// What this port needs of the server.
pub struct WowzaState {
    /// The handle of the matrix.
    pub matrix: MatrixHandle,
    /// User and password; `None` = the port is bound to loopback only.
    pub credentials: Option<(String, Secret)>,
    /// When the server started.
    pub started: MediaTime,
    /// Returns the machine's time.
    pub now: Arc<dyn Fn() -> MediaTime + Send + Sync>,
    /// Returns how long the server has run, by the monotonic clock.
    pub running: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Returns the bytes received of a source since start.
    pub received: Arc<dyn Fn(&str) -> u64 + Send + Sync>,
    /// Returns the viewers of a channel, and the bytes sent to them.
    pub outgoing: Arc<dyn Fn(&str) -> Outgoing + Send + Sync>,
    /// The log in which changes are recorded.
    pub audit: AuditLog,
    /// The counts of wrong passwords.
    pub attempts: Attempts,
    /// Host names besides loopback ones under which a port without credentials answers.
    pub names: Vec<Authority>,
}

/// The present numbers of viewers of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Viewers over HLS.
    pub hls: u64,
    /// Viewers over DASH.
    pub dash: u64,
    /// Viewers over RTMP.
    pub rtmp: u64,
    /// Viewers over RTSP.
    pub rtsp: u64,
    /// Bytes of media sent to viewers since start.
    pub bytes: u64,
}

impl Outgoing {
    /// The sum of all viewers.
    pub const fn viewers(&self) -> u64 {
        self.hls + self.dash + self.rtmp + self.rtsp
    }
}

struct WowzaApi {
    matrix: MatrixHandle,
    authenticator: Option<Authenticator>,
    /// The value of `who` in the audit log.
    who: String,
    started: MediaTime,
    now: Arc<dyn Fn() -> MediaTime + Send + Sync>,
    running: Arc<dyn Fn() -> Duration + Send + Sync>,
    received: Arc<dyn Fn(&str) -> u64 + Send + Sync>,
    outgoing: Arc<dyn Fn(&str) -> Outgoing + Send + Sync>,
    /// Rates of sources ([`Way::In`]) and of channels ([`Way::Out`]), by name.
    rates: Lock<HashMap<(Way, String), Rate>>,
    machine: Machine,
    audit: AuditLog,
    attempts: Attempts,
    names: Vec<Authority>,
}

/// The direction of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    In,
    Out,
}

/// The last measurement of a rate.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// When, since the start of the server.
    at: Duration,
    /// All bytes until `at`.
    bytes: u64,
    bytes_per_s: u64,
}

impl WowzaApi {
    fn new(state: WowzaState) -> Self {
        let WowzaState {
            matrix,
            credentials,
            started,
            now,
            running,
            received,
            outgoing,
            audit,
            attempts,
            names,
        } = state;
        let who = credentials.as_ref().map_or("wowza".to_owned(), |(user, _)| format!("wowza:{user}"));
        let authenticator =
            credentials.map(|(user, password)| Authenticator::new("Wowza", user, password.reveal()));
        let (rates, machine) = (Lock::default(), Machine::default());
        Self {
            matrix,
            authenticator,
            who,
            started,
            now,
            running,
            received,
            outgoing,
            rates,
            machine,
            audit,
            attempts,
            names,
        }
    }

    /// An entry of the audit log about a caller of this port.
    fn entry(&self, what: Action, from: PeerAddress) -> Entry {
        Entry::new((self.now)(), self.who.clone(), what).address(from)
    }

    /// The `version` of Wowza's answers, in milliseconds since 1970: the start of the server.
    fn version(&self) -> String {
        self.started.as_millis().to_string()
    }

    fn uptime_s(&self) -> u64 {
        (self.running)().as_secs()
    }

    /// The traffic of a source that is in its state since `since`, and of the channel that should show it.
    fn traffic(&self, source: &SourceName, since: MediaTime, channel: &ChannelName) -> Traffic {
        let bytes_in = (self.received)(source);
        Traffic {
            uptime_s: (self.now)().saturating_since(since).as_secs(),
            bytes_in,
            bytes_in_rate: self.rate(Way::In, source, bytes_in),
            ..self.going_out(channel)
        }
    }

    /// The traffic of a channel, and of the source that it should show, if any.
    fn of_channel(&self, channel: &ChannelName, source: Option<&SourceName>) -> Traffic {
        match source {
            Some(source) => self.traffic(source, self.started, channel),
            None => self.going_out(channel),
        }
    }

    fn going_out(&self, channel: &ChannelName) -> Traffic {
        let outgoing = (self.outgoing)(channel);
        let bytes_out_rate = self.rate(Way::Out, channel, outgoing.bytes);
        Traffic { uptime_s: self.uptime_s(), outgoing, bytes_out_rate, ..Traffic::default() }
    }

    /// Bytes per second, measured between two requests that are at least a second apart.
    fn rate(&self, way: Way, name: &str, bytes: u64) -> u64 {
        let now = (self.running)();
        let mut rates = self.rates.lock();
        let first = Rate { at: Duration::ZERO, bytes: 0, bytes_per_s: 0 };
        let last = rates.entry((way, name.to_owned())).or_insert(first);
        let passed = now.saturating_sub(last.at).as_secs_f64();
        if passed >= 1.0 {
            let bytes_per_s = (bytes.saturating_sub(last.bytes) as f64 / passed) as u64;
            *last = Rate { at: now, bytes, bytes_per_s };
        }
        last.bytes_per_s
    }
}

/// The address that a request came from.
type PeerAddress = Option<String>;
type WowzaPeer = Option<axum::Extension<Peer>>;

fn address(caller: &WowzaPeer) -> PeerAddress {
    caller.as_ref().map(|axum::Extension(Peer(address))| address.ip().to_canonical().to_string())
}

type SharedApi = State<Arc<WowzaApi>>;
type WowzaReply = Result<Response, WowzaFault>;

/// The routes of the port `wowza_rest_listen`.
pub fn router(state: WowzaState) -> Router {
    let state = Arc::new(WowzaApi::new(state));
    let applications = Router::new()
        .route("/", get(applications).post(unchangeable))
        .route("/{app}", get(application).put(unchangeable).delete(unchangeable))
        .route("/{app}/monitoring/current", get(monitoring))
        .route("/{app}/streamfiles", get(stream_files_of).post(unchangeable))
        .route("/{app}/streamfiles/{name}", get(stream_file_of).put(unchangeable).delete(unchangeable))
        .route("/{app}/streamfiles/{name}/adv", get(stream_file_of).put(unchangeable))
        .route("/{app}/streamfiles/{name}/actions/connect", put(connect_of))
        .route("/{app}/instances", get(instances))
        .route("/{app}/instances/{instance}", get(instance))
        .route("/{app}/instances/{instance}/incomingstreams/{stream}", get(incoming))
        .route(
            "/{app}/instances/{instance}/incomingstreams/{stream}/monitoring/current",
            get(incoming_monitoring),
        )
        .route("/{app}/instances/{instance}/incomingstreams/{stream}/actions/{action}", put(act))
        .route("/{app}/instances/{instance}/streamrecorders", get(recorders))
        .route("/{app}/instances/{instance}/streamrecorders/{stream}", get(not_found).post(no_recorder))
        .route("/{app}/instances/{instance}/streamrecorders/{stream}/actions/{action}", put(not_found));
    let vhost = Router::new()
        .nest("/applications", applications)
        .route("/streamfiles", get(stream_files).post(unchangeable))
        .route("/streamfiles/{name}", get(stream_file).put(unchangeable).delete(unchangeable))
        .route("/streamfiles/{name}/adv", get(stream_file).put(unchangeable))
        .route("/streamfiles/{name}/actions/connect", put(connect));
    Router::new()
        .nest(BASE, vhost)
        .route("/v2/servers/_defaultServer_/status", get(status))
        .route("/v2/machine/monitoring/current", get(machine_monitoring))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), authenticate))
        .with_state(state)
}

/// The whole path of the request: nested routers see only its end.
#[derive(Clone)]
struct AskedPath(String);

async fn authenticate(State(state): SharedApi, mut request: Request, next: Next) -> Response {
    let asked = AskedPath(request.uri().path().to_owned());
    request.extensions_mut().insert(asked);
    let mut response = match admit(&state, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Authenticates a request; the error is the answer that refuses it.
fn admit(state: &WowzaApi, request: &Request) -> Result<(), Box<Response>> {
    const KIND: Credential = Credential::Password;
    let Some(authenticator) = &state.authenticator else {
        let is_local = joints::is_local(request.uri(), request.headers(), &state.names);
        return if is_local { Ok(()) } else { Err(Box::new(answer::forbidden())) };
    };
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let from = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    if shown.is_some() {
        state.attempts.may_try(KIND, from).map_err(|wait| Box::new(answer::slow_down(wait)))?;
    }
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    match authenticator.judge(request.method().as_str(), target, shown, (state.now)()) {
        Verdict::Good => Ok(()),
        Verdict::Challenge { values, wrong } => {
            if wrong {
                state.attempts.rejected(KIND, from);
            }
            Err(Box::new(answer::unauthorized(&values)))
        }
    }
}

/// The name of a stream file, or of an incoming stream: a source's, with or without `.stream`.
#[derive(Debug, Deserialize)]
struct WowzaStream(String);

impl WowzaStream {
    fn source(&self) -> SourceName {
        self.0.strip_suffix(".stream").unwrap_or(&self.0).into()
    }
}

/// The name of an application's instance. There is one of them.
#[derive(Debug, Deserialize)]
struct WowzaInstance(String);

impl WowzaInstance {
    fn is_there(&self) -> bool {
        self.0 == INSTANCE
    }
}

/// An application is a channel.
fn channel(view: &MatrixView, app: &ChannelName) -> Result<ChannelView, WowzaFault> {
    view.channel(app).cloned().ok_or(WowzaFault::NotFound)
}

async fn applications(State(state): SharedApi) -> WowzaReply {
    Ok(answer::json(&describe::applications(&state.matrix.view())))
}

async fn application(State(state): SharedApi, Path(app): Path<ChannelName>) -> WowzaReply {
    let channel = channel(&state.matrix.view(), &app)?;
    Ok(answer::json(&describe::application(&channel, &state.version())))
}

async fn stream_files(State(state): SharedApi) -> WowzaReply {
    Ok(answer::json(&describe::stream_files(&state.matrix.view(), "")))
}

async fn stream_files_of(State(state): SharedApi, Path(app): Path<ChannelName>) -> WowzaReply {
    let view = state.matrix.view();
    channel(&view, &app)?;
    Ok(answer::json(&describe::stream_files(&view, &format!("applications/{app}/"))))
}

async fn stream_file(State(state): SharedApi, Path(name): Path<WowzaStream>) -> WowzaReply {
    let file = describe::stream_file(&state.matrix.view(), &name, &state.version());
    Ok(answer::json(&file.ok_or(WowzaFault::NotFound)?))
}

async fn stream_file_of(
    State(state): SharedApi,
    Path((app, name)): Path<(ChannelName, WowzaStream)>,
) -> WowzaReply {
    channel(&state.matrix.view(), &app)?;
    stream_file(State(state), Path(name)).await
}

#[derive(Debug, Deserialize)]
struct ConnectTo {
    #[serde(rename = "connectAppName")]
    app: Option<ChannelName>,
}

async fn connect(
    State(state): SharedApi,
    caller: WowzaPeer,
    Path(name): Path<WowzaStream>,
    Query(query): Query<ConnectTo>,
) -> WowzaReply {
    let app = query.app.ok_or(WowzaFault::NotFound)?;
    connect_to(&state, address(&caller), &app, &name).await
}

async fn connect_of(
    State(state): SharedApi,
    caller: WowzaPeer,
    Path((app, name)): Path<(ChannelName, WowzaStream)>,
    Query(query): Query<ConnectTo>,
) -> WowzaReply {
    connect_to(&state, address(&caller), query.app.as_ref().unwrap_or(&app), &name).await
}

async fn connect_to(
    state: &WowzaApi,
    from: PeerAddress,
    app: &ChannelName,
    name: &WowzaStream,
) -> WowzaReply {
    let source = name.source();
    let applied = state.matrix.connect(app, &source, None).await;
    let entry = state.entry(Action::Connect, from).on(app).with(Some(&source));
    state.audit.record(entry.result(&applied));
    applied?;
    let message = format!("Publish stream successfully started [{app}/{INSTANCE}]: mp4:{source}.stream");
    Ok(done(StatusCode::OK, &message))
}

async fn instances(State(state): SharedApi, Path(app): Path<ChannelName>) -> WowzaReply {
    let view = state.matrix.view();
    Ok(answer::json(&describe::instances(&view, &channel(&view, &app)?)))
}

async fn instance(
    State(state): SharedApi,
    Path((app, name)): Path<(ChannelName, WowzaInstance)>,
) -> WowzaReply {
    let view = state.matrix.view();
    let channel = channel(&view, &app)?;
    if name.is_there() {
        Ok(answer::json(&describe::instance(&view, &channel)))
    } else {
        Err(WowzaFault::NotFound)
    }
}

type StreamPath = Path<(ChannelName, WowzaInstance, WowzaStream)>;

/// The source of an incoming stream, if the channel should show it.
fn shown_source(
    view: &MatrixView,
    app: &ChannelName,
    instance: &WowzaInstance,
    stream: &WowzaStream,
) -> Result<SourceName, WowzaFault> {
    let channel = channel(view, app)?;
    let source = stream.source();
    let shown = instance.is_there() && channel.desired.source.as_ref() == Some(&source);
    if shown { Ok(source) } else { Err(WowzaFault::NotFound) }
}

async fn incoming(State(state): SharedApi, Path((app, instance, stream)): StreamPath) -> WowzaReply {
    let view = state.matrix.view();
    let source = shown_source(&view, &app, &instance, &stream)?;
    Ok(answer::json(&describe::incoming(&view, &source)))
}

async fn incoming_monitoring(
    State(state): SharedApi,
    Path((app, instance, stream)): StreamPath,
) -> WowzaReply {
    let view = state.matrix.view();
    let source = shown_source(&view, &app, &instance, &stream)?;
    let since = view.source(&source).map_or(state.started, |source| source.status.since);
    Ok(answer::json(&describe::stream_monitoring(state.traffic(&source, since, &app), &stream.0)))
}

async fn monitoring(State(state): SharedApi, Path(app): Path<ChannelName>) -> WowzaReply {
    let channel = channel(&state.matrix.view(), &app)?;
    let traffic = state.of_channel(&channel.name, channel.desired.source.as_ref());
    Ok(answer::json(&describe::application_monitoring(traffic)))
}

async fn act(
    State(state): SharedApi,
    caller: WowzaPeer,
    Path((app, instance, stream, action)): Path<(ChannelName, WowzaInstance, WowzaStream, String)>,
) -> WowzaReply {
    let what = match action.as_str() {
        "disconnectStream" => Action::Disconnect,
        "resetStream" => Action::Reset,
        _ => return Err(WowzaFault::NotFound),
    };
    let entry = state.entry(what, address(&caller)).on(&app).with(Some(&stream.source()));
    let done = take_off(&state, &app, &instance, &stream, what).await;
    state.audit.record(entry.result(&done));
    let (source, verb) = done?;
    let message = format!("Publish stream successfully {verb} [{app}/{INSTANCE}]: mp4:{source}.stream");
    Ok(answer::done(StatusCode::OK, &message))
}

/// Carries out `disconnectStream`; `resetStream` does nothing. Returns the source, and the verb for the message.
async fn take_off(
    state: &WowzaApi,
    app: &ChannelName,
    instance: &WowzaInstance,
    stream: &WowzaStream,
    what: Action,
) -> Result<(SourceName, &'static str), WowzaFault> {
    let source = shown_source(&state.matrix.view(), app, instance, stream)?;
    if what != Action::Disconnect {
        return Ok((source, "reset"));
    }
    state.matrix.disconnect(app).await?;
    Ok((source, "stopped"))
}

async fn status(State(state): SharedApi) -> WowzaReply {
    let running = (state.running)().as_secs_f64();
    let view = state.matrix.view();
    let viewers = view.channels.iter().map(|channel| (state.outgoing)(&channel.name).viewers()).sum();
    Ok(answer::json(&describe::status(&state.version(), running, machine::memory(), viewers)))
}

async fn machine_monitoring(State(state): SharedApi) -> WowzaReply {
    Ok(answer::json(&state.machine.current(state.uptime_s())))
}

async fn unchangeable(State(state): SharedApi, caller: WowzaPeer, request: Request) -> WowzaReply {
    refused(&state, address(&caller), &request, WowzaFault::Conflict)
}

async fn recorders(
    State(state): SharedApi,
    Path((app, instance)): Path<(ChannelName, WowzaInstance)>,
) -> WowzaReply {
    channel(&state.matrix.view(), &app)?;
    if instance.is_there() { Ok(answer::json(&describe::recorders())) } else { Err(WowzaFault::NotFound) }
}

async fn no_recorder(
    State(state): SharedApi,
    caller: WowzaPeer,
    Path((app, instance, stream)): StreamPath,
    request: Request,
) -> WowzaReply {
    let view = state.matrix.view();
    let fault = shown_source(&view, &app, &instance, &stream).err().unwrap_or(WowzaFault::NotImplemented);
    refused(&state, address(&caller), &request, fault)
}

/// Records and answers a request for something that is not possible here.
fn refused(state: &WowzaApi, from: PeerAddress, request: &Request, fault: WowzaFault) -> WowzaReply {
    let path = request.extensions().get::<AskedPath>().map_or("", |AskedPath(path)| path);
    let asked = format!("{} {path}", request.method());
    let refused: WowzaReply = Err(fault);
    state.audit.record(state.entry(Action::Unsupported, from).saying(&asked).result(&refused));
    refused
}

async fn not_found() -> WowzaReply {
    Err(WowzaFault::NotFound)
}

#[cfg(test)]
mod tests;
