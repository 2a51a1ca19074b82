//! PCM to AAC frames on the lattice.
//!
//! FDK AAC delays sound by exactly two frames: the access unit that comes out when frame *n* goes in carries frame
//! *n − 2*, once its decoder has overlapped it. So the first two are dropped and the rest stand where they belong.

use bytes::Bytes;
use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, Encoder, EncoderParams, Transport};

use crate::media::{AAC_FRAME_SAMPLES, AudioTrack, MediaTime, Timescale};

use super::AudioError;

const FRAME: i64 = AAC_FRAME_SAMPLES as i64;
/// Frames of delay in the encoder and its decoder together (`nDelay` = 2048).
const DELAY: i64 = 2;
/// Largest AAC frame: 6144 bits a channel (ISO/IEC 14496-3 §4.5.3.1).
const LARGEST: usize = 2 * 768 + 64;
/// An error of more than a frame between the sound's own time and where it is written is mended at once; less
/// is left to the source's clock, which is followed slowly anyway.
const TOLERANCE: i64 = FRAME;
/// A jump of a second starts afresh.
const JUMP_S: i64 = 1;

/// A coder that knows where on the lattice it writes.
pub(super) struct Coder {
    target: AudioTrack,
    encoder: Encoder,
    /// Samples that do not fill a frame yet, interleaved.
    pending: Vec<i16>,
    /// The sample, counted from the epoch, that is written next; `None` before the first.
    at: Option<i64>,
    /// Frames given to the encoder since it was made.
    given: i64,
}

impl Coder {
    pub(super) fn new(target: AudioTrack) -> Result<Self, AudioError> {
        Ok(Self { target, encoder: encoder(target)?, pending: Vec::new(), at: None, given: 0 })
    }

    /// Sound that begins at `pts`, interleaved, already `delay` samples late. Whole frames go to `out`.
    pub(super) fn push(
        &mut self,
        pts: MediaTime,
        pcm: &[f32],
        delay: usize,
        out: &mut Vec<(i64, Bytes)>,
    ) -> Result<(), AudioError> {
        let channels = usize::from(self.target.format.channels);
        let rate = self.target.format.sample_rate;
        let begins = pts.to_ticks(Timescale(rate)) - delay as i64;
        let jumped = self.at.is_some_and(|at| (begins - at).abs() > JUMP_S * i64::from(rate));
        if jumped {
            *self = Self::new(self.target)?;
        }
        let at = *self.at.get_or_insert_with(|| {
            // Zeros from the frame's start to where the sound begins.
            let start = begins.div_euclid(FRAME) * FRAME;
            self.pending = vec![0; (begins - start) as usize * channels];
            begins
        });
        let error = begins - at;
        let mut pcm = pcm;
        if error > TOLERANCE {
            self.pending.resize(self.pending.len() + error as usize * channels, 0);
            self.at = Some(begins);
        } else if error < -TOLERANCE {
            pcm = pcm.get((-error) as usize * channels..).unwrap_or_default();
        }
        self.pending.extend(pcm.iter().map(|sample| (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16));
        self.at = self.at.map(|at| at + (pcm.len() / channels) as i64);
        self.code(out)
    }

    fn code(&mut self, out: &mut Vec<(i64, Bytes)>) -> Result<(), AudioError> {
        let frame_len = FRAME as usize * usize::from(self.target.format.channels);
        let Some(end) = self.at else { return Ok(()) };
        let channels = i64::from(self.target.format.channels);
        // The lattice number of the first pending sample's frame.
        let mut n = (end - self.pending.len() as i64 / channels).div_euclid(FRAME);
        let mut used = 0;
        let mut coded = [0; LARGEST];
        while let Some(frame) = self.pending.get(used..used + frame_len) {
            let mut rest = frame;
            let mut size = 0;
            // The library may take a frame in pieces.
            while !rest.is_empty() {
                let info = self
                    .encoder
                    .encode(rest, &mut coded)
                    .map_err(|why| AudioError::Encode(why.to_string()))?;
                if info.input_consumed == 0 {
                    return Err(AudioError::Encode("the encoder takes no input".to_owned()));
                }
                size = size.max(info.output_size);
                rest = rest.get(info.input_consumed..).unwrap_or_default();
            }
            self.given += 1;
            if self.given > DELAY && size > 0 {
                out.push((n - DELAY, Bytes::copy_from_slice(coded.get(..size).unwrap_or_default())));
            }
            n += 1;
            used += frame_len;
        }
        self.pending.drain(..used);
        Ok(())
    }
}

fn encoder(target: AudioTrack) -> Result<Encoder, AudioError> {
    Encoder::new(EncoderParams {
        bit_rate: BitRate::Cbr(target.bitrate_bps),
        sample_rate: target.format.sample_rate,
        transport: Transport::Raw,
        channels: if target.format.channels == 1 { ChannelMode::Mono } else { ChannelMode::Stereo },
        audio_object_type: AudioObjectType::Mpeg4LowComplexity,
    })
    .map_err(|why| AudioError::Encode(why.to_string()))
}
