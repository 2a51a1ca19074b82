//! What decoded media looks and sounds like, so that a covered lens or a dead microphone is noticed.
//!
//! Observes and decides nothing: each sign says since when it has held without a break, and its reader decides how
//! long is too long. Pictures are equal only if every sample is: slides stand still too, but what a
//! camera or a cable brings has noise, and an encoder that works codes it.
//!
//! What does not belong here: alarms, and what becomes of a cell.

use std::sync::Arc;

use super::audio::{AudioError, Level};
use super::meter::LadderMeter;
use super::motion::MotionDetector;
use super::speech::SpeechDetector;
use amphi_media::{MediaTime, Picture, TrackFormat};

/// Luma of black in limited range is 16; noise in the dark stays below this.
const BLACK: u8 = 32;
/// Every `STEP`-th sample of every `STEP`-th row is looked at.
const STEP: usize = 8;
/// -60 dB of full scale: a room with a microphone that is on is louder.
const SILENCE: f32 = 0.001;
/// Full scale, but for rounding.
const CLIPPED: f32 = 0.999;
/// Weight of one frame of 1024 samples in the smoothed power: a time constant of 0.2 s at 48 kHz.
const SMOOTHING: f32 = 0.1;
/// Sound that clips does so again and again: each time counts for so long.
const CLIP_MEMORY_NANOS: i64 = 2_000_000_000;
/// Sound that cannot be decoded for so long is reported.
const DEAF_NANOS: i64 = 1_000_000_000;

/// Observes one source and writes what it finds into its meter.
pub(super) struct SourceObserver {
    meter: Arc<LadderMeter>,
    before: Option<Arc<Picture>>,
    /// Since when sound comes and none of it can be heard.
    deaf_since: Option<MediaTime>,
    clipped_at: Option<MediaTime>,
    /// The sound's power, smoothed.
    power: f32,
    motion: MotionDetector,
    speech: SpeechDetector,
}

impl SourceObserver {
    pub(super) fn new(meter: Arc<LadderMeter>) -> Self {
        let (motion, speech) = (MotionDetector::default(), SpeechDetector::default());
        Self { meter, before: None, deaf_since: None, clipped_at: None, power: 0.0, motion, speech }
    }

    /// A picture that was decoded.
    pub(super) fn see(&mut self, picture: &Arc<Picture>, now: MediaTime) {
        self.meter.black.observe(is_black(picture), now);
        let still = self.before.as_ref().is_some_and(|before| before == picture);
        self.meter.still.observe(still, now);
        if self.motion.moved(picture, now) {
            self.meter.moved_at_ms.set(unix_ms(now));
        }
        self.before = Some(Arc::clone(picture));
        self.meter.latest_picture.show(picture, now);
    }

    /// A unit of sound in `format`: how loud it is, or why it cannot be decoded.
    pub(super) fn hear(&mut self, heard: Result<Level, &AudioError>, format: &TrackFormat, now: MediaTime) {
        let Level { peak, power } = match heard {
            Ok(level) => level,
            Err(error) => return self.deaf(error, format, now),
        };
        self.deaf_since = None;
        self.meter.sound_fault.clear();
        self.meter.silent.observe(peak < SILENCE, now);
        if peak >= CLIPPED {
            self.clipped_at = Some(now);
        }
        let clips = self.clipped_at.is_some_and(|at| now.nanos_since(at) < CLIP_MEMORY_NANOS);
        self.meter.clipped.observe(clips, now);
        self.meter.peak_millibel.set(millibel(peak));
        self.meter.loudest_millibel.observe(millibel(peak));
        self.power += (power - self.power) * SMOOTHING;
        self.meter.rms_millibel.set(millibel(self.power.sqrt()));
        if self.speech.hears(self.power) {
            self.meter.spoken_at_ms.set(unix_ms(now));
        }
    }
}

impl SourceObserver {
    /// A unit that cannot be decoded. A single one is ignored; after a second of nothing else the reason is reported.
    fn deaf(&mut self, error: &AudioError, format: &TrackFormat, now: MediaTime) {
        let since = *self.deaf_since.get_or_insert(now);
        let why = match error {
            AudioError::Source { reason, .. } => reason.clone(),
            _ if now.nanos_since(since) < DEAF_NANOS => return,
            AudioError::Size { size, .. } => {
                format!("frames of {size} bytes cannot be decoded: they are longer or shorter than allowed")
            }
            AudioError::Decode { size, reason, .. } => {
                format!("frames of {size} bytes cannot be decoded: {reason}")
            }
            _ => return,
        };
        let why = why.trim_end_matches(['.', ' ']);
        self.meter.sound_fault.set(&format!(
            "the sound that comes ({}) cannot be decoded: {why}; set the encoder to AAC-LC, 48 kHz, stereo",
            format.describe()
        ));
    }
}

fn unix_ms(now: MediaTime) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or_default()
}

fn is_black(picture: &Picture) -> bool {
    let width = picture.size().width.max(1) as usize;
    let rows = picture.planes()[0].chunks_exact(width).step_by(STEP);
    rows.flat_map(|row| row.iter().step_by(STEP)).all(|&luma| luma < BLACK)
}

/// Hundredths of a decibel below full scale; 9600 for digital silence.
fn millibel(peak: f32) -> u64 {
    const NOTHING: f32 = 9600.0;
    if peak > 0.0 { (-2000.0 * peak.log10()).clamp(0.0, NOTHING) as u64 } else { NOTHING as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_media::PictureSize;

    const SIZE: PictureSize = PictureSize { width: 64, height: 32 };

    fn picture(luma: u8) -> Arc<Picture> {
        let mut picture = Picture::black(SIZE);
        picture.planes_mut()[0].fill(luma);
        Arc::new(picture)
    }

    #[test]
    fn black_and_still_are_told_with_their_beginning() {
        let meter = Arc::new(LadderMeter::new([]));
        let mut vitals = SourceObserver::new(Arc::clone(&meter));
        let at = |second: i64| MediaTime::from_millis(second * 1000);
        vitals.see(&picture(90), at(1));
        vitals.see(&picture(91), at(2));
        assert_eq!((meter.black.get(), meter.still.get()), (None, None));
        vitals.see(&picture(91), at(3));
        vitals.see(&picture(91), at(4));
        assert_eq!((meter.black.get(), meter.still.get()), (None, Some(at(3))));
        vitals.see(&picture(17), at(5));
        vitals.see(&picture(18), at(6));
        assert_eq!((meter.black.get(), meter.still.get()), (Some(at(5)), None));
        vitals.see(&picture(90), at(7));
        assert_eq!(meter.black.get(), None);
    }

    #[test]
    fn sound_that_comes_and_cannot_be_heard_is_told_with_its_reason() {
        let meter = Arc::new(LadderMeter::new([]));
        let mut vitals = SourceObserver::new(Arc::clone(&meter));
        let at = |millis: i64| MediaTime::from_millis(1_000_000 + millis);
        let format = TrackFormat::G711 { law: amphi_media::G711Law::Mu, sample_rate: 8000, channels: 1 };
        let error = AudioError::Decode { pts: at(0), size: 17, reason: "no end.".to_owned() };
        vitals.hear(Err(&error), &format, at(0));
        vitals.hear(Err(&error), &format, at(900));
        assert_eq!(meter.sound_fault.get(), None, "a scratch");
        vitals.hear(Err(&error), &format, at(1000));
        let said = meter.sound_fault.get().expect("a second of it");
        assert!(said.contains("G.711 µ-law, 8 kHz, mono") && said.contains("17 bytes"), "{said}");
        assert!(said.contains("no end;") && said.contains("AAC-LC, 48 kHz, stereo"), "{said}");
        vitals.hear(Ok(Level::default()), &format, at(1100));
        assert_eq!(meter.sound_fault.get(), None);
        let error = AudioError::Source { format: String::new(), reason: "its object type".to_owned() };
        vitals.hear(Err(&error), &format, at(1200));
        assert!(meter.sound_fault.get().is_some(), "at once");
    }

    #[test]
    fn loudness_is_told_in_hundredths_of_a_decibel() {
        assert_eq!([1.0, 0.5, 0.001, 0.0].map(millibel), [0, 602, 6000, 9600]);
    }
}
