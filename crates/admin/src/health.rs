//! `/healthz` and `/readyz`, for process supervisors and load balancers; no token is needed. `/api/v1/health` has the
//! details, for people.

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

/// The most remarks that are listed.
const REMARKS: usize = 100;

/// What the health of the server is computed from.
#[derive(Clone, Debug)]
pub struct HealthWatch {
    /// Whether the server has finished starting.
    pub ready: watch::Receiver<bool>,
    /// Why it is not ready although it has started, in sentences.
    pub doubts: watch::Receiver<Arc<Vec<String>>>,
    /// The list of its tasks.
    pub tasks: Tasks,
}

impl HealthWatch {
    /// Why the server is not ready; empty if it is.
    fn doubts(&self) -> Vec<String> {
        if !*self.ready.borrow() {
            return vec!["the server is starting".to_owned()];
        }
        let mut doubts = Vec::clone(&self.doubts.borrow());
        // The task that updates `doubts` may itself be down.
        for missing in self.tasks.missing(MISSED_AFTER) {
            if !doubts.contains(&missing.sentence) {
                doubts.push(missing.sentence);
            }
        }
        doubts
    }
}

/// What viewers do not get although the server works: the sentence of each alarm of these kinds.
fn remarks(alarms: &[Alarm]) -> Vec<String> {
    use AlarmKind as K;
    let concerns = |kind| matches!(kind, K::NotOnAir | K::Undecodable | K::UndecodableSound);
    let mut all: Vec<_> = alarms
        .iter()
        .filter(|alarm| concerns(alarm.kind))
        // A sentence may contain an encoder's own text.
        .map(|alarm| alarm.sentence.replace(char::is_control, " "))
        .collect();
    // Two channels that should show the same source have the same alarm.
    all.sort();
    all.dedup();
    let more = all.len().saturating_sub(REMARKS);
    all.truncate(REMARKS);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

/// The health of the server.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Whether it serves viewers as it should.
    ready: bool,
    /// Why it is not ready, in sentences.
    doubts: Vec<String>,
    /// What viewers do not get although it is ready: the sentences of the alarms `not_on_air`, `undecodable` and
    /// `undecodable_sound`.
    remarks: Vec<String>,
    /// The version of the program.
    version: &'static str,
    /// The time of this machine.
    now: MediaTime,
    /// Seconds since the server started.
    uptime_s: u64,
    /// Panics since start; each is a bug of ours.
    panics: u64,
    /// Lines of the log that were dropped since start: they could not be written, or were not read.
    log_dropped: u64,
    /// The long-running tasks and threads, by name.
    tasks: Vec<TaskView>,
}

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses(
    (status = 200, description = "It is alive", body = String, content_type = "text/plain; charset=utf-8"),
))]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Whether the server is ready for viewers. The lines after the first say what viewers do not get all the same: sources
/// that are not on air or cannot be decoded.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "It is ready: `ready`, and a line for each remark", body = String, content_type = "text/plain; charset=utf-8"),
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

/// Which tasks are running, how often each was restarted, and why it last failed.
#[utoipa::path(get, path = "/api/v1/health", tag = "health", responses(
    (status = 200, description = "The health of the server", body = Health), GuardResponses,
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
