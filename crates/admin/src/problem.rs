//! Errors as the caller sees them: problem details (RFC 9457), and extractors that answer with them.

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use utoipa::ToSchema;

use amphi_control::matrix::MatrixError;
use amphi_http as joints;

/// One error. Its `type` is `about:blank`: the status says what kind it is, `detail` says what exactly.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    /// What the caller must show (RFC 9110 §11.6.1).
    challenge: Option<&'static str>,
    /// When to come again.
    wait: Option<Duration>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), challenge: None, wait: None }
    }

    /// The caller has not shown who it is.
    pub(super) fn unauthorized(challenge: &'static str, detail: &str) -> Self {
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// Too many wrong credentials came from the caller's address.
    pub(super) fn slow_down(wait: Duration) -> Self {
        let detail = "too many wrong credentials came from this address: until then nothing is judged, not even the \
                      right ones";
        Self { wait: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// There is no room for it now.
    pub(super) fn busy(detail: &str) -> Self {
        Self { wait: Some(Duration::from_secs(10)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The caller has shown nothing.
    pub(super) fn no_token() -> Self {
        Self::unauthorized("Bearer realm=\"amphi\"", "a bearer token, or a session's cookie, is needed")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

/// What went wrong (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// `about:blank`: the status says what kind it is.
    r#type: &'static str,
    /// The status in words.
    title: &'a str,
    /// The status.
    status: u16,
    /// What exactly.
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let status = self.status.as_u16();
        let body = ProblemBody { r#type: "about:blank", title, status, detail: &self.detail };
        let media_type = [(CONTENT_TYPE, "application/problem+json")];
        let challenge = self.challenge.map(|challenge| [(WWW_AUTHENTICATE, challenge)]);
        let wait = self.wait.map(|wait| [(RETRY_AFTER, joints::retry_after(wait).to_string())]);
        (self.status, challenge, wait, media_type, Json(body)).into_response()
    }
}

/// Whose fault it is decides the status: the URL names a channel, the body names a source and a time.
impl From<MatrixError> for Problem {
    fn from(error: MatrixError) -> Self {
        let status = match error {
            MatrixError::UnknownChannel(_) => StatusCode::NOT_FOUND,
            MatrixError::UnknownSource(_) | MatrixError::Past { .. } | MatrixError::Notice => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            MatrixError::Ended => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// The one name in a path, percent-decoded.
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        let refused = |rejection: PathRejection| Problem::new(rejection.status(), rejection.body_text());
        name.map(|Path(name)| Self(name)).map_err(refused)
    }
}

/// The parameters behind the path's `?`.
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
    }
}

/// Somewhere among the causes is that the body did not come in time.
fn is_late(rejection: &BytesRejection) -> bool {
    let mut cause = rejection.source();
    while let Some(error) = cause {
        if error.is::<joints::TooSlow>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A body of JSON. 415 when it does not say so, 400 when it is not, 422 when it is but not what is wanted;
/// line and column are said.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = "the body must be JSON and say so: Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let refused = |rejection: BytesRejection| {
            let status = if is_late(&rejection) { StatusCode::REQUEST_TIMEOUT } else { rejection.status() };
            Problem::new(status, rejection.body_text())
        };
        let bytes = Bytes::from_request(request, state).await.map_err(refused)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let status = match error.classify() {
                Category::Data => StatusCode::UNPROCESSABLE_ENTITY,
                Category::Syntax | Category::Eof | Category::Io => StatusCode::BAD_REQUEST,
            };
            Problem::new(status, format!("in the body: {error}"))
        })
    }
}
