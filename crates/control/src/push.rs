//! The states of all pushes, for the console, metrics and alarms.
//!
//! A push writes its [`PushStatus`] to the [`PushBoard`]; others read it there. What does *not* belong here: pushing
//! (`delivery`), what is an alarm (`server`). No status contains a key or a URL.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use amphi_media::{ChannelName, MediaTime};

/// The state of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    /// Not connected: there is nothing to push now.
    Idle,
    /// The connection is being opened.
    Connecting,
    /// The other server accepts media.
    Publishing,
    /// Waiting before the next attempt.
    BackingOff,
}

/// A push with its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushStatus {
    /// Its `name` in the configuration.
    pub name: String,
    /// The channel that it pushes.
    #[schema(value_type = String)]
    pub channel: ChannelName,
    /// Whether it is connected.
    pub state: PushState,
    /// The reason, in a plain sentence without secrets; empty where the state needs none.
    pub reason: String,
    /// When the state began.
    pub since: MediaTime,
    /// How often the other server has accepted media, since start.
    pub connects: u64,
    /// Bytes of media sent since start.
    pub bytes: u64,
}

/// The present states of all pushes, by name. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PushBoard(watch::Sender<BTreeMap<String, PushStatus>>);

impl PushBoard {
    /// Adds a push, or replaces its status.
    pub fn tell(&self, status: PushStatus) {
        self.0.send_modify(|all| {
            all.insert(status.name.clone(), status);
        });
    }

    /// Removes a push that the configuration no longer has.
    pub fn forget(&self, name: &str) {
        self.0.send_modify(|all| {
            all.remove(name);
        });
    }

    /// All pushes, sorted by name.
    pub fn all(&self) -> Vec<PushStatus> {
        self.0.borrow().values().cloned().collect()
    }
}
