//! AAC access units to PCM in the ladder's rate and channels.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::AacDecoder;

use crate::media::{AAC_FRAME_SAMPLES, AudioFormat, AudioSpecificConfig};

use super::AudioError;

/// Decoder, mixer and resampler of one source format.
pub(super) struct PcmDecoder {
    decoder: AacDecoder,
    from: AudioFormat,
    into: AudioFormat,
    resampler: Option<Fft<f32>>,
    decoded: Vec<f32>,
    mixed: Vec<f32>,
    resampled: Vec<f32>,
}

impl PcmDecoder {
    pub(super) fn new(config: AudioSpecificConfig, into: AudioFormat) -> Result<Self, AudioError> {
        let from = config.format();
        if !matches!(from.channels, 1 | 2) || config.short_frames {
            return Err(AudioError::Unsupported(config));
        }
        let mut parameters = AudioCodecParameters::new();
        parameters
            .for_codec(CODEC_ID_AAC)
            .with_sample_rate(from.sample_rate)
            .with_extra_data(config.to_bytes().into_boxed_slice());
        let decoder = AacDecoder::try_new(&parameters, &AudioDecoderOptions::default())
            .map_err(|_| AudioError::Unsupported(config))?;
        let resampler =
            if from.sample_rate == into.sample_rate { None } else { Some(resampler(from, into)?) };
        Ok(Self {
            decoder,
            from,
            into,
            resampler,
            decoded: Vec::new(),
            mixed: Vec::new(),
            resampled: Vec::new(),
        })
    }

    /// How much later than its input the output is, in samples of the target rate.
    pub(super) fn delay(&self) -> usize {
        self.resampler.as_ref().map_or(0, Resampler::output_delay)
    }

    /// Decodes one access unit: interleaved samples of the target format.
    pub(super) fn decode(&mut self, access_unit: &[u8]) -> Result<&[f32], AudioError> {
        let packet =
            PacketRef::new(0, Timestamp::new(0), Duration::new(u64::from(AAC_FRAME_SAMPLES)), access_unit);
        let buffer = self.decoder.decode_ref(&packet)?;
        buffer.copy_to_vec_interleaved(&mut self.decoded);
        let samples = AAC_FRAME_SAMPLES as usize;
        self.decoded.resize(samples * usize::from(self.from.channels), 0.0);
        mix(&self.decoded, self.from.channels, self.into.channels, &mut self.mixed);
        let Some(resampler) = &mut self.resampler else { return Ok(&self.mixed) };
        let channels = usize::from(self.into.channels);
        let frames = resampler.output_frames_next();
        self.resampled.resize(frames * channels, 0.0);
        let error = |why: &dyn std::fmt::Display| AudioError::Resampler {
            from: self.from.sample_rate,
            into: self.into.sample_rate,
            why: why.to_string(),
        };
        let input = InterleavedSlice::new(&self.mixed, channels, samples).map_err(|why| error(&why))?;
        let mut output =
            InterleavedSlice::new_mut(&mut self.resampled, channels, frames).map_err(|why| error(&why))?;
        let (_, written) =
            resampler.process_into_buffer(&input, &mut output, None).map_err(|why| error(&why))?;
        self.resampled.truncate(written * channels);
        Ok(&self.resampled)
    }
}

fn resampler(from: AudioFormat, into: AudioFormat) -> Result<Fft<f32>, AudioError> {
    Fft::new(
        from.sample_rate as usize,
        into.sample_rate as usize,
        AAC_FRAME_SAMPLES as usize,
        usize::from(into.channels),
        FixedSync::Input,
    )
    .map_err(|why| AudioError::Resampler {
        from: from.sample_rate,
        into: into.sample_rate,
        why: why.to_string(),
    })
}

/// Mono to stereo by doubling, stereo to mono by the mean.
fn mix(from: &[f32], from_channels: u8, into_channels: u8, into: &mut Vec<f32>) {
    into.clear();
    match (from_channels, into_channels) {
        (1, 2) => into.extend(from.iter().flat_map(|&sample| [sample, sample])),
        (2, 1) => into.extend(from.chunks_exact(2).map(|pair| f32::midpoint(pair[0], pair[1]))),
        _ => into.extend_from_slice(from),
    }
}
