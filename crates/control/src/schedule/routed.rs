//! An event with where it goes.

use super::routing::Astray;
use crate::agenda::PlannedEvent;
use amphi_media::SourceName;

/// Or why it goes nowhere.
#[derive(Clone, Debug)]
pub(super) struct Routed {
    pub(super) event: PlannedEvent,
    pub(super) astray: Option<Astray>,
    /// The source that its hall would have, where there is none.
    pub(super) missing_source: Option<SourceName>,
}

impl Routed {
    pub(super) fn has_length(&self) -> bool {
        self.event.starts < self.event.ends
    }
}
