//! What a source counts about itself, for the metrics and the console.

use super::intake::ArrivedUnit;
use super::timeline::Timeline;
use amphi_media::Track;
use amphi_media::meter::{Counter, Gauge, Note};

/// Counters since the source was created, gauges and notes of the present connection.
#[derive(Debug, Default)]
pub struct SourceGauges {
    /// Access units of video received.
    pub pictures: Counter,
    /// Access units of sound received.
    pub sounds: Counter,
    /// Bytes of access units received.
    pub bytes: Counter,
    /// RTP packets lost on the way.
    pub lost: Counter,
    /// Packets that could not be understood.
    pub broken: Counter,
    /// Messages of publishers that could not be used.
    pub passed_over: Counter,
    /// Why pictures that come cannot be used, before any decoder gets them.
    pub picture_fault: Note,
    /// Why sound that comes cannot be used, before any decoder gets it.
    pub sound_fault: Note,
    /// 1 if the last connection was given up because nothing came, and none has been good since; otherwise 0.
    pub stalled: Gauge,
    /// Jumps of a track's clock in the present connection.
    pub jumps: Gauge,
    /// Skew in parts per billion, as the bits of an `i64`.
    skew_ppb: Gauge,
    /// Delay of the sound in microseconds, as the bits of an `i64`.
    av_offset_us: Gauge,
}

/// Says why there is no sound although packets of sound come: so many in a row could not be used.
#[derive(Debug, Default)]
pub(super) struct Mute(u32);

impl Mute {
    /// Half a second of AAC: fewer may come from losses.
    const MANY: u32 = 25;

    pub(super) fn broken(&mut self, why: &str, note: &Note) {
        self.0 = self.0.saturating_add(1);
        if self.0 == Self::MANY {
            note.set(why);
        }
    }

    pub(super) fn heard(&mut self, note: &Note) {
        if std::mem::take(&mut self.0) >= Self::MANY {
            note.clear();
        }
    }
}

impl SourceGauges {
    /// How much faster the source's clock runs than ours, in parts per million; 0 until it is known.
    pub fn skew_ppm(&self) -> f64 {
        self.skew_ppb.get() as i64 as f64 / 1000.0
    }

    /// How late the sound still is against the picture by the sender reports, in milliseconds; 0 without reports.
    pub fn av_offset_ms(&self) -> f64 {
        self.av_offset_us.get() as i64 as f64 / 1000.0
    }

    pub(super) fn count(&self, unit: &ArrivedUnit) {
        match unit.track() {
            Track::Video => self.pictures.increment(),
            Track::Audio => self.sounds.increment(),
        }
        self.bytes.add(unit.data.len() as u64);
        self.lost.add(u64::from(unit.lost));
    }

    pub(super) fn show(&self, timeline: &Timeline) {
        self.skew_ppb.set((timeline.skew().unwrap_or(0.0) * 1000.0) as i64 as u64);
        self.jumps.set(timeline.jumps());
        self.av_offset_us.set((timeline.av_offset().unwrap_or(0) / 1000) as u64);
    }

    pub(super) fn clear(&self) {
        self.skew_ppb.set(0);
        self.av_offset_us.set(0);
        self.jumps.set(0);
        self.picture_fault.clear();
        self.sound_fault.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_of_which_nothing_can_be_made_is_told_until_a_frame_comes() {
        let (mut mute, note) = (Mute::default(), Note::default());
        for _ in 0..3 {
            (0..24).for_each(|_| mute.broken("cut", &note));
            mute.heard(&note);
        }
        assert_eq!(note.get(), None, "a packet now and then");
        (0..30).for_each(|_| mute.broken("cut", &note));
        assert_eq!(note.get().as_deref(), Some("cut"));
        mute.heard(&note);
        assert_eq!(note.get(), None);
    }
}
