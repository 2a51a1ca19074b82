//! The demo's page: plays each channel, connects and disconnects with a click.

use axum::Json;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use super::Addresses;

const INDEX: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/page.js");
const PLAYER: &str = include_str!("page/player.js");
const ICON: &str = include_str!("page/icon.svg");
const STYLE: &str = include_str!("page/page.css");

/// The page and its parts, to stand beside the REST routes.
pub(super) fn router(addresses: &Addresses, channels: &[String]) -> Router {
    let media =
        addresses.http.or(addresses.media).map(|address| format!("http://{address}")).unwrap_or_default();
    let policy = format!(
        "default-src 'self'; connect-src 'self' {media}; media-src 'self' blob: {media}; frame-ancestors 'none'"
    );
    let channels: Vec<_> = channels
        .iter()
        .map(|name| json!({ "name": name, "playlist": format!("{media}/{name}/playlist.m3u8") }))
        .collect();
    let described = json!({ "media": media, "channels": channels });
    let index = ([(CONTENT_SECURITY_POLICY, policy)], asset("text/html; charset=utf-8", INDEX));
    Router::new()
        .route("/", get(async move || index))
        .route("/page.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
        .route("/player.js", get(async || asset("text/javascript; charset=utf-8", PLAYER)))
        .route("/page.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/icon.svg", get(async || asset("image/svg+xml", ICON)))
        .route("/demo.json", get(async move || Json(described)))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse + Clone {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], text)
}
