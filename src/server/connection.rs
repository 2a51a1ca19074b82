//! The source that a channel is to show, through a running ladder.

use tokio::sync::{broadcast, watch};

use amphi_control::matrix::SourceStatus;
use amphi_ladder::LadderNews;
use amphi_media::SourceName;

/// What the conductor gives to a channel's task.
#[derive(Clone, Debug)]
pub(super) struct LadderConnection {
    pub(super) source: SourceName,
    pub(super) news: broadcast::Sender<LadderNews>,
    pub(super) status: watch::Receiver<SourceStatus>,
}

impl LadderConnection {
    /// Whether it is the same source through the same run of its ladder.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.source == other.source && self.news.same_channel(&other.news)
    }
}
