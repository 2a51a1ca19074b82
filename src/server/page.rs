//! The demo's page: plays each channel, connects and disconnects with a click.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use axum::routing::{get, put};
use serde_json::json;

use super::Addresses;
use super::demo::Halls;
use crate::simulator::Fault;

const INDEX: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/page.js");
const PLAYER: &str = include_str!("page/player.js");
const ICON: &str = include_str!("page/icon.svg");
const STYLE: &str = include_str!("page/page.css");

/// The page and its parts, to stand beside the REST routes.
pub(super) fn router(addresses: &Addresses, channels: &[String], halls: Arc<Halls>) -> Router {
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
        .route("/demo/halls", get(faults))
        .route("/demo/halls/{hall}/fault", put(set_fault))
        .with_state(halls)
}

/// Every hall with what fails in it.
async fn faults(State(halls): State<Arc<Halls>>) -> Json<BTreeMap<&'static str, Option<String>>> {
    Json(halls.faults().map(|(hall, fault)| (hall, fault.map(|fault| fault.to_string()))).collect())
}

/// The body is a fault's name, or nothing to mend the hall.
async fn set_fault(
    State(halls): State<Arc<Halls>>,
    Path(hall): Path<String>,
    body: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let fault = match body.trim() {
        "" => None,
        text => Some(text.parse::<Fault>().map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?),
    };
    if halls.set_fault(&hall, fault) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err((StatusCode::NOT_FOUND, format!("no hall is called {hall:?}")))
    }
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse + Clone {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], text)
}
