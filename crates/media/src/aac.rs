//! AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1) of every kind of AAC: reading, writing, and names for people.

use super::bits::{Bits, Short};

/// Samples per AAC-LC frame and channel (ISO/IEC 14496-3 §4.5.2.1.1, `frameLengthFlag` = 0).
pub const AAC_FRAME_SAMPLES: u32 = 1024;

/// Sampling frequencies in Hz by index (ISO/IEC 14496-3 table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];

/// Channels of each channel configuration; 0 where it is reserved (ISO/IEC 14496-3 table 1.19 with its amendments).
const CHANNELS: [u8; 15] = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8];

/// Longest configuration that is kept. The longest one that makes sense, with a program_config_element for eight
/// channels, has fewer than 40 bytes.
const LONGEST: usize = 64;

/// Sample rate and channel count of PCM or AAC-LC sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioFormat {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Number of channels. Ladders make 1 or 2; sources may send up to 24.
    pub channels: u8,
}

/// An AudioSpecificConfig that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioSpecificConfig {
    /// Audio object type: 2 is AAC-LC, 5 is SBR (HE-AAC), 29 is PS (HE-AAC v2), whichever way SBR and PS are signalled.
    pub object_type: u8,
    /// Audio object type of the core coder under SBR or PS; otherwise the same as `object_type`.
    pub core_type: u8,
    /// Samples per second of the core coder.
    pub sample_rate: u32,
    /// Channels of the core coder. PS turns one into two.
    pub channels: u8,
    /// Frames have 960 samples instead of 1024 (480 instead of 512 for the low-delay coders).
    pub short_frames: bool,
    /// Samples per second after SBR, if SBR is signalled.
    pub extended_rate: Option<u32>,
    /// The bytes as they came, if the fields above do not say everything.
    raw: Option<Raw>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Raw {
    bytes: [u8; LONGEST],
    length: u8,
}

/// Why an AudioSpecificConfig cannot be used. The source is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AudioSpecificConfigError {
    /// It has fewer bits than its fields need.
    #[error("AudioSpecificConfig is shorter than its fields")]
    Truncated,
    /// It has more bytes than any known kind of AAC needs.
    #[error("AudioSpecificConfig has {0} bytes, which is more than any known kind of AAC needs")]
    TooLong(usize),
    /// The sampling frequency is written out, and is 0.
    #[error("AudioSpecificConfig has the sampling frequency 0")]
    NoRate,
    /// The sampling frequency index is reserved.
    #[error("AudioSpecificConfig has the reserved sampling frequency index {0}")]
    SampleRate(u8),
    /// The channel configuration is reserved, or there are no channels.
    #[error("AudioSpecificConfig has the reserved channel configuration {0}")]
    Channels(u8),
}

impl From<Short> for AudioSpecificConfigError {
    fn from(_: Short) -> Self {
        Self::Truncated
    }
}

impl AudioSpecificConfig {
    /// The configuration of AAC-LC in `format`, without SBR.
    pub const fn lc(format: AudioFormat) -> Self {
        Self {
            object_type: 2,
            core_type: 2,
            sample_rate: format.sample_rate,
            channels: format.channels,
            short_frames: false,
            extended_rate: None,
            raw: None,
        }
    }

    /// Reads a configuration that fills `bytes`, with any SBR or PS extension at its end.
    pub fn parse(bytes: &[u8]) -> Result<Self, AudioSpecificConfigError> {
        let mut bits = Bits::new(bytes);
        let mut config = Self::read(&mut bits)?;
        config.read_sync_extension(&mut bits);
        config.keep(bytes)
    }

    /// Reads a configuration of unknown length from `bits`. No extension may follow it: `bits_to_decode()` is 0
    /// (ISO/IEC 14496-3 §1.7.3.2.3).
    pub fn read_unbounded(bits: &mut Bits<'_>) -> Result<Self, AudioSpecificConfigError> {
        let (mut copy, first) = (bits.clone(), bits.at());
        let config = Self::read(bits)?;
        if !config.is_general_audio() {
            // Its length is not known either.
            return Err(AudioSpecificConfigError::Truncated);
        }
        let length = bits.at() - first;
        let mut bytes = copy.bytes(length / 8)?;
        if !length.is_multiple_of(8) {
            let rest = (length % 8) as u32;
            bytes.push((copy.take(rest)? << (8 - rest)) as u8);
        }
        config.keep(&bytes)
    }

    /// Reads the fields up to the end of those that belong to the object type.
    fn read(bits: &mut Bits<'_>) -> Result<Self, AudioSpecificConfigError> {
        let first = bits.at();
        let mut core_type = object_type(bits)?;
        let sample_rate = rate(bits)?;
        let configuration = bits.take(4)? as u8;
        let (mut object, mut extended_rate) = (core_type, None);
        if matches!(core_type, 5 | 29) {
            object = core_type;
            extended_rate = Some(rate(bits)?);
            core_type = object_type(bits)?;
        }
        let channels = CHANNELS.get(usize::from(configuration)).copied().unwrap_or(0);
        let short_frames = bits.flag()?;
        let mut config = Self {
            object_type: object,
            core_type,
            sample_rate,
            channels,
            short_frames,
            extended_rate,
            raw: None,
        };
        if config.is_general_audio()
            && let Some(channels) = config.general_audio(bits, first, configuration)?
        {
            config.channels = channels;
        }
        if config.channels == 0 {
            return Err(AudioSpecificConfigError::Channels(configuration));
        }
        Ok(config)
    }

    /// GASpecificConfig (ISO/IEC 14496-3 §4.4.1) after its first bit. Returns the number of channels if it has its own.
    fn general_audio(
        self,
        bits: &mut Bits<'_>,
        first: usize,
        configuration: u8,
    ) -> Result<Option<u8>, AudioSpecificConfigError> {
        if bits.flag()? {
            bits.skip(14)?;
        }
        let extension = bits.flag()?;
        let channels = if configuration == 0 { Some(program_config(bits, first)?) } else { None };
        if matches!(self.core_type, 6 | 20) {
            bits.skip(3)?;
        }
        if extension {
            match self.core_type {
                22 => bits.skip(5 + 11)?,
                17 | 19 | 20 | 23 => bits.skip(3)?,
                _ => {}
            }
            bits.skip(1)?;
        }
        if matches!(self.core_type, 17 | 19..=23) && bits.take(2)? > 1 {
            // Error protection needs a configuration of its own, which no known encoder sends.
            return Err(AudioSpecificConfigError::Truncated);
        }
        Ok(channels)
    }

    /// Reads SBR and PS signalled after the fields that old decoders know (ISO/IEC 14496-3 §1.6.5.2). An extension that is
    /// cut off counts as none.
    fn read_sync_extension(&mut self, bits: &mut Bits<'_>) {
        let mut read = || -> Result<_, AudioSpecificConfigError> {
            if !self.is_general_audio() || self.object_type != self.core_type || bits.take(11)? != 0x2b7 {
                return Ok(None);
            }
            if object_type(bits)? != 5 || !bits.flag()? {
                return Ok(None);
            }
            let extended = rate(bits)?;
            let stereo = bits.left() >= 12 && bits.take(11)? == 0x548 && bits.flag()?;
            Ok(Some((extended, if stereo { 29 } else { 5 })))
        };
        if let Ok(Some((extended, object_type))) = read() {
            self.extended_rate = Some(extended);
            self.object_type = object_type;
        }
    }

    /// A GASpecificConfig follows (ISO/IEC 14496-3 table 1.15).
    const fn is_general_audio(self) -> bool {
        matches!(self.core_type, 1..=4 | 6 | 7 | 17 | 19..=23)
    }

    /// Keeps the bytes if they say more than the fields.
    fn keep(mut self, bytes: &[u8]) -> Result<Self, AudioSpecificConfigError> {
        if self == Self::lc(self.format()) && bytes.starts_with(&self.to_bytes()) {
            return Ok(self);
        }
        let mut raw = Raw { bytes: [0; LONGEST], length: bytes.len() as u8 };
        let place = raw.bytes.get_mut(..bytes.len()).ok_or(AudioSpecificConfigError::TooLong(bytes.len()))?;
        place.copy_from_slice(bytes);
        self.raw = Some(raw);
        Ok(self)
    }

    /// The channel configuration for this number of channels (ISO/IEC 14496-3 table 1.19).
    fn configuration(self) -> Option<u8> {
        match self.channels {
            1..=6 => Some(self.channels),
            8 => Some(7),
            _ => None,
        }
    }

    /// The configuration as a decoder takes it: the bytes as they came, or for plain AAC-LC two bytes (five if the rate
    /// has no index).
    pub fn to_bytes(self) -> Vec<u8> {
        if let Some(raw) = self.raw {
            return raw.as_slice().to_vec();
        }
        let object_type = u64::from(self.core_type & 31);
        let channels = self.configuration().unwrap_or(0);
        let tail = (u64::from(channels) << 3) | (u64::from(self.short_frames) << 2);
        if let Some(index) = RATES.iter().position(|&rate| rate == self.sample_rate) {
            let word = (object_type << 11) | ((index as u64) << 7) | tail;
            word.to_be_bytes()[6..].to_vec()
        } else {
            let word =
                (object_type << 35) | (15 << 31) | (u64::from(self.sample_rate & 0xff_ffff) << 7) | tail;
            word.to_be_bytes()[3..].to_vec()
        }
    }

    /// Format of the sound that the core coder decodes to.
    pub const fn format(self) -> AudioFormat {
        AudioFormat { sample_rate: self.sample_rate, channels: self.channels }
    }

    /// Format of the decoded sound with SBR and PS, as far as they are signalled.
    pub fn output(self) -> AudioFormat {
        let channels = if self.object_type == 29 && self.channels == 1 { 2 } else { self.channels };
        AudioFormat { sample_rate: self.extended_rate.unwrap_or(self.sample_rate), channels }
    }

    /// Samples per frame and channel of the core coder.
    pub const fn frame_samples(self) -> u32 {
        match (self.core_type, self.short_frames) {
            (23 | 39, false) => 512,
            (23 | 39, true) => 480,
            (_, false) => AAC_FRAME_SAMPLES,
            (_, true) => 960,
        }
    }

    /// Whether frames of this stream may stand in one track with frames of plain AAC-LC in `format`.
    pub fn is_lc(self, format: AudioFormat) -> bool {
        self == Self::lc(format)
    }

    /// The kind of AAC as people name it, e.g. `HE-AAC v2`.
    pub fn name(self) -> String {
        let name = match self.object_type {
            1 => "AAC Main",
            2 => "AAC-LC",
            3 => "AAC SSR",
            4 => "AAC LTP",
            5 => "HE-AAC",
            17 => "error-resilient AAC-LC",
            23 => "AAC-LD",
            29 => "HE-AAC v2",
            39 => "AAC-ELD",
            42 => "xHE-AAC",
            other => return format!("MPEG-4 audio of object type {other}"),
        };
        name.to_owned()
    }
}

impl Raw {
    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// GetAudioObjectType() (ISO/IEC 14496-3 table 1.16).
fn object_type(bits: &mut Bits<'_>) -> Result<u8, Short> {
    match bits.take(5)? {
        31 => Ok(32 + bits.take(6)? as u8),
        other => Ok(other as u8),
    }
}

/// A sampling frequency: an index, or 24 bits if the index is 15 (ISO/IEC 14496-3 table 1.18).
fn rate(bits: &mut Bits<'_>) -> Result<u32, AudioSpecificConfigError> {
    match bits.take(4)? {
        15 => match bits.take(24)? {
            0 => Err(AudioSpecificConfigError::NoRate),
            rate => Ok(rate),
        },
        index => RATES.get(index as usize).copied().ok_or(AudioSpecificConfigError::SampleRate(index as u8)),
    }
}

/// The channels of a program_config_element (ISO/IEC 14496-3 §4.4.1.1) in a configuration that began at bit `first`.
fn program_config(bits: &mut Bits<'_>, first: usize) -> Result<u8, AudioSpecificConfigError> {
    // Instance tag, object type, sampling frequency index.
    bits.skip(4 + 2 + 4)?;
    let [front, side, back] = [bits.take(4)?, bits.take(4)?, bits.take(4)?];
    let (lfe, associated, coupling) = (bits.take(2)?, bits.take(3)?, bits.take(4)?);
    // Mixdowns: mono, stereo, matrix.
    for width in [4, 4, 3] {
        if bits.flag()? {
            bits.skip(width)?;
        }
    }
    let mut channels = lfe;
    for _ in 0..front + side + back {
        channels += 1 + u32::from(bits.flag()?);
        bits.skip(4)?;
    }
    bits.skip((lfe * 4 + associated * 4 + coupling * 5) as usize)?;
    let over = (bits.at() - first) % 8;
    bits.skip(if over == 0 { 0 } else { 8 - over })?;
    let comment = bits.take(8)? as usize;
    bits.skip(comment * 8)?;
    Ok(channels.min(u32::from(u8::MAX)) as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        for (bytes, channels) in [([0x11, 0xb0], 6), ([0x11, 0xb8], 8), ([0x11, 0xa8], 5)] {
            let parsed = AudioSpecificConfig::parse(&bytes).expect("two whole bytes");
            assert_eq!(parsed, AudioSpecificConfig::lc(AudioFormat { sample_rate: 48_000, channels }));
            assert_eq!(parsed.to_bytes(), bytes);
        }
    }

    #[test]
    fn sbr_that_is_said_not_to_be_there_is_not_there() {
        let parsed = AudioSpecificConfig::parse(&[0x11, 0x90, 0x56, 0xe5, 0x00]).expect("five whole bytes");
        assert!(parsed.is_lc(AudioFormat { sample_rate: 48_000, channels: 2 }));
    }

    #[test]
    fn sbr_and_ps_are_read_however_they_are_signalled() {
        // 24 kHz core, 48 kHz output: signalled hierarchically, and after the fields that old decoders read.
        let cases: [(&[u8], u8, u8); 5] = [
            (&[0x2b, 0x11, 0x88, 0x00], 5, 2),
            (&[0x2b, 0x09, 0x88, 0x00], 5, 1),
            (&[0xeb, 0x09, 0x88, 0x00], 29, 1),
            (&[0x13, 0x10, 0x56, 0xe5, 0x98], 5, 2),
            (&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80], 29, 1),
        ];
        for (bytes, object_type, channels) in cases {
            let config = AudioSpecificConfig::parse(bytes).expect("a whole configuration");
            assert_eq!((config.object_type, config.core_type), (object_type, 2), "{config:?}");
            assert_eq!((config.sample_rate, config.extended_rate), (24_000, Some(48_000)), "{config:?}");
            assert_eq!(config.channels, channels);
            assert_eq!(
                config.output(),
                AudioFormat { sample_rate: 48_000, channels: if object_type == 29 { 2 } else { channels } }
            );
            assert_eq!(config.to_bytes(), bytes);
            assert!(!config.is_lc(config.format()) && !config.is_lc(config.output()));
        }
    }

    #[test]
    fn channels_are_counted_in_a_program_config_element() {
        // As ffmpeg writes it for 5.1 with side channels: front 1 + 2, side 2, LFE 1, comment "Lavc59.37.100".
        let mut bits = Vec::new();
        let mut put =
            |value: u32, width: u32| bits.extend((0..width).rev().map(|bit| (value >> bit) & 1 == 1));
        for (value, width) in
            [(2, 5), (3, 4), (0, 4), (0, 3), (0, 4), (1, 2), (3, 4), (2, 4), (1, 4), (0, 4), (1, 2)]
        {
            put(value, width);
        }
        for (value, width) in [(0, 3), (0, 4), (0, 1), (0, 1), (0, 1), (0, 5), (16, 5), (17, 5), (0, 4)] {
            put(value, width);
        }
        while bits.len() % 8 != 0 {
            bits.push(false);
        }
        let mut bytes: Vec<u8> = bits
            .chunks(8)
            .map(|byte| byte.iter().fold(0, |value, &bit| (value << 1) | u8::from(bit)))
            .collect();
        bytes.extend([3, b'L', b'a', b'v']);
        let config = AudioSpecificConfig::parse(&bytes).expect("a whole configuration");
        assert_eq!((config.channels, config.sample_rate, config.object_type), (6, 48_000, 2));
        assert_eq!(config.to_bytes(), bytes);
        bytes.truncate(bytes.len() - 1);
        assert_eq!(AudioSpecificConfig::parse(&bytes), Err(AudioSpecificConfigError::Truncated));
    }

    #[test]
    fn an_odd_rate_is_spelt_out() {
        let config = AudioSpecificConfig::lc(AudioFormat { sample_rate: 50_000, channels: 2 });
        assert_eq!(AudioSpecificConfig::parse(&config.to_bytes()), Ok(config));
    }

    #[test]
    fn truncation_and_what_is_reserved_are_errors() {
        assert_eq!(AudioSpecificConfig::parse(&[0x11]), Err(AudioSpecificConfigError::Truncated));
        assert_eq!(AudioSpecificConfig::parse(&[]), Err(AudioSpecificConfigError::Truncated));
        assert_eq!(AudioSpecificConfig::parse(&[0x16, 0x90]), Err(AudioSpecificConfigError::SampleRate(13)));
        let spelt = AudioSpecificConfig::parse(&[0x17, 0x80, 0, 0, 0x10]);
        assert_eq!(spelt, Err(AudioSpecificConfigError::NoRate));
        assert_eq!(AudioSpecificConfig::parse(&[0x11, 0xc0]), Err(AudioSpecificConfigError::Channels(8)));
        let long = [&[0x2b, 0x11, 0x88, 0x00][..], &[0; 200]].concat();
        assert_eq!(AudioSpecificConfig::parse(&long), Err(AudioSpecificConfigError::TooLong(204)));
    }

    proptest! {
        #[test]
        fn whatever_is_read_reads_the_same_again(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            if let Ok(config) = AudioSpecificConfig::parse(&bytes) {
                prop_assert!(config.channels > 0);
                prop_assert_eq!(AudioSpecificConfig::parse(&config.to_bytes()), Ok(config));
            }
        }
    }
}
