//! Finds out whether somebody speaks: sound that is loud enough and stands out from what the room sounds like.
//!
//! Speech has pauses, in which the microphone hears the room; a fan or a hum has none. So the quietest recent moment is
//! the room, and sound well above it is speech. Other sound that comes and goes (applause, chairs, music) counts as well:
//! a lecture is not over while it is heard.

/// -45 dB of full scale, as power. Lectures are at -35 to -15 dB, a quiet hall with its microphones on at -70 to -50 dB.
const LOUD: f32 = 3.16e-5;
/// 10 dB above the room.
const ABOVE_ROOM: f32 = 10.0;
/// The room is not quieter than -60 dB: after digital silence, a hum passes for speech for a quarter of a minute.
const ROOM_LEAST: f32 = 1e-6;
/// How fast the room is assumed to become louder: 2 dB per second in frames of 1024 samples at 48 kHz, a little slower at
/// lower rates.
const RISE: f32 = 1.01;

#[derive(Debug, Default)]
pub(super) struct SpeechDetector {
    /// The room's power.
    room: Option<f32>,
}

impl SpeechDetector {
    /// Whether somebody speaks. `power`: of the sound over some 0.2 s, once for each frame.
    pub(super) fn hears(&mut self, power: f32) -> bool {
        let room = self.room.map_or(power, |room| (room * RISE).min(power)).max(ROOM_LEAST);
        self.room = Some(room);
        power >= LOUD && power >= room * ABOVE_ROOM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of `seconds` in which speech was heard. `level_db`: at a time in seconds.
    fn heard(seconds: u32, level_db: impl Fn(f32) -> f32) -> Vec<u32> {
        let mut detector = SpeechDetector::default();
        let frame = 1024.0 / 48_000.0;
        let frames = (seconds as f32 / frame) as u32;
        let mut found: Vec<u32> = (0..frames)
            .map(|n| n as f32 * frame)
            .filter(|&at| detector.hears(10_f32.powf(level_db(at) / 10.0)))
            .map(|at| at as u32)
            .collect();
        found.dedup();
        found
    }

    #[test]
    fn speech_with_its_pauses_is_heard_every_second() {
        // Words of 1.2 s at -28 dB, and 0.3 s of the room.
        let words = |at: f32| if at % 1.5 < 1.2 { -28.0 } else { -58.0 };
        let found = heard(60, words);
        assert!(found.len() >= 58, "{found:?}");
    }

    #[test]
    fn a_quiet_room_and_a_loud_fan_are_not_heard() {
        assert_eq!(heard(60, |at| -56.0 + (at * 7.0).sin() * 3.0), Vec::<u32>::new());
        assert_eq!(heard(60, |at| -30.0 + (at * 7.0).sin() * 2.0), Vec::<u32>::new());
    }

    #[test]
    fn a_hum_behind_silence_is_the_room_before_long() {
        let found = heard(120, |at| if at < 10.0 { -96.0 } else { -30.0 });
        assert_eq!(found.first(), Some(&10));
        assert!(found.last().is_some_and(|&last| last < 25), "{found:?}");
    }
}
