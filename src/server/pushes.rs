//! Starts the task of a push.

use std::sync::Arc;

use anyhow::Context;
use tracing::info_span;

use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use crate::delivery::PushTask;
use amphi_config as config;
use amphi_protocol::rtmp::Target;

/// Fails if the push's URL cannot be parsed.
pub(super) fn start(push: &config::Push, shared: &ServerContext, stage: &mut Stage) -> anyhow::Result<()> {
    let target = Target::parse(push.url.reveal()).with_context(|| format!("push {:?}: url", push.name))?;
    let task = PushTask {
        name: push.name.clone(),
        channel: push.channel.as_str().into(),
        rung: push.rung.as_str().into(),
        target,
        ca_file: push.ca_file.clone(),
        when: push.when,
        registry: Arc::clone(shared.delivery.registry()),
        matrix: shared.matrix.watch(),
        board: shared.pushes.clone(),
        clock: Arc::clone(&shared.clocks.wall),
        shutdown: stage.end.clone(),
    };
    let job = TaskSpec::of("push", &push.name, info_span!(parent: None, "push", name = %push.name));
    stage.supervise_mending(job, task, |it| Box::pin(it.clone().run()), |it, why| it.fell(why));
    Ok(())
}
