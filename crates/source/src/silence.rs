//! Notices that nothing useful comes on an open connection. Sans-IO: time is an argument.

use std::time::Duration;

use super::fault::SourceFault;
use amphi_media::Track;

/// How long no picture may come before the connection is ended. Without this a frozen peer would be noticed when TCP gives
/// up, after minutes.
const SILENCE: Duration = Duration::from_secs(4);
/// The same from PLAY to the first picture: encoders that start on demand take longer.
const FIRST: Duration = Duration::from_secs(10);
/// The longest time from PLAY, or from a loss, to a picture with which decoding can begin. Some encoders send one to each
/// new client, so a new connection may help.
const FIRST_SYNC: Duration = Duration::from_secs(60);

/// When tracks came last. Times are durations since PLAY was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    video: Option<Duration>,
    audio: Option<Duration>,
    /// When pictures were let through last.
    flowed: Duration,
}

impl Silence {
    pub(super) fn heard(&mut self, track: Track, at: Duration) {
        match track {
            Track::Video => self.video = Some(at),
            Track::Audio => self.audio = Some(at),
        }
    }

    /// A picture was let through.
    pub(super) fn flowed(&mut self, at: Duration) {
        self.flowed = at;
    }

    /// When to ask [`Silence::verdict`] again.
    pub(super) fn deadline(&self) -> Duration {
        self.video.map_or(FIRST, |at| at + SILENCE).min(self.flowed + FIRST_SYNC)
    }

    /// What is wrong at `now`, if anything.
    pub(super) fn verdict(&self, now: Duration) -> Option<SourceFault> {
        if now < self.deadline() {
            return None;
        }
        Some(match self.video {
            None => SourceFault::NeverBegan(FIRST.as_secs()),
            Some(at) if now < at + SILENCE => SourceFault::NoSyncFrame(FIRST_SYNC.as_secs()),
            Some(at) if self.audio.is_some_and(|audio| audio > at + SILENCE / 2) => {
                SourceFault::PictureSilent(SILENCE.as_secs())
            }
            Some(_) => SourceFault::Silent(SILENCE.as_secs()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_of_both_and_of_the_picture_alone_are_told_apart() {
        let mut silence = Silence::default();
        silence.flowed(s(100));
        silence.heard(Track::Video, s(100));
        silence.heard(Track::Audio, s(101));
        assert_eq!(silence.verdict(s(103)), None);
        assert_eq!(silence.verdict(s(104)), Some(SourceFault::Silent(4)));
        silence.heard(Track::Audio, s(104));
        assert_eq!(silence.verdict(s(104)), Some(SourceFault::PictureSilent(4)));
    }

    #[test]
    fn a_source_without_an_idr_picture_is_given_up() {
        let mut silence = Silence::default();
        for second in 0..=60 {
            silence.heard(Track::Video, s(second));
        }
        assert_eq!(silence.verdict(s(59)), None);
        assert_eq!(silence.verdict(s(60)), Some(SourceFault::NoSyncFrame(60)));
        // One such picture is not enough: an encoder that begins each connection with its only IDR picture is asked
        // anew when a loss has left nothing to go on with.
        silence.flowed(s(30));
        assert_eq!(silence.verdict(s(60)), None);
        for second in 61..=90 {
            silence.heard(Track::Video, s(second));
        }
        assert_eq!(silence.verdict(s(89)), None);
        assert_eq!(silence.verdict(s(90)), Some(SourceFault::NoSyncFrame(60)));
    }

    #[test]
    fn sound_alone_is_not_enough() {
        let mut silence = Silence::default();
        silence.heard(Track::Audio, s(9));
        assert_eq!(silence.verdict(s(10)), Some(SourceFault::NeverBegan(10)));
    }
}
