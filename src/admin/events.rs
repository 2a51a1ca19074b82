//! `GET /api/v1/events`: server-sent events (WHATWG HTML §9.2).
//!
//! The first event is the matrix as it is; each change sends it anew. A reader that is slower than the changes
//! is sent the latest only: nothing queues up for it.

use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::matrix::MatrixHandle;

/// Proxies commonly end a connection that has been silent for 60 s (nginx `proxy_read_timeout`).
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How soon a browser comes back after the connection has ended.
const RETRY: Duration = Duration::from_secs(2);

pub(super) async fn stream(State(state): Shared) -> impl IntoResponse {
    // nginx would otherwise hold events back until it has a buffer full of them.
    ([("x-accel-buffering", "no")], Sse::new(events(&state.matrix, state.ending.clone())))
}

fn events(
    matrix: &MatrixHandle,
    ending: CancellationToken,
) -> impl Stream<Item = Result<Event, axum::Error>> + use<> {
    let mut watch = matrix.watch();
    watch.mark_changed();
    stream::unfold((watch, ending), async |(mut watch, ending)| {
        let event = tokio::select! {
            changed = watch.changed() => {
                changed.ok()?;
                let view = std::sync::Arc::clone(&watch.borrow_and_update());
                Event::default().event("matrix").retry(RETRY).json_data(&*view)
            }
            () = tokio::time::sleep(KEEP_ALIVE) => Ok(Event::default().comment("still here")),
            () = ending.cancelled() => return None,
        };
        Some((event, (watch, ending)))
    })
}
