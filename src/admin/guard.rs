//! Who may ask: one check before every route, and the headers behind every answer.
//!
//! With a token, every request must show it as a bearer token (RFC 6750), except for health and readiness,
//! which tell nothing. Without a token the port is bound to loopback and every process of this machine may
//! ask; but a browser on this machine also carries requests of strangers' pages. Those are told by `Origin`:
//! a request that changes something must come from a page of this very port (no cross-site request), under a
//! loopback name (no name of the stranger's that was made to point here: DNS rebinding). A proxy that serves
//! the port under another name needs a token.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use subtle::ConstantTimeEq;

use super::Shared;
use super::problem::Problem;
use crate::config::Secret;

/// Alive; asked without a token.
pub(super) const HEALTH: &str = "/healthz";
/// Ready; asked without a token.
pub(super) const READINESS: &str = "/readyz";

pub(super) async fn guard(State(state): Shared, request: Request, next: Next) -> Response {
    let verdict = if [HEALTH, READINESS].contains(&request.uri().path()) {
        Ok(())
    } else {
        match &state.token {
            Some(token) => bearer(request.headers(), token),
            None => same_origin(request.method(), request.uri(), request.headers()),
        }
    };
    let mut response = match verdict {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn bearer(headers: &HeaderMap, token: &Secret) -> Result<(), Problem> {
    const SCHEME: &[u8] = b"Bearer ";
    let parts = headers.get(AUTHORIZATION).and_then(|it| it.as_bytes().split_at_checked(SCHEME.len()));
    let Some((_, shown)) = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME)) else {
        return Err(Problem::unauthorized("Bearer realm=\"amphi\"", "a bearer token is needed"));
    };
    // The time taken tells the token's length at most.
    if bool::from(shown.trim_ascii().ct_eq(token.reveal().as_bytes())) {
        return Ok(());
    }
    let challenge = "Bearer realm=\"amphi\", error=\"invalid_token\"";
    Err(Problem::unauthorized(challenge, "the bearer token is not the right one"))
}

fn same_origin(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    // HTTP/2 has the host in its pseudo-header, HTTP/1.1 in Host.
    let host = match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    };
    let origin = Uri::try_from(origin.as_bytes()).ok().and_then(|origin| origin.authority().cloned());
    match (host, origin) {
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
