//! Counts what a source sends while it is checked, and tells whether it is ready for a lecture.

use super::check::{Check, Facts};
use crate::matrix::SourceMedia;
use amphi_media::{MediaTime, SourceFrame, SourceName, Track};

/// The least pictures per second of a lecture.
const FEWEST_FPS: f64 = 5.0;

/// The results of decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Signs {
    /// Whether a picture could be decoded.
    pub decoded: bool,
    /// Whether the picture is black.
    pub black: bool,
    /// Whether not one sample of the picture changes.
    pub still: bool,
    /// Whether the sound is silent.
    pub silent: bool,
    /// Last peak of the sound in decibels of full scale.
    pub peak_dbfs: Option<f64>,
}

/// Counts the frames of a source.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pictures: u64,
    sounds: u64,
    shown: Option<(MediaTime, MediaTime)>,
}

impl Tally {
    /// Counts a frame.
    pub fn frame(&mut self, frame: &SourceFrame) {
        match frame.track() {
            Track::Video => {
                self.pictures += 1;
                let (first, last) = self.shown.unwrap_or((frame.pts, frame.pts));
                self.shown = Some((first.min(frame.pts), last.max(frame.pts)));
            }
            Track::Audio => self.sounds += 1,
        }
    }

    /// The measured pictures per second, to two decimals; `None` for fewer than two pictures.
    pub fn fps(&self) -> Option<f64> {
        let (first, last) = self.shown?;
        let seconds = last.saturating_since(first).as_secs_f64();
        (self.pictures > 1 && seconds > 0.0).then(|| {
            let rate = (self.pictures - 1) as f64 / seconds;
            // Shown to people: more digits would not be accurate.
            (rate * 100.0).round() / 100.0
        })
    }

    /// The result of the check. `trouble`: why the source could not be reached.
    pub fn judge(
        &self,
        source: &SourceName,
        media: Option<&SourceMedia>,
        signs: Signs,
        trouble: Option<String>,
        now: MediaTime,
    ) -> Check {
        let fps = self.fps();
        let media = media.cloned().unwrap_or_default();
        let facts = Facts {
            video_codec: media.video_codec,
            width: media.width,
            height: media.height,
            fps,
            audio_codec: media.audio_codec,
            sample_rate: media.sample_rate,
            peak_dbfs: signs.peak_dbfs,
            black: signs.black,
            still: signs.still,
            silent: signs.silent,
        };
        let fault = trouble.or_else(|| self.fault(fps, signs));
        Check { source: source.clone(), at: now, fault, waits_for_publisher: false, facts }
    }

    fn fault(&self, fps: Option<f64>, signs: Signs) -> Option<String> {
        let picture = if self.pictures == 0 {
            Some("no picture comes".to_owned())
        } else if !signs.decoded {
            Some("no picture can be decoded".to_owned())
        } else {
            fps.filter(|&fps| fps < FEWEST_FPS).map(|fps| format!("only {fps} pictures come in a second"))
        };
        let sound = (self.sounds == 0).then(|| "no sound comes".to_owned());
        match (picture, sound) {
            (Some(picture), Some(sound)) => Some(format!("{picture}, {sound}")),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use amphi_media::{AudioFormat, AudioSpecificConfig, ParameterSets, TrackFormat};

    const START: MediaTime = MediaTime::from_millis(1_795_000_000_000);
    const GOOD: Signs =
        Signs { decoded: true, black: false, still: false, silent: false, peak_dbfs: Some(-20.0) };

    fn frame(format: &Arc<TrackFormat>, millis: i64) -> SourceFrame {
        let pts = START.offset_nanos(millis * 1_000_000);
        SourceFrame { pts, data: Bytes::from_static(&[1]), sync: true, format: Arc::clone(format) }
    }

    fn tally(pictures_every_ms: Option<i64>, sound: bool) -> Tally {
        let sets = ParameterSets { sps: Bytes::from_static(&[0x67, 100, 0, 41]), pps: Bytes::new() };
        let video = Arc::new(TrackFormat::H264(sets));
        let config = AudioSpecificConfig::lc(AudioFormat { sample_rate: 48_000, channels: 2 });
        let audio = Arc::new(TrackFormat::Aac(config));
        let mut tally = Tally::default();
        for millis in (0..5000).step_by(10) {
            if pictures_every_ms.is_some_and(|every| millis % every == 0) {
                tally.frame(&frame(&video, millis));
            }
            if sound && millis % 20 == 0 {
                tally.frame(&frame(&audio, millis));
            }
        }
        tally
    }

    fn fault(tally: &Tally, signs: Signs) -> Option<String> {
        tally.judge(&"hall".into(), None, signs, None, START).fault
    }

    #[test]
    fn a_hall_is_fit_with_pictures_and_sound() {
        let media = SourceMedia { width: Some(1280), height: Some(720), ..SourceMedia::default() };
        let check = tally(Some(40), true).judge(&"hall".into(), Some(&media), GOOD, None, START);
        assert_eq!((check.fault, check.facts.fps), (None, Some(25.0)));
        assert_eq!((check.facts.width, check.facts.peak_dbfs), (Some(1280), Some(-20.0)));
    }

    #[test]
    fn what_is_missing_is_told_and_darkness_is_a_fact() {
        let dark = Signs { black: true, silent: true, still: true, ..GOOD };
        let check = tally(Some(40), true).judge(&"hall".into(), None, dark, None, START);
        assert_eq!((check.fault, check.facts.black, check.facts.silent), (None, true, true));
        assert_eq!(fault(&tally(None, true), Signs::default()).as_deref(), Some("no picture comes"));
        assert_eq!(fault(&tally(Some(40), false), GOOD).as_deref(), Some("no sound comes"));
        assert_eq!(
            fault(&Tally::default(), Signs::default()).as_deref(),
            Some("no picture comes, no sound comes")
        );
        assert_eq!(
            fault(&tally(Some(40), true), Signs::default()).as_deref(),
            Some("no picture can be decoded")
        );
        let slow = fault(&tally(Some(500), true), GOOD);
        assert_eq!(slow.as_deref(), Some("only 2 pictures come in a second"));
        let gone =
            tally(Some(40), true).judge(&"hall".into(), None, GOOD, Some("it refuses us".to_owned()), START);
        assert_eq!(gone.fault.as_deref(), Some("it refuses us"));
    }
}
