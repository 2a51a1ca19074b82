//! The sources and channels that there are at this moment, for the tasks that look at all of them. `RunningParts` writes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::connection::LadderConnection;
use amphi_config::{Secret, Transport};
use amphi_control::matrix::SourceStatus;
use amphi_ladder::{LadderSpec, WaitingLoop};
use amphi_media::feed::FeedWriter;
use amphi_media::{ChannelName, SourceName};
use amphi_source::{Inlet, SourceGauges};

/// What the conductor, the watchman and the metrics see of what runs.
#[derive(Clone, Default)]
pub(super) struct Inventory {
    pub(super) sources: BTreeMap<SourceName, SourceEntry>,
    pub(super) channels: BTreeMap<ChannelName, ChannelEntry>,
}

#[derive(Clone)]
pub(super) struct SourceEntry {
    pub(super) feed: FeedWriter,
    pub(super) keep_open: bool,
    pub(super) wanted: watch::Sender<bool>,
    pub(super) status: watch::Receiver<SourceStatus>,
    pub(super) gauges: Arc<SourceGauges>,
    /// Where it is pulled from; for a look at it while it is idle.
    pub(super) url: Secret,
    /// Whom to trust if that is rtsps.
    pub(super) ca_file: PathBuf,
    pub(super) transport: Transport,
    /// `None` for a source that is pulled.
    pub(super) inlet: Option<GuardedInlet>,
}

/// An inlet for publishers, and the key that they must show.
#[derive(Clone)]
pub(super) struct GuardedInlet {
    pub(super) inlet: Arc<Inlet>,
    pub(super) key: Secret,
}

#[derive(Clone)]
pub(super) struct ChannelEntry {
    pub(super) spec: Arc<LadderSpec>,
    pub(super) waiting: Arc<WaitingLoop>,
    pub(super) connection: watch::Sender<Option<LadderConnection>>,
}
