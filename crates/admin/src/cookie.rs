//! The session's cookie, and the path at which sessions are opened.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// The path at which sessions are opened. The token is in the body, so the guard lets the request pass without one.
pub(super) const PATH: &str = "/api/v1/session";
pub(super) const COOKIE_NAME: &str = "amphi_session";

/// The value of the session's cookie in the request (RFC 6265 §5.4).
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut pairs = fields.flat_map(|field| field.split(';')).map(str::trim);
    pairs.find_map(|pair| pair.strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}
