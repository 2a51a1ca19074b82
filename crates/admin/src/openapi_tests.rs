//! The OpenAPI document, compared with what the routes answer.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};

use super::tests::{Port, START, guarded_port, port, text_of};
use amphi_control::agenda::{Conflict, ConflictKind, FeedFormat, FeedState, Plan, PlannedEvent};
use amphi_control::alarm::{Alarm, AlarmKind};
use amphi_control::matrix::{OnAir, SourceMedia, SourceState, SourceStatus};

/// The document, changed so that no object may have undocumented properties: then those in answers are found too.
async fn document(port: &Port) -> Value {
    let (_, mut document) = port.get("/api/v1/openapi.json").await;
    let mut parts = BTreeSet::new();
    parts_of_others(&document, &mut parts);
    let schemas = document["components"]["schemas"].as_object_mut().expect("schemas");
    for (name, schema) in schemas {
        if !parts.contains(name.as_str()) {
            close(schema);
        }
    }
    document
}

/// The schemas that others are made of by `allOf`: closing them would exclude the others' own properties.
fn parts_of_others(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for part in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
                found.extend(part["$ref"].as_str().and_then(|it| it.rsplit('/').next()).map(str::to_owned));
            }
            object.values().for_each(|value| parts_of_others(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| parts_of_others(value, found)),
        _ => {}
    }
}

fn close(schema: &mut Value) {
    let object = schema.as_object_mut().expect("a schema is an object");
    if object.contains_key("properties") || object.contains_key("allOf") {
        object.insert("unevaluatedProperties".to_owned(), false.into());
    }
}

/// What is wrong with `body` as an answer of this status to this operation.
fn breach(
    document: &Value,
    path: &str,
    method: &str,
    status: u16,
    media_type: &str,
    body: &str,
) -> Option<String> {
    let operation = &document["paths"][path][method];
    let response = operation["responses"].get(status.to_string())?.clone();
    let content = response["content"].as_object().cloned().unwrap_or_else(Map::new);
    if content.is_empty() {
        return (!body.is_empty()).then(|| "a body where none is documented".to_owned());
    }
    let Some(described) = content.get(media_type) else {
        return Some(format!("{media_type} is not documented"));
    };
    if !media_type.ends_with("json") {
        return None;
    }
    let mut schema = described["schema"].clone();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["components"] = document["components"].clone();
    let body: Value = serde_json::from_str(body).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
    (!errors.is_empty()).then(|| format!("{errors:#?}\n{body:#}"))
}

/// One request: method, path as documented, path as asked, body, status.
type Case = (&'static str, &'static str, &'static str, &'static str, u16);

const CHANNEL: &str = "/api/v1/channels/{channel}";
const SOURCE: &str = "/api/v1/channels/{channel}/source";
const OVERRIDE: &str = "/api/v1/channels/{channel}/override";
const RELOAD: &str = "/api/v1/reload";
const NOTICE: &str = "/api/v1/channels/{channel}/notice";

const CASES: &[Case] = &[
    ("get", "/api/v1/matrix", "/api/v1/matrix", "", 200),
    ("get", "/api/v1/channels", "/api/v1/channels", "", 200),
    ("get", CHANNEL, "/api/v1/channels/hall", "", 200),
    ("get", CHANNEL, "/api/v1/channels/cellar", "", 404),
    ("get", CHANNEL, "/api/v1/channels/%ff", "", 400),
    ("put", SOURCE, "/api/v1/channels/hall/source", r#"{"source":"x","until":"2027-01-01T00:00:00Z"}"#, 200),
    ("put", SOURCE, "/api/v1/channels/hall/source", r#"{"source":"z"}"#, 422),
    ("put", SOURCE, "/api/v1/channels/hall/source", "{", 400),
    ("put", SOURCE, "/api/v1/channels/cellar/source", r#"{"source":"x"}"#, 404),
    (
        "put",
        NOTICE,
        "/api/v1/channels/hall/notice",
        r#"{"title":"a","place":"b","starts":"2027-01-01T00:00:00Z"}"#,
        200,
    ),
    ("put", NOTICE, "/api/v1/channels/cellar/notice", r#"{"title":"a"}"#, 404),
    ("get", "/api/v1/matrix", "/api/v1/matrix", "", 200),
    ("delete", NOTICE, "/api/v1/channels/hall/notice", "", 200),
    ("delete", SOURCE, "/api/v1/channels/hall/source", "", 200),
    ("delete", SOURCE, "/api/v1/channels/cellar/source", "", 404),
    ("delete", OVERRIDE, "/api/v1/channels/hall/override", "", 200),
    ("get", "/api/v1/sources", "/api/v1/sources", "", 200),
    ("get", "/api/v1/sources/{source}", "/api/v1/sources/x", "", 200),
    ("get", "/api/v1/sources/{source}", "/api/v1/sources/none", "", 404),
    ("get", "/api/v1/alarms", "/api/v1/alarms", "", 200),
    ("get", "/api/v1/pushes", "/api/v1/pushes", "", 200),
    ("get", "/api/v1/schedule", "/api/v1/schedule", "", 200),
    ("get", "/api/v1/recordings", "/api/v1/recordings", "", 200),
    ("get", "/api/v1/rehearsal", "/api/v1/rehearsal", "", 200),
    ("post", "/api/v1/rehearsal", "/api/v1/rehearsal", "", 202),
    ("post", "/api/v1/rehearsal", "/api/v1/rehearsal", "", 409),
    ("post", RELOAD, RELOAD, "", 409),
    ("post", RELOAD, RELOAD, r#"{"confirm":true}"#, 200),
    ("post", RELOAD, RELOAD, r#"{"confrm":true}"#, 400),
    ("get", "/api/v1/vitals", "/api/v1/vitals", "", 200),
    ("get", "/api/v1/viewers", "/api/v1/viewers", "", 200),
    ("get", "/api/v1/sources/{source}/thumbnail.jpg", "/api/v1/sources/x/thumbnail.jpg", "", 200),
    ("get", "/api/v1/sources/{source}/thumbnail.jpg", "/api/v1/sources/none/thumbnail.jpg", "", 404),
    ("get", "/api/v1/channels/{channel}/thumbnail.jpg", "/api/v1/channels/none/thumbnail.jpg", "", 404),
    ("get", "/api/v1/access", "/api/v1/access", "", 200),
    ("delete", "/api/v1/access/keys/{key}", "/api/v1/access/keys/moodle", "", 204),
    ("put", "/api/v1/access/keys/{key}", "/api/v1/access/keys/moodle", "", 204),
    ("delete", "/api/v1/access/keys/{key}", "/api/v1/access/keys/none", "", 404),
    ("put", "/api/v1/access/keys/{key}", "/api/v1/access/keys/none", "", 404),
    (
        "delete",
        "/api/v1/access/grants/{grant}",
        "/api/v1/access/grants/~1795000800-36af-a029e671333f6550d07fd054",
        "",
        204,
    ),
    ("delete", "/api/v1/access/grants/{grant}", "/api/v1/access/grants/x", "", 400),
    ("get", "/api/v1/audit", "/api/v1/audit?limit=5", "", 200),
    ("get", "/api/v1/audit", "/api/v1/audit?limit=0", "", 400),
    ("get", "/api/v1/session", "/api/v1/session", "", 200),
    ("post", "/api/v1/session", "/api/v1/session", r#"{"token":"x"}"#, 200),
    ("delete", "/api/v1/session", "/api/v1/session", "", 204),
    ("get", "/api/v1/openapi.json", "/api/v1/openapi.json", "", 200),
    ("get", "/healthz", "/healthz", "", 200),
    ("get", "/readyz", "/readyz", "", 503),
    ("get", "/api/v1/health", "/api/v1/health", "", 200),
    ("get", "/metrics", "/metrics", "", 200),
];

/// Routes without an end; `tests` has them.
const ENDLESS: [(&str, &str); 1] = [("get", "/api/v1/events")];

/// Puts something into every answer.
fn fill(port: &Port) {
    let media = SourceMedia { width: Some(1280), channels: Some(2), ..SourceMedia::default() };
    let live = SourceStatus { state: SourceState::Live, media: Some(media), ..SourceStatus::idle(START) };
    port.matrix.source_status(&"x".into(), live);
    let on_air = OnAir { source: Some("x".into()), reason: String::new(), since: START };
    port.matrix.on_air(&"hall".into(), on_air);
    let alarm = Alarm {
        kind: AlarmKind::Silent,
        source: Some("x".into()),
        channel: None,
        about: None,
        since: START,
        sentence: "x is silent".to_owned(),
    };
    port.alarms.send_replace(vec![alarm].into());
    let event = PlannedEvent { id: "1042".into(), channel: Some("hall".into()), ..PlannedEvent::default() };
    let conflict = Conflict {
        kind: ConflictKind::NoRule,
        channel: None,
        source: Some("x".into()),
        events: vec!["1042".into()],
        from: START,
        until: START,
        sentence: "no rule".to_owned(),
    };
    let feed = FeedState { last_good: Some(START), format: Some(FeedFormat::Ical), ..FeedState::default() };
    let (events, conflicts) = (vec![event], vec![conflict]);
    port.plan.send_replace(Plan { events, conflicts, feed, ..Plan::default() }.into());
}

#[tokio::test]
async fn every_route_answers_as_documented() {
    let port = port();
    fill(&port);
    let document = document(&port).await;
    let mut unseen: BTreeSet<(String, String)> = operations(&document).into_keys().collect();
    for (method, path) in ENDLESS {
        assert!(unseen.remove(&(method.to_owned(), path.to_owned())), "{method} {path} is gone");
    }
    let mut breaches = Vec::new();
    for &(method, path, asked, body, expected) in CASES {
        let request = Request::builder().method(&*method.to_uppercase()).uri(asked);
        let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body));
        let response = port.send(request.expect("a request")).await;
        let status = response.status().as_u16();
        assert_eq!(status, expected, "{method} {asked}");
        let documented = &document["paths"][path][method]["responses"][status.to_string()];
        assert!(documented.is_object(), "{method} {path}: {status} is not documented");
        let media_type =
            response.headers().get(CONTENT_TYPE).map(|it| it.to_str().expect("ASCII").to_owned());
        let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        let breach = breach(&document, path, method, status, &media_type.unwrap_or_default(), &text);
        breaches.extend(breach.map(|what| format!("{method} {asked} {status}: {what}")));
        unseen.remove(&(method.to_owned(), path.to_owned()));
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    assert!(unseen.is_empty(), "add cases for {unseen:?}");
}

/// Every operation of the document, by method and path.
fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().expect("paths");
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("an item").iter();
        methods.map(|(method, operation)| ((method.clone(), path.clone()), operation.clone()))
    });
    each.collect()
}

#[tokio::test]
async fn what_the_document_says_of_access_is_true() {
    let port = guarded_port();
    let request = Request::get("/api/v1/openapi.json").header("authorization", "Bearer chalk");
    let response = port.send(request.body(Body::empty()).expect("a request")).await;
    let document: Value = serde_json::from_str(&text_of(response).await).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["security"], json!([{ "token": [] }, { "session": [] }]));
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["token"]["scheme"], &schemes["session"]["in"]),
        (&json!("bearer"), &json!("cookie"))
    );
    for ((method, path), operation) in operations(&document) {
        let open = operation.get("security") == Some(&json!([{}]));
        let asked = path.replace("{channel}", "hall").replace("{source}", "x");
        let request = Request::builder().method(&*method.to_uppercase()).uri(asked).body(Body::empty());
        let status = port.send(request.expect("a request")).await.status().as_u16();
        assert_eq!(status != 401, open, "{method} {path}: {status}");
        assert_eq!(
            operation["responses"].get("401").is_none(),
            open && path != "/api/v1/session",
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn the_console_has_words_for_every_kind_of_alarm_in_both_languages() {
    let document = document(&port()).await;
    let kinds = document["components"]["schemas"]["AlarmKind"]["enum"].as_array().expect("kinds");
    assert!(!kinds.is_empty());
    let words = include_str!("console/assets/words.js");
    for kind in kinds {
        let key = format!("alarm_{}:", kind.as_str().expect("a word"));
        assert_eq!(words.matches(&key).count(), 2, "{key} in English and in French");
    }
}
