//! `/healthz`, `/readyz`: for whoever watches over the process. Open to all. `/api/v1/health` says more, to people.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::Shared;
use super::openapi::{GuardResponses, NotReady};
use super::problem::Problem;
use amphi_control::alarm::{Alarm, AlarmKind};
use amphi_media::MediaTime;
use amphi_runtime::log;
use amphi_runtime::tasks::{MISSED_AFTER, TaskView, Tasks};

/// So many remarks are listed.
const REMARKS: usize = 100;

/// Where it is seen how the server is.
#[derive(Clone, Debug)]
pub struct HealthWatch {
    /// It has started.
    pub ready: watch::Receiver<bool>,
    /// Why it is not ready although it has started, in sentences.
    pub doubts: watch::Receiver<Arc<Vec<String>>>,
    /// Its tasks.
    pub tasks: Tasks,
}

impl HealthWatch {
    /// Why it is not ready; nothing if it is.
    fn doubts(&self) -> Vec<String> {
        if !*self.ready.borrow() {
            return vec!["the server is starting".to_owned()];
        }
        let mut doubts = Vec::clone(&self.doubts.borrow());
        // Whoever looks after the doubts may itself be down.
        for missing in self.tasks.missing(MISSED_AFTER) {
            if !doubts.contains(&missing.sentence) {
                doubts.push(missing.sentence);
            }
        }
        doubts
    }
}

/// What viewers do not get although the server works, a line for each alarm of the kinds that say so.
fn remarks(alarms: &[Alarm]) -> Vec<String> {
    use AlarmKind as K;
    let concerns = |kind| matches!(kind, K::NotOnAir | K::Undecodable | K::UndecodableSound);
    let mut all: Vec<_> = alarms
        .iter()
        .filter(|alarm| concerns(alarm.kind))
        // Reasons may be an encoder's own words.
        .map(|alarm| alarm.sentence.replace(char::is_control, " "))
        .collect();
    // Two channels that should show the same source.
    all.sort();
    all.dedup();
    let more = all.len().saturating_sub(REMARKS);
    all.truncate(REMARKS);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// It serves viewers as it should.
    ready: bool,
    /// Why not, in sentences.
    doubts: Vec<String>,
    /// What viewers do not get although it is ready: the sentences of the alarms `not_on_air`, `undecodable` and
    /// `undecodable_sound`.
    remarks: Vec<String>,
    /// Of the program.
    version: &'static str,
    /// Its time.
    now: MediaTime,
    /// Since its start.
    uptime_s: u64,
    /// Panics since start, each a fault of ours.
    panics: u64,
    /// Lines of the log that could not be written, or were not read.
    log_dropped: u64,
    /// Everything that lives long.
    tasks: Vec<TaskView>,
}

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses(
    (status = 200, description = "It is", body = String, content_type = "text/plain; charset=utf-8"),
))]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// The server is ready for viewers. Behind the first line stands what they do not get all the same, a line each: sources
/// that are not on air or cannot be decoded.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "It is: `ready`, and a line for each remark", body = String, content_type = "text/plain; charset=utf-8"),
    NotReady,
))]
pub(super) async fn ready(State(state): Shared) -> Result<String, Problem> {
    let doubts = state.health.doubts();
    if doubts.is_empty() {
        let remarks = remarks(&state.alarms.borrow());
        return Ok(["ready".to_owned()].into_iter().chain(remarks).map(|line| line + "\n").collect());
    }
    let why = format!("not ready to serve viewers: {}", doubts.join("; "));
    Err(Problem::new(http::StatusCode::SERVICE_UNAVAILABLE, why))
}

/// Which tasks run, how often each has begun again, and why last.
#[utoipa::path(get, path = "/api/v1/health", tag = "health", responses(
    (status = 200, description = "How the server is", body = Health), GuardResponses,
))]
pub(super) async fn show(State(state): Shared) -> Json<Health> {
    let doubts = state.health.doubts();
    Json(Health {
        ready: doubts.is_empty(),
        doubts,
        remarks: remarks(&state.alarms.borrow()),
        version: env!("CARGO_PKG_VERSION"),
        now: state.clock.now(),
        uptime_s: state.started.elapsed().as_secs(),
        panics: log::panics(),
        log_dropped: log::dropped(),
        tasks: state.health.tasks.all(),
    })
}
