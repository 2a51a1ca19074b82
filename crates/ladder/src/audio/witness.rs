//! A second opinion on AAC-LC that is to pass untouched.
//!
//! `fdk-aac` takes a few damaged units that ffmpeg, and so Chromium, refuses: sections that reach beyond the last band, a
//! reserved bit. Of 20 000 units with up to seven flipped bits these were 97. `symphonia` refuses every one of them. It does
//! not decide alone, since it knows fewer elements than players do: where it refuses everything it is ignored.

use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder as _, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::AacDecoder;

use amphi_media::{AAC_FRAME_SAMPLES, AudioSpecificConfig};

/// So many refusals in a row of units that the decoder takes come from the source's way of coding, not from damage.
const MISTAKEN: u32 = 12;

/// The second decoder of one stream.
pub(super) struct Witness {
    parameters: AudioCodecParameters,
    /// `None` once it is ignored.
    inner: Option<AacDecoder>,
    refused: u32,
}

impl Witness {
    /// A witness for a stream of plain AAC-LC.
    pub(super) fn new(config: AudioSpecificConfig) -> Self {
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(CODEC_ID_AAC).with_extra_data(config.to_bytes().into_boxed_slice());
        let inner = open(&parameters);
        Self { parameters, inner, refused: 0 }
    }

    /// Why a unit that the decoder took must not pass through; `None` if it may.
    pub(super) fn objects(&mut self, unit: &[u8]) -> Option<String> {
        let inner = self.inner.as_mut()?;
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::from(u64::from(AAC_FRAME_SAMPLES)), unit);
        let reason = match inner.decode_ref(&packet) {
            Ok(_) => {
                self.refused = 0;
                return None;
            }
            Err(error) => error.to_string(),
        };
        self.refused += 1;
        // What a damaged unit says of the channels is kept for ever (symphonia 0.6.1, `AacDecoder::set_pair`).
        self.inner = if self.refused < MISTAKEN { open(&self.parameters) } else { None };
        Some(reason)
    }
}

fn open(parameters: &AudioCodecParameters) -> Option<AacDecoder> {
    AacDecoder::try_new(parameters, &AudioDecoderOptions::default()).ok()
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("refused", &self.refused).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STEREO_48, coded, tone};
    use super::*;

    /// A pair with a common window, whose reserved bit is set (ISO/IEC 14496-3 table 4.6).
    const RESERVED: [u8; 8] = [0x21, 0x80, 0, 0, 0, 0, 0, 0];

    #[test]
    fn it_is_heeded_until_it_refuses_everything() {
        let config = AudioSpecificConfig::lc(STEREO_48.format);
        let good = coded(STEREO_48.format, 4, tone(440.0, 48_000));
        let mut witness = Witness::new(config);
        for _ in 0..30 {
            assert!(witness.objects(&RESERVED).is_some());
            assert!(good.iter().all(|unit| witness.objects(unit).is_none()));
        }
        let refused = (0..40).filter(|_| witness.objects(&RESERVED).is_some()).count();
        assert_eq!(refused, 12);
    }
}
