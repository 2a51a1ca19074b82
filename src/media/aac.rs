//! AAC in words: format, and the two bytes that configure a decoder (ISO/IEC 14496-3 §1.6.2.1).

/// Samples per AAC-LC frame and channel (ISO/IEC 14496-3 §4.5.2.1.1, `frameLengthFlag` = 0).
pub const AAC_FRAME_SAMPLES: u32 = 1024;

const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

/// What PCM or AAC-LC sound looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioFormat {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Channels: 1 or 2.
    pub channels: u8,
}

/// A parsed AudioSpecificConfig. Extensions behind the first fields (SBR, PS signalling) are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioSpecificConfig {
    /// Audio object type; 2 is AAC-LC, 5 is SBR (HE-AAC), 29 is PS.
    pub object_type: u8,
    /// Samples per second of the core coder.
    pub sample_rate: u32,
    /// Channel configuration; 1 and 2 are mono and stereo.
    pub channels: u8,
    /// 960 samples per frame instead of 1024.
    pub short_frames: bool,
}

/// Why an AudioSpecificConfig could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AudioSpecificConfigError {
    /// Fewer bits than the fields need.
    #[error("AudioSpecificConfig is shorter than its fields")]
    Truncated,
    /// A reserved sampling frequency index.
    #[error("AudioSpecificConfig has the reserved sampling frequency index {0}")]
    SampleRate(u8),
}

impl AudioSpecificConfig {
    /// The configuration of plain AAC-LC in `format`.
    pub const fn lc(format: AudioFormat) -> Self {
        Self {
            object_type: 2,
            sample_rate: format.sample_rate,
            channels: format.channels,
            short_frames: false,
        }
    }

    /// Reads the first fields of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AudioSpecificConfigError> {
        let mut bits = Bits { bytes, at: 0 };
        let mut object_type = bits.take(5)?;
        if object_type == 31 {
            object_type = 32 + bits.take(6)?;
        }
        let index = bits.take(4)?;
        let sample_rate = if index == 15 {
            bits.take(24)?
        } else {
            *RATES.get(index as usize).ok_or(AudioSpecificConfigError::SampleRate(index as u8))?
        };
        let channels = bits.take(4)? as u8;
        let short_frames = bits.take(1)? == 1;
        Ok(Self { object_type: object_type as u8, sample_rate, channels, short_frames })
    }

    /// Writes the configuration: two bytes, or five where the rate has no index.
    pub fn to_bytes(self) -> Vec<u8> {
        let object_type = u64::from(self.object_type & 31);
        let tail = (u64::from(self.channels) << 3) | (u64::from(self.short_frames) << 2);
        if let Some(index) = RATES.iter().position(|&rate| rate == self.sample_rate) {
            let word = (object_type << 11) | ((index as u64) << 7) | tail;
            word.to_be_bytes()[6..].to_vec()
        } else {
            let word =
                (object_type << 35) | (15 << 31) | (u64::from(self.sample_rate & 0xff_ffff) << 7) | tail;
            word.to_be_bytes()[3..].to_vec()
        }
    }

    /// The format of the decoded sound of the core coder.
    pub const fn format(self) -> AudioFormat {
        AudioFormat { sample_rate: self.sample_rate, channels: self.channels }
    }

    /// Whether frames of this stream can stand beside frames of plain AAC-LC in `format`.
    pub fn is_lc(self, format: AudioFormat) -> bool {
        self == Self::lc(format)
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Result<u32, AudioSpecificConfigError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(AudioSpecificConfigError::Truncated)?;
            value = (value << 1) | u32::from((byte >> (7 - self.at % 8)) & 1);
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_configurations_are_read_and_written() {
        for (bytes, rate, channels) in
            [([0x11, 0x90], 48_000, 2), ([0x12, 0x08], 44_100, 1), ([0x12, 0x10], 44_100, 2)]
        {
            let format = AudioFormat { sample_rate: rate, channels };
            let parsed = AudioSpecificConfig::parse(&bytes).expect("two whole bytes");
            assert!(parsed.is_lc(format), "{parsed:?}");
            assert_eq!(AudioSpecificConfig::lc(format).to_bytes(), bytes);
        }
    }

    #[test]
    fn backward_compatible_sbr_signalling_is_read_as_its_lc_core() {
        let parsed = AudioSpecificConfig::parse(&[0x11, 0x90, 0x56, 0xe5, 0x00]).expect("five whole bytes");
        assert!(parsed.is_lc(AudioFormat { sample_rate: 48_000, channels: 2 }));
    }

    #[test]
    fn an_odd_rate_is_spelt_out() {
        let config = AudioSpecificConfig::lc(AudioFormat { sample_rate: 50_000, channels: 2 });
        assert_eq!(AudioSpecificConfig::parse(&config.to_bytes()), Ok(config));
    }

    #[test]
    fn truncation_and_reserved_rates_are_errors() {
        assert_eq!(AudioSpecificConfig::parse(&[0x11]), Err(AudioSpecificConfigError::Truncated));
        assert_eq!(AudioSpecificConfig::parse(&[0x16, 0x90]), Err(AudioSpecificConfigError::SampleRate(13)));
    }
}
