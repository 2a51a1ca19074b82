//! Starts a channel's two tasks: the channel task, and the painter of its waiting picture.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::info_span;

use super::channel_task::{ChannelTask, ChannelTaskState, options};
use super::inventory::ChannelEntry;
use super::painter::Painter;
use super::shared::ServerContext;
use super::stage::{Stage, TaskSpec};
use crate::delivery::{self, AirTiming, Delivery};
use crate::store::{self, PublishedRung};
use amphi_config::{self as config, Config};
use amphi_container::fmp4::{InitError, init_section};
use amphi_ladder::{LadderSpec, WaitingLoop};
use amphi_media::{Parts, RungTracks};

/// How long before a channel's start RTMP's clock begins: longer than any window.
const RTMP_LEAD: Duration = Duration::from_secs(600);

/// Makes every channel known to viewers, who get 503 until its window is there.
pub(super) fn announce(config: &Config, delivery: &Delivery) {
    for channel in &config.channels {
        let streams = channel.streams.clone();
        delivery
            .registry()
            .insert(&channel.name, delivery::PublishedChannel { streams, window: None, air: None });
    }
}

/// Gives a running channel the stream names of its new configuration.
pub(super) fn rename(channel: &config::Channel, shared: &ServerContext) {
    let registry = shared.delivery.registry();
    if let Some(known) = registry.get(&channel.name).filter(|known| known.streams != channel.streams) {
        let delivery::PublishedChannel { window, air, .. } = (*known).clone();
        registry.insert(
            &channel.name,
            delivery::PublishedChannel { streams: channel.streams.clone(), window, air },
        );
    }
}

/// The rungs of the published window: whole ones for HLS, then each picture alone, and the sound, for DASH.
fn representations(tracks: &[RungTracks]) -> Result<Vec<PublishedRung>, InitError> {
    let whole = tracks.iter().map(|rung| (rung, Parts::All));
    let pictures = tracks.iter().filter(|rung| rung.video.is_some()).map(|rung| (rung, Parts::Picture));
    // An audio-only rung is sound alone already.
    let has_sound_alone = tracks.iter().any(|rung| rung.video.is_none());
    let sound = tracks.first().filter(|_| !has_sound_alone).map(|rung| (rung, Parts::Sound));
    let all = whole.chain(pictures).chain(sound);
    all.map(|(rung, parts)| Ok(PublishedRung::part(rung.clone(), parts, init_section(rung, parts)?)))
        .collect()
}

/// Starts both tasks, and opens the channel to viewers.
pub(super) fn start(
    channel: &config::Channel,
    spec: Arc<LadderSpec>,
    waiting: Arc<WaitingLoop>,
    shared: &ServerContext,
    stage: &mut Stage,
) -> anyhow::Result<ChannelEntry> {
    let rungs = representations(waiting.tracks())?;
    let (window, reader) = store::published_window(shared.grid, shared.window, rungs);
    let tracks: Arc<[RungTracks]> = waiting.tracks().into();
    // Before the history that a channel begins with.
    let origin = shared.clocks.media.now() - RTMP_LEAD;
    let deadline = Duration::from_millis(u64::from(channel.live_deadline_ms));
    let timing = AirTiming { grid: shared.grid, deadline };
    let (air, listener) = delivery::air(Arc::clone(&tracks), origin, timing);
    let listener = listener.listed(&channel.name, &shared.tasks);
    let known = delivery::PublishedChannel {
        streams: channel.streams.clone(),
        window: Some(reader),
        air: Some(listener),
    };
    shared.delivery.registry().insert(&channel.name, known);
    let (shown, shown_watch) = watch::channel(Arc::clone(&waiting));
    let painter = Painter {
        channel: channel.name.as_str().into(),
        video: channel.waiting.clone(),
        spec: Arc::clone(&spec),
        plain: Arc::clone(&waiting),
        shown,
        matrix: shared.matrix.clone(),
        plan: shared.plan.clone(),
        painted: None,
        clock: Arc::clone(&shared.clocks.wall),
    };
    let span = info_span!(parent: None, "channel", name = %channel.name);
    let (job, end) = (TaskSpec::of("painter", &channel.name, span.clone()), stage.end.clone());
    stage.supervise(job, painter, move |it| Box::pin(it.run(end.clone())));
    let (connection, connection_watch) = watch::channel(None);
    let task = ChannelTask {
        name: channel.name.as_str().into(),
        options: options(channel, shared.grid, shared.window),
        air,
        waiting: shown_watch,
        window,
        connection: connection_watch,
        matrix: shared.matrix.clone(),
        clocks: shared.clocks.clone(),
        runs: 0,
        published: None,
        aired: None,
        fell_at: None,
    };
    let (job, end) = (TaskSpec::of("channel", &channel.name, span).needed(), stage.end.clone());
    stage.supervise_mending(
        job,
        (task, None::<ChannelTaskState>),
        move |(task, state)| Box::pin(task.run(state, end.clone())),
        |(task, state), _| task.fell(state),
    );
    Ok(ChannelEntry { spec, waiting, connection })
}
