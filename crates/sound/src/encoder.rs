//! Encodes PCM blocks to AAC-LC access units, and makes the access unit of silence. Wraps `fdk-aac`; knows nothing of time.

use bytes::{Bytes, BytesMut};
use fdk_aac::enc::{AudioObjectType, BitRate, ChannelMode, EncoderParams, Transport};

use super::CodingError;
use amphi_media::{AAC_FRAME_SAMPLES, AudioTrack, SampleEntry, TrackCell};

/// Blocks of zeros after which the encoder's output no longer changes.
const STEADY: usize = 8;

/// An AAC-LC encoder whose output is aligned with its input.
pub struct AacEncoder {
    inner: fdk_aac::enc::Encoder,
    /// Interleaved samples in a block.
    block: usize,
    /// Blocks that are put in after a block before its access unit comes out.
    delay: usize,
    /// Access units still to come that stand for the time before the first block.
    priming: usize,
    out: Vec<u8>,
}

impl AacEncoder {
    /// An encoder that has been given no samples yet.
    pub fn new(target: AudioTrack) -> Result<Self, CodingError> {
        let refused = |reason: String| CodingError::Target { target, reason };
        let channels = match target.format.channels {
            1 => ChannelMode::Mono,
            2 => ChannelMode::Stereo,
            _ => return Err(refused("only mono and stereo can be encoded".to_owned())),
        };
        let inner = fdk_aac::enc::Encoder::new(EncoderParams {
            bit_rate: BitRate::Cbr(target.bitrate_bps),
            sample_rate: target.format.sample_rate,
            transport: Transport::Raw,
            channels,
            audio_object_type: AudioObjectType::Mpeg4LowComplexity,
        })
        .map_err(|error| refused(error.to_string()))?;
        let info = inner.info().map_err(|error| refused(error.to_string()))?;
        // The delay of AAC-LC is 2048 samples at every rate: a decoder that has decoded access unit i + 2
        // has just given out block i.
        if info.frameLength != AAC_FRAME_SAMPLES || info.nDelay % AAC_FRAME_SAMPLES != 0 {
            return Err(refused(format!("frames of {}, delay of {}", info.frameLength, info.nDelay)));
        }
        let delay = (info.nDelay / AAC_FRAME_SAMPLES) as usize;
        Ok(Self {
            inner,
            block: AAC_FRAME_SAMPLES as usize * usize::from(target.format.channels),
            delay,
            priming: delay,
            out: vec![0; info.maxOutBufBytes as usize],
        })
    }

    /// Blocks between a block and its access unit.
    pub const fn delay(&self) -> usize {
        self.delay
    }

    /// Interleaved samples in a block: 1024 per channel.
    pub const fn block(&self) -> usize {
        self.block
    }

    /// Encodes one block of 1024 samples per channel, interleaved. The access unit returned is that of the
    /// block [`Self::delay`] blocks before; `None` until there was one.
    pub fn encode(&mut self, block: &[i16]) -> Result<Option<Bytes>, CodingError> {
        debug_assert_eq!(block.len(), self.block);
        let mut rest = block;
        let mut unit = None;
        while !rest.is_empty() {
            let done = self
                .inner
                .encode(rest, &mut self.out)
                .map_err(|error| CodingError::Encode { reason: error.to_string() })?;
            if done.input_consumed == 0 && done.output_size == 0 {
                return Err(CodingError::Encode { reason: "it takes no samples".to_owned() });
            }
            rest = rest.get(done.input_consumed..).unwrap_or_default();
            if done.output_size > 0 {
                unit = self.out.get(..done.output_size).map(Bytes::copy_from_slice);
            }
        }
        if unit.is_some() && self.priming > 0 {
            self.priming -= 1;
            return Ok(None);
        }
        Ok(unit)
    }
}

/// `cell` with its first frame silent, as it must follow the sound of another encoder.
///
/// A frame's second half overlaps the first half of the next (ISO/IEC 14496-3 §4.6.11). Where the two come from different
/// encoders, neither cancels the other's aliasing, and the seam is up to 4 dB louder than both. A frame of `silence`
/// between them lets the one fade out and the other fade in, each within 21 ms.
pub fn joined(cell: &TrackCell, silence: &Bytes) -> TrackCell {
    let Some((first, rest)) = cell.samples.split_first() else { return cell.clone() };
    let mut data = BytesMut::with_capacity(silence.len() + cell.data.len());
    data.extend_from_slice(silence);
    data.extend_from_slice(cell.data.get(first.size as usize..).unwrap_or_default());
    let silent = SampleEntry { size: silence.len() as u32, ..*first };
    TrackCell {
        start: cell.start,
        data: data.freeze(),
        samples: std::iter::once(&silent).chain(rest).copied().collect(),
    }
}

/// One access unit of silence in `target`'s format. However often it is repeated, it decodes to zeros.
pub fn silence(target: AudioTrack) -> Result<Bytes, CodingError> {
    let mut encoder = AacEncoder::new(target)?;
    let zeros = vec![0; encoder.block()];
    let mut unit = None;
    for _ in 0..STEADY {
        unit = encoder.encode(&zeros)?;
    }
    unit.ok_or_else(|| CodingError::Encode { reason: "it gives nothing for zeros".to_owned() })
}
