//! Answers that pages of every origin may read (Fetch Standard §3.3).
//!
//! The origin is `*` and credentials are not allowed: browsers refuse the two together, and nothing that is
//! served this way depends on the client. So answers need no `Vary: Origin` and stay cacheable.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::{Body, empty};

/// The methods that media URLs answer.
pub(super) const METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, GET, HEAD");

/// Fields that players may send: the list of a real Wowza, validators, and credentials.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, User-Agent, If-Modified-Since, If-None-Match, If-Range, Cache-Control, Range",
);

/// Fields that scripts may read of an answer: players set their clock by `Date` and measure throughput by the lengths.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Date, Server, Content-Type, Content-Length, Content-Range, ETag, Last-Modified, Content-Disposition, Retry-After",
);

/// Lets pages of every origin read the answer with these `headers`.
pub fn allow(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
}

/// The answer to a preflight (§3.3.2): 204, good for a day.
pub fn preflight() -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ALLOW, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    allow(headers);
    response
}
