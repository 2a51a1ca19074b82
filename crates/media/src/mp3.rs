//! The header of an MP3 frame (ISO/IEC 11172-3 §2.4.2.3, ISO/IEC 13818-3 §2.4.2.3, and the unofficial MPEG 2.5).

use super::AudioFormat;

/// Bit rates in kbit/s by `bitrate_index`: of MPEG-1, and of MPEG-2 and 2.5.
const KILOBITS: [[u16; 14]; 2] = [
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// The fields of a frame header that are needed to cut and time frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mp3Header {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Number of channels: 1 or 2.
    pub channels: u8,
    /// Samples of each channel in this frame: 1152 or 576.
    pub samples: u32,
    /// Size of the frame in bytes, its header included.
    pub size: usize,
}

impl Mp3Header {
    /// Reads the header at the beginning of `bytes`. `None` if it is not layer III, or has no bit rate ("free format"): then
    /// nothing says where the frame ends.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let &[0xff, second, third, fourth, ..] = bytes else { return None };
        let version = (second >> 3) & 3;
        if second & 0xe6 != 0xe2 || version == 1 {
            return None;
        }
        let low = version != 3;
        let kilobits = *KILOBITS[usize::from(low)].get(usize::from(third >> 4).checked_sub(1)?)?;
        let rate = *[44_100, 48_000, 32_000].get(usize::from((third >> 2) & 3))?;
        let sample_rate = match version {
            3 => rate,
            2 => rate / 2,
            _ => rate / 4,
        };
        let samples = if low { 576 } else { 1152 };
        let size = samples / 8 * u32::from(kilobits) * 1000 / sample_rate + u32::from((third >> 1) & 1);
        let channels = if fourth >> 6 == 3 { 1 } else { 2 };
        Some(Self { sample_rate, channels, samples, size: size as usize })
    }

    /// Format of the decoded sound.
    pub const fn format(self) -> AudioFormat {
        AudioFormat { sample_rate: self.sample_rate, channels: self.channels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_versions_are_read() {
        let header = |bytes: [u8; 4]| {
            Mp3Header::read(&bytes).map(|it| (it.sample_rate, it.channels, it.samples, it.size))
        };
        assert_eq!(header([0xff, 0xfb, 0x90, 0x64]), Some((44_100, 2, 1152, 417)));
        assert_eq!(header([0xff, 0xfb, 0x92, 0xc4]), Some((44_100, 1, 1152, 418)));
        assert_eq!(header([0xff, 0xf3, 0x84, 0xc4]), Some((24_000, 1, 576, 192)));
        assert_eq!(header([0xff, 0xe3, 0x48, 0xc4]), Some((8000, 1, 576, 288)));
        // Layer II, free format, no sync word, reserved version, reserved rate.
        for bytes in [
            [0xff, 0xfd, 0x90, 0],
            [0xff, 0xfb, 0, 0],
            [0xff, 0x1b, 0x90, 0],
            [0xff, 0xeb, 0x90, 0],
            [0xff, 0xfb, 0x9c, 0],
            // A bad bit rate, an AAC access unit.
            [0xff, 0xfb, 0xf0, 0x44],
            [0x21, 0x10, 4, 0x60],
        ] {
            assert_eq!(header(bytes), None, "{bytes:02x?}");
        }
        assert_eq!(Mp3Header::read(&[0xff, 0xfb, 0x90]), None, "cut");
    }
}
