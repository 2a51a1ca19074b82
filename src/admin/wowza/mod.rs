//! The subset of Wowza's REST API v2 that scripts out there call, on its own port, steering the same matrix.
//!
//! Words at this edge: an *application* is a channel, a *stream file* a source, an *incoming stream* the source that a
//! channel should show. Replies have the shapes of a recorded Wowza 4.7 and are JSON whatever is asked for; `success`
//! stands first and without a blank, because a shell client in the wild cuts it out by position.
//!
//! * `connect` puts the source on the channel by hand. One that is connected already is a success too: Wowza says
//!   `false`, upon which clients reset the stream under its viewers.
//! * `disconnectStream` takes the source off the channel; one that is not on it is not found, and the one that is stays.
//! * `resetStream` is a success where the source is on the channel: sources are supervised and reconnect by themselves.
//! * Stream files are what the configuration says; they cannot be made or changed here (409). Recorders: there is
//!   none, and starting one is refused (501).
//!
//! With a user configured every request must authenticate (Digest, RFC 7616, MD5, `qop="auth"`); without one the port is
//! bound to loopback.

mod answer;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use self::answer::{Fault, done};
use crate::config::Secret;
use crate::http::{Authenticator, Verdict};
use crate::matrix::{ChannelView, MatrixHandle, MatrixView, SourceState};
use crate::media::MediaTime;

const SERVER: &str = "_defaultServer_";
const INSTANCE: &str = "_definst_";
const BASE: &str = "/v2/servers/_defaultServer_/vhosts/_defaultVHost_";

/// What the port needs.
pub struct WowzaState {
    /// The matrix.
    pub matrix: MatrixHandle,
    /// User and password; `None` = the port is bound to loopback only.
    pub credentials: Option<(String, Secret)>,
    /// When the server started.
    pub started: MediaTime,
    /// The clock.
    pub now: Arc<dyn Fn() -> MediaTime + Send + Sync>,
}

struct Inner {
    matrix: MatrixHandle,
    authenticator: Option<Authenticator>,
    started: MediaTime,
    now: Arc<dyn Fn() -> MediaTime + Send + Sync>,
}

type Shared = State<Arc<Inner>>;
type Answer = Result<Response, Fault>;

/// The routes.
pub fn router(state: WowzaState) -> Router {
    let WowzaState { matrix, credentials, started, now } = state;
    let authenticator =
        credentials.map(|(user, password)| Authenticator::new("Wowza", user, password.reveal()));
    let state = Arc::new(Inner { matrix, authenticator, started, now });
    let applications = Router::new()
        .route("/", get(applications))
        .route("/{app}", get(application))
        .route("/{app}/monitoring/current", get(monitoring))
        .route("/{app}/streamfiles", get(stream_files_of).post(unchangeable))
        .route("/{app}/streamfiles/{name}", get(stream_file_of).put(unchangeable).delete(unchangeable))
        .route("/{app}/streamfiles/{name}/adv", put(unchangeable))
        .route("/{app}/streamfiles/{name}/actions/connect", put(connect_of))
        .route("/{app}/instances", get(instances))
        .route("/{app}/instances/{instance}", get(instance))
        .route("/{app}/instances/{instance}/incomingstreams/{stream}", get(incoming))
        .route(
            "/{app}/instances/{instance}/incomingstreams/{stream}/monitoring/current",
            get(incoming_monitoring),
        )
        .route("/{app}/instances/{instance}/incomingstreams/{stream}/actions/{action}", put(act))
        .route("/{app}/instances/{instance}/streamrecorders/{stream}", post(no_recorder).get(not_found))
        .route("/{app}/instances/{instance}/streamrecorders/{stream}/actions/{action}", put(not_found));
    let vhost = Router::new()
        .nest("/applications", applications)
        .route("/streamfiles", get(stream_files).post(unchangeable))
        .route("/streamfiles/{name}", get(stream_file).put(unchangeable).delete(unchangeable))
        .route("/streamfiles/{name}/adv", put(unchangeable))
        .route("/streamfiles/{name}/actions/connect", put(connect));
    Router::new()
        .nest(BASE, vhost)
        .route("/v2/servers/_defaultServer_/status", get(status))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), authenticate))
        .with_state(state)
}

async fn authenticate(State(state): Shared, request: Request, next: Next) -> Response {
    let verdict = state.authenticator.as_ref().map_or(Verdict::Good, |authenticator| {
        let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        authenticator.judge(request.method().as_str(), shown, (state.now)())
    });
    let mut response = match verdict {
        Verdict::Good => next.run(request).await,
        Verdict::Challenge(challenge) => answer::unauthorized(&challenge),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn channel(view: &MatrixView, app: &str) -> Result<ChannelView, Fault> {
    view.channel(app).cloned().ok_or(Fault::NotFound)
}

/// A source's name from a stream file's or an incoming stream's: with or without `.stream`.
fn source_name(stream: &str) -> &str {
    stream.strip_suffix(".stream").unwrap_or(stream)
}

fn href(rest: &str) -> String {
    format!("{BASE}/{rest}")
}

async fn applications(State(state): Shared) -> Answer {
    let view = state.matrix.view();
    let application = |channel: &ChannelView| {
        json!({
            "id": channel.name, "href": href(&format!("applications/{}", channel.name)), "appType": "Live",
            "dvrEnabled": false, "drmEnabled": false, "transcoderEnabled": true, "streamTargetsEnabled": false,
        })
    };
    let list: Vec<Value> = view.channels.iter().map(application).collect();
    Ok(answer::json(&json!({ "serverName": SERVER, "applications": list })))
}

async fn application(State(state): Shared, Path(app): Path<String>) -> Answer {
    let channel = channel(&state.matrix.view(), &app)?;
    Ok(answer::json(&json!({ "serverName": SERVER, "name": channel.name, "appType": "Live" })))
}

async fn stream_files(State(state): Shared) -> Answer {
    Ok(answer::json(&list_of_stream_files(&state.matrix.view(), "")))
}

async fn stream_files_of(State(state): Shared, Path(app): Path<String>) -> Answer {
    let view = state.matrix.view();
    channel(&view, &app)?;
    Ok(answer::json(&list_of_stream_files(&view, &format!("applications/{app}/"))))
}

fn list_of_stream_files(view: &MatrixView, before: &str) -> Value {
    let files: Vec<Value> = view
        .sources
        .iter()
        .map(|it| json!({ "id": it.name, "href": href(&format!("{before}streamfiles/{}", it.name)) }))
        .collect();
    json!({ "serverName": SERVER, "streamFiles": files })
}

async fn stream_file(State(state): Shared, Path(name): Path<String>) -> Answer {
    describe_stream_file(&state.matrix.view(), &name)
}

async fn stream_file_of(State(state): Shared, Path((app, name)): Path<(String, String)>) -> Answer {
    let view = state.matrix.view();
    channel(&view, &app)?;
    describe_stream_file(&view, &name)
}

/// The URI stays with the configuration: it may carry a password.
fn describe_stream_file(view: &MatrixView, name: &str) -> Answer {
    let source = view.source(source_name(name)).ok_or(Fault::NotFound)?;
    Ok(answer::json(&json!({ "serverName": SERVER, "uri": "", "name": source.name })))
}

#[derive(Debug, Deserialize)]
struct Connect {
    #[serde(rename = "connectAppName")]
    app: Option<String>,
}

async fn connect(State(state): Shared, Path(name): Path<String>, Query(query): Query<Connect>) -> Answer {
    let app = query.app.ok_or(Fault::NotFound)?;
    connect_to(&state, &app, &name).await
}

async fn connect_of(
    State(state): Shared,
    Path((app, name)): Path<(String, String)>,
    Query(query): Query<Connect>,
) -> Answer {
    connect_to(&state, query.app.as_deref().unwrap_or(&app), &name).await
}

async fn connect_to(state: &Inner, app: &str, name: &str) -> Answer {
    let source = source_name(name);
    state.matrix.connect(app, source, None).await?;
    Ok(done(
        StatusCode::OK,
        &format!("Publish stream successfully started [{app}/{INSTANCE}]: mp4:{source}.stream"),
    ))
}

async fn instances(State(state): Shared, Path(app): Path<String>) -> Answer {
    let view = state.matrix.view();
    let instance = describe_instance(&view, &channel(&view, &app)?);
    Ok(answer::json(&json!({ "serverName": SERVER, "instanceList": [instance] })))
}

async fn instance(State(state): Shared, Path((app, name)): Path<(String, String)>) -> Answer {
    let view = state.matrix.view();
    let channel = channel(&view, &app)?;
    if name != INSTANCE {
        return Err(Fault::NotFound);
    }
    let mut instance = describe_instance(&view, &channel);
    if let Some(object) = instance.as_object_mut() {
        object.insert("serverName".to_owned(), SERVER.into());
    }
    Ok(answer::json(&instance))
}

fn describe_instance(view: &MatrixView, channel: &ChannelView) -> Value {
    let incoming = channel.desired.source.as_deref();
    let incoming: Vec<Value> = incoming.map(|source| describe_incoming(view, source)).into_iter().collect();
    json!({
        "incomingStreams": incoming, "outgoingStreams": [], "recorders": [], "streamGroups": [], "name": INSTANCE,
    })
}

fn describe_incoming(view: &MatrixView, source: &str) -> Value {
    let live = view.source(source).is_some_and(|source| source.status.state == SourceState::Live);
    json!({
        "sourceIp": "", "isPTZEnabled": false, "applicationInstance": INSTANCE, "name": format!("{source}.stream"),
        "isRecordingSet": false, "isStreamManagerStream": true, "isPublishedToVOD": false, "isConnected": live,
        "ptzPollingInterval": 2000, "ptzPollingIntervalMinimum": 1000,
    })
}

type StreamPath = Path<(String, String, String)>;

/// The source that a path's stream means, if the channel should show it.
fn shown_source(view: &MatrixView, app: &str, instance: &str, stream: &str) -> Result<String, Fault> {
    let channel = channel(view, app)?;
    let source = source_name(stream);
    let shown = instance == INSTANCE && channel.desired.source.as_deref() == Some(source);
    if shown { Ok(source.to_owned()) } else { Err(Fault::NotFound) }
}

async fn incoming(State(state): Shared, Path((app, instance, stream)): StreamPath) -> Answer {
    let view = state.matrix.view();
    let source = shown_source(&view, &app, &instance, &stream)?;
    let mut described = describe_incoming(&view, &source);
    if let Some(object) = described.as_object_mut() {
        object.insert("serverName".to_owned(), SERVER.into());
    }
    Ok(answer::json(&described))
}

async fn incoming_monitoring(State(state): Shared, Path((app, instance, stream)): StreamPath) -> Answer {
    let view = state.matrix.view();
    let source = shown_source(&view, &app, &instance, &stream)?;
    let since = view.source(&source).map_or(state.started, |source| source.status.since);
    let mut body = answer::counts((state.now)().saturating_since(since).as_secs());
    if let Some(object) = body.as_object_mut() {
        object.insert("applicationInstance".to_owned(), INSTANCE.into());
        object.insert("name".to_owned(), stream.into());
    }
    Ok(answer::json(&body))
}

async fn monitoring(State(state): Shared, Path(app): Path<String>) -> Answer {
    channel(&state.matrix.view(), &app)?;
    Ok(answer::json(&answer::counts((state.now)().saturating_since(state.started).as_secs())))
}

async fn act(
    State(state): Shared,
    Path((app, instance, stream, action)): Path<(String, String, String, String)>,
) -> Answer {
    let source = shown_source(&state.matrix.view(), &app, &instance, &stream)?;
    match action.as_str() {
        "disconnectStream" => {
            state.matrix.disconnect(&app).await?;
            let message =
                format!("Publish stream successfully stopped [{app}/{INSTANCE}]: mp4:{source}.stream");
            Ok(done(StatusCode::OK, &message))
        }
        "resetStream" => Ok(done(
            StatusCode::OK,
            &format!("Publish stream successfully reset [{app}/{INSTANCE}]: mp4:{source}.stream"),
        )),
        _ => Err(Fault::NotFound),
    }
}

async fn status(State(state): Shared) -> Answer {
    let running = (state.now)().saturating_since(state.started).as_secs_f64();
    Ok(answer::json(&json!({
        "serverName": SERVER, "serverVersion": env!("CARGO_PKG_VERSION"), "wseName": "Amphi", "serverMode": "Production",
        "osName": std::env::consts::OS, "osArchitecture": std::env::consts::ARCH, "timeRunning": running,
        "restAPIAvailable": true, "transcoderAvailable": true, "dvrInUse": false, "drmInUse": false,
    })))
}

async fn unchangeable() -> Answer {
    Err(Fault::Conflict)
}

async fn no_recorder() -> Answer {
    Err(Fault::NotImplemented)
}

async fn not_found() -> Answer {
    Err(Fault::NotFound)
}

#[cfg(test)]
mod tests;
