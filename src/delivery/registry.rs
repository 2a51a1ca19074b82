//! Which channels and mounts there are, by name.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::watch;
use tokio::time::timeout;

use super::address::{StreamRef, before_rung, before_stream_file};
use super::air::AirReader;
use crate::store::{Snapshot, WindowReader};
use amphi_media::{ChannelName, Grid};
use amphi_vod::Mount;

/// How long a viewer waits for a channel that is being started, whatever the protocol.
const WARM_UP: Duration = Duration::from_secs(4);

/// A channel as its viewers know it.
#[derive(Clone, Debug)]
pub struct PublishedChannel {
    /// Stream names that its URLs may use.
    pub streams: Vec<String>,
    /// What there is to fetch; `None` while its waiting loop is being coded.
    pub window: Option<WindowReader>,
    /// What is on air, for RTMP, RTSP and pushes; `None` as long as `window` is.
    pub air: Option<AirReader>,
}

/// What the stream part of a path selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    All,
    /// By its index, counted from the best one.
    Rung(usize),
}

/// Why there is no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    Unknown,
    /// It is being started, and that has taken longer than [`WARM_UP`].
    Starting,
}

/// All channels and mounts, shared by everything that answers viewers.
#[derive(Debug)]
pub struct Registry {
    channels: DashMap<ChannelName, Arc<PublishedChannel>>,
    mounts: DashMap<String, Mount>,
    /// Changes when `channels` does.
    changes: watch::Sender<()>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { channels: DashMap::new(), mounts: DashMap::new(), changes: watch::Sender::new(()) }
    }
}

impl Registry {
    /// Adds a channel, or replaces the one with the same name.
    pub fn insert(&self, name: impl Into<ChannelName>, channel: PublishedChannel) {
        self.channels.insert(name.into(), Arc::new(channel));
        self.changes.send_replace(());
    }

    /// Removes a channel; answers under way keep what they have.
    pub fn remove(&self, name: &str) {
        self.channels.remove(name);
        self.changes.send_replace(());
    }

    /// Adds a mount, or replaces the one with the same name.
    pub fn mount(&self, name: impl Into<String>, mount: Mount) {
        self.mounts.insert(name.into(), mount);
    }

    /// Removes a mount; answers under way keep what they have.
    pub fn unmount(&self, name: &str) {
        self.mounts.remove(name);
    }

    /// The mount of that name. A clone shares its files.
    pub fn mounted(&self, name: &str) -> Option<Mount> {
        self.mounts.get(name).map(|mount| mount.clone())
    }

    pub(super) fn has_mount(&self, name: &str) -> bool {
        self.mounts.contains_key(name)
    }

    /// All mounts with their names, in no particular order.
    pub fn mounts(&self) -> Vec<(String, Mount)> {
        self.mounts.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect()
    }

    /// The names of all channels, in alphabetical order.
    pub fn names(&self) -> Vec<ChannelName> {
        let mut names: Vec<ChannelName> = self.channels.iter().map(|entry| entry.key().clone()).collect();
        names.sort_unstable();
        names
    }

    /// The newest snapshot of every channel that has one, with the channel's name and grid, in no particular order.
    pub fn snapshots(&self) -> Vec<(ChannelName, Grid, Arc<Snapshot>)> {
        let one = |(name, channel): (ChannelName, Arc<PublishedChannel>)| {
            let window = channel.window.as_ref()?;
            Some((name, window.grid(), window.snapshot()?))
        };
        let all = self.channels.iter().map(|entry| (entry.key().clone(), Arc::clone(entry.value())));
        all.filter_map(one).collect()
    }

    /// Whether the channel exists, but its waiting loop is still being coded.
    pub(super) fn is_starting(&self, name: &str) -> bool {
        self.get(name).is_some_and(|channel| channel.window.is_none())
    }

    /// The channel of that name, waiting up to [`WARM_UP`] for its start: to players that ask a server which has just
    /// restarted, a quick refusal would mean the end of the stream.
    pub(super) async fn started(&self, name: &str) -> Result<Arc<PublishedChannel>, Absent> {
        let mut changes = self.changes.subscribe();
        let wait = async {
            loop {
                let channel = self.get(name).ok_or(Absent::Unknown)?;
                if channel.window.is_some() {
                    return Ok(channel);
                }
                changes.changed().await.map_err(|_| Absent::Starting)?;
            }
        };
        timeout(WARM_UP, wait).await.unwrap_or(Err(Absent::Starting))
    }

    /// The channel of that name, started or not.
    pub fn get(&self, name: &str) -> Option<Arc<PublishedChannel>> {
        // The map's guard ends with this expression; it is never held across an await.
        self.channels.get(name).map(|channel| Arc::clone(&channel))
    }
}

impl PublishedChannel {
    /// What `stream` selects; `None` where there is no such stream.
    ///
    /// A path without a stream means the channel's own. `<stream>.stream` is Wowza's name of a stream that was
    /// started from a stream file; `<stream>_<rung>` is one rung.
    pub(super) fn select(&self, window: &WindowReader, stream: Option<&StreamRef<'_>>) -> Option<Selection> {
        match stream {
            None => Some(Selection::All),
            Some(StreamRef::Group(name)) => self.has(name).then_some(Selection::All),
            Some(StreamRef::Name(name)) if self.has(name) => Some(Selection::All),
            Some(StreamRef::Name(name)) => window.rungs().iter().enumerate().find_map(|(index, rung)| {
                let is_asked = rung.is_variant() && self.has(before_rung(name, rung.name())?);
                is_asked.then_some(Selection::Rung(index))
            }),
            Some(StreamRef::Recording(_)) => None,
        }
    }

    fn has(&self, name: &str) -> bool {
        let is = |name: &str| self.streams.iter().any(|stream| stream == name);
        is(name) || before_stream_file(name).is_some_and(is)
    }
}
