//! MPEG audio (ISO/IEC 11172-3, 13818-3). Wraps `symphonia`.

use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder as _, AudioDecoderOptions,
};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::MpaDecoder;

use super::LOUDEST;
use amphi_media::{AudioFormat, Mp3Header};

/// A decoder of one stream.
pub struct MpegDecoder {
    inner: Option<(AudioCodecId, Box<MpaDecoder>)>,
    /// Takes layer III alone.
    is_strict: bool,
    pcm: Vec<f32>,
}

impl MpegDecoder {
    /// A decoder of layer III alone: other units are refused.
    pub const fn layer_3() -> Self {
        Self { inner: None, is_strict: true, pcm: Vec::new() }
    }

    /// A decoder of whatever layer the first unit is of.
    pub const fn any_layer() -> Self {
        Self { inner: None, is_strict: false, pcm: Vec::new() }
    }

    /// Forgets what was decoded before.
    pub fn reset(&mut self) {
        if let Some((_, inner)) = &mut self.inner {
            inner.reset();
        }
    }

    /// Decodes the frames of a unit and appends their samples, interleaved, to `out`.
    pub fn decode(&mut self, unit: &[u8], out: &mut Vec<f32>) -> Result<AudioFormat, String> {
        let layer = unit.get(1).map(|byte| byte >> 1 & 3);
        if !self.is_strict && matches!(layer, Some(2 | 3)) {
            // Layers II and I: a unit is a frame.
            let codec = if layer == Some(2) { CODEC_ID_MP2 } else { CODEC_ID_MP1 };
            let format = self.frame(codec, unit)?;
            out.extend_from_slice(&self.pcm);
            return Ok(format);
        }
        let (mut rest, mut format) = (unit, None);
        while !rest.is_empty() {
            let header = match Mp3Header::read(rest) {
                Some(header) if format.is_none_or(|format| format == header.format()) => header,
                // After a whole frame: tags or padding.
                _ if format.is_some() => break,
                _ => return Err("it does not begin with the header of a layer III frame".to_owned()),
            };
            let (frame, after) =
                rest.split_at_checked(header.size).ok_or("it is shorter than its header says")?;
            self.frame(CODEC_ID_MP3, frame)?;
            if self.pcm.len() != header.samples as usize * usize::from(header.channels) {
                return Err(format!("{} samples in a frame", self.pcm.len()));
            }
            out.extend_from_slice(&self.pcm);
            format = Some(header.format());
            rest = after;
        }
        format.ok_or_else(|| "it is empty".to_owned())
    }

    /// Decodes one frame to `pcm`.
    fn frame(&mut self, codec: AudioCodecId, frame: &[u8]) -> Result<AudioFormat, String> {
        if self.inner.as_ref().is_none_or(|(is, _)| *is != codec) {
            let mut parameters = AudioCodecParameters::new();
            parameters.for_codec(codec);
            let inner = MpaDecoder::try_new(&parameters, &AudioDecoderOptions::default());
            self.inner = Some((codec, Box::new(inner.map_err(|error| error.to_string())?)));
        }
        let Some((_, inner)) = &mut self.inner else { return Err("it has no decoder".to_owned()) };
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::from(1152_u64), frame);
        let decoded = inner.decode_ref(&packet).map_err(|error| error.to_string())?;
        let (sample_rate, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
        decoded.copy_to_vec_interleaved(&mut self.pcm);
        for sample in &mut self.pcm {
            *sample = if sample.is_finite() { sample.clamp(-LOUDEST, LOUDEST) } else { 0.0 };
        }
        Ok(AudioFormat { sample_rate, channels: u8::try_from(channels).unwrap_or(0) })
    }
}
