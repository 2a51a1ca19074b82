//! An event with its channel, or with the reason why it has none.

use super::routing::Astray;
use crate::agenda::PlannedEvent;
use amphi_media::SourceName;

#[derive(Clone, Debug)]
pub(super) struct Routed {
    pub(super) event: PlannedEvent,
    pub(super) astray: Option<Astray>,
    /// The name that its source would have, if no such source is configured.
    pub(super) missing_source: Option<SourceName>,
}

impl Routed {
    pub(super) fn has_length(&self) -> bool {
        self.event.starts < self.event.ends
    }
}
