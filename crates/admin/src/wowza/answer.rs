//! Answers in the format of Wowza's REST.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

use amphi_control::matrix::MatrixError;
use amphi_http as joints;

/// Errors; the messages are Wowza's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WowzaFault {
    /// The application, stream or route does not exist.
    NotFound,
    /// It can be changed in the configuration only.
    Conflict,
    /// There is no recorder.
    NotImplemented,
    /// The server is shutting down.
    Unavailable,
}

/// `success` is the first key, as clients expect.
#[derive(Serialize)]
struct WowzaError {
    success: bool,
    message: &'static str,
    code: String,
    #[serde(rename = "wowzaServer")]
    server: &'static str,
}

#[derive(Serialize)]
struct Done<'a> {
    success: bool,
    message: &'a str,
    data: Value,
}

fn reply(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json; charset=UTF-8")], body).into_response()
}

/// 200 with a JSON body.
pub(super) fn json(body: &Value) -> Response {
    reply(StatusCode::OK, body)
}

/// The answer to an action that was carried out.
pub(super) fn done(status: StatusCode, message: &str) -> Response {
    reply(status, &Done { success: true, message, data: Value::Null })
}

fn refusal(status: StatusCode, message: &'static str) -> Response {
    let code = status.as_u16().to_string();
    reply(
        status,
        &WowzaError { success: false, message, code, server: concat!("Amphi ", env!("CARGO_PKG_VERSION")) },
    )
}

/// 401: the caller has not authenticated.
pub(super) fn unauthorized(challenges: &[String]) -> Response {
    let mut response = refusal(StatusCode::UNAUTHORIZED, "The request requires user authentication");
    for value in challenges.iter().filter_map(|challenge| HeaderValue::from_str(challenge).ok()) {
        response.headers_mut().append(WWW_AUTHENTICATE, value);
    }
    response
}

/// 429: too many wrong credentials came from the caller's address.
pub(super) fn slow_down(wait: Duration) -> Response {
    let message = "Too many wrong credentials came from this address; wait as Retry-After says";
    let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, message);
    response.headers_mut().insert(RETRY_AFTER, joints::retry_after(wait).into());
    response
}

/// 403: the request comes from a page of another site.
pub(super) fn forbidden() -> Response {
    refusal(StatusCode::FORBIDDEN, joints::LOCAL_RULE)
}

impl WowzaFault {
    const fn message(self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => {
                (StatusCode::NOT_FOUND, "The server has not found anything matching the request URI")
            }
            Self::Conflict => (
                StatusCode::CONFLICT,
                "The request could not be completed due to a conflict with the current state of the resource",
            ),
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "There is no recorder"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "The server is ending"),
        }
    }
}

impl std::fmt::Display for WowzaFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message().1)
    }
}

impl IntoResponse for WowzaFault {
    fn into_response(self) -> Response {
        let (status, message) = self.message();
        refusal(status, message)
    }
}

impl From<MatrixError> for WowzaFault {
    fn from(error: MatrixError) -> Self {
        match error {
            MatrixError::UnknownChannel(_) | MatrixError::UnknownSource(_) => Self::NotFound,
            MatrixError::Past { .. } | MatrixError::Notice => Self::Conflict,
            MatrixError::Ended => Self::Unavailable,
        }
    }
}
