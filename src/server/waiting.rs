//! Waiting loops: a channel's video, coded once by the channel's ladder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tracing::{error, info, info_span};

use amphi_config::{self as config, Config};
use amphi_container::clip::Clip;
use amphi_ladder::card_text::Words;
use amphi_ladder::{LadderSpec, WaitingLoop};
use amphi_media::Grid;

/// The ladder of a channel, and its waiting loop without a notice.
pub(super) async fn code(
    config: &Config,
    channel: &config::Channel,
    grid: Grid,
) -> anyhow::Result<(Arc<LadderSpec>, Arc<WaitingLoop>)> {
    let ladder = config.ladders.iter().find(|ladder| ladder.name == channel.ladder);
    let ladder =
        ladder.with_context(|| format!("channel {:?}: no ladder {:?}", channel.name, channel.ladder))?;
    let deadline = Duration::from_millis(u64::from(channel.live_deadline_ms));
    let spec = Arc::new(LadderSpec::new(ladder, grid, deadline));
    let (name, path, task_spec) = (channel.name.clone(), channel.waiting.clone(), Arc::clone(&spec));
    let span = info_span!(parent: None, "channel", name = %channel.name);
    let coded = tokio::task::spawn_blocking(move || {
        span.in_scope(|| code_file(&name, &path, &task_spec, &Words::default()))
    });
    let waiting = coded.await.context("the waiting video's task")??;
    info!(channel = channel.name, waiting = %channel.waiting.display(), "waiting loop coded");
    Ok((spec, Arc::new(waiting)))
}

/// Codes the file at `path`. If it is not there or not a video, that is logged as an error, and a plain card takes its
/// place: a channel must always have something to show.
pub(super) fn code_file(
    channel: &str,
    path: &Path,
    spec: &LadderSpec,
    words: &Words,
) -> anyhow::Result<WaitingLoop> {
    let from_file = || -> anyhow::Result<WaitingLoop> {
        let clip = Clip::parse(&std::fs::read(path)?.into())?;
        Ok(WaitingLoop::encode(Some(&clip), spec, words)?)
    };
    if !path.as_os_str().is_empty() {
        match from_file() {
            Ok(waiting) => return Ok(waiting),
            Err(error) => {
                error!(channel, waiting = %path.display(), "the waiting video cannot be used, a plain card is shown: {error:#}");
            }
        }
    }
    Ok(WaitingLoop::encode(None, spec, words)?)
}
