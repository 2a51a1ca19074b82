//! `/api/v1/channels`: reading channels, and changing what is on them.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Caller;
use super::openapi::{BadBody, EndingResponses, GuardResponses, NoSuchName};
use super::problem::{JsonBody, Name, Problem};
use super::{AdminContext, Shared};
use amphi_control::audit::Action;
use amphi_control::matrix::{Applied, ChannelView, MatrixError, MatrixView, Notice};
use amphi_media::{ChannelName, MediaTime, SourceName};

/// The body of a manual connect.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    /// The name of the source.
    #[schema(value_type = String)]
    source: SourceName,
    /// When the channel goes back to the schedule or the configuration by itself; absent = when the override is cleared.
    until: Option<MediaTime>,
}

/// The answer to a change: the channel as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    #[serde(flatten)]
    channel: ChannelView,
    /// Set if the change could not be saved: it is in effect, but would not survive a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

type ChannelReply = Result<Json<Changed>, Problem>;

/// All channels and sources, and which source is on which channel.
#[utoipa::path(get, path = "/api/v1/matrix", tag = "channels", responses(
    (status = 200, description = "The matrix", body = MatrixView), GuardResponses,
))]
pub(super) async fn matrix(State(state): Shared) -> Json<MatrixView> {
    Json(MatrixView::clone(&state.matrix.view()))
}

/// All channels.
#[utoipa::path(get, path = "/api/v1/channels", tag = "channels", responses(
    (status = 200, description = "In the configuration's order", body = Vec<ChannelView>), GuardResponses,
))]
pub(super) async fn list(State(state): Shared) -> Json<Vec<ChannelView>> {
    Json(state.matrix.view().channels.clone())
}

/// One channel.
#[utoipa::path(get, path = "/api/v1/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name")),
    responses((status = 200, description = "The channel", body = ChannelView), GuardResponses, NoSuchName),
)]
pub(super) async fn one(
    State(state): Shared,
    Name(name): Name<ChannelName>,
) -> Result<Json<ChannelView>, Problem> {
    let view = state.matrix.view();
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("no channel is called {name:?}"));
    view.channel(&name).cloned().map(Json).ok_or_else(unknown)
}

/// Puts a source on the channel by hand, perhaps only until a given time.
#[utoipa::path(put, path = "/api/v1/channels/{channel}/source", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name")),
    request_body = Connect,
    responses((status = 200, description = "The channel as it is now", body = Changed), GuardResponses, NoSuchName, BadBody),
)]
pub(super) async fn connect(
    State(state): Shared,
    caller: Caller,
    Name(channel): Name<ChannelName>,
    JsonBody(Connect { source, until }): JsonBody<Connect>,
) -> ChannelReply {
    let applied = state.matrix.connect(&channel, &source, until).await;
    let entry = caller.does(Action::Connect, state.clock.now()).on(&channel).with(Some(&source)).until(until);
    state.audit.record(entry.result(&applied));
    answer(applied)
}

/// Puts the waiting loop on the channel by hand.
#[utoipa::path(delete, path = "/api/v1/channels/{channel}/source", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name")),
    responses((status = 200, description = "The channel as it is now", body = Changed), GuardResponses, NoSuchName, EndingResponses),
)]
pub(super) async fn disconnect(
    State(state): Shared,
    caller: Caller,
    Name(channel): Name<ChannelName>,
) -> ChannelReply {
    let applied = state.matrix.disconnect(&channel).await;
    recorded(&state, &caller, Action::Disconnect, &channel, applied)
}

/// Ends the manual override: the channel goes back to the schedule or the configuration.
#[utoipa::path(delete, path = "/api/v1/channels/{channel}/override", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name")),
    responses((status = 200, description = "The channel as it is now", body = Changed), GuardResponses, NoSuchName, EndingResponses),
)]
pub(super) async fn clear_override(
    State(state): Shared,
    caller: Caller,
    Name(channel): Name<ChannelName>,
) -> ChannelReply {
    let applied = state.matrix.clear_override(&channel).await;
    recorded(&state, &caller, Action::ClearOverride, &channel, applied)
}

/// Sets the text of the channel's waiting picture.
#[utoipa::path(put, path = "/api/v1/channels/{channel}/notice", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name")),
    request_body = Notice,
    responses((status = 200, description = "The channel as it is now", body = Changed), GuardResponses, NoSuchName, BadBody),
)]
pub(super) async fn notice(
    State(state): Shared,
    caller: Caller,
    Name(channel): Name<ChannelName>,
    JsonBody(notice): JsonBody<Notice>,
) -> ChannelReply {
    let title = notice.title.clone();
    let applied = state.matrix.set_notice(&channel, Some(notice)).await;
    let entry = caller.does(Action::Notice, state.clock.now()).on(&channel).saying(&title);
    state.audit.record(entry.result(&applied));
    answer(applied)
}

/// Removes the text of the channel's waiting picture that was set by hand.
#[utoipa::path(delete, path = "/api/v1/channels/{channel}/notice", tag = "channels",
    params(("channel" = String, Path, description = "The channel's name")),
    responses((status = 200, description = "The channel as it is now", body = Changed), GuardResponses, NoSuchName, EndingResponses),
)]
pub(super) async fn clear_notice(
    State(state): Shared,
    caller: Caller,
    Name(channel): Name<ChannelName>,
) -> ChannelReply {
    let applied = state.matrix.set_notice(&channel, None).await;
    recorded(&state, &caller, Action::ClearNotice, &channel, applied)
}

fn recorded(
    state: &AdminContext,
    caller: &Caller,
    what: Action,
    channel: &ChannelName,
    applied: Result<Applied, MatrixError>,
) -> ChannelReply {
    state.audit.record(caller.does(what, state.clock.now()).on(channel).result(&applied));
    answer(applied)
}

fn answer(applied: Result<Applied, MatrixError>) -> ChannelReply {
    let Applied { channel, warning } = applied?;
    Ok(Json(Changed { channel, warning }))
}
