//! What a player has in its buffer, and when it stalls. Time is an argument.

use std::time::Duration;

/// Shorter stalls are not counted: nobody sees them.
const SEEN: Duration = Duration::from_millis(50);

/// The buffer of one player, which plays from the first media on, or a lead later.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buffer {
    /// From the arrival of the first media to the first picture shown.
    lead: Duration,
    /// When playing began, moved later by the duration of all stalls.
    begun: Option<Duration>,
    /// Duration of all media received.
    media: Duration,
}

impl Buffer {
    /// A buffer that is filled for so long before playing begins.
    pub(super) fn with_lead(lead: Duration) -> Self {
        Self { lead, ..Self::default() }
    }

    /// Media of `duration` has come at `now`. Returns how long the player stalled before, if a viewer could see it.
    pub(super) fn add(&mut self, now: Duration, duration: Duration) -> Option<Duration> {
        let stalled = self.missing(now);
        let begun = self.begun.get_or_insert(now + self.lead);
        *begun += stalled;
        self.media += duration;
        (stalled >= SEEN).then_some(stalled)
    }

    /// For how long it has been stalling at `now`.
    pub(super) fn missing(&self, now: Duration) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| now.saturating_sub(begun).saturating_sub(self.media))
    }

    /// Duration of the media that is not played yet.
    pub(super) fn ahead(&self, now: Duration) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| (begun + self.media).saturating_sub(now))
    }
}
