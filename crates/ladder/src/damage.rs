//! Few lines in the log for many units of sound that cannot be used: one a minute for each kind of fault, with their number.

use tracing::warn;

use super::audio::AudioError;
use amphi_media::MediaTime;

/// The shortest time between two lines of one kind.
const EVERY_NANOS: i64 = 60_000_000_000;

/// What the log was told about one source.
#[derive(Debug, Default)]
pub(super) struct Damage {
    kinds: [DamageKind; 4],
}

#[derive(Debug, Default)]
struct DamageKind {
    told_at: Option<MediaTime>,
    /// Units of this kind since that line.
    units: u64,
}

impl Damage {
    /// A unit of `source` that could not be used.
    pub(super) fn tell(&mut self, source: &str, error: &AudioError, now: MediaTime) {
        if let Some(units) = self.count(error, now) {
            warn!(source, units, %error, "sound of the source is left out");
        }
    }

    /// How many of this kind there were since the last line; `None` while it is too early for another.
    fn count(&mut self, error: &AudioError, now: MediaTime) -> Option<u64> {
        let [size, decode, source, other] = &mut self.kinds;
        let kind = match error {
            AudioError::Size { .. } => size,
            AudioError::Decode { .. } => decode,
            AudioError::Source { .. } => source,
            _ => other,
        };
        kind.units += 1;
        if kind.told_at.is_some_and(|at| now.nanos_since(at) < EVERY_NANOS) {
            return None;
        }
        kind.told_at = Some(now);
        Some(std::mem::take(&mut kind.units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_line_a_minute_with_its_number() {
        let mut damage = Damage::default();
        let at = |millis: i64| MediaTime::from_millis(1_000_000 + millis);
        let size = AudioError::Size { pts: at(0), size: 0 };
        let decode = AudioError::Decode { pts: at(0), size: 1, reason: String::new() };
        let told: Vec<_> =
            (0..61_000).step_by(20).filter_map(|millis| damage.count(&size, at(millis))).collect();
        assert_eq!(told, [1, 3000]);
        assert_eq!(damage.count(&decode, at(61_000)), Some(1));
    }
}
