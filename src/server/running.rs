//! What runs: the sources, channels, mounts and pushes that there are, and how they come and go while the server runs.
//!
//! A reload brings a new configuration. What is equal in both keeps running and does not notice. A source that is new,
//! gone or changed is started, ended or both; so is a channel, unless only its stream names or its configured
//! source differ, which are simply taken over. Ports, the grid, tokens and users, and the settings of alarms are read at
//! start only: a change of them is logged and waits for a restart.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::inventory::Inventory;
use super::settings::{layout, zone};
use super::shared::ServerContext;
use super::stage::{STAGE_PATIENCE, Stage};
use super::viewers::viewers;
use super::{channels, descriptors, mounts, pushes, sources, waiting};
use crate::delivery;
use amphi_config::{self as config, Config, Difference, Ending, Part};
use amphi_control::matrix::{By, ChannelView};
use amphi_control::push::PushState;
use amphi_ladder::{LadderSpec, WaitingLoop};
use amphi_media::{ChannelName, SourceName};

/// A mount of which something was read within this time is being watched: players buffer up to a minute.
const PLAYED: Duration = Duration::from_secs(60);

/// How often the matrix is told of a new configuration before the reload fails.
const TELLINGS: u32 = 20;
/// The pause between two tries.
const TOLD_AGAIN: Duration = Duration::from_millis(250);

pub(super) struct RunningParts {
    shared: ServerContext,
    config: Config,
    /// The configuration of the start, which holds for everything that is read at start only.
    started: Config,
    sources: BTreeMap<SourceName, Stage>,
    channels: BTreeMap<ChannelName, Stage>,
    pushes: BTreeMap<String, Stage>,
    loops: Loops,
    inventory: watch::Sender<Arc<Inventory>>,
}

/// Waiting loops by video, ladder and deadline: channels in which all three are equal share one.
type Loops = BTreeMap<(PathBuf, String, u32), (Arc<LadderSpec>, Arc<WaitingLoop>)>;

impl RunningParts {
    /// No sources, channels or pushes yet. Channels answer 503 until their window is there; recordings are served already.
    pub(super) fn new(
        shared: ServerContext,
        inventory: watch::Sender<Arc<Inventory>>,
        started: Config,
    ) -> Self {
        channels::announce(&started, &shared.delivery);
        mounts::mount(&started.vods, descriptors::open_max(&started), &shared.delivery);
        Self {
            shared,
            config: Config::default(),
            started,
            sources: BTreeMap::new(),
            channels: BTreeMap::new(),
            pushes: BTreeMap::new(),
            loops: Loops::new(),
            inventory,
        }
    }

    /// Makes what runs what `config` says. Fails if a channel's waiting loop cannot be made; what was done until then
    /// holds.
    pub(super) async fn apply(&mut self, config: Config) -> anyhow::Result<()> {
        let before = std::mem::replace(&mut self.config, config);
        let mut inventory = Inventory::clone(&self.inventory.borrow());
        self.end_pushes(&before).await;
        self.end_sources(&before, &mut inventory).await;
        self.end_channels(&before, &mut inventory).await;
        self.mount(&before);
        self.relayout().await?;
        for source in &self.config.sources {
            if !self.sources.contains_key(source.name.as_str()) {
                let mut stage = Stage::new("source", &self.shared.tasks).of(&source.name);
                let fps = self.config.lattice_fps();
                let zone = zone(&self.config);
                let entry = sources::start(source, fps, &zone, &self.shared, &mut stage);
                let name = SourceName::from(&source.name);
                inventory.sources.insert(name.clone(), entry);
                self.sources.insert(name, stage);
            }
        }
        self.inventory.send_replace(Arc::new(inventory.clone()));
        for channel in self.config.channels.clone() {
            if self.channels.contains_key(channel.name.as_str()) {
                channels::rename(&channel, &self.shared);
                continue;
            }
            let (spec, waiting) = self.waiting_loop(&channel).await?;
            self.shared.clocks.media.steady();
            let mut stage = Stage::new("channel", &self.shared.tasks).of(&channel.name);
            let entry = channels::start(&channel, spec, waiting, &self.shared, &mut stage)?;
            let name = ChannelName::from(&channel.name);
            inventory.channels.insert(name.clone(), entry);
            self.channels.insert(name, stage);
            self.inventory.send_replace(Arc::new(inventory.clone()));
        }
        self.forget_loops();
        for push in &self.config.pushes {
            if !self.pushes.contains_key(&push.name) {
                let mut stage = Stage::new("push", &self.shared.tasks).of(&push.name);
                pushes::start(push, &self.shared, &mut stage)?;
                self.pushes.insert(push.name.clone(), stage);
            }
        }
        Ok(())
    }

    /// Tells the matrix which channels and sources there are, several times if need be: its task may be restarting after a
    /// panic, and what a reload ends has been ended by now.
    async fn relayout(&self) -> anyhow::Result<()> {
        let mut tries = 1;
        while let Err(error) = self.shared.matrix.relayout(layout(&self.config), zone(&self.config)).await {
            if tries == TELLINGS {
                return Err(error.into());
            }
            warn!(%error, tries, "the matrix did not take the new configuration; trying again");
            tries += 1;
            tokio::time::sleep(TOLD_AGAIN).await;
        }
        Ok(())
    }

    /// The configuration in force.
    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes a new configuration over while the server runs; returns a sentence that says what has changed.
    pub(super) async fn reload(&mut self, config: Config) -> anyhow::Result<String> {
        let taken = self.difference(&config).taken.join(", ");
        let waiting = Difference::new(&self.started, &config).restart;
        for key in &waiting {
            warn!("{key} is not what the server was started with: that takes a restart");
        }
        let waiting = waiting.join(", ");
        self.apply(config).await?;
        info!(sources = self.sources.len(), channels = self.channels.len(), "configuration taken over");
        Ok(match (taken.is_empty(), waiting.is_empty()) {
            (true, true) => "nothing has changed".to_owned(),
            (false, true) => format!("taken over: {taken}"),
            (true, false) => format!("{waiting} takes a restart"),
            (false, false) => format!("taken over: {taken}; {waiting} takes a restart"),
        })
    }

    /// The difference from what runs to `config`.
    pub(super) fn difference(&self, config: &Config) -> Difference {
        Difference::new(&self.config, config)
    }

    /// What is being watched at this moment and `difference` would end, in sentences.
    pub(super) fn losses(&self, difference: &Difference) -> Vec<String> {
        let delivery = &self.shared.delivery;
        let view = self.shared.matrix.view();
        let viewers = |channel: &str| {
            let delivery::ViewersByProtocol { hls, dash, rtmp, rtsp, bytes: _ } = viewers(delivery, channel);
            hls + dash + rtmp + rtsp
        };
        // The viewers of the channels to which `on_air` applies.
        let watched = |on_air: &dyn Fn(&ChannelView) -> bool| {
            let channels = view.channels.iter().filter(|channel| on_air(channel));
            let channels: Vec<_> = channels.map(|it| (it.name.as_str(), viewers(&it.name))).collect();
            let names: Vec<_> = channels.iter().filter(|it| it.1 > 0).map(|it| it.0).collect();
            (!names.is_empty()).then(|| {
                format!("{} viewer(s) of {}", channels.iter().map(|it| it.1).sum::<u64>(), names.join(", "))
            })
        };
        let by_calendar = |it: &ChannelView| it.on_air.source.is_some() && it.desired.by == By::Schedule;
        let loss = |ending: &Ending| {
            let who = match ending.part {
                Part::Channel => watched(&|channel| channel.name == ending.name),
                Part::Source => watched(&|channel| channel.on_air.source.as_deref() == Some(&*ending.name)),
                Part::Stream => watched(&|channel| {
                    ending.name.split_once('/').is_some_and(|(name, _)| name == channel.name)
                }),
                Part::Configured => watched(&|channel| {
                    channel.name == ending.name
                        && channel.on_air.source.is_some()
                        && channel.desired.by == By::Configuration
                }),
                Part::Calendar => watched(&by_calendar),
                // A name with captures in it may be any channel's.
                Part::Rules => watched(&|channel| {
                    by_calendar(channel) && (ending.name == channel.name || ending.name.contains('$'))
                }),
                Part::Mount => {
                    let idle = delivery.registry().mounted(&ending.name).and_then(|mount| mount.idle_for());
                    idle.filter(|idle| *idle < PLAYED)
                        .map(|idle| format!("one of its recordings was read {} s ago", idle.as_secs()))
                }
                Part::Push => {
                    self.shared.pushes.all().into_iter().find(|it| it.name == ending.name).and_then(|push| {
                        (push.state == PushState::Publishing).then(|| "its server takes media now".to_owned())
                    })
                }
            };
            who.map(|who| format!("{ending} ({who})"))
        };
        difference.endings.iter().filter_map(loss).collect()
    }

    /// Ends every push; their servers are told that the stream has ended.
    pub(super) async fn end_all_pushes(&mut self, patience: Duration) {
        end_all(std::mem::take(&mut self.pushes), patience).await;
    }

    async fn end_pushes(&mut self, before: &Config) {
        let difference = Difference::new(before, &self.config);
        let ending =
            difference.ending(Part::Push).filter_map(|name| self.pushes.remove_entry(name)).collect();
        end_all(ending, STAGE_PATIENCE).await;
    }

    pub(super) async fn end_all_sources(&mut self, patience: Duration) {
        end_all(std::mem::take(&mut self.sources), patience).await;
    }

    pub(super) async fn end_all_channels(&mut self, patience: Duration) {
        end_all(std::mem::take(&mut self.channels), patience).await;
    }

    async fn end_sources(&mut self, before: &Config, inventory: &mut Inventory) {
        let difference = Difference::new(before, &self.config);
        let ending = difference.ending(Part::Source);
        let ending: BTreeMap<_, _> = ending.filter_map(|name| self.sources.remove_entry(name)).collect();
        inventory.sources.retain(|name, _| !ending.contains_key(name));
        end_all(ending, STAGE_PATIENCE).await;
    }

    async fn end_channels(&mut self, before: &Config, inventory: &mut Inventory) {
        let difference = Difference::new(before, &self.config);
        let ending = difference.ending(Part::Channel);
        let ending: BTreeMap<_, _> = ending.filter_map(|name| self.channels.remove_entry(name)).collect();
        inventory.channels.retain(|name, _| !ending.contains_key(name));
        // The conductor disconnects the ladders before their channels end.
        self.inventory.send_replace(Arc::new(inventory.clone()));
        for name in ending.keys().filter(|name| !self.config.channels.iter().any(|it| it.name == **name)) {
            self.shared.delivery.registry().remove(name);
        }
        end_all(ending, STAGE_PATIENCE).await;
    }

    /// Serves the mounts of the configuration; those that are equal keep their indexes.
    fn mount(&self, before: &Config) {
        let registry = self.shared.delivery.registry();
        for vod in before.vods.iter().filter(|vod| !self.config.vods.iter().any(|it| it.name == vod.name)) {
            registry.unmount(&vod.name);
        }
        mounts::mount(&self.config.vods, descriptors::open_max(&self.config), &self.shared.delivery);
    }

    async fn waiting_loop(
        &mut self,
        channel: &config::Channel,
    ) -> anyhow::Result<(Arc<LadderSpec>, Arc<WaitingLoop>)> {
        let key = (channel.waiting.clone(), channel.ladder.clone(), channel.live_deadline_ms);
        if let Some(made) = self.loops.get(&key) {
            return Ok(made.clone());
        }
        let made = waiting::code(&self.config, channel, self.shared.grid).await?;
        self.loops.insert(key, made.clone());
        Ok(made)
    }

    /// Forgets all loops: a channel that is added later has its loop coded anew, since the video may have changed.
    fn forget_loops(&mut self) {
        self.loops.clear();
    }
}

async fn end_all<N>(stages: BTreeMap<N, Stage>, patience: Duration) {
    let all = stages.into_values().map(|stage| stage.end(patience));
    futures_util::future::join_all(all).await;
}

#[cfg(test)]
mod tests {
    use super::super::start::Server;
    use super::*;
    use amphi_media::clock::Clocks;
    use amphi_runtime::tasks::Tasks;

    fn config(state: &std::path::Path, halls: &[&str]) -> Config {
        let mut config = Config::default();
        let server = &mut config.server;
        for address in [
            &mut server.listen,
            &mut server.http_listen,
            &mut server.admin_listen,
            &mut server.wowza_rest_listen,
            &mut server.wowza_counts_listen,
        ] {
            address.clear();
        }
        state.clone_into(&mut server.state_dir);
        let url = config::Secret::new("rtsp://127.0.0.1:9/");
        let source =
            |name: &&str| config::Source { name: (*name).to_owned(), url: url.clone(), ..Default::default() };
        config.sources = halls.iter().map(source).collect();
        let (width, height, fps, bitrate) = (320, 180, 15, 200_000);
        let rung = config::Rung { name: "low".to_owned(), width, height, fps, bitrate, audio_only: false };
        let (name, audio) = ("lecture".to_owned(), config::Audio::default());
        config.ladders = vec![config::Ladder { name, audio, rungs: vec![rung] }];
        config.channels = vec![config::Channel {
            name: "Live".to_owned(),
            streams: vec!["live".to_owned()],
            ladder: "lecture".to_owned(),
            waiting: concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/waiting.mp4").into(),
            source: "hall".to_owned(),
            ..config::Channel::default()
        }];
        config
    }

    #[tokio::test]
    async fn a_matrix_that_falls_while_it_is_told_of_a_reload_is_told_again() {
        let state = tempfile::tempdir().expect("a directory");
        let clocks = Clocks::system();
        let tasks = Tasks::new(Arc::clone(&clocks.wall));
        let both = config(state.path(), &["hall", "other"]);
        let mut server = Server::start(both, clocks, tasks.clone(), None).await.expect("it starts");
        let matrix = server.running.shared.matrix.clone();
        let restarts =
            || tasks.all().into_iter().find(|task| &*task.name == "matrix").map_or(0, |task| task.restarts);
        // It may have answered when it falls; then it is tried once more.
        for attempt in 1.. {
            assert!(attempt < 50, "it never falls before it answers");
            // An override goes with its source, so there is something to be kept, and that takes a moment.
            matrix.connect(&"Live".into(), &"other".into(), None).await.expect("it is obeyed");
            let before = restarts();
            {
                let mut reload = std::pin::pin!(server.running.reload(config(state.path(), &["hall"])));
                while matrix.view().source("other").is_some() {
                    assert!(futures_util::poll!(&mut reload).is_pending(), "it waits for the matrix");
                    tokio::task::yield_now().await;
                }
                assert!(tasks.strike("matrix"), "it runs");
                assert_eq!(reload.await.expect("it is told again"), "taken over: [[source]]");
            }
            if restarts() > before {
                break;
            }
            while restarts() == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            server.running.reload(config(state.path(), &["hall", "other"])).await.expect("it is there again");
        }
        let view = matrix.view();
        let channel = view.channel("Live").expect("it is still there");
        assert_eq!(channel.desired.source.as_deref(), Some("hall"));
        server.end().await;
    }
}
