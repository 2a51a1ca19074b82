//! The session's cookie, and where it is given.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// Where sessions are opened: with a token, so without one before.
pub(super) const PATH: &str = "/api/v1/session";
/// Its name.
pub(super) const COOKIE_NAME: &str = "amphi_session";

/// Its value (RFC 6265 §5.4).
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let mut pairs = fields.flat_map(|field| field.split(';')).map(str::trim);
    pairs.find_map(|pair| pair.strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}
