//! Which channels and mounts there are, by name.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::watch;
use tokio::time::timeout;

use super::address::{StreamRef, before_rung, before_stream_file};
use super::air::AirReader;
use crate::store::{ShelfReader, Snapshot};
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
    pub shelf: Option<ShelfReader>,
    /// What is on air, for protocols that send frames; as `shelf`.
    pub air: Option<AirReader>,
}

/// What the stream part of a path selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// All rungs.
    All,
    /// The one with this index.
    Rung(usize),
}

/// Why there is no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// None has that name.
    Unknown,
    /// It is being started, and that takes longer than anybody waits.
    Starting,
}

/// All channels and mounts, shared by whoever answers viewers.
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
    /// Adds a channel, or puts it in the place of the one with the same name.
    pub fn insert(&self, name: impl Into<ChannelName>, channel: PublishedChannel) {
        self.channels.insert(name.into(), Arc::new(channel));
        self.changes.send_replace(());
    }

    /// Takes a channel away; answers under way keep what they have.
    pub fn remove(&self, name: &str) {
        self.channels.remove(name);
        self.changes.send_replace(());
    }

    /// Adds a mount, or puts it in the place of the one with the same name.
    pub fn mount(&self, name: impl Into<String>, mount: Mount) {
        self.mounts.insert(name.into(), mount);
    }

    /// Takes a mount away; answers under way keep what they have.
    pub fn unmount(&self, name: &str) {
        self.mounts.remove(name);
    }

    /// The mount of that name.
    pub fn mounted(&self, name: &str) -> Option<Mount> {
        self.mounts.get(name).map(|mount| mount.clone())
    }

    /// Whether there is a mount of that name.
    pub(super) fn has_mount(&self, name: &str) -> bool {
        self.mounts.contains_key(name)
    }

    /// All mounts, by name.
    pub fn mounts(&self) -> Vec<(String, Mount)> {
        self.mounts.iter().map(|entry| (entry.key().clone(), entry.value().clone())).collect()
    }

    /// The names of all channels, in alphabetical order.
    pub fn names(&self) -> Vec<ChannelName> {
        let mut names: Vec<ChannelName> = self.channels.iter().map(|entry| entry.key().clone()).collect();
        names.sort_unstable();
        names
    }

    /// What every channel that is on air has now, by name.
    pub fn snapshots(&self) -> Vec<(ChannelName, Grid, Arc<Snapshot>)> {
        let one = |(name, channel): (ChannelName, Arc<PublishedChannel>)| {
            let shelf = channel.shelf.as_ref()?;
            Some((name, shelf.grid(), shelf.snapshot()?))
        };
        let all = self.channels.iter().map(|entry| (entry.key().clone(), Arc::clone(entry.value())));
        all.filter_map(one).collect()
    }

    /// The channel exists, but its waiting loop is still being coded.
    pub(super) fn is_starting(&self, name: &str) -> bool {
        self.get(name).is_some_and(|channel| channel.shelf.is_none())
    }

    /// The channel of that name once it has started, but not for long: players that ask a server which has just started
    /// again would take a quick refusal for the end of the stream.
    pub(super) async fn started(&self, name: &str) -> Result<Arc<PublishedChannel>, Absent> {
        let mut changes = self.changes.subscribe();
        let wait = async {
            loop {
                let channel = self.get(name).ok_or(Absent::Unknown)?;
                if channel.shelf.is_some() {
                    return Ok(channel);
                }
                changes.changed().await.map_err(|_| Absent::Starting)?;
            }
        };
        timeout(WARM_UP, wait).await.unwrap_or(Err(Absent::Starting))
    }

    /// The channel of that name.
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
    pub(super) fn select(&self, shelf: &ShelfReader, stream: Option<&StreamRef<'_>>) -> Option<Selection> {
        match stream {
            None => Some(Selection::All),
            Some(StreamRef::Group(name)) => self.has(name).then_some(Selection::All),
            Some(StreamRef::Name(name)) if self.has(name) => Some(Selection::All),
            Some(StreamRef::Name(name)) => shelf.rungs().iter().enumerate().find_map(|(index, rung)| {
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
