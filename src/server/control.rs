//! The tasks that keep state on disk: the matrix, and the audit log.

use std::sync::Arc;

use super::settings::{layout, zone};
use super::stage::{Stage, TaskSpec};
use amphi_config::Config;
use amphi_control::audit::{self, Action, AuditLog, Entry};
use amphi_control::matrix::{self, FileStore, MatrixHandle, OnExpiry, Override};
use amphi_media::clock::Clocks;

/// Starts both. Each ends when its last handle is dropped.
pub(super) fn spawn(config: &Config, clocks: &Clocks, stage: &mut Stage) -> (MatrixHandle, AuditLog) {
    let store = FileStore::new(&config.server.state_dir);
    let (audit, writer) = audit::prepare(&config.server.state_dir);
    let (clock, expired) = (Arc::clone(&clocks.wall), on_expiry(audit.clone()));
    let (matrix, owner) = matrix::prepare(layout(config), store, clock, zone(config), expired);
    stage.supervise_until_done(TaskSpec::new("matrix").needed(), owner, |owner| Box::pin(owner.run()));
    stage.supervise_until_done(TaskSpec::new("audit"), writer, |writer| Box::pin(writer.run()));
    (matrix, audit)
}

/// Records overrides that end by themselves.
fn on_expiry(audit: AuditLog) -> OnExpiry {
    Box::new(move |ended: &Override| {
        let at = ended.until.unwrap_or(ended.since);
        let entry = Entry::new(at, "expiry", Action::OverrideExpired).on(&ended.channel);
        audit.record(entry.with(ended.source.as_ref()));
    })
}
