//! What the console shows beyond the matrix: measurements of sources and channels, numbers of viewers, and thumbnails.
//!
//! | | |
//! |---|---|
//! | `GET /api/v1/vitals` | rates, losses, levels of every source; rates and viewers of every channel. Also an event |
//! | `GET /api/v1/viewers` | viewers of every channel and rung, per minute, over the last hours |
//! | `GET /api/v1/sources/{source}/thumbnail.jpg` | the source's present picture, or the last one |
//! | `GET /api/v1/channels/{channel}/thumbnail.jpg` | what its viewers see |

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::StatusCode;
use http::header::{CONTENT_TYPE, LAST_MODIFIED};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::Shared;
use super::attendance::Viewers;
use super::openapi::{Crowded, GuardResponses, NoSuchName};
use super::problem::{Name, Problem};
use amphi_media::{ChannelName, MediaTime, RungName, SourceName};
use amphi_runtime::workshop::Refused as Refusal;

/// The sources of these data.
#[derive(Clone, Debug)]
pub struct Insight {
    /// Measurements of sources and channels, updated twice a second.
    pub vitals: watch::Receiver<Arc<Vitals>>,
    /// Numbers of viewers of the last hours, updated every few seconds.
    pub viewers: watch::Receiver<Arc<Viewers>>,
    /// Makes thumbnails on request.
    pub thumbnails: Arc<dyn Thumbnails>,
}

/// Makes thumbnails.
pub trait Thumbnails: Send + Sync + fmt::Debug {
    /// The source's present picture, or the last one; `None` if there was none yet. The error says that the picture cannot
    /// be made now.
    fn of_source<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Option<Thumbnail>, Refusal>>;
    /// The picture that a channel's viewers see; otherwise as [`Thumbnails::of_source`].
    fn of_channel<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, Result<Option<Thumbnail>, Refusal>>;
}

/// A small picture.
#[derive(Clone, Debug)]
pub struct Thumbnail {
    /// The time of the picture.
    pub at: MediaTime,
    /// A JPEG file (ISO/IEC 10918-1).
    pub jpeg: Bytes,
}

/// Measurements of all sources and channels at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Vitals {
    /// All sources, sorted by name.
    pub sources: Vec<SourceVitals>,
    /// All channels, sorted by name.
    pub channels: Vec<ChannelVitals>,
}

/// Measurements of a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SourceVitals {
    /// The source's name.
    #[schema(value_type = String)]
    pub name: SourceName,
    /// Pictures received per second.
    pub fps: f64,
    /// Bits received per second, picture and sound.
    pub bitrate_bps: u64,
    /// RTP packets lost since start.
    pub lost_packets: u64,
    /// RTP packets lost in the last minute.
    pub lost_last_minute: u64,
    /// How much faster its clock runs than ours, in parts per million.
    pub skew_ppm: f64,
    /// How late the sound is relative to the picture, in milliseconds.
    pub av_offset_ms: f64,
    /// The loudest sample since the last event, in decibels of full scale; absent without sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_dbfs: Option<f64>,
    /// The sound's root mean square, in decibels of full scale; absent without sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rms_dbfs: Option<f64>,
    /// The time of its thumbnail; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture_at: Option<MediaTime>,
}

/// Measurements of a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ChannelVitals {
    /// The channel's name.
    #[schema(value_type = String)]
    pub name: ChannelName,
    /// The number of viewers of all rungs.
    pub viewers: u64,
    /// Its rungs, best first.
    pub rungs: Vec<RungVitals>,
    /// The time of its thumbnail; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture_at: Option<MediaTime>,
}

/// Measurements of a rung of a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct RungVitals {
    /// The rung's name.
    #[schema(value_type = String)]
    pub name: RungName,
    /// Its bits per second, as in its playlist.
    pub bitrate_bps: u64,
    /// The number of its viewers.
    pub viewers: u64,
}

/// The present measurements of sources and channels.
#[utoipa::path(get, path = "/api/v1/vitals", tag = "insight", responses(
    (status = 200, description = "Rates, losses, levels, viewers", body = Vitals), GuardResponses,
))]
pub(super) async fn vitals(State(state): Shared) -> Json<Vitals> {
    Json(Vitals::clone(&state.insight.vitals.borrow()))
}

/// The numbers of viewers of the last hours, per minute.
#[utoipa::path(get, path = "/api/v1/viewers", tag = "insight", responses(
    (status = 200, description = "Of every channel and rung", body = Viewers), GuardResponses,
))]
pub(super) async fn viewers(State(state): Shared) -> Json<Viewers> {
    Json(Viewers::clone(&state.insight.viewers.borrow()))
}

/// The source's present picture, or the last one.
#[utoipa::path(get, path = "/api/v1/sources/{source}/thumbnail.jpg", tag = "insight",
    params(("source" = String, Path, description = "The source's name")),
    responses(
        (status = 200, description = "A small picture", body = Vec<u8>, content_type = "image/jpeg"),
        GuardResponses, NoSuchName, Crowded,
    ),
)]
pub(super) async fn of_source(
    State(state): Shared,
    Name(name): Name<SourceName>,
) -> Result<Response, Problem> {
    if state.matrix.view().source(&name).is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("no source is called {name:?}")));
    }
    picture(state.insight.thumbnails.of_source(&name).await)
}

/// The picture that the channel's viewers see.
#[utoipa::path(get, path = "/api/v1/channels/{channel}/thumbnail.jpg", tag = "insight",
    params(("channel" = String, Path, description = "The channel's name")),
    responses(
        (status = 200, description = "A small picture", body = Vec<u8>, content_type = "image/jpeg"),
        GuardResponses, NoSuchName, Crowded,
    ),
)]
pub(super) async fn of_channel(
    State(state): Shared,
    Name(name): Name<ChannelName>,
) -> Result<Response, Problem> {
    if state.matrix.view().channel(&name).is_none() {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("no channel is called {name:?}")));
    }
    picture(state.insight.thumbnails.of_channel(&name).await)
}

fn picture(thumbnail: Result<Option<Thumbnail>, Refusal>) -> Result<Response, Problem> {
    let thumbnail = thumbnail.map_err(|refusal| match refusal {
        Refusal::Busy => Problem::busy(&refusal.to_string()),
        Refusal::Panicked => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, refusal.to_string()),
    })?;
    let Some(Thumbnail { at, jpeg }) = thumbnail else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "no picture of it has been seen yet"));
    };
    // RFC 9110 §5.6.7: IMF-fixdate.
    let seen = at.timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Ok(([(CONTENT_TYPE, "image/jpeg".to_owned()), (LAST_MODIFIED, seen)], jpeg).into_response())
}
