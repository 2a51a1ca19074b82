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

/// An error answer. Its `type` is `about:blank` (RFC 9457 §4.2.1): the status gives the kind, `detail` the particulars.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    /// The value of `WWW-Authenticate` (RFC 9110 §11.6.1).
    challenge: Option<&'static str>,
    /// The value of `Retry-After` (RFC 9110 §10.2.3).
    wait: Option<Duration>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), challenge: None, wait: None }
    }

    /// 401: the caller has not authenticated.
    pub(super) fn unauthorized(challenge: &'static str, detail: &str) -> Self {
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 429: too many wrong credentials came from the caller's address.
    pub(super) fn slow_down(wait: Duration) -> Self {
        let detail = "too many wrong credentials came from this address; wait as Retry-After says, even with the \
                      right ones";
        Self { wait: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 503: a bound is reached; try again in 10 s.
    pub(super) fn busy(detail: &str) -> Self {
        Self { wait: Some(Duration::from_secs(10)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// 401: there is neither a token nor a cookie.
    pub(super) fn no_token() -> Self {
        Self::unauthorized("Bearer realm=\"amphi\"", "a bearer token, or a session's cookie, is needed")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

/// What went wrong (problem details, RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody<'a> {
    /// `about:blank`: the status gives the kind.
    r#type: &'static str,
    /// The reason phrase of the status.
    title: &'a str,
    /// The HTTP status code.
    status: u16,
    /// What is wrong, in a sentence.
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

/// An unknown channel is in the URL: 404. An unknown source, a time or a notice is in the body: 422.
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
pub(super) struct Name<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Name<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = Path::<T>::from_request_parts(parts, state).await;
        let refused = |rejection: PathRejection| Problem::new(rejection.status(), rejection.body_text());
        name.map(|Path(name)| Self(name)).map_err(refused)
    }
}

/// The parameters of the query.
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

/// Whether one of the causes is that the body did not arrive in time.
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

/// A JSON body. Answers 415 for another media type, 400 for malformed JSON, and 422 for JSON of the wrong shape, with line
/// and column.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = "the body must be JSON, with Content-Type: application/json";
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
