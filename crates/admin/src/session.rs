//! `/api/v1/session`: exchanges a token for a cookie, for pages and their `EventSource`, which cannot send headers.
//!
//! How a page uses it:
//! 1. `GET /api/v1/session` answers with the role of the caller and when it ends. On 401, show a form that asks for the
//!    token.
//! 2. `POST /api/v1/session` with `{"token": "…"}` answers the same, and sets the cookie `amphi_session`. It is
//!    `HttpOnly` (no script can read it) and `SameSite=Strict` (no page of another site makes a browser send it), is good
//!    for 12 hours, and ends when the server restarts. The page forgets the token.
//! 3. From then on `fetch` and `new EventSource("/api/v1/events")` work without a header: same origin.
//! 4. `DELETE /api/v1/session` ends it.
//!
//! A request with a cookie that changes something must also come from a page of this port: `Sec-Fetch-Site:
//! same-origin`, or an `Origin` that is its `Host`. Browsers send these by themselves. If no token is configured, no session
//! is needed: step 1 answers `"proof": "loopback"`.
//!
//! The server keeps the SHA-256 of each cookie, so the time of a lookup reveals nothing about other cookies. Each role has
//! 128 sessions at most; one more ends the session of that role that would end first, so that viewers cannot push out
//! operators. The event streams that were opened with a session end with it.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::{CancellationToken, DropGuard};
use utoipa::ToSchema;

use super::Shared;
use super::access::{Caller, Proof, Role};
use super::cookie::{COOKIE_NAME, cookie};
use super::guard;
use super::openapi::{BadBody, GuardResponses};
use super::problem::{JsonBody, Problem};
use amphi_control::audit::Action;
use amphi_media::{Lock, MediaTime};

/// How long a session is good: a working day.
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// The most sessions of one role.
const MOST: usize = 128;

type TokenHash = [u8; 32];

/// The open sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions(Lock<HashMap<TokenHash, Opened>>);

/// One session.
#[derive(Debug)]
struct Opened {
    role: Role,
    until: MediaTime,
    /// Cancels `ended` when the session is removed.
    _end: DropGuard,
    ended: CancellationToken,
}

impl Sessions {
    /// Opens a session: the value of its cookie, and when it ends.
    fn open(&self, role: Role, now: MediaTime) -> Result<(String, MediaTime), getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let value = URL_SAFE_NO_PAD.encode(bytes);
        let until = now + LIFE;
        let mut open = self.lock();
        open.retain(|_, session| now < session.until);
        let of_role = |open: &HashMap<TokenHash, Opened>| open.values().filter(|it| it.role == role).count();
        while of_role(&open) >= MOST {
            let rivals = open.iter().filter(|(_, session)| session.role == role);
            let first = rivals.min_by_key(|(_, session)| session.until).map(|(key, _)| *key);
            let Some(first) = first else { break };
            open.remove(&first);
        }
        let ended = CancellationToken::new();
        open.insert(key(&value), Opened { role, until, _end: ended.clone().drop_guard(), ended });
        Ok((value, until))
    }

    /// The role of a cookie, and when its session ends. After a step of the clock backwards by days the session is over.
    pub(super) fn find(&self, value: &str, now: MediaTime) -> Option<(Role, MediaTime)> {
        let open = self.lock();
        open.get(&key(value))
            .map(|session| (session.role, session.until))
            .filter(|(_, until)| now < *until && *until <= now + LIFE * 2)
    }

    /// A token that is cancelled when this session ends before its time.
    pub(super) fn ended(&self, value: &str) -> Option<CancellationToken> {
        self.lock().get(&key(value)).map(|session| session.ended.clone())
    }

    fn end(&self, value: &str) {
        self.lock().remove(&key(value));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenHash, Opened>> {
        self.0.lock()
    }
}

fn key(value: &str) -> TokenHash {
    Sha256::digest(value.as_bytes()).into()
}

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
    Json(LoginSession { role: caller.role, proof: caller.proof, until: caller.until })
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
    headers: HeaderMap,
    JsonBody(login): JsonBody<Login>,
) -> Result<Response, Problem> {
    if !state.tokens.are_asked_for() {
        let session = LoginSession { role: Role::Operator, proof: Proof::Loopback, until: None };
        return Ok(Json(session).into_response());
    }
    let now = state.clock.now();
    let Some(role) = guard::judge(&state, login.token.as_bytes(), caller.address)? else {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not the right one"));
    };
    let opened = state.sessions.open(role, now);
    let (value, until) = opened.map_err(|error| {
        let detail = format!("the system gives no random bytes: {error}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let caller = Caller { role, proof: Proof::Session, until: Some(until), ..caller };
    state.audit.record(caller.does(Action::OpenSession, now).until(Some(until)));
    // If a proxy terminates TLS, the browser must send the cookie over TLS only.
    let over_tls = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let secure = if over_tls { "; Secure" } else { "" };
    let seconds = LIFE.as_secs();
    let cookie =
        format!("{COOKIE_NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let session = LoginSession { role, proof: Proof::Session, until: Some(until) };
    Ok(([(SET_COOKIE, cookie)], Json(session)).into_response())
}

/// Ends the session, and the event streams that were opened with it.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses(
    (status = 204, description = "The session has ended"), GuardResponses,
))]
pub(super) async fn end(State(state): Shared, caller: Caller, headers: HeaderMap) -> impl IntoResponse {
    if let Some(value) = cookie(&headers).filter(|_| caller.proof == Proof::Session) {
        state.sessions.end(value);
        state.audit.record(caller.does(Action::EndSession, state.clock.now()));
    }
    let gone = format!("{COOKIE_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    (StatusCode::NO_CONTENT, [(SET_COOKIE, gone)])
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE;

    use super::*;

    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    #[test]
    fn a_session_is_good_for_its_life_and_until_it_is_ended() {
        let sessions = Sessions::default();
        let (value, until) = sessions.open(Role::Viewer, START).expect("random bytes");
        assert_eq!(value.len(), 43);
        assert_eq!(sessions.find(&value, START), Some((Role::Viewer, until)));
        assert_eq!(sessions.find(&value, until), None);
        assert!(sessions.find(&value, START - Duration::from_secs(3600)).is_some());
        assert_eq!(sessions.find(&value, START - Duration::from_secs(90_000)), None, "stepped back by a day");
        assert_eq!(sessions.find(&value[1..], START), None);
        sessions.end(&value);
        assert_eq!(sessions.find(&value, START), None);
    }

    #[test]
    fn there_are_never_more_than_the_most() {
        let sessions = Sessions::default();
        let open = |second: u64| {
            sessions.open(Role::Operator, START + Duration::from_secs(second)).expect("random bytes").0
        };
        let values: Vec<_> = (0..MOST as u64 + 3).map(open).collect();
        assert_eq!(sessions.lock().len(), MOST);
        let found = |value: &String| sessions.find(value, START + LIFE / 2).is_some();
        assert_eq!(values.iter().position(found), Some(3), "the first to end has ended");
        assert!(values[3..].iter().all(found));
    }

    #[test]
    fn a_crowd_of_viewers_pushes_no_operator_out() {
        let sessions = Sessions::default();
        let (operator, _) = sessions.open(Role::Operator, START).expect("random bytes");
        let later = START + Duration::from_secs(1);
        for _ in 0..3 * MOST {
            sessions.open(Role::Viewer, later).expect("random bytes");
        }
        assert_eq!(sessions.lock().len(), MOST + 1);
        assert!(sessions.find(&operator, later).is_some());
    }

    #[test]
    fn whoever_waits_for_its_end_is_told_however_it_ends() {
        let sessions = Sessions::default();
        let open = |role, second| {
            let (value, _) = sessions.open(role, START + Duration::from_secs(second)).expect("random bytes");
            let ended = sessions.ended(&value).expect("it is open");
            (value, ended)
        };
        let (value, by_hand) = open(Role::Operator, 0);
        let (_, by_time) = open(Role::Operator, 0);
        let (_, by_crowd) = open(Role::Viewer, 1);
        assert!(![&by_hand, &by_time, &by_crowd].iter().any(|it| it.is_cancelled()));
        sessions.end(&value);
        assert!(by_hand.is_cancelled() && !by_time.is_cancelled());
        for _ in 0..MOST {
            open(Role::Viewer, 2);
        }
        assert!(by_crowd.is_cancelled() && !by_time.is_cancelled());
        open(Role::Viewer, LIFE.as_secs());
        assert!(by_time.is_cancelled());
        assert!(sessions.ended("x").is_none());
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for (field, value) in [
            ("amphi_session=abc", Some("abc")),
            ("a=b; amphi_session=abc; c=d", Some("abc")),
            ("xamphi_session=abc", None),
            ("amphi_session_id=abc", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(field))]);
            assert_eq!(cookie(&headers), value, "{field}");
        }
    }
}
