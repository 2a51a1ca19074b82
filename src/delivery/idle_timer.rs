//! How long a player may stand without playing: it holds a connection, and perhaps a recording's file.

use std::time::Duration;

use tokio::time::Instant;

/// As long as a break between two lectures. After that the player is told, and its connection is closed.
pub(super) const HELD: Duration = Duration::from_secs(1800);

/// Since when a player stands. Its requests meanwhile do not prolong the time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdleTimer(Option<Instant>);

impl IdleTimer {
    /// Notes whether the player plays at `now`.
    pub(super) fn look(&mut self, plays: bool, now: Instant) {
        self.0 = if plays { None } else { Some(self.0.unwrap_or(now)) };
    }

    /// When it has stood for too long; `None` while it plays.
    pub(super) fn until(self) -> Option<Instant> {
        self.0.map(|since| since + HELD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_playing_begins_the_time_anew() {
        let begun = Instant::now();
        let at = |minutes: u64| begun + Duration::from_secs(60 * minutes);
        let mut held = IdleTimer::default();
        held.look(true, at(0));
        assert_eq!(held.until(), None);
        for minute in [5, 10, 34] {
            held.look(false, at(minute));
            assert_eq!(held.until(), Some(at(35)));
        }
        held.look(true, at(34));
        held.look(false, at(40));
        assert_eq!(held.until(), Some(at(70)));
    }
}
