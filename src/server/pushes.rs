//! A push's task.

use std::sync::Arc;

use anyhow::Context;
use tracing::info_span;

use super::shared::Means;
use super::stage::{Job, Stage};
use crate::config;
use crate::delivery::PushTask;
use crate::rtmp::Target;

/// The task of a push.
pub(super) fn start(push: &config::Push, means: &Means, stage: &mut Stage) -> anyhow::Result<()> {
    let target = Target::parse(push.url.reveal()).with_context(|| format!("push {:?}: url", push.name))?;
    let task = PushTask {
        name: push.name.clone(),
        channel: push.channel.clone(),
        rung: push.rung.clone(),
        target,
        ca_file: push.ca_file.clone(),
        when: push.when,
        registry: Arc::clone(means.delivery.registry()),
        matrix: means.matrix.watch(),
        board: means.pushes.clone(),
        clock: Arc::clone(&means.clocks.wall),
        shutdown: stage.end.clone(),
    };
    let job = Job::of("push", &push.name, info_span!(parent: None, "push", name = %push.name));
    stage.supervise_mending(job, task, |it| Box::pin(it.clone().run()), |it, why| it.fell(why));
    Ok(())
}
