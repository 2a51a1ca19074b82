//! Media time and the grid: cells, slots of pictures, frames of sound.
//!
//! Media time *is* unix time. Positions on the grid are computed with whole numbers from the epoch, so two servers, or one
//! server before and after a restart, agree on every cell, slot and audio frame.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Ticks per second of a track (`timescale`, ISO/IEC 14496-12 §8.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timescale(pub u32);

/// The timescale of every video track that we make: 90 kHz, as in RTP (RFC 6184 §8.2.1).
pub const VIDEO_TIMESCALE: Timescale = Timescale(90_000);

const NANOS: i128 = 1_000_000_000;

/// A point in time: nanoseconds since the unix epoch. Good until the year 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaTime(i64);

impl MediaTime {
    /// From nanoseconds since the unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Nanoseconds since the unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds since the unix epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Ticks of `scale` since the epoch, rounded to the nearest tick.
    pub const fn to_ticks(self, scale: Timescale) -> i64 {
        ((self.0 as i128 * scale.0 as i128 + NANOS / 2).div_euclid(NANOS)) as i64
    }

    /// The point `ticks` of `scale` after the epoch, rounded to the nearest nanosecond.
    pub const fn from_ticks(ticks: i64, scale: Timescale) -> Self {
        Self(((ticks as i128 * NANOS + scale.0 as i128 / 2).div_euclid(scale.0 as i128)) as i64)
    }

    /// Nanoseconds from `earlier` to `self`, negative if `earlier` is later. Saturates.
    pub const fn nanos_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This point moved by `nanos`, backwards if negative. Saturates.
    #[must_use]
    pub const fn offset_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// The calendar time in UTC; the epoch if `jiff` cannot express it.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default()
    }
}

impl Add<Duration> for MediaTime {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for MediaTime {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// The nearest point that a [`MediaTime`] can express.
impl From<jiff::Timestamp> for MediaTime {
    fn from(stamp: jiff::Timestamp) -> Self {
        Self(stamp.as_nanosecond().clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

/// RFC 3339 with milliseconds, as `EXT-X-PROGRAM-DATE-TIME` has it (RFC 8216 §4.3.2.6).
impl fmt::Display for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl serde::Serialize for MediaTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for MediaTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        jiff::Timestamp::deserialize(deserializer).map(Self::from)
    }
}

/// A text in RFC 3339, as it is serialized.
impl utoipa::PartialSchema for MediaTime {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl utoipa::ToSchema for MediaTime {
    fn name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
}

/// Number of a cell on the grid: cell *k* covers `[k·D, (k+1)·D)` of unix time.
/// It is the segment's `EXT-X-MEDIA-SEQUENCE` (RFC 8216 §4.3.3.2).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct CellIndex(pub i64);

impl CellIndex {
    /// The next cell.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The previous cell.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0 - 1)
    }
}

impl fmt::Display for CellIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a picture's place in time: slots of 1/fps seconds, counted from the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub i64);

impl Slot {
    /// The next slot.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// When the picture in this slot is shown.
    pub const fn time(self, fps: u32) -> MediaTime {
        MediaTime::from_ticks(self.0, Timescale(fps))
    }

    /// The slot whose time is nearest to `time`.
    pub const fn nearest(time: MediaTime, fps: u32) -> Self {
        Self(time.to_ticks(Timescale(fps)))
    }
}

/// The grid of cells: unix time cut into pieces of one segment duration D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    duration_ms: u32,
}

impl Grid {
    /// A grid of cells of `duration_ms` milliseconds; 0 is taken as 1.
    pub const fn new(duration_ms: u32) -> Self {
        Self { duration_ms: if duration_ms == 0 { 1 } else { duration_ms } }
    }

    /// D, the duration of one cell.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.duration_ms as u64)
    }

    /// D in milliseconds.
    pub const fn duration_ms(self) -> u32 {
        self.duration_ms
    }

    /// The cell that covers `time`.
    pub const fn cell_at(self, time: MediaTime) -> CellIndex {
        CellIndex(time.0.div_euclid(self.duration_ms as i64 * 1_000_000))
    }

    /// Start of cell `k`, which belongs to it.
    pub const fn start(self, k: CellIndex) -> MediaTime {
        MediaTime::from_millis(k.0 * self.duration_ms as i64)
    }

    /// End of cell `k`, which is the start of the next one.
    pub const fn end(self, k: CellIndex) -> MediaTime {
        self.start(k.next())
    }

    /// Pictures in one cell, D·fps. The configuration check ensures that this is a whole number.
    pub const fn slots_per_cell(self, fps: u32) -> u32 {
        (self.duration_ms as u64 * fps as u64 / 1000) as u32
    }

    /// The first slot of cell `k`.
    pub const fn first_slot(self, k: CellIndex, fps: u32) -> Slot {
        Slot(k.0 * self.slots_per_cell(fps) as i64)
    }

    /// The cell that `slot` lies in.
    pub const fn cell_of_slot(self, slot: Slot, fps: u32) -> CellIndex {
        CellIndex(slot.0.div_euclid(self.slots_per_cell(fps) as i64))
    }

    /// Number of the first audio frame that starts in cell `k`. Frame *n* of 1024 samples starts n·1024/rate seconds after
    /// the epoch, and a cell holds the frames that start in it.
    pub const fn first_audio_frame(self, k: CellIndex, sample_rate: u32) -> i64 {
        let numerator = k.0 as i128 * self.duration_ms as i128 * sample_rate as i128;
        let denominator = 1000 * super::AAC_FRAME_SAMPLES as i128;
        // Ceiling division: the first n with n·1024/rate >= k·D.
        (-(-numerator).div_euclid(denominator)) as i64
    }

    /// Numbers of the audio frames that start in cell `k`.
    pub const fn audio_frames(self, k: CellIndex, sample_rate: u32) -> std::ops::Range<i64> {
        self.first_audio_frame(k, sample_rate)..self.first_audio_frame(k.next(), sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const D: Grid = Grid::new(2000);

    #[test]
    fn program_date_time_has_milliseconds_and_zone() {
        assert_eq!(MediaTime::from_millis(1_795_000_000_040).to_string(), "2026-11-18T11:06:40.040Z");
    }

    #[test]
    fn a_time_beyond_what_can_be_expressed_stays_on_its_side() {
        let read = |text: &str| serde_json::from_str::<MediaTime>(text).expect("a time");
        assert_eq!(read("\"0001-01-01T00:00:00Z\""), MediaTime(i64::MIN));
        assert_eq!(read("\"9999-01-01T00:00:00Z\""), MediaTime(i64::MAX));
        assert_eq!(read("\"2026-11-18T12:06:40.040+01:00\""), MediaTime::from_millis(1_795_000_000_040));
    }

    #[test]
    fn four_cells_of_two_seconds_hold_375_audio_frames_at_48_khz() {
        let k = CellIndex(4 * 224_000_000);
        assert_eq!(D.first_audio_frame(CellIndex(k.0 + 4), 48_000) - D.first_audio_frame(k, 48_000), 375);
        assert_eq!(D.audio_frames(k, 48_000).count(), 94);
    }

    proptest! {
        #[test]
        fn ticks_survive_the_way_through_nanoseconds(
            ticks in 0..9_000_000_000_000_i64, scale in prop::sample::select(vec![90_000_u32, 48_000, 44_100, 15, 25, 30]),
        ) {
            let ticks = ticks.min(i64::from(scale) * 8_000_000_000);
            prop_assert_eq!(MediaTime::from_ticks(ticks, Timescale(scale)).to_ticks(Timescale(scale)), ticks);
        }

        #[test]
        fn cells_tile_the_sound(k in 800_000_000..1_000_000_000_i64, rate in prop::sample::select(vec![48_000_u32, 44_100, 32_000])) {
            let frames = D.audio_frames(CellIndex(k), rate);
            prop_assert_eq!(frames.end, D.audio_frames(CellIndex(k + 1), rate).start);
            for n in [frames.start, frames.end - 1] {
                let start = n as i128 * 1024 * 1000;
                let (from, to) = (k as i128 * 2000 * rate as i128, (k as i128 + 1) * 2000 * rate as i128);
                prop_assert!(from <= start && start < to);
            }
        }

        #[test]
        fn cells_tile_the_slots(k in 800_000_000..1_000_000_000_i64, fps in prop::sample::select(vec![15_u32, 25, 30])) {
            let first = D.first_slot(CellIndex(k), fps);
            prop_assert_eq!(first.time(fps), D.start(CellIndex(k)));
            prop_assert_eq!(D.cell_of_slot(first, fps), CellIndex(k));
            prop_assert_eq!(D.cell_of_slot(Slot(first.0 - 1), fps), CellIndex(k - 1));
        }
    }
}
