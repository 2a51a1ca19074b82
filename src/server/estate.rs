//! The estate: the sources and channels that there are, and how they come and go while the server runs.
//!
//! A reload brings a new configuration. What is equal in both keeps running and does not notice. A source that is new,
//! gone or changed is started, ended or both; so is a channel, unless only its stream names or its configured
//! source differ, which are simply taken over. Ports, the grid, tokens
//! and users, and what is an alarm are read at start only: a change of them is said in the log and waits for a restart.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::conductor::{ChannelEntry, SourceEntry};
use super::{STAGE_PATIENCE, Stage, layout, start};
use crate::agenda::Plan;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::delivery::Delivery;
use crate::ladder::{LadderSpec, WaitingLoop};
use crate::matrix::MatrixHandle;
use crate::media::Grid;
use crate::push::PushBoard;

/// What the conductor, the watchman and the metrics see of the estate.
#[derive(Clone, Default)]
pub(super) struct Inventory {
    pub(super) sources: BTreeMap<String, SourceEntry>,
    pub(super) channels: BTreeMap<String, ChannelEntry>,
}

/// What starting something takes.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) grid: Grid,
    pub(super) window: usize,
    pub(super) matrix: MatrixHandle,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) delivery: Delivery,
    pub(super) pushes: PushBoard,
}

/// See the module's text.
pub(super) struct Estate {
    means: Means,
    config: Config,
    /// The configuration of the start: what is read then only is as it says, whatever has been loaded since.
    started: Config,
    sources: BTreeMap<String, Stage>,
    channels: BTreeMap<String, Stage>,
    pushes: BTreeMap<String, Stage>,
    loops: Loops,
    inventory: watch::Sender<Arc<Inventory>>,
}

/// Waiting loops by video and ladder: channels with the same of both share one.
type Loops = BTreeMap<(PathBuf, String, u32), (Arc<LadderSpec>, Arc<WaitingLoop>)>;

impl Estate {
    /// An empty estate, and where its inventory is seen.
    pub(super) fn new(means: Means, started: Config) -> (Self, watch::Receiver<Arc<Inventory>>) {
        let (inventory, seen) = watch::channel(Arc::default());
        let (sources, channels, pushes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let config = Config::default();
        let loops = Loops::new();
        (Self { means, config, started, sources, channels, pushes, loops, inventory }, seen)
    }

    /// Makes the estate what `config` says. A channel whose waiting loop cannot be made is an error; what was
    /// done until then holds.
    pub(super) async fn apply(&mut self, config: Config) -> anyhow::Result<()> {
        let before = std::mem::replace(&mut self.config, config);
        let mut inventory = Inventory::clone(&self.inventory.borrow());
        self.end_pushes(&before).await;
        self.end_sources(&before, &mut inventory).await;
        self.end_channels(&before, &mut inventory).await;
        self.mount(&before);
        self.means.matrix.relayout(layout(&self.config), start::zone(&self.config)).await?;
        for source in &self.config.sources {
            if !self.sources.contains_key(&source.name) {
                let mut stage = Stage::new("source");
                let fps = start::lattice_fps(&self.config);
                let entry = start::source(source, fps, &self.means, &mut stage);
                inventory.sources.insert(source.name.clone(), entry);
                self.sources.insert(source.name.clone(), stage);
            }
        }
        self.inventory.send_replace(Arc::new(inventory.clone()));
        for channel in self.config.channels.clone() {
            if self.channels.contains_key(&channel.name) {
                start::rename(&channel, &self.means);
                continue;
            }
            let (spec, waiting) = self.waiting_loop(&channel).await?;
            let mut stage = Stage::new("channel");
            let entry = start::channel(&channel, spec, waiting, &self.means, &mut stage)?;
            inventory.channels.insert(channel.name.clone(), entry);
            self.channels.insert(channel.name.clone(), stage);
            self.inventory.send_replace(Arc::new(inventory.clone()));
        }
        self.forget_loops();
        for push in &self.config.pushes {
            if !self.pushes.contains_key(&push.name) {
                let mut stage = Stage::new("push");
                start::push(push, &self.means, &mut stage)?;
                self.pushes.insert(push.name.clone(), stage);
            }
        }
        Ok(())
    }

    /// The configuration in force.
    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes a new configuration while the server runs; the answer says in a sentence what has changed.
    pub(super) async fn reload(&mut self, config: Config) -> anyhow::Result<String> {
        let (now, started) = (&self.config, &self.started);
        let waiting = [
            ("[server]", started.server == config.server),
            ("[segment]", started.segment == config.segment),
            ("[admin]", started.admin == config.admin),
            ("[alarm]", started.alarm == config.alarm),
            ("[console]", started.console == config.console),
            ("[pages]", started.pages == config.pages),
            ("[wowza_rest]", started.wowza_rest == config.wowza_rest),
        ];
        let taken = [
            ("[[source]]", now.sources == config.sources),
            ("[[ladder]]", now.ladders == config.ladders),
            ("[[channel]]", now.channels == config.channels),
            ("[[vod]]", now.vods == config.vods),
            ("[[push]]", now.pushes == config.pushes),
            ("[schedule]", now.schedule == config.schedule),
        ];
        for key in changed(&waiting) {
            warn!("{key} is not what the server was started with: that takes a restart");
        }
        let (taken, waiting) = (changed(&taken).join(", "), changed(&waiting).join(", "));
        self.apply(config).await?;
        info!(sources = self.sources.len(), channels = self.channels.len(), "configuration taken over");
        Ok(match (taken.is_empty(), waiting.is_empty()) {
            (true, true) => "nothing has changed".to_owned(),
            (false, true) => format!("taken over: {taken}"),
            (true, false) => format!("{waiting} takes a restart"),
            (false, false) => format!("taken over: {taken}; {waiting} takes a restart"),
        })
    }

    /// Ends every push: their servers hear that the stream has ended.
    pub(super) async fn end_all_pushes(&mut self, patience: Duration) {
        end_all(std::mem::take(&mut self.pushes), patience).await;
    }

    async fn end_pushes(&mut self, before: &Config) {
        let ending = before.pushes.iter().filter(|push| !self.config.pushes.contains(push));
        let ending: BTreeMap<_, _> = ending.filter_map(|it| self.pushes.remove_entry(&it.name)).collect();
        end_all(ending, STAGE_PATIENCE).await;
    }

    /// Ends every source.
    pub(super) async fn end_all_sources(&mut self, patience: Duration) {
        end_all(std::mem::take(&mut self.sources), patience).await;
    }

    /// Ends every channel.
    pub(super) async fn end_all_channels(&mut self, patience: Duration) {
        end_all(std::mem::take(&mut self.channels), patience).await;
    }

    async fn end_sources(&mut self, before: &Config, inventory: &mut Inventory) {
        let lattice = start::lattice_fps(before) == start::lattice_fps(&self.config);
        let stays = |source: &config::Source| lattice && self.config.sources.contains(source);
        let ending = before.sources.iter().filter(|source| !stays(source)).map(|source| &source.name);
        let ending: BTreeMap<_, _> = ending.filter_map(|name| self.sources.remove_entry(name)).collect();
        inventory.sources.retain(|name, _| !ending.contains_key(name));
        end_all(ending, STAGE_PATIENCE).await;
    }

    async fn end_channels(&mut self, before: &Config, inventory: &mut Inventory) {
        let ladder = |config: &Config, name: &str| config.ladders.iter().find(|it| it.name == name).cloned();
        let stays = |channel: &config::Channel| {
            let same_ladder = ladder(before, &channel.ladder) == ladder(&self.config, &channel.ladder);
            let next = self.config.channels.iter().find(|next| next.name == channel.name);
            same_ladder && next.is_some_and(|next| lives_on(channel, next))
        };
        let ending = before.channels.iter().filter(|channel| !stays(channel)).map(|channel| &channel.name);
        let ending: BTreeMap<_, _> = ending.filter_map(|name| self.channels.remove_entry(name)).collect();
        inventory.channels.retain(|name, _| !ending.contains_key(name));
        // The ladders' cells go nowhere before their channels end.
        self.inventory.send_replace(Arc::new(inventory.clone()));
        for name in ending.keys().filter(|name| !self.config.channels.iter().any(|it| it.name == **name)) {
            self.means.delivery.registry().remove(name);
        }
        end_all(ending, STAGE_PATIENCE).await;
    }

    /// Mounts that are equal keep their indexes.
    fn mount(&self, before: &Config) {
        let registry = self.means.delivery.registry();
        for vod in before.vods.iter().filter(|vod| !self.config.vods.iter().any(|it| it.name == vod.name)) {
            registry.unmount(&vod.name);
        }
        start::mount(&self.config.vods, &self.means.delivery);
    }

    async fn waiting_loop(
        &mut self,
        channel: &config::Channel,
    ) -> anyhow::Result<(Arc<LadderSpec>, Arc<WaitingLoop>)> {
        let key = (channel.waiting.clone(), channel.ladder.clone(), channel.live_deadline_ms);
        if let Some(made) = self.loops.get(&key) {
            return Ok(made.clone());
        }
        let made = start::waiting_loop(&self.config, channel, self.means.grid).await?;
        self.loops.insert(key, made.clone());
        Ok(made)
    }

    /// A loop is coded anew for whoever comes later: its video may have changed meanwhile.
    fn forget_loops(&mut self) {
        self.loops.clear();
    }
}

/// The keys of what is not the same.
fn changed(keys: &[(&'static str, bool)]) -> Vec<&'static str> {
    keys.iter().filter(|(_, same)| !same).map(|(key, _)| *key).collect()
}

/// Whether a running channel can become `next` without being started anew.
fn lives_on(channel: &config::Channel, next: &config::Channel) -> bool {
    let config::Channel {
        name,
        streams: _,
        ladder,
        waiting,
        source: _,
        live_deadline_ms,
        hold_ms,
        overrun_max_s: _,
    } = next;
    (name, ladder, waiting, live_deadline_ms, hold_ms)
        == (&channel.name, &channel.ladder, &channel.waiting, &channel.live_deadline_ms, &channel.hold_ms)
}

async fn end_all(stages: BTreeMap<String, Stage>, patience: Duration) {
    let all = stages.into_values().map(|stage| stage.end(patience));
    futures_util::future::join_all(all).await;
}
