//! How often viewers were let in and refused.

use amphi_access::Refusal;
use amphi_media::meter::Counter;

/// Players that were refused, by reason, and grants that were handed out.
#[derive(Debug, Default)]
pub(in crate::server) struct AccessCounts {
    refused: [Counter; Refusal::ALL.len()],
    pub(in crate::server) granted: Counter,
}

impl AccessCounts {
    /// For each reason, the number of refusals since start.
    pub(in crate::server) fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Refusal::ALL.into_iter().zip(&self.refused).map(|(why, count)| (why.name(), count.get()))
    }

    pub(super) fn count(&self, why: Refusal) {
        let index = Refusal::ALL.iter().position(|it| *it == why);
        if let Some(counter) = index.and_then(|index| self.refused.get(index)) {
            counter.increment();
        }
    }
}
