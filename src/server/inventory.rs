//! The sources and channels that there are at this moment, as those see them who look at all of them. The estate writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::connection::LadderConnection;
use amphi_config::{Secret, Transport};
use amphi_control::matrix::SourceStatus;
use amphi_ladder::{LadderSpec, WaitingLoop};
use amphi_media::feed::FeedWriter;
use amphi_media::{ChannelName, SourceName};
use amphi_source::{Inlet, SourceGauges};

/// What the conductor, the watchman and the metrics see of the estate.
#[derive(Clone, Default)]
pub(super) struct Inventory {
    pub(super) sources: BTreeMap<SourceName, SourceEntry>,
    pub(super) channels: BTreeMap<ChannelName, ChannelEntry>,
}

/// A source as the conductor sees it.
#[derive(Clone)]
pub(super) struct SourceEntry {
    pub(super) feed: FeedWriter,
    pub(super) keep_open: bool,
    pub(super) wanted: watch::Sender<bool>,
    pub(super) status: watch::Receiver<SourceStatus>,
    pub(super) gauges: Arc<SourceGauges>,
    /// Where it is pulled from, and how; for a glance at it while it is idle.
    pub(super) url: Secret,
    pub(super) transport: Transport,
    /// Where publishers come in; `None` for a source that is pulled.
    pub(super) inlet: Option<GuardedInlet>,
}

/// An inlet and the key to it.
#[derive(Clone)]
pub(super) struct GuardedInlet {
    pub(super) inlet: Arc<Inlet>,
    pub(super) key: Secret,
}

/// A channel as the conductor sees it.
#[derive(Clone)]
pub(super) struct ChannelEntry {
    pub(super) spec: Arc<LadderSpec>,
    pub(super) waiting: Arc<WaitingLoop>,
    pub(super) connection: watch::Sender<Option<LadderConnection>>,
}
