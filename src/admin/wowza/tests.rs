//! The port as scripts see it.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::clock::ManualClock;
use crate::matrix::{ChannelLayout, Layout, Override, SourceStatus, Store, spawn};

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
    let channel = |name: &str| ChannelLayout { name: name.to_owned(), streams: Vec::new(), source: None };
    let layout = Layout {
        channels: vec![channel("Live_PAES"), channel("Live_L2")],
        sources: vec!["PS-Amphi_D".to_owned(), "PS-Amphi_E".to_owned()],
    };
    let (matrix, _) = spawn(layout, NoStore, Arc::new(ManualClock::at(START)));
    let state = WowzaState { matrix: matrix.clone(), credentials, started: START, now: Arc::new(|| START) };
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

/// As PilWoz.sh cuts it out: `substr(reply, 11, 4)`, counted from 0 with the quote of the key.
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
    matrix.connect("Live_PAES", "PS-Amphi_D", None).await.expect("both are known");
    matrix
        .source_status("PS-Amphi_D", SourceStatus { state: SourceState::Live, ..SourceStatus::idle(START) });
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

#[tokio::test]
async fn with_a_user_configured_everybody_is_asked() {
    let (router, _) = port(Some(("admin".to_owned(), Secret::new("chalk"))));
    let (status, reply) = send(&router, "GET", "applications").await;
    assert_eq!((status, success(&reply)), (StatusCode::UNAUTHORIZED, false));
    assert!(reply.contains("The request requires user authentication"));
}
