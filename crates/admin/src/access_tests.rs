//! Roles, sessions and the audit log, as callers use them.

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::tests::{Port, guarded_port, json_of, port};
use amphi_http::Peer;

const CONNECT: &str = r#"{"source":"x"}"#;

/// A request with these headers.
async fn ask(port: &Port, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    port.send(request.body(Body::from(body.to_owned())).expect("a request")).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

/// Opens a session; gives the cookie as a browser sends it back.
async fn log_in(port: &Port, token: &str) -> String {
    let body = json!({ "token": token }).to_string();
    let response = ask(port, "POST", "/api/v1/session", &[JSON], &body).await;
    assert_eq!(response.status(), StatusCode::OK);
    let cookie = response.headers()[SET_COOKIE].to_str().expect("ASCII").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    cookie.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let port = guarded_port();
    let viewer = (AUTHORIZATION.as_str(), "Bearer sponge");
    let operator = (AUTHORIZATION.as_str(), "Bearer chalk");
    let source = "/api/v1/channels/hall/source";
    for (method, path, body) in [
        ("PUT", source, CONNECT),
        ("DELETE", source, ""),
        ("DELETE", "/api/v1/channels/hall/override", ""),
        ("PUT", "/api/v1/channels/hall/notice", r#"{"title":"x"}"#),
        ("DELETE", "/api/v1/channels/hall/notice", ""),
    ] {
        let refused = ask(&port, method, path, &[viewer, JSON], body).await;
        assert_eq!(json_of(refused).await.0, StatusCode::FORBIDDEN, "{method} {path}");
        let done = ask(&port, method, path, &[operator, JSON], body).await;
        assert_eq!(json_of(done).await.0, StatusCode::OK, "{method} {path}");
    }
    for path in ["/api/v1/matrix", "/api/v1/audit", "/api/v1/openapi.json"] {
        for role in [viewer, operator] {
            assert_eq!(ask(&port, "GET", path, &[role], "").await.status(), StatusCode::OK, "{path}");
        }
        let stranger = ask(&port, "GET", path, &[], "").await;
        assert!(stranger.headers()[WWW_AUTHENTICATE].to_str().expect("ASCII").starts_with("Bearer "));
        assert_eq!(json_of(stranger).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    let (_, who) = json_of(ask(&port, "GET", "/api/v1/session", &[viewer], "").await).await;
    assert_eq!(who, json!({ "role": "viewer", "proof": "token" }));
}

#[tokio::test]
async fn a_session_is_as_good_as_its_token_until_it_ends() {
    let port = guarded_port();
    let cookie = log_in(&port, "chalk").await;
    let with = async |path: &'static str| ask(&port, "GET", path, &[(COOKIE.as_str(), &cookie)], "").await;
    let (status, who) = json_of(with("/api/v1/session").await).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&who["role"], &who["proof"]), (&json!("operator"), &json!("session")));
    let events = with("/api/v1/events").await;
    assert_eq!(events.headers()[CONTENT_TYPE], "text/event-stream", "as EventSource asks");

    port.clock.advance(std::time::Duration::from_secs(12 * 3600));
    assert_eq!(json_of(with("/api/v1/matrix").await).await.0, StatusCode::UNAUTHORIZED);

    let cookie = log_in(&port, "sponge").await;
    let headers = [(COOKIE.as_str(), &*cookie), ("sec-fetch-site", "same-origin"), JSON];
    let refused = ask(&port, "PUT", "/api/v1/channels/hall/source", &headers, CONNECT).await;
    assert_eq!(json_of(refused).await.0, StatusCode::FORBIDDEN, "a viewer's session");
    let ended = ask(&port, "DELETE", "/api/v1/session", &headers, "").await;
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    assert!(ended.headers()[SET_COOKIE].to_str().expect("ASCII").contains("Max-Age=0"));
    assert_eq!(
        json_of(ask(&port, "GET", "/api/v1/matrix", &headers, "").await).await.0,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_wrong_token_opens_nothing() {
    let port = guarded_port();
    for (body, status) in [
        (r#"{"token":"cheese"}"#, 401),
        (r#"{"token":""}"#, 401),
        (r#"{"token":1}"#, 422),
        (r#"{"token":"chalk","role":"operator"}"#, 422),
        ("{", 400),
    ] {
        let response = ask(&port, "POST", "/api/v1/session", &[JSON], body).await;
        assert!(!response.headers().contains_key(SET_COOKIE), "{body}");
        assert_eq!(json_of(response).await.0.as_u16(), status, "{body}");
    }
    for cookie in ["amphi_session=", "amphi_session=x", "amphi_session=chalk"] {
        let response = ask(&port, "GET", "/api/v1/matrix", &[(COOKIE.as_str(), cookie)], "").await;
        assert_eq!(json_of(response).await.0, StatusCode::UNAUTHORIZED, "{cookie}");
    }
}

#[tokio::test]
async fn with_a_cookie_only_pages_of_this_port_change_something() {
    let port = guarded_port();
    let cookie = log_in(&port, "chalk").await;
    for (headers, status) in [
        (&[][..], 403),
        (&[("sec-fetch-site", "same-origin")][..], 200),
        (
            &[("sec-fetch-site", "same-site"), (HOST.as_str(), "a:1"), (ORIGIN.as_str(), "http://a:1")][..],
            403,
        ),
        (&[("sec-fetch-site", "cross-site")][..], 403),
        (&[("sec-fetch-site", "none")][..], 403),
        (&[(HOST.as_str(), "amphi.example:8088"), (ORIGIN.as_str(), "http://amphi.example:8088")][..], 200),
        (&[(HOST.as_str(), "amphi.example:8088"), (ORIGIN.as_str(), "http://evil.example")][..], 403),
        (&[(HOST.as_str(), "amphi.example:8088"), (ORIGIN.as_str(), "null")][..], 403),
        (&[(ORIGIN.as_str(), "http://amphi.example:8088")][..], 403),
    ] {
        let all = [&[(COOKIE.as_str(), &*cookie), JSON][..], headers].concat();
        let response = ask(&port, "PUT", "/api/v1/channels/hall/source", &all, CONNECT).await;
        assert_eq!(json_of(response).await.0.as_u16(), status, "{headers:?}");
    }
}

#[tokio::test]
async fn behind_tls_the_cookie_stays_with_tls() {
    let port = guarded_port();
    let headers = [JSON, ("x-forwarded-proto", "https")];
    let response = ask(&port, "POST", "/api/v1/session", &headers, r#"{"token":"chalk"}"#).await;
    assert!(response.headers()[SET_COOKIE].to_str().expect("ASCII").ends_with("; Secure"));
}

#[tokio::test]
async fn without_tokens_nobody_needs_a_session() {
    let port = port();
    let all = json!({ "role": "operator", "proof": "loopback" });
    assert_eq!(port.get("/api/v1/session").await, (StatusCode::OK, all.clone()));
    let opened = ask(&port, "POST", "/api/v1/session", &[JSON], r#"{"token":"any"}"#).await;
    assert!(!opened.headers().contains_key(SET_COOKIE));
    assert_eq!(json_of(opened).await, (StatusCode::OK, all));
    let foreign = [JSON, (HOST.as_str(), "localhost"), (ORIGIN.as_str(), "http://evil.example")];
    let refused = ask(&port, "POST", "/api/v1/session", &foreign, r#"{"token":"any"}"#).await;
    assert_eq!(json_of(refused).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn changes_are_recorded_with_who_what_and_from_where() {
    let port = guarded_port();
    let operator = (AUTHORIZATION.as_str(), "Bearer chalk");
    let path = "/api/v1/channels/hall/source";
    let request = Request::put(path).header(operator.0, operator.1).header(JSON.0, JSON.1);
    let peer = Peer(([192, 0, 2, 7], 40_000).into());
    let until = r#"{"source":"x","until":"2026-11-18T12:00:00Z"}"#;
    let response = port.send(request.extension(peer).body(Body::from(until)).expect("a request")).await;
    assert_eq!(response.status(), StatusCode::OK);
    ask(&port, "PUT", path, &[operator, JSON], r#"{"source":"none"}"#).await;
    ask(&port, "DELETE", path, &[operator], "").await;
    ask(&port, "DELETE", "/api/v1/channels/hall/override", &[operator], "").await;
    ask(&port, "PUT", "/api/v1/channels/hall/notice", &[operator, JSON], r#"{"title":"UE3"}"#).await;
    ask(&port, "DELETE", "/api/v1/channels/hall/notice", &[operator], "").await;
    log_in(&port, "sponge").await;

    let list = async |query: &str| {
        json_of(ask(&port, "GET", &format!("/api/v1/audit{query}"), &[operator], "").await).await
    };
    let (_, entries) = list("").await;
    let what: Vec<_> = entries.as_array().expect("a list").iter().map(|entry| &entry["what"]).collect();
    let acts =
        ["open_session", "clear_notice", "notice", "clear_override", "disconnect", "connect", "connect"];
    assert_eq!(what, acts);
    assert_eq!(
        entries[6],
        json!({
            "at": "2026-11-18T11:06:40.000Z", "who": "operator", "from": "192.0.2.7", "what": "connect",
            "channel": "hall", "source": "x", "until": "2026-11-18T12:00:00.000Z",
        })
    );
    assert_eq!(entries[5]["refused"], "no source is called \"none\"");
    assert_eq!((&entries[2]["detail"], &entries[0]["who"]), (&json!("UE3"), &json!("viewer")));
    assert!(!entries.to_string().contains("sponge"));

    assert_eq!(list("?limit=1").await.1, json!([entries[0]]));
    for wrong in ["?limit=0", "?limit=1001", "?limit=x", "?limit=-1", "?limit=1&limit=2", "?limit="] {
        let (status, problem) = list(wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(problem["detail"].is_string() && problem != Value::Null);
    }
}

/// A request from an address with a token.
async fn from(port: &Port, host: u8, token: &str) -> Response<Body> {
    let request = Request::get("/api/v1/matrix").header(AUTHORIZATION, format!("Bearer {token}"));
    let peer = Peer(([192, 0, 2, host], 40_000).into());
    port.send(request.extension(peer).body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn who_guesses_tokens_has_to_wait_and_others_do_not() {
    let port = guarded_port();
    for guess in 0..11 {
        assert_eq!(from(&port, 7, &format!("guess-{guess}")).await.status(), StatusCode::UNAUTHORIZED);
    }
    for token in ["guess", "chalk"] {
        let slowed = from(&port, 7, token).await;
        assert_eq!(slowed.status(), StatusCode::TOO_MANY_REQUESTS, "{token}");
        assert_eq!(slowed.headers()["retry-after"], "1");
        let (_, problem) = json_of(slowed).await;
        assert!(problem["detail"].as_str().is_some_and(|it| it.contains("too many")), "{problem}");
    }
    let login =
        Request::post("/api/v1/session").header(JSON.0, JSON.1).extension(Peer(([192, 0, 2, 7], 1).into()));
    let login = login.body(Body::from(r#"{"token":"chalk"}"#)).expect("a request");
    assert_eq!(port.send(login).await.status(), StatusCode::TOO_MANY_REQUESTS, "the same door");
    assert_eq!(from(&port, 8, "chalk").await.status(), StatusCode::OK);
    assert_eq!(ask(&port, "GET", "/healthz", &[], "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_right_token_does_not_free_the_guesser_of_another() {
    let port = guarded_port();
    let mut slowed = 0;
    for _ in 0..5 {
        for guess in 0..10 {
            let status = from(&port, 7, &format!("guess-{guess}")).await.status();
            slowed += usize::from(status == StatusCode::TOO_MANY_REQUESTS);
        }
        slowed += usize::from(from(&port, 7, "sponge").await.status() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(slowed > 0, "fifty guesses in a moment");
}

/// An event stream, and all of it once it has ended.
async fn events(port: &Port, cookie: &str) -> impl Future<Output = bool> {
    let response = ask(port, "GET", "/api/v1/events", &[(COOKIE.as_str(), cookie)], "").await;
    assert_eq!(response.status(), StatusCode::OK);
    let body = http_body_util::BodyExt::collect(response.into_body());
    async move { tokio::time::timeout(std::time::Duration::from_secs(10), body).await.is_ok() }
}

#[tokio::test]
async fn event_streams_end_with_their_session() {
    let port = guarded_port();
    let (cookie, other) = (log_in(&port, "chalk").await, log_in(&port, "sponge").await);
    let stream = events(&port, &cookie).await;
    let others = events(&port, &other).await;
    let headers = [(COOKIE.as_str(), &*cookie), ("sec-fetch-site", "same-origin")];
    assert_eq!(ask(&port, "DELETE", "/api/v1/session", &headers, "").await.status(), StatusCode::NO_CONTENT);
    assert!(stream.await, "logged out");
    port.clock.advance(std::time::Duration::from_secs(12 * 3600));
    assert!(others.await, "its time is over");
}

#[tokio::test]
async fn each_role_has_so_many_event_streams() {
    let port = guarded_port();
    let (operator, viewer) = (log_in(&port, "chalk").await, log_in(&port, "sponge").await);
    let get =
        async |cookie: &str| ask(&port, "GET", "/api/v1/events", &[(COOKIE.as_str(), cookie)], "").await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(get(&viewer).await);
    }
    assert!(open.iter().all(|response| response.status() == StatusCode::OK));
    let refused = get(&viewer).await;
    assert_eq!(
        (refused.status(), refused.headers()["retry-after"].len()),
        (StatusCode::SERVICE_UNAVAILABLE, 2)
    );
    assert_eq!(get(&operator).await.status(), StatusCode::OK);
    open.pop();
    assert_eq!(get(&viewer).await.status(), StatusCode::OK, "one has left");
}

#[tokio::test]
async fn routes_beside_these_are_of_this_machine_too() {
    let beside = axum::Router::new().route("/page", axum::routing::get(async || "hello"));
    let router = super::of_this_machine(beside, vec!["live.example.org".parse().expect("a name")]);
    for (host, status) in [("localhost:1", 200), ("live.example.org", 200), ("evil.example", 403)] {
        let request = Request::get("/page").header(HOST, host).body(Body::empty()).expect("a request");
        let response = tower::ServiceExt::oneshot(router.clone(), request).await.expect("infallible");
        assert_eq!(response.status().as_u16(), status, "{host}");
    }
}
