//! Who may ask: one check before every route, and the headers behind every answer.
//!
//! With a token configured, every request must show a token as a bearer token (RFC 6750) or a session's cookie (see
//! `session`), except for health and readiness, which tell nothing, and for opening a session, which brings the token
//! in its body. The operator's token lets everything through, the viewer's what reads (GET, HEAD).
//!
//! Without a token the port is bound to loopback and every process of this machine may ask; but a browser on this machine
//! also carries requests of strangers' pages. Those are told by `Origin`: a request that changes something must come
//! from a page of this very port (no cross-site request), under a loopback name (no name of the stranger's that was made
//! to point here: DNS rebinding). A proxy that serves the port under another name needs a token.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::access::{Caller, Proof, Role};
use super::problem::Problem;
use super::{Desk, Shared, session};
use crate::http::Peer;
use crate::media::MediaTime;

/// Alive; asked without a token.
pub(super) const HEALTH: &str = "/healthz";
/// Ready; asked without a token.
pub(super) const READINESS: &str = "/readyz";

pub(super) async fn guard(State(state): Shared, mut request: Request, next: Next) -> Response {
    let mut response = match admit(&state, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn admit(state: &Desk, request: &Request) -> Result<Caller, Problem> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let address = request.extensions().get::<Peer>().map(|Peer(address)| address.ip().to_canonical());
    let caller = |role, proof, until| Caller { role, proof, until, address };
    let opens_session = uri.path() == session::PATH && *method == Method::POST;
    if [HEALTH, READINESS].contains(&uri.path()) || opens_session && state.tokens.are_asked_for() {
        return Ok(caller(Role::Viewer, Proof::Loopback, None));
    }
    if !state.tokens.are_asked_for() {
        same_origin(method, uri, headers)?;
        return Ok(caller(Role::Operator, Proof::Loopback, None));
    }
    let (role, proof, until) = identify(state, request)?;
    let ends_session = uri.path() == session::PATH && *method == Method::DELETE;
    if role == Role::Viewer && !reads(method) && !ends_session {
        let detail = "this takes the operator's token; the viewer's may only look";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(caller(role, proof, until))
}

/// What the caller shows: a token, else a cookie.
fn identify(state: &Desk, request: &Request) -> Result<(Role, Proof, Option<MediaTime>), Problem> {
    let headers = request.headers();
    if headers.contains_key(AUTHORIZATION) {
        return bearer(state, headers).map(|role| (role, Proof::Token, None));
    }
    let value = session::cookie(headers).ok_or_else(Problem::no_token)?;
    let (role, until) = state.sessions.find(value, state.clock.now()).ok_or_else(|| {
        let challenge = "Bearer realm=\"amphi\"";
        Problem::unauthorized(challenge, "the session has ended; open another one with a token")
    })?;
    if !reads(request.method()) && !from_this_port(request.uri(), headers) {
        let detail = "with a session's cookie, something is changed only by a page of this very port";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok((role, Proof::Session, Some(until)))
}

fn bearer(state: &Desk, headers: &HeaderMap) -> Result<Role, Problem> {
    const SCHEME: &[u8] = b"Bearer ";
    let parts = headers.get(AUTHORIZATION).and_then(|it| it.as_bytes().split_at_checked(SCHEME.len()));
    let shown = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME));
    let (_, shown) = shown.ok_or_else(Problem::no_token)?;
    state.tokens.role_of(shown.trim_ascii()).ok_or_else(|| {
        let challenge = "Bearer realm=\"amphi\", error=\"invalid_token\"";
        Problem::unauthorized(challenge, "the bearer token is not the right one")
    })
}

const fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The browser says that the request comes from a page of this port (Fetch Metadata §2.3, else RFC 6454 §7).
fn from_this_port(uri: &Uri, headers: &HeaderMap) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => origin(headers).is_some_and(|origin| host(uri, headers).is_some_and(|host| host == origin)),
    }
}

/// HTTP/2 has the host in its pseudo-header, HTTP/1.1 in Host.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    }
}

fn origin(headers: &HeaderMap) -> Option<Authority> {
    let origin = headers.get(ORIGIN)?;
    Uri::try_from(origin.as_bytes()).ok()?.authority().cloned()
}

fn same_origin(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(ORIGIN) || reads(method) {
        return Ok(());
    }
    match (host(uri, headers), origin(headers)) {
        (Some(host), Some(origin)) if host == origin && is_loopback(&host) => Ok(()),
        _ => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "without a token, a web page may change something only if it comes from this port under a loopback \
             name such as localhost; set admin.token to allow others",
        )),
    }
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
