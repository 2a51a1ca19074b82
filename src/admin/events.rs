//! `GET /api/v1/events`: server-sent events (WHATWG HTML §9.2).
//!
//! The first events are the matrix, the alarms and the schedule as they are; each change sends the one concerned anew; the vitals
//! of sources and channels come twice a second. A reader that is slower than the changes
//! is sent the latest only: nothing queues up for it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::insight::Vitals;
use super::openapi::Refused;
use crate::agenda::Plan;
use crate::alarm::Alarm;
use crate::matrix::MatrixView;

/// Proxies commonly end a connection that has been silent for 60 s (nginx `proxy_read_timeout`).
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How soon a browser comes back after the connection has ended.
const RETRY: Duration = Duration::from_secs(2);

/// The matrix and the alarms, now and at every change: events `matrix` and `alarms`, whose data is JSON.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", responses(
    (status = 200, description = "Server-sent events, without end", body = String, content_type = "text/event-stream"),
    Refused,
))]
pub(super) async fn stream(State(state): Shared) -> impl IntoResponse {
    let (matrix, alarms, plan) = (state.matrix.watch(), state.alarms.clone(), state.plan.clone());
    let (vitals, ending) = (state.insight.vitals.clone(), state.ending.clone());
    let feed = Feed { matrix, alarms, plan, vitals, ending };
    // nginx would otherwise hold events back until it has a buffer full of them.
    ([("x-accel-buffering", "no")], Sse::new(events(feed)))
}

/// What one reader is told of.
struct Feed {
    matrix: watch::Receiver<Arc<MatrixView>>,
    alarms: watch::Receiver<Arc<Vec<Alarm>>>,
    plan: watch::Receiver<Arc<Plan>>,
    vitals: watch::Receiver<Arc<Vitals>>,
    ending: CancellationToken,
}

fn events(mut feed: Feed) -> impl Stream<Item = Result<Event, axum::Error>> + use<> {
    feed.matrix.mark_changed();
    feed.alarms.mark_changed();
    feed.plan.mark_changed();
    feed.vitals.mark_changed();
    stream::unfold(feed, async |mut feed| {
        // In this order, so that the matrix is the first event.
        let event = tokio::select! {
            biased;
            () = feed.ending.cancelled() => return None,
            changed = feed.matrix.changed() => {
                changed.ok()?;
                let view = Arc::clone(&feed.matrix.borrow_and_update());
                Event::default().event("matrix").retry(RETRY).json_data(&*view)
            }
            changed = feed.alarms.changed() => {
                changed.ok()?;
                let alarms = Arc::clone(&feed.alarms.borrow_and_update());
                Event::default().event("alarms").json_data(&*alarms)
            }
            changed = feed.plan.changed() => {
                changed.ok()?;
                let plan = Arc::clone(&feed.plan.borrow_and_update());
                Event::default().event("schedule").json_data(&*plan)
            }
            changed = feed.vitals.changed() => {
                changed.ok()?;
                let vitals = Arc::clone(&feed.vitals.borrow_and_update());
                Event::default().event("vitals").json_data(&*vitals)
            }
            () = tokio::time::sleep(KEEP_ALIVE) => Ok(Event::default().comment("still here")),
        };
        Some((event, feed))
    })
}
