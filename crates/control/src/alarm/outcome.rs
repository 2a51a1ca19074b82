//! Whether a source's pictures and sound can be decoded: compares what goes into a ladder with what comes out. Sans-IO: time
//! is an argument.
//!
//! Contract: call [`Outcome::look`] about once a second with the counts of a source that delivers. It says why nothing
//! comes out although something goes in:
//! * with the ladder's own reason ([`OutcomeCounts::picture_note`], [`OutcomeCounts::sound_note`]), at once;
//! * otherwise with a general one, when nothing has come out for [`DRY`] and decoding has failed, or for [`UNBEGUN`] without
//!   an error: a ladder that has just started waits for a picture to start from.
//!
//! What does *not* belong here: sources that do not deliver (offline, stalled), pictures that come too late.

use std::sync::Arc;
use std::time::Duration;

use amphi_media::MediaTime;

/// How long nothing may come out while decoding fails.
pub const DRY: Duration = Duration::from_secs(3);
/// How long nothing may come out without an error: longer than the GOPs of common encoders.
pub const UNBEGUN: Duration = Duration::from_secs(15);
/// Tenths of the sound frames that must fail for all to count as failed: the counts are read while frames are in progress,
/// so one in ten may seem good.
const MOSTLY: u64 = 9;

/// A ladder's counts since it started.
#[derive(Clone, Debug, Default)]
pub struct OutcomeCounts {
    /// Pictures that arrived (access units).
    pub pictures_in: u64,
    /// Pictures that were decoded.
    pub pictures_out: u64,
    /// Pictures that could not be decoded.
    pub picture_errors: u64,
    /// Sound frames that arrived.
    pub sounds_in: u64,
    /// Sound frames that could not be decoded.
    pub sound_errors: u64,
    /// Why no picture comes out, if the ladder knows.
    pub picture_note: Option<Arc<str>>,
    /// Why no sound comes out, if the ladder knows.
    pub sound_note: Option<Arc<str>>,
}

/// Why nothing comes out of a ladder; `None` where something does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutcomeFaults {
    /// Why no picture comes out.
    pub picture: Option<String>,
    /// Why no sound comes out.
    pub sound: Option<String>,
}

impl OutcomeFaults {
    /// Whether both pictures and sound come out.
    pub const fn is_empty(&self) -> bool {
        self.picture.is_none() && self.sound.is_none()
    }

    /// These faults; where there are none, those of `other`, another ladder of the same source.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { picture: self.picture.or(other.picture), sound: self.sound.or(other.sound) }
    }
}

/// Watches one ladder.
#[derive(Debug, Default)]
pub struct Outcome {
    last: Option<OutcomeCounts>,
    /// Since when pictures arrive and none comes out, and the number of errors by then.
    dry: Option<(MediaTime, u64)>,
    /// Since when sound arrives and all of it fails.
    mute: Option<MediaTime>,
}

impl Outcome {
    /// Takes the counts at `at`; returns what is wrong now.
    pub fn look(&mut self, now: &OutcomeCounts, at: MediaTime) -> OutcomeFaults {
        let Some(before) = self.last.replace(now.clone()) else {
            return OutcomeFaults {
                picture: now.picture_note.as_deref().map(str::to_owned),
                sound: now.sound_note.as_deref().map(str::to_owned),
            };
        };
        if now.pictures_out != before.pictures_out || now.pictures_in == before.pictures_in {
            self.dry = None;
        } else {
            self.dry.get_or_insert((at, before.picture_errors));
        }
        let (came, failed) = (
            now.sounds_in.saturating_sub(before.sounds_in),
            now.sound_errors.saturating_sub(before.sound_errors),
        );
        if came > 0 && failed * 10 >= came * MOSTLY {
            self.mute.get_or_insert(at);
        } else {
            self.mute = None;
        }
        let said = |note: &Option<Arc<str>>| note.as_deref().map(str::to_owned);
        OutcomeFaults {
            picture: said(&now.picture_note).or_else(|| self.picture(now, at)),
            sound: said(&now.sound_note).or_else(|| self.sound(at)),
        }
    }

    fn picture(&self, now: &OutcomeCounts, at: MediaTime) -> Option<String> {
        let (since, errors) = self.dry?;
        let dry = at.saturating_since(since);
        if now.picture_errors > errors && dry >= DRY {
            return Some(
                "every picture fails to be decoded; H.264 of 4:2:0 with 8 bits is needed".to_owned(),
            );
        }
        let why = "pictures come, and none to start from: no IDR picture and no recovery point; switch open GOP and intra \
                   refresh off in the encoder";
        (dry >= UNBEGUN).then(|| why.to_owned())
    }

    fn sound(&self, at: MediaTime) -> Option<String> {
        let mute = at.saturating_since(self.mute?) >= DRY;
        mute.then(|| "every sound frame fails to be decoded; AAC, MP3 or G.711 is needed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> MediaTime {
        MediaTime::from_millis(1_795_000_000_000) + Duration::from_secs(second)
    }

    /// The faults at each second, given the counts of `reading`.
    fn told(seconds: u64, reading: impl Fn(u64) -> OutcomeCounts) -> Vec<OutcomeFaults> {
        let mut outcome = Outcome::default();
        (0..seconds).map(|second| outcome.look(&reading(second), at(second))).collect()
    }

    fn first(faults: &[OutcomeFaults], of: impl Fn(&OutcomeFaults) -> bool) -> Option<usize> {
        faults.iter().position(of)
    }

    #[test]
    fn pictures_that_all_fail_are_told_after_three_seconds() {
        let reading = |s: u64| OutcomeCounts {
            pictures_in: s * 25,
            picture_errors: s * 25,
            ..OutcomeCounts::default()
        };
        assert_eq!(first(&told(10, reading), |it| it.picture.is_some()), Some(4));
    }

    #[test]
    fn a_ladder_that_waits_for_a_picture_to_start_from_is_given_time() {
        let waits = |s: u64| OutcomeCounts { pictures_in: s * 25, ..OutcomeCounts::default() };
        assert_eq!(first(&told(30, waits), |it| it.picture.is_some()), Some(16));
        let begins = |s: u64| OutcomeCounts {
            pictures_in: s * 25,
            pictures_out: s.saturating_sub(10) * 25,
            ..OutcomeCounts::default()
        };
        assert!(told(60, begins).iter().all(OutcomeFaults::is_empty));
    }

    #[test]
    fn what_comes_out_or_does_not_come_in_is_no_fault() {
        let good = |s: u64| OutcomeCounts {
            pictures_in: s * 25,
            pictures_out: s * 25,
            picture_errors: s,
            sounds_in: s * 47,
            sound_errors: s * 5,
            ..OutcomeCounts::default()
        };
        assert!(told(60, good).iter().all(OutcomeFaults::is_empty), "a few errors are no fault");
        assert!(
            told(60, |_| OutcomeCounts { pictures_in: 9, picture_errors: 9, ..OutcomeCounts::default() })
                .iter()
                .all(OutcomeFaults::is_empty)
        );
    }

    #[test]
    fn sound_that_all_fails_is_told_and_so_is_what_others_have_found() {
        let mute = |s: u64| OutcomeCounts {
            pictures_in: s * 25,
            pictures_out: s * 25,
            sounds_in: s * 47,
            sound_errors: (s * 47).saturating_sub(2),
            ..OutcomeCounts::default()
        };
        let faults = told(10, mute);
        assert_eq!(first(&faults, |it| it.sound.is_some()), Some(4));
        assert!(faults.iter().all(|it| it.picture.is_none()));
        let noted = |_| OutcomeCounts { picture_note: Some("10 bits".into()), ..OutcomeCounts::default() };
        assert_eq!(told(2, noted)[0].picture.as_deref(), Some("10 bits"));
        assert_eq!(told(2, noted)[1].picture.as_deref(), Some("10 bits"));
    }
}
