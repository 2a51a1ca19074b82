//! AAC access units to PCM in the ladder's number of channels. Wraps `symphonia`; knows no time.

use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder as _, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::AacDecoder;

use crate::media::{AAC_FRAME_SAMPLES, AudioSpecificConfig};

/// The rates that AAC has an index for, except the seldom ones below 8 kHz.
const RATES: std::ops::RangeInclusive<u32> = 8000..=96_000;
/// Full scale is 1; coded sound may overshoot a little, broken sound without end.
const LOUDEST: f32 = 2.0;

/// A decoder of one stream.
pub(super) struct Decoder {
    inner: AacDecoder,
    parameters: AudioCodecParameters,
    channels: u8,
    pcm: Vec<f32>,
}

impl Decoder {
    /// A decoder for `config`, or why there is none.
    ///
    /// HE-AAC (SBR, object type 5; PS, 29) is decoded as its AAC-LC core: half the rate, no treble, but sound
    /// (ISO/IEC 14496-3 §4.6.18 lets a decoder skip the extension).
    pub(super) fn new(config: AudioSpecificConfig) -> Result<Self, &'static str> {
        if !matches!(config.object_type, 2 | 5 | 29) {
            return Err("its object type is neither AAC-LC nor HE-AAC");
        }
        if config.short_frames {
            return Err("its frames have 960 samples");
        }
        if !matches!(config.channels, 1 | 2) {
            return Err("it is neither mono nor stereo");
        }
        if !RATES.contains(&config.sample_rate) {
            return Err("its sample rate is out of range");
        }
        let core = AudioSpecificConfig::lc(config.format()).to_bytes();
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(CODEC_ID_AAC).with_extra_data(core.into_boxed_slice());
        let inner = open(&parameters).map_err(|_| "the decoder refuses its configuration")?;
        Ok(Self { inner, parameters, channels: config.channels, pcm: Vec::new() })
    }

    /// Decodes one access unit to 1024 samples of `channels` channels, interleaved, appended to `out`.
    ///
    /// A broken unit may be an error, or noise: the decoder cannot tell.
    pub(super) fn decode(&mut self, unit: &[u8], channels: u8, out: &mut Vec<f32>) -> Result<(), String> {
        if self.decode_unit(unit).is_err() {
            // What a broken unit says of the channels (any first byte of 0x60 will do) is kept by the decoder
            // for ever, and every good unit after it is refused (symphonia 0.6.1, `AacDecoder::set_pair`).
            self.inner = open(&self.parameters).map_err(|error| error.to_string())?;
            self.decode_unit(unit)?;
        }
        for sample in &mut self.pcm {
            *sample = if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
        }
        match (self.channels, channels) {
            (1, 2) => out.extend(self.pcm.iter().flat_map(|&sample| [sample, sample])),
            (2, 1) => {
                out.extend(self.pcm.as_chunks::<2>().0.iter().map(|[left, right]| (left + right) / 2.0));
            }
            _ => out.extend_from_slice(&self.pcm),
        }
        Ok(())
    }

    fn decode_unit(&mut self, unit: &[u8]) -> Result<(), String> {
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::from(u64::from(AAC_FRAME_SAMPLES)), unit);
        let decoded = self.inner.decode_ref(&packet).map_err(|error| error.to_string())?;
        decoded.copy_to_vec_interleaved(&mut self.pcm);
        if self.pcm.len() != AAC_FRAME_SAMPLES as usize * usize::from(self.channels) {
            return Err(format!("{} samples in a frame", self.pcm.len()));
        }
        Ok(())
    }
}

fn open(parameters: &AudioCodecParameters) -> Result<AacDecoder, symphonia::core::errors::Error> {
    AacDecoder::try_new(parameters, &AudioDecoderOptions::default())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{coded, tone};
    use super::*;
    use crate::media::AudioFormat;

    const STEREO: AudioFormat = AudioFormat { sample_rate: 48_000, channels: 2 };

    fn decoder() -> Decoder {
        Decoder::new(AudioSpecificConfig::lc(STEREO)).expect("a usual format")
    }

    #[test]
    fn a_broken_unit_does_not_deafen_the_decoder() {
        let good = coded(STEREO, 4, tone(440.0, 48_000));
        for first_byte in 0..=255 {
            let (mut decoder, mut pcm) = (decoder(), Vec::new());
            let _ = decoder.decode(&[first_byte, 0, 0, 0], 2, &mut pcm);
            pcm.clear();
            for unit in &good {
                assert_eq!(decoder.decode(unit, 2, &mut pcm), Ok(()), "after {first_byte:#04x}");
            }
            assert_eq!(pcm.len(), 4 * 2048);
        }
    }

    #[test]
    #[ignore = "needs half a minute: tests/run"]
    fn no_bytes_make_the_decoder_panic() {
        let good = coded(STEREO, 16, |i| tone(440.0, 48_000)(i) * if i % 5000 < 900 { 1.0 } else { 0.05 });
        let (mut decoder, mut pcm) = (decoder(), Vec::new());
        let mut random = fastrand::Rng::with_seed(42);
        for _ in 0..200_000 {
            let mut unit = good[random.usize(..good.len())].to_vec();
            for _ in 0..random.usize(1..6) {
                let end = if random.bool() { unit.len().min(12) } else { unit.len() };
                let at = random.usize(..end);
                unit[at] = random.u8(..);
            }
            unit.truncate(random.usize(1..=unit.len()));
            pcm.clear();
            let _ = decoder.decode(&unit, 2, &mut pcm);
            assert!(pcm.iter().all(|sample| sample.abs() <= LOUDEST));
        }
    }
}
