//! `/api/v1/channels`: asking for channels, and steering what is on them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::problem::{JsonBody, Name, Problem};
use crate::matrix::{Applied, ChannelView, MatrixError, Notice};
use crate::media::MediaTime;

/// The body of a manual connect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    source: String,
    until: Option<MediaTime>,
}

/// The answer to a change: the channel as it is now.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    #[serde(flatten)]
    channel: ChannelView,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

type Answer = Result<Json<Changed>, Problem>;

pub(super) async fn list(State(state): Shared) -> Response {
    Json(&state.matrix.view().channels).into_response()
}

pub(super) async fn one(State(state): Shared, Name(name): Name) -> Result<Json<ChannelView>, Problem> {
    let view = state.matrix.view();
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("no channel is called {name:?}"));
    view.channel(&name).cloned().map(Json).ok_or_else(unknown)
}

pub(super) async fn connect(
    State(state): Shared,
    Name(channel): Name,
    JsonBody(body): JsonBody<Connect>,
) -> Answer {
    answer(state.matrix.connect(&channel, &body.source, body.until).await)
}

pub(super) async fn disconnect(State(state): Shared, Name(channel): Name) -> Answer {
    answer(state.matrix.disconnect(&channel).await)
}

pub(super) async fn clear_override(State(state): Shared, Name(channel): Name) -> Answer {
    answer(state.matrix.clear_override(&channel).await)
}

pub(super) async fn notice(
    State(state): Shared,
    Name(channel): Name,
    JsonBody(notice): JsonBody<Notice>,
) -> Answer {
    answer(state.matrix.set_notice(&channel, Some(notice)).await)
}

pub(super) async fn clear_notice(State(state): Shared, Name(channel): Name) -> Answer {
    answer(state.matrix.set_notice(&channel, None).await)
}

fn answer(applied: Result<Applied, MatrixError>) -> Answer {
    let Applied { channel, warning } = applied?;
    Ok(Json(Changed { channel, warning }))
}
