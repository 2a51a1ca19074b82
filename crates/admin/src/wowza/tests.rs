//! The port, as scripts use it.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use amphi_control::matrix::{ChannelLayout, Layout, Override, SourceState, SourceStatus, Store, spawn};
use amphi_media::clock::ManualClock;

const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

struct NoStore;

impl Store for NoStore {
    fn load(&self) -> Vec<Override> {
        Vec::new()
    }

    fn save(&self, _: &[Override]) -> std::io::Result<()> {
        Ok(())
    }
}

fn port(credentials: Option<(String, Secret)>) -> (Router, MatrixHandle) {
    let channel = |name: &str| ChannelLayout { name: name.into(), streams: Vec::new(), source: None };
    let layout = Layout {
        channels: vec![channel("Live_PAES"), channel("Live_L2")],
        sources: vec!["PS-Amphi_D".into(), "PS-Amphi_E".into()],
    };
    let (matrix, _) = spawn(layout, NoStore, Arc::new(ManualClock::at(START)));
    let state = WowzaState {
        matrix: matrix.clone(),
        credentials,
        started: START,
        now: Arc::new(|| START + std::time::Duration::from_secs(10)),
        running: Arc::new(|| std::time::Duration::from_secs(10)),
        received: Arc::new(|_| 5000),
        outgoing: Arc::new(|channel| {
            let watched = Outgoing { hls: 40, dash: 3, rtmp: 2, rtsp: 1, bytes: 70_000 };
            if channel == "Live_PAES" { watched } else { Outgoing::default() }
        }),
        audit: AuditLog::in_memory(),
        attempts: Attempts::default(),
        names: Vec::new(),
    };
    (router(state), matrix)
}

async fn send(router: &Router, method: &str, path: &str) -> (StatusCode, String) {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("{BASE}/{path}") };
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

/// `success`, cut out as PilWoz.sh does it: `substr(reply, 11, 4)`, counted from 0 with the quote of the key.
fn success(reply: &str) -> bool {
    &reply[11..15] == "true"
}

#[tokio::test]
async fn a_script_connects_and_disconnects() {
    let (router, matrix) = port(None);
    let connect = "applications/Live_PAES/streamfiles/PS-Amphi_D/actions/connect?connectAppName=Live_PAES\
                   &appInstance=_definst_&mediaCasterType=rtp";
    for _ in 0..2 {
        let (status, reply) = send(&router, "PUT", connect).await;
        assert_eq!(status, StatusCode::OK);
        assert!(success(&reply), "{reply}");
        assert_eq!(
            reply,
            r#"{"success":true,"message":"Publish stream successfully started [Live_PAES/_definst_]: mp4:PS-Amphi_D.stream","data":null}"#
        );
    }
    assert_eq!(
        matrix.view().channel("Live_PAES").expect("it is there").desired.source.as_deref(),
        Some("PS-Amphi_D")
    );

    let other = "applications/Live_PAES/instances/_definst_/incomingstreams/PS-Amphi_E.stream/actions/disconnectStream";
    let (status, reply) = send(&router, "PUT", other).await;
    assert_eq!((status, success(&reply)), (StatusCode::NOT_FOUND, false));
    assert!(
        matrix.view().channel("Live_PAES").expect("it is there").desired.source.is_some(),
        "the other one stays"
    );

    let (status, reply) = send(&router, "PUT", &other.replace("Amphi_E", "Amphi_D")).await;
    assert_eq!((status, success(&reply)), (StatusCode::OK, true));
    assert_eq!(matrix.view().channel("Live_PAES").expect("it is there").desired.source, None);
}

#[tokio::test]
async fn without_an_application_in_the_path_the_query_names_it() {
    let (router, matrix) = port(None);
    let (status, _) =
        send(&router, "PUT", "streamfiles/PS-Amphi_E/actions/connect?connectAppName=Live_L2").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        matrix.view().channel("Live_L2").expect("it is there").desired.source.as_deref(),
        Some("PS-Amphi_E")
    );
    for path in [
        "streamfiles/nobody/actions/connect?connectAppName=Live_L2",
        "streamfiles/PS-Amphi_E/actions/connect",
    ] {
        let (status, reply) = send(&router, "PUT", path).await;
        assert_eq!((status, success(&reply)), (StatusCode::NOT_FOUND, false), "{path}");
    }
}

#[tokio::test]
async fn descriptions_have_the_recorded_shapes() {
    let (router, matrix) = port(None);
    matrix.connect(&"Live_PAES".into(), &"PS-Amphi_D".into(), None).await.expect("both are known");
    let status = SourceStatus { state: SourceState::Live, ..SourceStatus::idle(START) };
    matrix.source_status(&"PS-Amphi_D".into(), status);
    let mut views = matrix.watch();
    let live = |view: &Arc<MatrixView>| {
        view.source("PS-Amphi_D").is_some_and(|it| it.status.state == SourceState::Live)
    };
    views.wait_for(live).await.expect("it lives");
    let get = async |path: &str| -> Value {
        let (status, body) = send(&router, "GET", path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        serde_json::from_str(&body).expect("JSON")
    };
    assert_eq!(get("applications").await["applications"][0]["id"], "Live_PAES");
    let instance = get("applications/Live_PAES/instances/_definst_").await;
    assert_eq!(instance["incomingStreams"][0]["name"], "PS-Amphi_D.stream");
    let stream = get("applications/Live_PAES/instances/_definst_/incomingstreams/PS-Amphi_D.stream").await;
    assert_eq!((&stream["isConnected"], &stream["isRecordingSet"]), (&true.into(), &false.into()));
    assert_eq!(get("applications/Live_PAES/streamfiles").await["streamFiles"][1]["id"], "PS-Amphi_E");
    assert_eq!(get("/v2/servers/_defaultServer_/status").await["restAPIAvailable"], true);
    let (status, reply) = send(&router, "GET", "applications/none").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(reply.contains("\"code\":\"404\""), "{reply}");
    assert_eq!(send(&router, "POST", "streamfiles").await.0, StatusCode::CONFLICT);
}

/// Where `ours` lacks what a client may look for in `recorded`: a key, or its type.
fn differences(recorded: &Value, ours: &Value, at: &str, found: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            for (key, value) in recorded {
                match ours.get(key) {
                    Some(ours) => differences(value, ours, &format!("{at}/{key}"), found),
                    None => found.push(format!("{at}/{key} is missing")),
                }
            }
        }
        (Value::Array(recorded), Value::Array(ours)) => {
            for value in ours {
                recorded.iter().take(1).for_each(|recorded| differences(recorded, value, at, found));
            }
        }
        (Value::Null, _) => {}
        _ if std::mem::discriminant(recorded) == std::mem::discriminant(ours) => {}
        _ => found.push(format!("{at}: {recorded} is recorded, {ours} is ours")),
    }
}

#[tokio::test]
async fn every_recorded_body_is_a_golden_shape() {
    let (open, matrix) = port(None);
    let (guarded, _) = port(Some(("admin".to_owned(), Secret::new("chalk"))));
    matrix.connect(&"Live_PAES".into(), &"PS-Amphi_D".into(), None).await.expect("both are known");
    let stream = "applications/Live_PAES/instances/_definst_/incomingstreams/PS-Amphi_D.stream";
    let stream_monitoring = format!("{stream}/monitoring/current");
    macro_rules! recorded {
        ($name:literal) => {
            ($name, include_str!(concat!("../../../../fixtures/wowza_rest/", $name, ".json")))
        };
    }
    let mut found = Vec::new();
    for ((name, recorded), router, method, path) in [
        (recorded!("all_applications_0_401"), &guarded, "GET", "applications"),
        (recorded!("all_applications_1_200"), &open, "GET", "applications"),
        (recorded!("application_found_0_200"), &open, "GET", "applications/Live_PAES"),
        (recorded!("application_create_exists_0_409"), &open, "POST", "applications"),
        (recorded!("application_delete_error_0_404"), &open, "GET", "applications/none"),
        (
            recorded!("application_stats_success_0_200"),
            &open,
            "GET",
            "applications/Live_PAES/monitoring/current",
        ),
        (recorded!("all_instances_0_200"), &open, "GET", "applications/Live_PAES/instances"),
        (
            recorded!("instance_definst_found_1_200"),
            &open,
            "GET",
            "applications/Live_PAES/instances/_definst_",
        ),
        (
            recorded!("instance_application_not_exists_0_404"),
            &open,
            "GET",
            "applications/none/instances/_definst_",
        ),
        (recorded!("incoming_streams_stat_definst_found_0_200"), &open, "GET", &*stream_monitoring),
        (
            recorded!("incoming_streams_stat_not_existed_app_0_404"),
            &open,
            "GET",
            "applications/none/instances/_definst_/incomingstreams/x/monitoring/current",
        ),
        (recorded!("server_up_status_0_200"), &open, "GET", "/v2/servers/_defaultServer_/status"),
    ] {
        let (status, body) = send(router, method, path).await;
        assert!(name.ends_with(status.as_str()), "{name}: {status}");
        let ours = serde_json::from_str(&body).expect("JSON");
        differences(&serde_json::from_str(recorded).expect("JSON"), &ours, name, &mut found);
        assert!(status.is_success() || body.starts_with("{\"success\":false,"), "{body}");
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn monitoring_tells_bytes_rates_and_the_machine() {
    let (router, matrix) = port(None);
    matrix.connect(&"Live_PAES".into(), &"PS-Amphi_D".into(), None).await.expect("both are known");
    let get = async |path: &str| -> Value {
        let (status, body) = send(&router, "GET", path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        serde_json::from_str(&body).expect("JSON")
    };
    let monitoring = get("applications/Live_PAES/monitoring/current").await;
    assert_eq!((&monitoring["bytesIn"], &monitoring["bytesInRate"]), (&5000.into(), &500.into()));
    assert_eq!((&monitoring["bytesOut"], &monitoring["bytesOutRate"]), (&70_000.into(), &7000.into()));
    assert_eq!(monitoring["totalConnections"], 46);
    let by_protocol = ["CUPERTINO", "MPEGDASH", "RTMP", "RTP", "SMOOTH"]
        .map(|it| monitoring["connectionCount"][it].as_u64());
    assert_eq!(by_protocol, [Some(40), Some(3), Some(2), Some(1), Some(0)]);
    assert_eq!(get("/v2/servers/_defaultServer_/status").await["currentConnections"], 46);
    let idle = get("applications/Live_L2/monitoring/current").await;
    assert_eq!((&idle["bytesIn"], &idle["uptime"]), (&0.into(), &10.into()));
    assert!(get("/v2/machine/monitoring/current").await["memoryFree"].as_u64() > Some(0));
}

#[tokio::test]
async fn who_asked_for_what_is_recorded() {
    let (router, matrix) = port(None);
    let audit = AuditLog::in_memory();
    let state = WowzaState {
        matrix,
        credentials: None,
        started: START,
        now: Arc::new(|| START),
        running: Arc::new(std::time::Duration::default),
        received: Arc::new(|_| 0),
        outgoing: Arc::new(|_| Outgoing::default()),
        audit: audit.clone(),
        attempts: Attempts::default(),
        names: Vec::new(),
    };
    drop(router);
    let router = super::router(state);
    let stream = "applications/Live_L2/instances/_definst_/incomingstreams/PS-Amphi_E.stream";
    let connect = "streamfiles/PS-Amphi_E/actions/connect?connectAppName=Live_L2";
    let request = Request::put(format!("{BASE}/{connect}"));
    let request = request.extension(Peer(([192, 0, 2, 9], 1).into())).body(Body::empty()).expect("a request");
    assert_eq!(router.clone().oneshot(request).await.expect("infallible").status(), StatusCode::OK);
    for (method, path, status) in [
        ("PUT", format!("{stream}/actions/resetStream"), 200),
        ("PUT", format!("{stream}/actions/disconnectStream"), 200),
        ("PUT", format!("{stream}/actions/disconnectStream"), 404),
        ("POST", "applications/Live_L2/instances/_definst_/streamrecorders/x".to_owned(), 404),
        ("POST", "streamfiles".to_owned(), 409),
    ] {
        assert_eq!(send(&router, method, &path).await.0.as_u16(), status, "{method} {path}");
    }
    let entries: Vec<_> = audit.latest(10).into_iter().rev().collect();
    let told: Vec<_> = entries.iter().map(|entry| (entry.what, entry.refused.is_none())).collect();
    assert_eq!(
        told,
        [
            (Action::Connect, true),
            (Action::Reset, true),
            (Action::Disconnect, true),
            (Action::Disconnect, false),
            (Action::Unsupported, false),
            (Action::Unsupported, false),
        ]
    );
    assert_eq!((entries[0].who.as_str(), entries[0].from.as_deref()), ("wowza", Some("192.0.2.9")));
    assert_eq!(entries[5].detail.as_deref(), Some(&*format!("POST {BASE}/streamfiles")));
}

#[tokio::test]
async fn with_a_user_configured_everybody_is_asked() {
    let (router, _) = port(Some(("admin".to_owned(), Secret::new("chalk"))));
    let (status, reply) = send(&router, "GET", "applications").await;
    assert_eq!((status, success(&reply)), (StatusCode::UNAUTHORIZED, false));
    assert!(reply.contains("The request requires user authentication"));
}

/// A request from an address, with these headers.
async fn ask(router: &Router, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::get(path).extension(Peer(([192, 0, 2, 7], 1).into()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("infallible")
}

#[tokio::test]
async fn without_a_user_pages_of_strangers_read_nothing() {
    let (router, _) = port(None);
    for path in [format!("{BASE}/applications"), "/nowhere".to_owned()] {
        let status = async |headers: &[(&str, &str)]| ask(&router, &path, headers).await.status().as_u16();
        assert_ne!(status(&[("host", "localhost:8087")]).await, 403);
        assert_eq!(status(&[("host", "evil.example")]).await, 403, "{path}");
        assert_eq!(status(&[("host", "localhost"), ("origin", "http://evil.example")]).await, 403, "{path}");
    }
}

#[tokio::test]
async fn who_guesses_the_password_has_to_wait() {
    let (router, _) = port(Some(("admin".to_owned(), Secret::new("chalk"))));
    let path = format!("{BASE}/applications");
    let guess = "Digest username=\"admin\", realm=\"Wowza\", nonce=\"x\", uri=\"/\", nc=00000001, cnonce=\"x\", \
                 qop=auth, response=\"0\"";
    for _ in 0..11 {
        let response = ask(&router, &path, &[("authorization", guess)]).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers().get_all("www-authenticate").iter().count(), 2, "MD5 and SHA-256");
    }
    let slowed = ask(&router, &path, &[("authorization", guess)]).await;
    assert_eq!(
        (slowed.status(), &slowed.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &http::HeaderValue::from_static("1"))
    );
    let asks = ask(&router, &path, &[("host", "anything.example")]).await;
    assert_eq!(asks.status(), StatusCode::UNAUTHORIZED, "who shows nothing is told what is asked for");
}
