//! Who may ask: one check before every route, and headers that are added to every answer.
//!
//! If a token is configured, or people can sign in, every request must have a bearer token (RFC 6750), a session's cookie (see
//! `session`), or a person's name from a trusted proxy (see `remote`), except for health and readiness, which reveal nothing, and for opening a session, which has the token
//! in its body. An operator may do everything, a viewer only read (GET, HEAD).
//!
//! Without any of these the port is bound to loopback and every process of this machine may ask. But a browser on this
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
use super::person::Person;
use super::problem::Problem;
use super::remote::Named;
use super::sessions::FoundSession;
use super::{AdminContext, Shared, cookie};
use amphi_http::{Credential, Peer};

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
    let anybody = |role| Caller { role, proof: Proof::Loopback, until: None, address, person: None };
    let opens_session = uri.path() == cookie::PATH && *method == Method::POST;
    if [HEALTH, READINESS].contains(&uri.path()) || opens_session && state.asks() {
        return Ok(anybody(Role::Viewer));
    }
    if !state.asks() {
        is_of_this_machine(state, method, uri, headers)?;
        return Ok(anybody(Role::Operator));
    }
    let caller = identify(state, request, address)?;
    let ends_session = uri.path() == cookie::PATH && *method == Method::DELETE;
    if caller.role == Role::Viewer && !reads(method) && !ends_session {
        let detail = "this needs the role of an operator; a viewer may only read";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(caller)
}

/// The caller by its bearer token, or else by its cookie, or else by what a trusted proxy says.
fn identify(state: &AdminContext, request: &Request, address: Option<IpAddr>) -> Result<Caller, Problem> {
    let headers = request.headers();
    if headers.contains_key(AUTHORIZATION) {
        let role = bearer(state, headers, address)?;
        return Ok(Caller { role, proof: Proof::Token, until: None, address, person: None });
    }
    let value = cookie::cookie(headers);
    let found = value.and_then(|value| state.sessions.find(value, state.clock.now()));
    let caller = match found {
        Some(FoundSession { role, until, person, .. }) => {
            Caller { role, proof: Proof::Session, until: Some(until), address, person }
        }
        None => match named(state, headers, address)? {
            Some((role, person)) => {
                Caller { role, proof: Proof::Proxy, until: None, address, person: Some(person) }
            }
            None if value.is_some() => {
                let challenge = "Bearer realm=\"amphi\"";
                let detail = "the session has ended; open a new one with a token, or sign in";
                return Err(Problem::unauthorized(challenge, detail));
            }
            None => return Err(Problem::no_token()),
        },
    };
    let is_of_page = amphi_http::is_of_page(request.uri(), headers);
    if !is_of_page && (!reads(request.method()) || headers.contains_key(ORIGIN)) {
        let detail = "with a session's cookie, only pages of this port may change something, and pages of other \
                      origins may not read";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(caller)
}

/// The person whom a trusted proxy names. The error is for people who may do nothing.
fn named(
    state: &AdminContext,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Option<(Role, Arc<Person>)>, Problem> {
    match state.people.remote.as_ref().map_or(Named::Nobody, |it| it.named(headers, address)) {
        Named::Nobody => Ok(None),
        Named::Known(role, person) => Ok(Some((role, person))),
        Named::Stranger => {
            let contact = state.people.contact.trim();
            let whom = if contact.is_empty() { "those who run this server" } else { contact };
            let detail = format!("you are signed in, but may not use this console; ask {whom} for access");
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
    }
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
