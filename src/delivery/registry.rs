//! The channels that viewers can open, by name.

use std::sync::Arc;

use dashmap::DashMap;

use crate::store::ShelfReader;

/// One channel as delivery sees it.
#[derive(Clone, Debug)]
pub struct ChannelEntry {
    /// Stream names that its URLs may use.
    pub streams: Vec<String>,
    /// Names of its rungs.
    pub rungs: Vec<String>,
    /// Its window.
    pub shelf: ShelfReader,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Registry {
    channels: DashMap<String, Arc<ChannelEntry>>,
}

impl Registry {
    /// Adds or replaces a channel.
    pub fn insert(&self, name: impl Into<String>, entry: ChannelEntry) {
        self.channels.insert(name.into(), Arc::new(entry));
    }

    /// The channel of this name. No lock outlives the call.
    pub fn get(&self, name: &str) -> Option<Arc<ChannelEntry>> {
        self.channels.get(name).map(|entry| Arc::clone(&entry))
    }
}
