//! What a ladder and its rungs count about themselves.

use super::latest_picture::LatestPicture;
use super::pressure::{MOST, Others, STEP};
use amphi_media::MediaTime;
use amphi_media::meter::{Counter, Gauge, Lowest, Note, Since};

/// Of a ladder.
#[derive(Debug, Default)]
pub struct LadderMeter {
    /// Pictures decoded.
    pub pictures: Counter,
    /// Access units that could not be decoded.
    pub decode_errors: Counter,
    /// Why no picture comes out although access units come in.
    pub picture_fault: Note,
    /// Sound frames that could not be used.
    pub audio_errors: Counter,
    /// Why no sound comes out although frames come in.
    pub sound_fault: Note,
    /// Pictures that found a rung's queue full.
    pub late_pictures: Counter,
    /// Whole cells.
    pub cells: Counter,
    /// Slide changes seen.
    pub slides: Counter,
    /// The picture is black.
    pub black: Since,
    /// The picture is the one before, to the last sample.
    pub still: Since,
    /// The sound is digital silence, or nearly.
    pub silent: Since,
    /// The sound is at full scale again and again.
    pub clipped: Since,
    /// The last peak of the sound, in hundredths of a decibel below full scale.
    pub peak_millibel: Gauge,
    /// The loudest peak since whoever shows levels asked last, in the same unit.
    pub loudest_millibel: Lowest,
    /// The root mean square of the sound over some 0.2 s, in the same unit.
    pub rms_millibel: Gauge,
    /// When somebody was last heard speaking, in milliseconds of unix time.
    pub spoken_at_ms: Gauge,
    /// When something last moved in the picture, in milliseconds of unix time.
    pub moved_at_ms: Gauge,
    /// The picture as it is.
    pub latest_picture: LatestPicture,
    /// One for each picture rung.
    pub rungs: Vec<RungMeter>,
}

/// Of a rung.
#[derive(Debug, Default)]
pub struct RungMeter {
    /// Its name.
    pub name: String,
    /// Pictures coded.
    pub coded: Counter,
    /// Nanoseconds spent on fitting and coding pictures.
    pub busy_nanos: Counter,
    /// 0 = every picture is coded, *n* = the machine cannot follow, and one in 2ⁿ is.
    pub thinning: Gauge,
    /// When a picture last waited too long for it, in milliseconds of unix time.
    pub waited_at_ms: Gauge,
}

impl LadderMeter {
    /// What rung `index` hears of the others.
    pub(super) fn others(&self, index: usize, now: MediaTime) -> Others {
        let recent = now.as_millis().saturating_sub(STEP.as_millis() as i64) as u64;
        Others {
            before_waits: self.rungs.iter().take(index).any(|rung| rung.waited_at_ms.get() > recent),
            behind_is_spent: self.rungs.iter().skip(index + 1).all(|rung| rung.thinning.get() >= MOST.into()),
        }
    }

    /// For picture rungs of these names.
    pub fn new(rungs: impl IntoIterator<Item = String>) -> Self {
        let rungs = rungs.into_iter().map(|name| RungMeter { name, ..RungMeter::default() }).collect();
        Self { rungs, ..Self::default() }
    }
}
