//! Which channels and mounts there are, by name.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::watch;
use tokio::time::timeout;

use super::address::{Address, StreamRef, before_rung, before_stream_file};
use super::air::AirReader;
use super::door::{Resolved, Selection};
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

    /// What `address` names. Nothing is opened or waited for.
    pub(super) fn resolve<'a>(&self, address: &'a Address<'a>) -> Resolved<'a> {
        let (app, stream) = (&*address.app, address.stream.as_ref());
        if let Some(StreamRef::Recording(stream)) = stream {
            return Resolved::Recording { mount: app, stream };
        }
        match self.get(app) {
            Some(channel) => match channel.select(stream) {
                Some(rungs) => Resolved::Channel { channel: app, rungs },
                None => Resolved::Nothing(address),
            },
            None if stream.is_none() && self.has_mount(app) => Resolved::Index(app),
            None => Resolved::Nothing(address),
        }
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
    /// What `stream` selects; `None` where there is no such stream. While the channel is being started, whatever stands behind
    /// a stream's name is taken for a rung's.
    ///
    /// A path without a stream means the channel's own. `<stream>.stream` is Wowza's name of a stream that was
    /// started from a stream file; `<stream>_<rung>` is one rung.
    pub(super) fn select<'a>(&self, stream: Option<&'a StreamRef<'_>>) -> Option<Selection<'a>> {
        match stream {
            None => Some(Selection::All),
            Some(StreamRef::Group(name)) => self.has(name).then_some(Selection::All),
            Some(StreamRef::Name(name)) if self.has(name) => Some(Selection::All),
            Some(StreamRef::Name(name)) => before_rung(name).find_map(|(stream, rung)| {
                let is_there = self.window.as_ref().is_none_or(|window| variant(window, rung).is_some());
                (is_there && self.has(stream)).then_some(Selection::Rung(rung))
            }),
            Some(StreamRef::Recording(_)) => None,
        }
    }

    /// The index of the rung that is played of a selection where one is: of all, the best one, which is the first.
    pub(super) fn best_of(&self, rungs: Selection<'_>) -> Option<usize> {
        match rungs {
            Selection::All => Some(0),
            Selection::Rung(name) => variant(self.window.as_ref()?, name),
        }
    }

    fn has(&self, name: &str) -> bool {
        let is = |name: &str| self.streams.iter().any(|stream| stream == name);
        is(name) || before_stream_file(name).is_some_and(is)
    }
}

/// The index of the rung of that name with all its tracks.
fn variant(window: &WindowReader, name: &str) -> Option<usize> {
    window.rungs().iter().position(|rung| rung.is_variant() && rung.name() == name)
}
