//! Answers without content, and problem details (RFC 9457).

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::Body;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `status` with an empty body. Errors get `Cache-Control: no-store`.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status.is_client_error() || status.is_server_error() {
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    }
    // A 204 has no Content-Length (RFC 9110 §8.6).
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    response
}

/// `status` with `detail`, a sentence for people, as `application/problem+json`. The title is the status's own phrase
/// (RFC 9457 §4.2.1, `about:blank`). Errors get `Cache-Control: no-store`.
pub fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let problem = serde_json::json!({
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    })
    .to_string();
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(problem.len()));
    *response.body_mut() = Body::from(problem);
    response
}
