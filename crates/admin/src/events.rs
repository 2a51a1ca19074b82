//! `GET /api/v1/events`: server-sent events (WHATWG HTML §9.2).
//!
//! The first events are the matrix, the alarms and the schedule as they are; after a change the one concerned is sent again;
//! the vitals of sources and channels are sent twice a second. A reader that is slower than the changes
//! gets the latest only: nothing queues up for it.
//!
//! A stream that was opened with a session's cookie ends with the session. Each role may have 64 streams; one more
//! is answered with 503 and `Retry-After`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::access::{Caller, Proof, Role};
use super::insight::Vitals;
use super::openapi::{Crowded, GuardResponses};
use super::problem::Problem;
use super::{Shared, cookie};
use amphi_control::agenda::Plan;
use amphi_control::alarm::Alarm;
use amphi_control::matrix::MatrixView;
use amphi_media::MediaTime;
use amphi_media::clock::WallClock;

/// The time between comments on an idle stream: proxies commonly end a connection that has been silent for 60 s (nginx
/// `proxy_read_timeout`).
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The most streams of one role: an open console has one.
const MOST: usize = 64;

/// The reconnection time of browsers (WHATWG HTML §9.2.2).
const RETRY: Duration = Duration::from_secs(2);

/// The matrix, the alarms and the schedule, now and at every change, and vitals twice a second: events `matrix`, `alarms`,
/// `schedule` and `vitals`, whose data is JSON.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", responses(
    (status = 200, description = "Server-sent events, until the session ends", body = String, content_type = "text/event-stream"),
    GuardResponses, Crowded,
))]
pub(super) async fn stream(
    State(state): Shared,
    caller: Caller,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let permit = state.streams.permit(caller.role)?;
    let session = cookie::cookie(&headers).filter(|_| caller.proof == Proof::Session);
    // The session may have ended since the guard checked it: then the stream ends at once.
    let ended = session.map(|value| state.sessions.ended(value).unwrap_or_else(cancelled));
    let (until, clock) = (caller.until, Arc::clone(&state.clock));
    let leave = Leave { ended: ended.unwrap_or_default(), until, clock, _permit: permit };
    let (matrix, alarms, plan) = (state.matrix.watch(), state.alarms.clone(), state.plan.clone());
    let (vitals, ending) = (state.insight.vitals.clone(), state.ending.clone());
    let feed = Feed { matrix, alarms, plan, vitals, ending, leave };
    // nginx would otherwise hold events back until it has a buffer full of them.
    Ok(([("x-accel-buffering", "no")], Sse::new(events(feed))))
}

fn cancelled() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

/// The streams that may still be opened, by role.
pub(super) struct Streams {
    viewers: Arc<Semaphore>,
    operators: Arc<Semaphore>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { viewers: Arc::new(Semaphore::new(MOST)), operators: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Streams {
    fn permit(&self, role: Role) -> Result<OwnedSemaphorePermit, Problem> {
        let permits = match role {
            Role::Viewer => &self.viewers,
            Role::Operator => &self.operators,
        };
        let permit = Arc::clone(permits).try_acquire_owned();
        permit.map_err(|_| Problem::busy("this role has as many event streams open as it may have"))
    }
}

/// When a stream ends.
struct Leave {
    ended: CancellationToken,
    until: Option<MediaTime>,
    clock: Arc<dyn WallClock>,
    _permit: OwnedSemaphorePermit,
}

impl Leave {
    /// The time until the session ends.
    fn left(&self) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_since(self.clock.now()))
    }
}

/// The data of one stream.
struct Feed {
    matrix: watch::Receiver<Arc<MatrixView>>,
    alarms: watch::Receiver<Arc<Vec<Alarm>>>,
    plan: watch::Receiver<Arc<Plan>>,
    vitals: watch::Receiver<Arc<Vitals>>,
    ending: CancellationToken,
    leave: Leave,
}

fn events(mut feed: Feed) -> impl Stream<Item = Result<Event, axum::Error>> + use<> {
    feed.matrix.mark_changed();
    feed.alarms.mark_changed();
    feed.plan.mark_changed();
    feed.vitals.mark_changed();
    stream::unfold(feed, async |mut feed| {
        let left = feed.leave.left();
        if left.is_zero() {
            return None;
        }
        // In this order, so that the matrix is the first event.
        let event = tokio::select! {
            biased;
            () = feed.ending.cancelled() => return None,
            () = feed.leave.ended.cancelled() => return None,
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
            () = tokio::time::sleep(KEEP_ALIVE.min(left)) => Ok(Event::default().comment("still here")),
        };
        Some((event, feed))
    })
}
