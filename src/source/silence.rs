//! Notices a connection that stands but does not serve. Sans-IO: time is an argument.

use std::time::Duration;

use super::fault::SourceFault;
use crate::media::Track;

/// Silence of the picture that ends a connection. The library notices a frozen peer by unanswered
/// keepalives only, after 30 to 60 s.
const SILENCE: Duration = Duration::from_secs(4);
/// From PLAY to the first picture: encoders that start on demand take their time.
const FIRST: Duration = Duration::from_secs(10);
/// From PLAY to the first picture with which decoding can begin. Some encoders send one to whoever comes, so that a new
/// connection may help; it will not help often.
const FIRST_SYNC: Duration = Duration::from_secs(60);

/// Times are durations since PLAY was answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    video: Option<Duration>,
    audio: Option<Duration>,
    begun: bool,
}

impl Silence {
    /// A frame came.
    pub(super) fn heard(&mut self, track: Track, at: Duration) {
        match track {
            Track::Video => self.video = Some(at),
            Track::Audio => self.audio = Some(at),
        }
    }

    /// A picture was let through.
    pub(super) fn begun(&mut self) {
        self.begun = true;
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Duration {
        let silent = self.video.map_or(FIRST, |at| at + SILENCE);
        if self.begun { silent } else { silent.min(FIRST_SYNC) }
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
        silence.begun();
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
        silence.begun();
        assert_eq!(silence.verdict(s(60)), None);
    }

    #[test]
    fn sound_alone_is_not_enough() {
        let mut silence = Silence::default();
        silence.heard(Track::Audio, s(9));
        assert_eq!(silence.verdict(s(10)), Some(SourceFault::NeverBegan(10)));
    }
}
