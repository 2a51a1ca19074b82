//! The level of a stream (ITU-T H.264 table A-1), chosen from its settings alone.
//!
//! OpenH264 would choose a level by itself, but from the state of its rate control too: live and waiting
//! streams must have byte-equal parameter sets, so the level is fixed before the encoder sees a picture.

use openh264_sys2 as sys;

use amphi_media::PictureSize;

/// One row of table A-1: level, MaxMBPS (macroblocks/s), MaxFS (macroblocks), MaxBR (1000 bit/s).
struct LevelLimits(sys::ELevelIdc, u64, u64, u64);

const LEVELS: [LevelLimits; 16] = [
    LevelLimits(sys::LEVEL_1_0, 1485, 99, 64),
    LevelLimits(sys::LEVEL_1_1, 3000, 396, 192),
    LevelLimits(sys::LEVEL_1_2, 6000, 396, 384),
    LevelLimits(sys::LEVEL_1_3, 11_880, 396, 768),
    LevelLimits(sys::LEVEL_2_0, 11_880, 396, 2000),
    LevelLimits(sys::LEVEL_2_1, 19_800, 792, 4000),
    LevelLimits(sys::LEVEL_2_2, 20_250, 1620, 4000),
    LevelLimits(sys::LEVEL_3_0, 40_500, 1620, 10_000),
    LevelLimits(sys::LEVEL_3_1, 108_000, 3600, 14_000),
    LevelLimits(sys::LEVEL_3_2, 216_000, 5120, 20_000),
    LevelLimits(sys::LEVEL_4_0, 245_760, 8192, 20_000),
    LevelLimits(sys::LEVEL_4_1, 245_760, 8192, 50_000),
    LevelLimits(sys::LEVEL_4_2, 522_240, 8704, 50_000),
    LevelLimits(sys::LEVEL_5_0, 589_824, 22_080, 135_000),
    LevelLimits(sys::LEVEL_5_1, 983_040, 36_864, 240_000),
    LevelLimits(sys::LEVEL_5_2, 2_073_600, 36_864, 240_000),
];

/// The smallest level for pictures of `size`, or `None` beyond level 5.2.
///
/// One second of our streams peaks at twice the target, at a slide change; the level must allow that.
pub(super) fn smallest_level(size: PictureSize, fps: u32, bitrate_bps: u32) -> Option<sys::ELevelIdc> {
    let (columns, rows) = (u64::from(size.width.div_ceil(16)), u64::from(size.height.div_ceil(16)));
    let macroblocks = columns * rows;
    let peak_bps = 2 * u64::from(bitrate_bps);
    LEVELS
        .iter()
        .find(|LevelLimits(_, per_second, per_frame, rate)| {
            macroblocks * u64::from(fps) <= *per_second
                && macroblocks <= *per_frame
                // §A.3.1 e and f: neither side is longer than sqrt(8 MaxFS).
                && columns.max(rows).pow(2) <= 8 * per_frame
                // High profile: 1250 bit/s per unit of MaxBR (§A.3.3 g, table A-2).
                && peak_bps <= 1250 * rate
        })
        .map(|limits| limits.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rungs_get_the_levels_of_the_table() {
        let level = |width, height, fps, bitrate| smallest_level(PictureSize { width, height }, fps, bitrate);
        assert_eq!(level(1280, 720, 15, 750_000), Some(31));
        assert_eq!(level(1280, 720, 30, 2_000_000), Some(31));
        assert_eq!(level(1280, 720, 60, 2_000_000), Some(32));
        assert_eq!(level(854, 480, 15, 400_000), Some(30));
        assert_eq!(level(854, 480, 30, 400_000), Some(31));
        assert_eq!(level(1920, 1080, 30, 4_000_000), Some(40));
        assert_eq!(level(160, 90, 5, 50_000), Some(11), "100 kbit/s peaks are beyond level 1");
        assert_eq!(level(8192, 8192, 30, 4_000_000), None);
        assert_eq!(level(4096, 16, 15, 100_000), Some(40), "a side of 256 macroblocks needs MaxFS of 8192");
    }
}
