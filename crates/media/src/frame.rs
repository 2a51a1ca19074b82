//! What a source delivers: access units in media time.

use std::sync::Arc;

use bytes::Bytes;

use super::{AudioFormat, AudioSpecificConfig, MediaTime, ParameterSets, Timescale, VIDEO_TIMESCALE};

/// The two kinds of track that a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// The picture track.
    Video,
    /// The sound track.
    Audio,
}

/// How the frames of a track are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackFormat {
    /// H.264. Samples are NAL units with 4-byte lengths (ISO/IEC 14496-15 §5.3); parameter sets are kept apart.
    H264(ParameterSets),
    /// AAC of any kind: raw access units without ADTS headers.
    Aac(AudioSpecificConfig),
    /// MPEG audio layer III. Each sample is one frame with its header (ISO/IEC 11172-3, 13818-3, and "MPEG 2.5").
    Mp3 {
        /// Samples per second and channel.
        sample_rate: u32,
        /// Number of channels: 1 or 2.
        channels: u8,
    },
    /// ITU-T G.711: eight bits for each sample, channels interleaved.
    G711 {
        /// Which of the two codings the bytes have.
        law: G711Law,
        /// Samples per second and channel; nearly always 8000.
        sample_rate: u32,
        /// Number of channels: 1 or 2.
        channels: u8,
    },
}

/// The two codings of G.711, with their names in SDP (RFC 3551 §4.5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum G711Law {
    /// µ-law, `PCMU`: used in America and Japan.
    Mu,
    /// A-law, `PCMA`: used everywhere else.
    A,
}

impl TrackFormat {
    /// Whether it is picture or sound.
    pub const fn track(&self) -> Track {
        match self {
            Self::H264(_) => Track::Video,
            Self::Aac(_) | Self::Mp3 { .. } | Self::G711 { .. } => Track::Audio,
        }
    }

    /// Format of the decoded sound, as far as it is known before decoding; `None` for pictures.
    pub fn sound(&self) -> Option<AudioFormat> {
        match *self {
            Self::H264(_) => None,
            Self::Aac(config) => Some(config.output()),
            Self::Mp3 { sample_rate, channels } | Self::G711 { sample_rate, channels, .. } => {
                Some(AudioFormat { sample_rate, channels })
            }
        }
    }

    /// Ticks per second of the track: 90 kHz for pictures (RFC 6184 §8.2.1), the sample rate for sound (RFC 3640 §4.1).
    pub const fn timescale(&self) -> Timescale {
        match self {
            Self::H264(_) => VIDEO_TIMESCALE,
            Self::Aac(config) => Timescale(config.sample_rate),
            Self::Mp3 { sample_rate, .. } | Self::G711 { sample_rate, .. } => Timescale(*sample_rate),
        }
    }

    /// How it is coded, as people say it: `HE-AAC, 48 kHz, stereo`.
    pub fn describe(&self) -> String {
        let name = match self {
            Self::H264(_) => return "H.264".to_owned(),
            Self::Aac(config) => config.name(),
            Self::Mp3 { .. } => "MP3".to_owned(),
            Self::G711 { law: G711Law::Mu, .. } => "G.711 µ-law".to_owned(),
            Self::G711 { law: G711Law::A, .. } => "G.711 A-law".to_owned(),
        };
        let AudioFormat { sample_rate, channels } =
            self.sound().unwrap_or(AudioFormat { sample_rate: 0, channels: 0 });
        let layout = match channels {
            1 => "mono".to_owned(),
            2 => "stereo".to_owned(),
            6 => "5.1".to_owned(),
            8 => "7.1".to_owned(),
            other => format!("{other} channels"),
        };
        format!("{name}, {} kHz, {layout}", f64::from(sample_rate) / 1000.0)
    }
}

/// One access unit of a source. Those of one track come in decode order.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// When it is shown or heard, in media time.
    pub pts: MediaTime,
    /// The coded bytes, as `format` says. Empty if the picture was lost on the way, or cannot be decoded because an earlier
    /// one was lost.
    pub data: Bytes,
    /// Decoding can start here: an IDR picture or a recovery point of H.264, and any frame of sound.
    pub sync: bool,
    /// How `data` is coded. Frames share one allocation until the format changes.
    pub format: Arc<TrackFormat>,
}

impl SourceFrame {
    /// Whether it is picture or sound.
    pub fn track(&self) -> Track {
        self.format.track()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_in_the_words_of_people() {
        let five = AudioSpecificConfig::lc(AudioFormat { sample_rate: 44_100, channels: 6 });
        assert_eq!(TrackFormat::Aac(five).describe(), "AAC-LC, 44.1 kHz, 5.1");
        let v2 = AudioSpecificConfig::parse(&[0xeb, 0x09, 0x88, 0x00]).expect("a whole configuration");
        assert_eq!(TrackFormat::Aac(v2).describe(), "HE-AAC v2, 48 kHz, stereo");
        let law = G711Law::A;
        let phone = TrackFormat::G711 { law, sample_rate: 8000, channels: 1 };
        assert_eq!(phone.describe(), "G.711 A-law, 8 kHz, mono");
        assert_eq!((phone.track(), phone.timescale()), (Track::Audio, Timescale(8000)));
    }
}
