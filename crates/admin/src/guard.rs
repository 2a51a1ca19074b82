//! Who may ask: one check before every route, and headers that are added to every answer.
//!
//! If a token is configured, every request must have a bearer token (RFC 6750) or a session's cookie (see
//! `session`), except for health and readiness, which reveal nothing, and for opening a session, which has the token
//! in its body. The operator's token allows everything, the viewer's only reading (GET, HEAD).
//!
//! Without a token the port is bound to loopback and every process of this machine may ask. But a browser on this
//! machine also sends requests of other sites' pages. Those are refused, even if they only read
//! ([`is_local`](amphi_http::is_local)). A request that changes something and comes from a page must come from one under a
//! loopback name. A proxy that serves the port under a name of its own needs a token, or `pages.public_url`.
//!
//! Wrong tokens are counted by address, and guessing is slowed down ([`Attempts`](amphi_http::Attempts)). Wrong cookies are
//! not counted: 256 bits cannot be guessed, and a page with an expired one retries by itself.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::header::{AUTHORIZATION, CACHE_CONTROL, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use ::http::uri::Authority;
use ::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use super::access::{Caller, Proof, Role};
use super::problem::Problem;
use super::{AdminContext, Shared, cookie};
use amphi_http::{Credential, Peer};
use amphi_media::MediaTime;

/// Open without a token, as is [`READINESS`].
pub(super) const HEALTH: &str = "/healthz";
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

/// The rule for ports without a token, for other routes of the same port: the console's pages, the demo's. Requests of other
/// sites' pages get 403.
pub fn of_this_machine(router: Router, names: Vec<Authority>) -> Router {
    let names: Arc<[Authority]> = names.into();
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let is_open = [HEALTH, READINESS].contains(&request.uri().path());
        let is_local = is_open || amphi_http::is_local(request.uri(), request.headers(), &names);
        async move {
            if is_local {
                return next.run(request).await;
            }
            Problem::new(StatusCode::FORBIDDEN, amphi_http::LOCAL_RULE).into_response()
        }
    }))
}

fn admit(state: &AdminContext, request: &Request) -> Result<Caller, Problem> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let address = request.extensions().get::<Peer>().map(|Peer(address)| address.ip().to_canonical());
    let caller = |role, proof, until| Caller { role, proof, until, address };
    let opens_session = uri.path() == cookie::PATH && *method == Method::POST;
    if [HEALTH, READINESS].contains(&uri.path()) || opens_session && state.tokens.are_asked_for() {
        return Ok(caller(Role::Viewer, Proof::Loopback, None));
    }
    if !state.tokens.are_asked_for() {
        is_of_this_machine(state, method, uri, headers)?;
        return Ok(caller(Role::Operator, Proof::Loopback, None));
    }
    let (role, proof, until) = identify(state, request, address)?;
    let ends_session = uri.path() == cookie::PATH && *method == Method::DELETE;
    if role == Role::Viewer && !reads(method) && !ends_session {
        let detail = "this needs the operator's token; the viewer's may only read";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(caller(role, proof, until))
}

/// The caller's role by its bearer token, or else by its cookie.
fn identify(
    state: &AdminContext,
    request: &Request,
    address: Option<IpAddr>,
) -> Result<(Role, Proof, Option<MediaTime>), Problem> {
    let headers = request.headers();
    if headers.contains_key(AUTHORIZATION) {
        return bearer(state, headers, address).map(|role| (role, Proof::Token, None));
    }
    let value = cookie::cookie(headers).ok_or_else(Problem::no_token)?;
    let (role, until) = state.sessions.find(value, state.clock.now()).ok_or_else(|| {
        let challenge = "Bearer realm=\"amphi\"";
        Problem::unauthorized(challenge, "the session has ended; open a new one with a token")
    })?;
    let is_of_page = amphi_http::is_of_page(request.uri(), headers);
    if !is_of_page && (!reads(request.method()) || headers.contains_key(ORIGIN)) {
        let detail = "with a session's cookie, only pages of this port may change something, and pages of other \
                      origins may not read";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok((role, Proof::Session, Some(until)))
}

fn bearer(state: &AdminContext, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Role, Problem> {
    const SCHEME: &[u8] = b"Bearer ";
    let parts = headers.get(AUTHORIZATION).and_then(|it| it.as_bytes().split_at_checked(SCHEME.len()));
    let shown = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME));
    let (_, shown) = shown.ok_or_else(Problem::no_token)?;
    judge(state, shown.trim_ascii(), address)?.ok_or_else(|| {
        let challenge = "Bearer realm=\"amphi\", error=\"invalid_token\"";
        Problem::unauthorized(challenge, "the bearer token is not the right one")
    })
}

/// The role of this token, if it is a right one. An address with too many wrong ones has to wait first.
pub(super) fn judge(
    state: &AdminContext,
    token: &[u8],
    address: Option<IpAddr>,
) -> Result<Option<Role>, Problem> {
    const KIND: Credential = Credential::Token;
    state.attempts.may_try(KIND, address).map_err(Problem::slow_down)?;
    let role = state.tokens.role_of(token);
    if role.is_none() {
        state.attempts.rejected(KIND, address);
    }
    Ok(role)
}

const fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn is_of_this_machine(
    state: &AdminContext,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let is_local = |names: &[Authority]| amphi_http::is_local(uri, headers, names);
    // A page may change something only under a loopback name, not under one of `names`.
    let may = is_local(if reads(method) || !headers.contains_key(ORIGIN) { &state.names } else { &[] });
    if may { Ok(()) } else { Err(Problem::new(StatusCode::FORBIDDEN, amphi_http::LOCAL_RULE)) }
}
