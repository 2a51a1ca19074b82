//! How pushes are: what each says of itself, for whoever shows, counts or watches it.
//!
//! A push writes its [`PushStatus`] on the [`PushBoard`]; others read the board. What does *not* belong here: pushing
//! (`delivery`), what is an alarm (`server`). No status carries a key or an URL.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use amphi_media::{ChannelName, MediaTime};

/// Where a push stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    /// There is nothing to push now.
    Idle,
    /// A connection is being made.
    Connecting,
    /// The server takes media.
    Publishing,
    /// Waiting before the next try.
    BackingOff,
}

/// A push and how it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PushStatus {
    /// Its name.
    pub name: String,
    /// The channel that it pushes.
    #[schema(value_type = String)]
    pub channel: ChannelName,
    /// Where it stands.
    pub state: PushState,
    /// Why, in a plain sentence without secrets; empty where the state says it all.
    pub reason: String,
    /// Since when the state holds.
    pub since: MediaTime,
    /// Times that a server began to take media, since start.
    pub connects: u64,
    /// Bytes of media sent since start.
    pub bytes: u64,
}

/// The pushes of this moment, by name. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PushBoard(watch::Sender<BTreeMap<String, PushStatus>>);

impl PushBoard {
    /// Puts a push on the board, or what has changed of it.
    pub fn tell(&self, status: PushStatus) {
        self.0.send_modify(|all| {
            all.insert(status.name.clone(), status);
        });
    }

    /// Takes a push off the board.
    pub fn forget(&self, name: &str) {
        self.0.send_modify(|all| {
            all.remove(name);
        });
    }

    /// All pushes, by name.
    pub fn all(&self) -> Vec<PushStatus> {
        self.0.borrow().values().cloned().collect()
    }
}
