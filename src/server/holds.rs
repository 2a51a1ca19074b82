//! Sources that are held open although no channel wants them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use amphi_media::SourceName;

/// The names of these sources. The rehearser writes them, the conductor connects them.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<watch::Sender<BTreeSet<SourceName>>>);

impl Holds {
    pub(super) fn contains(&self, source: &SourceName) -> bool {
        self.0.borrow().contains(source)
    }

    /// Wakes up at every change.
    pub(super) fn watch(&self) -> watch::Receiver<BTreeSet<SourceName>> {
        self.0.subscribe()
    }

    /// Holds a source open until the result is dropped.
    pub(super) fn hold(&self, source: &SourceName) -> Hold {
        self.0.send_modify(|held| {
            held.insert(source.clone());
        });
        Hold { holds: self.clone(), source: source.clone() }
    }
}

pub(super) struct Hold {
    holds: Holds,
    source: SourceName,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.0.send_modify(|held| {
            held.remove(&self.source);
        });
    }
}
