//! The state of a publisher, from what it sends. Sans-IO: time is an argument.
//!
//! Contract: call [`Presence::heard`] for every message and [`Presence::frame`] for every frame that comes,
//! [`Presence::trouble`] when the picture cannot be used, and [`Presence::begin`] with the first picture that was let
//! through; ask [`Presence::verdict`] about once a second.
//!
//! What does *not* belong here: when a silent publisher is disconnected.

use std::time::Duration;

use amphi_control::matrix::SourceState;
use amphi_media::{MediaTime, Track};

/// Without a message, or without a picture, for so long a publisher has stalled, as a pulled source has.
const SILENCE: Duration = Duration::from_secs(4);
/// How long pictures may come with which decoding cannot begin before it is said.
const NO_START: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Presence {
    heard: MediaTime,
    first_picture: Option<MediaTime>,
    picture: Option<MediaTime>,
    sound: Option<MediaTime>,
    begun: bool,
    /// What is wrong with the picture.
    trouble: Option<String>,
}

impl Presence {
    pub(super) const fn new(now: MediaTime) -> Self {
        let (first_picture, picture, sound, trouble) = (None, None, None, None);
        Self { heard: now, first_picture, picture, sound, begun: false, trouble }
    }

    /// A message came, whether or not it could be used.
    pub(super) const fn heard(&mut self, now: MediaTime) {
        self.heard = now;
    }

    pub(super) fn frame(&mut self, track: Track, now: MediaTime) {
        self.heard = now;
        match track {
            Track::Audio => self.sound = Some(now),
            Track::Video => {
                self.picture = Some(now);
                self.first_picture.get_or_insert(now);
                self.trouble = None;
            }
        }
    }

    /// The picture cannot be used, and why.
    pub(super) fn trouble(&mut self, why: String) {
        self.trouble = Some(why);
    }

    /// A picture was let through.
    pub(super) const fn begin(&mut self) {
        self.begun = true;
    }

    /// The publisher's state, and a sentence for operators; empty while it is live.
    pub(super) fn verdict(&self, now: MediaTime) -> (SourceState, String) {
        let silent = |at: MediaTime| now.saturating_since(at) >= SILENCE;
        let seconds = SILENCE.as_secs();
        if silent(self.heard) {
            return (SourceState::Stalled, format!("nothing came for {seconds} s on the open connection"));
        }
        let state = if self.begun { SourceState::Stalled } else { SourceState::Connecting };
        let frozen = self.picture.is_none_or(silent);
        match (&self.trouble, self.first_picture) {
            (Some(trouble), _) if frozen || !self.begun => (state, trouble.clone()),
            _ if self.begun && !frozen => (SourceState::Live, String::new()),
            _ if self.begun => (state, format!("no picture came for {seconds} s, while the publisher stays")),
            (_, Some(first)) if now.saturating_since(first) >= NO_START => {
                let why = "pictures come, and none to start from: no IDR picture and no recovery point; switch open GOP \
                           and intra refresh off in the encoder";
                (state, why.to_owned())
            }
            (_, None) if self.sound.is_some() => (state, "sound comes, and no picture yet".to_owned()),
            _ => (state, "waits for the first picture".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);

    fn at(second: u64) -> MediaTime {
        START + Duration::from_secs(second)
    }

    fn state(presence: &Presence, second: u64) -> SourceState {
        presence.verdict(at(second)).0
    }

    #[test]
    fn it_is_live_while_pictures_come_and_stalls_without() {
        let mut presence = Presence::new(START);
        assert_eq!(
            presence.verdict(at(1)),
            (SourceState::Connecting, "waits for the first picture".to_owned())
        );
        presence.frame(Track::Video, at(2));
        presence.begin();
        assert_eq!(presence.verdict(at(5)), (SourceState::Live, String::new()));
        assert_eq!(state(&presence, 6), SourceState::Stalled);
        presence.frame(Track::Audio, at(6));
        assert!(presence.verdict(at(7)).1.starts_with("no picture came for 4 s"));
        presence.frame(Track::Video, at(8));
        assert_eq!(state(&presence, 9), SourceState::Live);
    }

    #[test]
    fn what_keeps_it_from_beginning_is_said() {
        let mut presence = Presence::new(START);
        presence.frame(Track::Audio, at(1));
        assert_eq!(presence.verdict(at(1)).1, "sound comes, and no picture yet");
        presence.trouble("the publisher sends AV1 video; H.264 is needed".to_owned());
        presence.heard(at(3));
        let said = presence.verdict(at(4));
        let expected = "the publisher sends AV1 video; H.264 is needed".to_owned();
        assert_eq!(said, (SourceState::Connecting, expected));
        for second in 4..9 {
            presence.frame(Track::Video, at(second));
        }
        assert!(presence.verdict(at(9)).1.contains("none to start from"), "the codec is another one now");
        assert_eq!(state(&presence, 20), SourceState::Stalled);
    }

    #[test]
    fn a_trouble_that_does_not_last_changes_nothing() {
        let mut presence = Presence::new(START);
        presence.frame(Track::Video, at(1));
        presence.begin();
        presence.trouble("lengths".to_owned());
        assert_eq!(state(&presence, 2), SourceState::Live);
        presence.heard(at(5));
        assert_eq!(presence.verdict(at(6)), (SourceState::Stalled, "lengths".to_owned()));
    }
}
