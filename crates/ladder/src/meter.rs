//! What a ladder and its rungs count and observe, for the metrics, the console and alarms.

use super::latest_picture::LatestPicture;
use super::pressure::{MOST, Others, STEP};
use amphi_media::MediaTime;
use amphi_media::meter::{Counter, Gauge, Lowest, Note, Since};

/// What one ladder counts and observes about its source.
#[derive(Debug, Default)]
pub struct LadderMeter {
    /// Pictures that came out of the decoder.
    pub pictures: Counter,
    /// Access units that could not be decoded.
    pub decode_errors: Counter,
    /// Why no picture comes out although access units come in.
    pub picture_fault: Note,
    /// Access units of sound that could not be used.
    pub audio_errors: Counter,
    /// Why no sound comes out although frames come in.
    pub sound_fault: Note,
    /// Pictures dropped because a rung's queue was full.
    pub late_pictures: Counter,
    /// Whole cells given to the sink.
    pub cells: Counter,
    /// Slide changes found in the pictures (see [`super::scene`]).
    pub slides: Counter,
    /// Since when all of the picture is black.
    pub black: Since,
    /// Since when each picture equals the one before, to the last sample.
    pub still: Since,
    /// Since when the sound is digital silence, or nearly: below -60 dB of full scale.
    pub silent: Since,
    /// Since when the sound reaches full scale again and again.
    pub clipped: Since,
    /// The last peak of the sound, in hundredths of a decibel below full scale.
    pub peak_millibel: Gauge,
    /// The loudest peak since it was last read, in the same unit.
    pub loudest_millibel: Lowest,
    /// The root mean square of the sound over some 0.2 s, in the same unit.
    pub rms_millibel: Gauge,
    /// When somebody was last heard speaking, in milliseconds of unix time.
    pub spoken_at_ms: Gauge,
    /// When something last moved in the picture, in milliseconds of unix time.
    pub moved_at_ms: Gauge,
    /// The newest picture, replaced once a second.
    pub latest_picture: LatestPicture,
    /// One for each picture rung, in the ladder's order.
    pub rungs: Vec<RungMeter>,
}

/// What one rung counts about itself.
#[derive(Debug, Default)]
pub struct RungMeter {
    /// The rung's name in the configuration.
    pub name: String,
    /// Slots given to the encoder, repeated pictures included.
    pub coded: Counter,
    /// Nanoseconds spent on fitting and coding pictures.
    pub busy_nanos: Counter,
    /// 0: every picture is coded. *n*: the machine cannot follow, and one picture in 2ⁿ is coded.
    pub thinning: Gauge,
    /// When a picture last waited too long for this rung, in milliseconds of unix time.
    pub waited_at_ms: Gauge,
}

impl LadderMeter {
    /// What rung `index` is told about the others.
    pub(super) fn others(&self, index: usize, now: MediaTime) -> Others {
        let recent = now.as_millis().saturating_sub(STEP.as_millis() as i64) as u64;
        Others {
            before_waits: self.rungs.iter().take(index).any(|rung| rung.waited_at_ms.get() > recent),
            behind_is_spent: self.rungs.iter().skip(index + 1).all(|rung| rung.thinning.get() >= MOST.into()),
        }
    }

    /// A meter for picture rungs of these names.
    pub fn new(rungs: impl IntoIterator<Item = String>) -> Self {
        let rungs = rungs.into_iter().map(|name| RungMeter { name, ..RungMeter::default() }).collect();
        Self { rungs, ..Self::default() }
    }
}
