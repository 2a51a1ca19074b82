//! `/api/v1/session`: exchanges a token for a cookie, for pages and their `EventSource`, which cannot send headers.
//!
//! How a page uses it:
//! 1. `GET /api/v1/session` answers with the role of the caller and when it ends. On 401, show a form that asks for the
//!    token.
//! 2. `POST /api/v1/session` with `{"token": "…"}` answers the same, and sets the cookie `amphi_session`. It is
//!    `HttpOnly` (no script can read it) and `SameSite=Strict` (no page of another site makes a browser send it), and is
//!    good for 12 hours, also when the server restarts. The page forgets the token. Or the page leads to `sign-in`, where
//!    a person signs in at the OpenID provider; that sets the same cookie.
//! 3. From then on `fetch` and `new EventSource("/api/v1/events")` work without a header: same origin.
//! 4. `DELETE /api/v1/session` ends it. If the answer is 200 and not 204, `continue` is where the browser ends the provider's
//!    session.
//!
//! A request with a cookie that changes something must also come from a page of this port: `Sec-Fetch-Site:
//! same-origin`, or an `Origin` that is its `Host`. Browsers send these by themselves. If no token is configured, no session
//! is needed: step 1 answers `"proof": "loopback"`.
//!
//! The sessions themselves are in `sessions`. The event streams that were opened with one end with it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::access::{Caller, Proof, Role};
use super::cookie::{COOKIE_NAME, cookie, session_cookie};
use super::guard;
use super::openapi::{BadBody, GuardResponses};
use super::problem::{JsonBody, Problem};
use super::sessions::Maker;
use amphi_control::audit::Action;
use amphi_media::MediaTime;

/// The caller's session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct LoginSession {
    /// What the caller may do.
    role: Role,
    /// How the caller has authenticated.
    proof: Proof,
    /// When the session ends; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<MediaTime>,
    /// The person's name; absent where a token was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl LoginSession {
    fn of(caller: &Caller) -> Self {
        let name = caller.person.as_ref().map(|person| person.name.clone());
        Self { role: caller.role, proof: caller.proof, until: caller.until, name }
    }
}

/// Our session has ended; the provider's has not yet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedOut {
    /// The URL at which a browser ends the provider's session.
    r#continue: String,
}

/// The body that opens a session.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The operator's or the viewer's token.
    token: String,
}

/// The role of the caller, and how it has authenticated.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses(
    (status = 200, description = "The caller's session", body = LoginSession), GuardResponses,
))]
pub(super) async fn show(caller: Caller) -> Json<LoginSession> {
    Json(LoginSession::of(&caller))
}

/// Opens a session: the answer sets the cookie `amphi_session`.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = Login, security(()), responses(
    (status = 200, description = "The session is open", body = LoginSession,
     headers(("Set-Cookie" = Option<String>, description = "The session's cookie, if a token is configured"))),
    GuardResponses, BadBody,
))]
pub(super) async fn open(
    State(state): Shared,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    JsonBody(login): JsonBody<Login>,
) -> Result<Response, Problem> {
    if !state.asks() {
        let caller = Caller { role: Role::Operator, ..caller };
        let session = LoginSession::of(&caller);
        return Ok(Json(session).into_response());
    }
    let now = state.clock.now();
    let Some(role) = guard::judge(&state, login.token.as_bytes(), caller.address)? else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not the right one"));
    };
    let maker = if role == Role::Operator { Maker::OperatorToken } else { Maker::ViewerToken };
    let opened = state.sessions.open(role, None, maker, now);
    let (value, until) = opened.map_err(|error| {
        let detail = format!("the system gives no random bytes: {error}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let caller = Caller { role, proof: Proof::Session, until: Some(until), ..caller };
    state.audit.record(caller.does(Action::OpenSession, now).until(Some(until)));
    let cookie = session_cookie(&value, state.people.is_secure(&uri, &headers));
    Ok(([(SET_COOKIE, cookie)], Json(LoginSession::of(&caller))).into_response())
}

/// Ends the session, and the event streams that were opened with it.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses(
    (status = 200, description = "The session has ended; the OpenID provider's ends at this URL", body = SignedOut),
    (status = 204, description = "The session has ended"), GuardResponses,
))]
pub(super) async fn end(State(state): Shared, caller: Caller, uri: Uri, headers: HeaderMap) -> Response {
    let mut onward = None;
    if let Some(value) = cookie(&headers).filter(|_| caller.proof == Proof::Session) {
        let found = state.sessions.find(value, state.clock.now());
        state.sessions.end(value);
        state.audit.record(caller.does(Action::EndSession, state.clock.now()));
        if found.is_some_and(|it| it.maker == Maker::OpenId) {
            onward = state.people.sign_out_url(&uri, &headers).await;
        }
    }
    let gone = [(SET_COOKIE, format!("{COOKIE_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"))];
    match onward {
        Some(url) => (gone, Json(SignedOut { r#continue: url.into() })).into_response(),
        None => (StatusCode::NO_CONTENT, gone).into_response(),
    }
}
