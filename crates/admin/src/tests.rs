//! The admin port, as callers use it.

use std::io;

use axum::body::Body;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use amphi_config::Secret;
use amphi_control::agenda::PlannedEvent;
use amphi_control::alarm::AlarmKind;
use amphi_control::audit::Action;
use amphi_control::matrix::{
    ChannelLayout, Layout, OnAir, Override, SourceState, SourceStatus, Store, spawn,
};
use amphi_control::rehearsal::{Rehearsal, RehearsalState};
use amphi_media::MediaTime;
use amphi_media::clock::ManualClock;
use amphi_runtime::tasks::{Task, Tasks};
use amphi_runtime::workshop::Refused;

pub(super) const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

struct FullDisk;

impl Store for FullDisk {
    fn load(&self) -> Vec<Override> {
        Vec::new()
    }

    fn save(&self, _: &[Override]) -> io::Result<()> {
        Err(io::Error::other("the disk is full"))
    }
}

pub(super) struct Port {
    pub(super) router: Router,
    pub(super) matrix: MatrixHandle,
    pub(super) ready: watch::Sender<bool>,
    doubt: watch::Sender<Arc<Vec<String>>>,
    needed: Task,
    ending: CancellationToken,
    pub(super) alarms: watch::Sender<Arc<Vec<Alarm>>>,
    pub(super) plan: watch::Sender<Arc<Plan>>,
    pub(super) clock: Arc<ManualClock>,
    report: watch::Sender<Arc<Rehearsal>>,
    orders: tokio::sync::mpsc::Receiver<String>,
    pub(super) audit: AuditLog,
}

fn port_with(token: Option<&str>, store: impl Store) -> Port {
    let tokens = Tokens { operator: Secret::new(token.unwrap_or_default()), viewer: Secret::default() };
    port_of(tokens, store)
}

fn port_of(tokens: Tokens, store: impl Store) -> Port {
    port_of_people(tokens, People::default(), store)
}

/// With the tokens and the people of a configuration.
pub(super) fn port_for(config: &amphi_config::Config) -> Port {
    let amphi_config::Admin { token, viewer_token, .. } = &config.admin;
    let tokens = Tokens { operator: token.clone(), viewer: viewer_token.clone() };
    port_of_people(tokens, People::new(config).expect("no files"), NoStore)
}

fn port_of_people(tokens: Tokens, people: People, store: impl Store) -> Port {
    let channel = ChannelLayout { name: "hall".into(), streams: vec!["live".to_owned()], source: None };
    let layout = Layout { channels: vec![channel], sources: vec!["x".into(), "y".into()] };
    let clock = Arc::new(ManualClock::at(START));
    let (matrix, _) = spawn(layout, store, Arc::clone(&clock) as Arc<dyn WallClock>);
    let (ready, is_ready) = watch::channel(false);
    let (doubt, doubts) = watch::channel(Arc::default());
    let tasks = Tasks::new(Arc::clone(&clock) as Arc<dyn WallClock>);
    let needed = tasks.begin("channel hall", true);
    let ending = CancellationToken::new();
    let (alarms, alarms_watch) = watch::channel(Arc::default());
    let (plan, plan_watch) = watch::channel(Arc::default());
    let (report, report_watch) = watch::channel(Arc::default());
    let (order, orders) = tokio::sync::mpsc::channel(1);
    let reloads = reloads();
    let rehearsals = Rehearsals { report: report_watch, orders: order };
    let audit = AuditLog::in_memory();
    let router = router(AdminState {
        matrix: matrix.clone(),
        tokens,
        people,
        sessions: Sessions::in_memory(),
        audit: audit.clone(),
        rehearsals,
        reloads,
        clock: Arc::clone(&clock) as Arc<dyn WallClock>,
        health: HealthWatch { ready: is_ready, doubts, tasks },
        alarms: alarms_watch,
        pushes: PushBoard::default(),
        plan: plan_watch,
        insight: insight(),
        metrics: Registry::default(),
        ending: ending.clone(),
        attempts: Attempts::default(),
        names: Vec::new(),
        recordings: RecordingWatch::new(unplayed),
        admissions: admissions(),
    });
    Port { router, matrix, ready, doubt, needed, ending, alarms, plan, clock, report, orders, audit }
}

/// Of a configuration with one access key.
fn admissions() -> Admissions {
    let text = "[[access.key]]\nname = \"moodle\"\nsecrets = [\"0123456789abcdef\"]\n";
    let config = amphi_config::Config::parse(text, "test").expect("a configuration");
    let home = tempfile::tempdir().expect("a directory");
    let book = amphi_control::admission::AdmissionBook::open(home.path()).expect("random numbers");
    let (_, config) = watch::channel(Arc::new(config));
    Admissions { config, book }
}

fn unplayed() -> Vec<UnplayedRecording> {
    let track =
        UnplayedTrack { track: 2, kind: "sound".to_owned(), reason: "alac is not decoded".to_owned() };
    let silent = UnplayedRecording {
        mount: "vod".to_owned(),
        path: "a.mp4".to_owned(),
        played: true,
        reason: None,
        unfinished: false,
        lacks: vec!["sound".to_owned()],
        left_out: vec![track],
    };
    let reason = Some("b.mp4: not an mp4 file".to_owned());
    let nothing = UnplayedRecording { played: false, reason, lacks: Vec::new(), ..silent.clone() };
    vec![silent, UnplayedRecording { path: "b.mp4".to_owned(), left_out: Vec::new(), ..nothing }]
}

/// A configuration whose reload must be confirmed.
fn reloads() -> tokio::sync::mpsc::Sender<ReloadOrder> {
    let (reloads, mut orders) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(ReloadOrder { confirm, entry, answer }) = orders.recv().await {
            assert_eq!(entry.what, Action::Reload);
            let done = if confirm {
                Ok(ReloadAnswer::default())
            } else {
                Err(ReloadRefused::Loses("two viewers".to_owned()))
            };
            let _ = answer.send(done);
        }
    });
    reloads
}

/// One source has a picture, and there are no viewers.
fn insight() -> Insight {
    #[derive(Debug)]
    struct OfX {
        _vitals: watch::Sender<Arc<insight::Vitals>>,
        _viewers: watch::Sender<Arc<attendance::Viewers>>,
    }
    type Made = Result<Option<insight::Thumbnail>, Refused>;
    impl insight::Thumbnails for OfX {
        fn of_source<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Made> {
            let jpeg = bytes::Bytes::from_static(b"\xff\xd8");
            let thumbnail = insight::Thumbnail { at: START, jpeg };
            let made = if source == "x" { Ok(Some(thumbnail)) } else { Err(Refused::Busy) };
            Box::pin(std::future::ready(made))
        }

        fn of_channel<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Made> {
            Box::pin(std::future::ready(Ok(None)))
        }
    }
    let ((vitals, vitals_watch), (viewers, viewers_watch)) =
        (watch::channel(Arc::default()), watch::channel(Arc::default()));
    let thumbnails = Arc::new(OfX { _vitals: vitals, _viewers: viewers });
    Insight { vitals: vitals_watch, viewers: viewers_watch, thumbnails }
}

struct NoStore;

impl Store for NoStore {
    fn load(&self) -> Vec<Override> {
        Vec::new()
    }

    fn save(&self, _: &[Override]) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn port() -> Port {
    port_with(None, NoStore)
}

/// With both tokens.
pub(super) fn guarded_port() -> Port {
    port_of(Tokens { operator: Secret::new("chalk"), viewer: Secret::new("sponge") }, NoStore)
}

impl Port {
    pub(super) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.expect("the router is infallible")
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, Value) {
        json_of(self.send(Request::get(path).body(Body::empty()).expect("a request")).await).await
    }

    pub(super) async fn put(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::put(path).header(CONTENT_TYPE, "application/json; charset=utf-8");
        json_of(self.send(request.body(body.into()).expect("a request")).await).await
    }

    pub(super) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        json_of(self.send(Request::delete(path).body(Body::empty()).expect("a request")).await).await
    }
}

pub(super) async fn text_of(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The body; also checks what every answer must have.
pub(super) async fn json_of(response: Response<Body>) -> (StatusCode, Value) {
    let status = response.status();
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let wanted = if status.is_success() { "application/json" } else { "application/problem+json" };
    assert_eq!(response.headers().get(CONTENT_TYPE).expect("a type"), wanted, "{status}");
    let body: Value = serde_json::from_str(&text_of(response).await).expect("JSON");
    if !status.is_success() {
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["status"], status.as_u16());
        assert!(body["title"].is_string() && body["detail"].is_string());
    }
    (status, body)
}

#[tokio::test]
async fn a_channel_is_steered_and_asked_for() {
    let port = port();
    let (status, changed) = port.put("/api/v1/channels/hall/source", r#"{"source":"x"}"#).await;
    assert_eq!(
        (status, &changed["desired"]["source"], &changed["name"]),
        (StatusCode::OK, &json!("x"), &json!("hall"))
    );
    assert_eq!(changed.get("warning"), None);
    let (_, matrix) = port.get("/api/v1/matrix").await;
    assert_eq!(matrix["channels"][0], changed);
    assert_eq!(
        (&matrix["sources"][0]["wanted"], &matrix["sources"][1]["wanted"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(port.get("/api/v1/channels").await.1, matrix["channels"]);
    assert_eq!(port.get("/api/v1/channels/hall").await.1, changed);
    assert_eq!(port.get("/api/v1/sources").await.1, matrix["sources"]);
    assert_eq!(port.get("/api/v1/sources/y").await.1, matrix["sources"][1]);

    let (status, changed) = port.delete("/api/v1/channels/hall/source").await;
    assert_eq!(
        (status, &changed["desired"]["source"], &changed["desired"]["by"]),
        (StatusCode::OK, &Value::Null, &json!("manual"))
    );
    let (status, changed) = port.delete("/api/v1/channels/hall/override").await;
    assert_eq!((status, &changed["desired"]["by"]), (StatusCode::OK, &json!("none")));

    let until = r#"{"source":"y","until":"2026-11-18T12:40:00+01:00"}"#;
    let (_, changed) = port.put("/api/v1/channels/hall/source", until).await;
    assert_eq!(changed["desired"]["until"], "2026-11-18T11:40:00.000Z");
}

#[tokio::test]
async fn every_error_is_a_problem_that_says_what_and_where() {
    let port = port();
    let put = "/api/v1/channels/hall/source";
    for (path, body, status, detail) in [
        (put, "", 400, "in the body: EOF while parsing a value at line 1 column 0"),
        (put, "{\n \"source\": x}", 400, "in the body: expected value at line 2 column 12"),
        (put, "\u{0}", 400, "in the body: expected value at line 1 column 1"),
        (put, "{}", 422, "in the body: missing field `source` at line 1 column 2"),
        (
            put,
            "{\"source\": 1}",
            422,
            "in the body: invalid type: integer `1`, expected a string at line 1 column 12",
        ),
        (
            put,
            "{\"sauce\": \"x\"}",
            422,
            "in the body: unknown field `sauce`, expected `source` or `until` at line 1 column 8",
        ),
        (put, "{\"source\": \"z\"}", 422, "no source is called \"z\""),
        (
            put,
            "{\"source\": \"x\", \"until\": \"2026-11-18T11:06:40Z\"}",
            422,
            "until 2026-11-18T11:06:40.000Z is not in the future: it is 2026-11-18T11:06:40.000Z",
        ),
        ("/api/v1/channels/cellar/source", "{\"source\": \"x\"}", 404, "no channel is called \"cellar\""),
        ("/api/v1/channels/%ff/source", "{\"source\": \"x\"}", 400, "Invalid URL: "),
    ] {
        let (given, problem) = port.put(path, body).await;
        assert_eq!(given.as_u16(), status, "{path} {body}: {problem}");
        let said = problem["detail"].as_str().expect("text");
        assert!(said.starts_with(detail), "{path} {body}\nexpected {detail}\n   found {said}");
    }
    let (status, problem) = port.put(put, "{\"source\": \"x\", \"until\": \"tomorrow\"}").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(port.put(put, vec![b' '; BODY_LIMIT + 1]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["/", "/api/v1/nothing", "/api/v1/channels/cellar", "/api/v1/sources/z", "/api/v1/matrix/"] {
        assert_eq!(port.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/api/v1/channels/cellar/source", "/api/v1/channels/cellar/override"] {
        assert_eq!(port.delete(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(port.get("/api/v1/matrix").await.1["channels"][0]["desired"]["source"].is_null());
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    for media_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = Request::put("/api/v1/channels/hall/source");
        if let Some(media_type) = media_type {
            request = request.header(CONTENT_TYPE, media_type);
        }
        let response = port().send(request.body(Body::from("{\"source\":\"x\"}")).expect("a request")).await;
        assert_eq!(json_of(response).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let request = Request::post("/api/v1/channels/hall/source").body(Body::empty()).expect("a request");
    let response = port().send(request).await;
    assert_eq!(response.headers().get(ALLOW).expect("Allow"), "PUT,DELETE");
    assert_eq!(json_of(response).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_token_is_asked_for_everywhere_but_health() {
    let port = port_with(Some("s3cret"), NoStore);
    for (shown, status) in [
        (None, 401),
        (Some("Bearer wrong!"), 401),
        (Some("Bearer s3cre"), 401),
        (Some("Bearer s3crets"), 401),
        (Some("Bearer "), 401),
        (Some("Basic s3cret"), 401),
        (Some("s3cret"), 401),
        (Some("Bearer s3cret"), 200),
        (Some("bearer  s3cret"), 200),
    ] {
        for path in ["/api/v1/matrix", "/metrics", "/nowhere"] {
            let mut request = Request::get(path);
            if let Some(shown) = shown {
                request = request.header(AUTHORIZATION, shown);
            }
            let response = port.send(request.body(Body::empty()).expect("a request")).await;
            let status = if status == 200 && path == "/nowhere" { 404 } else { status };
            assert_eq!(response.status().as_u16(), status, "{shown:?} {path}");
            let challenge = response.headers().get(WWW_AUTHENTICATE).map(|it| it.to_str().expect("text"));
            assert_eq!(challenge.is_some_and(|it| it.starts_with("Bearer ")), status == 401);
            assert!(!text_of(response).await.contains("s3cret"));
        }
    }
    let response = port.send(Request::get("/healthz").body(Body::empty()).expect("a request")).await;
    assert_eq!((response.status(), text_of(response).await.as_str()), (StatusCode::OK, "alive\n"));
}

#[tokio::test]
async fn an_empty_token_is_none() {
    assert_eq!(port_with(Some(""), NoStore).get("/api/v1/matrix").await.0, StatusCode::OK);
}

#[tokio::test]
async fn without_a_token_pages_of_strangers_read_and_change_nothing() {
    for (host, origin, status) in [
        (Some("localhost:8088"), None, 200),
        (None, None, 200),
        (Some("localhost:8088"), Some("http://localhost:8088"), 200),
        (Some("127.0.0.1:8088"), Some("http://127.0.0.1:8088"), 200),
        (Some("[::1]:8088"), Some("http://[::1]:8088"), 200),
        (Some("localhost:8088"), Some("http://localhost:3000"), 403),
        (Some("localhost:8088"), Some("https://evil.example"), 403),
        (Some("localhost:8088"), Some("null"), 403),
        (Some("localhost:8088"), Some(""), 403),
        (None, Some("http://localhost:8088"), 403),
        // DNS rebinding: another site's name points here.
        (Some("evil.example:8088"), Some("http://evil.example:8088"), 403),
        (Some("localhost.evil.example"), Some("http://localhost.evil.example"), 403),
    ] {
        let mut request = Request::delete("/api/v1/channels/hall/source");
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let response = port().send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(json_of(response).await.0.as_u16(), status, "{host:?} {origin:?}");
    }
    // Reading is refused too: under a rebound name another site's page has the same origin.
    for (host, origin, status) in [
        ("localhost", Some("http://other"), 403),
        ("evil.example", None, 403),
        ("localhost", None, 200),
        ("localhost:8088", Some("http://localhost:8088"), 200),
    ] {
        let mut request = Request::get("/api/v1/matrix").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let response = port().send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(response.status().as_u16(), status, "{host:?} {origin:?}");
    }
    let request = Request::get("/readyz").header(HOST, "evil.example").body(Body::empty());
    assert_ne!(
        port().send(request.expect("a request")).await.status(),
        StatusCode::FORBIDDEN,
        "tells nothing"
    );
}

#[tokio::test]
async fn what_could_not_be_kept_is_said() {
    let port = port_with(None, FullDisk);
    let (status, changed) = port.put("/api/v1/channels/hall/source", r#"{"source":"x"}"#).await;
    assert_eq!((status, &changed["desired"]["source"]), (StatusCode::OK, &json!("x")));
    assert!(changed["warning"].as_str().expect("a warning").contains("the disk is full"));
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_its_flag() {
    let port = port();
    assert_eq!(port.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    port.ready.send_replace(true);
    let response = port.send(Request::get("/readyz").body(Body::empty()).expect("a request")).await;
    assert_eq!((response.status(), text_of(response).await.as_str()), (StatusCode::OK, "ready\n"));
    // What viewers do not get does not make it unready: restarting it would not help.
    let alarm = |kind, sentence: &str| Alarm {
        kind,
        source: None,
        channel: None,
        about: None,
        since: START,
        sentence: sentence.to_owned(),
    };
    let mute = "x sends sound that cannot be heard: AC-3";
    let alarms = vec![
        alarm(AlarmKind::Black, "x shows a black picture"),
        alarm(AlarmKind::UndecodableSound, mute),
        alarm(AlarmKind::Undecodable, "x sends pictures that cannot be shown: 10\nbits"),
        alarm(AlarmKind::UndecodableSound, mute),
        alarm(AlarmKind::NotOnAir, "hall does not show x"),
    ];
    port.alarms.send_replace(alarms.into());
    let remarks = ["hall does not show x", "x sends pictures that cannot be shown: 10 bits", mute];
    let response = port.send(Request::get("/readyz").body(Body::empty()).expect("a request")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text_of(response).await, format!("ready\n{}\n", remarks.join("\n")));
    let (_, health) = port.get("/api/v1/health").await;
    assert_eq!((&health["ready"], &health["remarks"]), (&json!(true), &json!(remarks)));
    port.alarms.send_replace(Arc::default());
    // A task that viewers need fails, and is not running again after some seconds.
    let mut port = port;
    port.needed.lies("an index");
    let response = port.send(Request::get("/readyz").body(Body::empty()).expect("a request")).await;
    assert_eq!(response.status(), StatusCode::OK, "it may be back in a moment");
    tokio::time::advance(std::time::Duration::from_secs(3)).await;
    let (status, problem) = port.get("/readyz").await;
    let detail = problem["detail"].as_str().expect("a detail");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(detail.contains("channel hall") && detail.contains("an index"), "{detail}");
    let (_, health) = port.get("/api/v1/health").await;
    let task = &health["tasks"][0];
    assert_eq!((&health["ready"], &task["state"]), (&json!(false), &json!("restarting")));
    assert_eq!((&task["restarts"], &task["last_reason"]), (&json!(0), &json!("an index")));
    assert_eq!(health["uptime_s"], 3);
    port.doubt.send_replace(vec!["Live has no new segment".to_owned()].into());
    assert!(port.get("/readyz").await.1["detail"].as_str().expect("a detail").contains("no new segment"));
}

/// The data of the next event called `matrix`.
async fn next_matrix(body: &mut (impl StreamExt<Item = Result<bytes::Bytes, axum::Error>> + Unpin)) -> Value {
    let bytes = body.next().await.expect("the stream lives").expect("an event");
    let text = std::str::from_utf8(&bytes).expect("text");
    assert!(text.lines().any(|line| line == "event: matrix"), "{text}");
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    serde_json::from_str(data).expect("JSON")
}

#[tokio::test]
async fn events_tell_the_matrix_now_and_at_every_change() {
    let port = port();
    let response = port.send(Request::get("/api/v1/events").body(Body::empty()).expect("a request")).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let mut body = response.into_body().into_data_stream();
    assert!(next_matrix(&mut body).await["channels"][0]["desired"]["source"].is_null());
    port.matrix.connect(&"hall".into(), &"y".into(), None).await.expect("both are known");
    assert_eq!(next_matrix(&mut body).await["channels"][0]["desired"]["source"], "y");
    let alarm = Alarm {
        kind: AlarmKind::Silent,
        source: Some("y".into()),
        channel: None,
        about: None,
        since: START,
        sentence: "y is silent".to_owned(),
    };
    port.alarms.send_replace(Arc::new(vec![alarm]));
    let told = loop {
        let event = body.next().await.expect("the stream goes on").expect("infallible");
        let text = String::from_utf8_lossy(&event).into_owned();
        if text.contains("event: alarms") && !text.contains("data: []") {
            break text;
        }
    };
    assert!(told.contains("\"sentence\":\"y is silent\""), "{told}");
    let (_, alarms) = port.get("/api/v1/alarms").await;
    assert_eq!(alarms[0]["kind"], "silent");
    port.ending.cancel();
    assert!(body.next().await.is_none(), "the stream ends with the server");
}

#[tokio::test]
async fn metrics_are_openmetrics() {
    let port = port();
    let mut watch = port.matrix.watch();
    port.matrix.source_status(
        &"x".into(),
        SourceStatus { state: SourceState::BackingOff, connects: 3, ..SourceStatus::idle(START) },
    );
    let on_air = OnAir { source: Some("x".into()), reason: String::new(), since: START };
    port.matrix.on_air(&"hall".into(), on_air);
    let both = |view: &Arc<amphi_control::matrix::MatrixView>| {
        view.sources[0].status.connects == 3 && view.channels[0].on_air.source.is_some()
    };
    watch.wait_for(both).await.expect("it lives");
    let response = port.send(Request::get("/metrics").body(Body::empty()).expect("a request")).await;
    assert_eq!(
        response.headers()[CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    insta::assert_snapshot!(text_of(response).await);
}

#[tokio::test]
async fn the_schedule_is_told_when_asked_and_at_every_change() {
    let port = port();
    let (status, plan) = port.get("/api/v1/schedule").await;
    assert_eq!(
        (status, &plan["events"], &plan["feed"]["configured"]),
        (StatusCode::OK, &json!([]), &json!(false))
    );
    let response = port.send(Request::get("/api/v1/events").body(Body::empty()).expect("a request")).await;
    let mut body = response.into_body().into_data_stream();
    let event = PlannedEvent {
        id: "1042".into(),
        channel: Some("hall".into()),
        starts: START,
        ..PlannedEvent::default()
    };
    port.plan.send_replace(Arc::new(Plan { as_of: START, events: vec![event], ..Plan::default() }));
    let told = loop {
        let event = body.next().await.expect("the stream goes on").expect("infallible");
        let text = String::from_utf8_lossy(&event).into_owned();
        if text.contains("event: schedule") && !text.contains("\"events\":[]") {
            break text;
        }
    };
    assert!(
        told.contains("\"id\":\"1042\"") && told.contains("\"starts\":\"2026-11-18T11:06:40.000Z\""),
        "{told}"
    );
    assert_eq!(port.get("/api/v1/schedule").await.1["events"][0]["channel"], "hall");
}

#[tokio::test]
async fn thumbnails_are_pictures_or_problems() {
    let port = port();
    let get = |path: &str| port.send(Request::get(path).body(Body::empty()).expect("a request"));
    let response = get("/api/v1/sources/x/thumbnail.jpg").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "image/jpeg");
    assert_eq!(response.headers()[http::header::LAST_MODIFIED], "Wed, 18 Nov 2026 11:06:40 GMT");
    let (status, problem) = json_of(get("/api/v1/sources/y/thumbnail.jpg").await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "nobody has room to make it: {problem}");
    for path in ["sources/none/thumbnail.jpg", "channels/hall/thumbnail.jpg"] {
        assert_eq!(get(&format!("/api/v1/{path}")).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let (status, vitals) = port.get("/api/v1/vitals").await;
    assert_eq!((status, vitals), (StatusCode::OK, json!({ "sources": [], "channels": [] })));
    let (status, viewers) = port.get("/api/v1/viewers").await;
    assert_eq!((status, &viewers["channels"]), (StatusCode::OK, &json!([])));
}

#[tokio::test]
async fn a_rehearsal_is_ordered_once_at_a_time() {
    let mut port = port();
    let post = |port: &Port| {
        let request = Request::post("/api/v1/rehearsal").body(Body::empty()).expect("a request");
        let router = port.router.clone();
        async move { json_of(router.oneshot(request).await.expect("infallible")).await.0 }
    };
    assert_eq!(port.get("/api/v1/rehearsal").await.1["state"], "none");
    assert_eq!(post(&port).await, StatusCode::ACCEPTED);
    assert_eq!(post(&port).await, StatusCode::CONFLICT, "one is ordered");
    assert_eq!(port.orders.recv().await.as_deref(), Some("local"));
    let running = Rehearsal::begin(START, "local");
    assert_eq!(running.state, RehearsalState::Running);
    port.report.send_replace(Arc::new(running));
    assert_eq!(post(&port).await, StatusCode::CONFLICT, "one runs");
    port.report.send_modify(|report| Arc::make_mut(report).end(START));
    assert_eq!(post(&port).await, StatusCode::ACCEPTED);
    let (_, entries) = port.get("/api/v1/audit?limit=4").await;
    assert!(entries[0]["refused"].is_null() && entries[1]["refused"].is_string(), "{entries}");
}
