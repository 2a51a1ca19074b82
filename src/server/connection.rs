//! The source that a channel is to show.

use tokio::sync::{broadcast, watch};

use amphi_control::matrix::SourceStatus;
use amphi_ladder::LadderNews;
use amphi_media::SourceName;

/// As the conductor hands it over to the channel.
#[derive(Clone, Debug)]
pub(super) struct LadderConnection {
    pub(super) source: SourceName,
    pub(super) news: broadcast::Sender<LadderNews>,
    pub(super) status: watch::Receiver<SourceStatus>,
}

impl LadderConnection {
    /// The same source through the same ladder run.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.source == other.source && self.news.same_channel(&other.news)
    }
}
