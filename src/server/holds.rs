//! Sources that are held open although no channel wants them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

/// The names of these sources. The rehearser writes them, the conductor connects them.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds(Arc<watch::Sender<BTreeSet<String>>>);

impl Holds {
    pub(super) fn contains(&self, source: &str) -> bool {
        self.0.borrow().contains(source)
    }

    /// Wakes up at every change.
    pub(super) fn watch(&self) -> watch::Receiver<BTreeSet<String>> {
        self.0.subscribe()
    }

    /// Holds a source open until the result is dropped.
    pub(super) fn hold(&self, source: &str) -> Hold {
        self.0.send_modify(|held| {
            held.insert(source.to_owned());
        });
        Hold { holds: self.clone(), source: source.to_owned() }
    }
}

pub(super) struct Hold {
    holds: Holds,
    source: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.0.send_modify(|held| {
            held.remove(&self.source);
        });
    }
}
