//! A block of frames of AAC-LC, made from the packets of a file.
//!
//! Frame *n* covers the samples from *n*·1024 on of the presentation. A block is decoded and coded alone: decoding begins so
//! many packets early that the decoder is right where the block begins ([`PacketSound::run_up`]), coding [`RUN_UP`] frames
//! early, and what came of those is thrown away. So neighbouring blocks fit, and a block is the same whoever asks first.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::resample::{Resampler, reach};
use super::{AacEncoder, CodingError, PacketDecoder};
use amphi_media::{AAC_FRAME_SAMPLES, AudioFormat, AudioTrack, PacketSound};

/// Frames that are coded and thrown away before those that are asked for: the encoder's choice of windows and its bit reservoir
/// are by then as if it had coded all sound before.
const RUN_UP: u32 = 8;
/// Frames that are needed after a frame: the encoder looks ahead, and the last frame's overlap ends in the next.
const LOOK_AHEAD: i64 = 3;
/// Rates that browsers and the encoder take (ISO/IEC 14496-3 table 1.18).
pub const RATES: [u32; 12] =
    [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000];
/// Bits per second of a channel, and per sample where the rate is low.
const CHANNEL_BPS: u32 = 64_000;
const SAMPLE_BITS: u32 = 3;

/// The track that `sound` is coded to: in its own rate if AAC has it, in one or two channels.
pub fn coded_track(sample_rate: u32, channels: u8) -> AudioTrack {
    let sample_rate = match sample_rate {
        rate if RATES.contains(&rate) => rate,
        rate if rate > 0 && rate.is_multiple_of(44_100) => 44_100,
        _ => 48_000,
    };
    let channels = channels.clamp(1, 2);
    let bitrate_bps = CHANNEL_BPS.min(sample_rate * SAMPLE_BITS) * u32::from(channels);
    AudioTrack { format: AudioFormat { sample_rate, channels }, bitrate_bps }
}

/// One packet, and where its sound belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedPacket {
    /// Number of its first sample, counted from presentation time zero at the rate of the source.
    pub at: i64,
    /// Its bytes among those of the job.
    pub place: Range<usize>,
}

/// Frames that are to be made.
#[derive(Debug)]
pub struct BlockJob<'a> {
    /// How the packets are coded.
    pub sound: &'a PacketSound,
    /// Samples per second in which packets are placed.
    pub sample_rate: u32,
    /// The packets in order, with those of the run-up.
    pub packets: &'a [PlacedPacket],
    /// Their bytes.
    pub bytes: &'a [u8],
    /// Before and after these samples there is silence.
    pub heard: Range<i64>,
    /// What is made.
    pub target: AudioTrack,
    /// The first frame, and how many.
    pub frames: Range<i64>,
}

/// Frames of AAC-LC one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodedFrames {
    /// All their bytes.
    pub bytes: Bytes,
    /// Where each of them ends.
    pub ends: Vec<u32>,
    /// Packets that could not be decoded, and are silent.
    pub undecodable: u32,
}

impl CodedFrames {
    /// Frame number `index`; empty if there are not so many.
    pub fn frame(&self, index: usize) -> Bytes {
        let end = self.ends.get(index).copied().unwrap_or(0) as usize;
        let begin =
            index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0) as usize;
        if begin < end && end <= self.bytes.len() { self.bytes.slice(begin..end) } else { Bytes::new() }
    }
}

/// The samples of the source that the frames `frames` of `target` are made of.
pub fn needed(frames: &Range<i64>, target: AudioTrack, sample_rate: u32) -> Range<i64> {
    let block = i64::from(AAC_FRAME_SAMPLES);
    let (first, last) = ((frames.start - i64::from(RUN_UP)) * block, (frames.end + LOOK_AHEAD) * block);
    let rate = target.format.sample_rate;
    if rate == sample_rate {
        return first..last;
    }
    let at = |sample: i64| {
        (i128::from(sample) * i128::from(sample_rate)).div_euclid(i128::from(rate.max(1))) as i64
    };
    let around = reach(sample_rate, rate);
    at(first) - around..at(last) + around
}

/// Makes the frames of a job. A packet that cannot be decoded is silence.
pub fn code_block(job: &BlockJob<'_>) -> Result<CodedFrames, CodingError> {
    let needed = needed(&job.frames, job.target, job.sample_rate);
    let channels = job.target.format.channels;
    let (pcm, undecodable) = decode(job, &needed, channels);
    let first = job.frames.start - i64::from(RUN_UP);
    let count =
        usize::try_from(job.frames.end + LOOK_AHEAD - first).unwrap_or(0) * AAC_FRAME_SAMPLES as usize;
    let rate = job.target.format.sample_rate;
    let pcm = if rate == job.sample_rate {
        pcm
    } else {
        let at = first * i64::from(AAC_FRAME_SAMPLES);
        Resampler::new(job.sample_rate, rate).resample((&pcm, needed.start), channels.into(), (at, count))
    };
    let samples: Vec<i16> = pcm.iter().map(|sample| (sample * 32_768.0).round() as i16).collect();
    let mut encoder = AacEncoder::new(job.target)?;
    let wanted = usize::try_from(job.frames.end - job.frames.start).unwrap_or(0);
    let (mut bytes, mut ends, mut left_out) = (BytesMut::new(), Vec::with_capacity(wanted), RUN_UP);
    for block in samples.chunks_exact(encoder.block()) {
        let Some(frame) = encoder.encode(block)? else { continue };
        if left_out > 0 {
            left_out -= 1;
        } else if ends.len() < wanted {
            bytes.extend_from_slice(&frame);
            ends.push(bytes.len() as u32);
        }
    }
    Ok(CodedFrames { bytes: bytes.freeze(), ends, undecodable })
}

/// The samples `needed` of the source, in so many channels; and how many packets could not be decoded.
fn decode(job: &BlockJob<'_>, needed: &Range<i64>, channels: u8) -> (Vec<f32>, u32) {
    let width = usize::from(channels);
    let mut pcm = vec![0.0; usize::try_from(needed.end - needed.start).unwrap_or(0) * width];
    let Ok(mut decoder) = PacketDecoder::new(job.sound) else { return (pcm, job.packets.len() as u32) };
    let (mut undecodable, mut sound) = (0, Vec::new());
    let mut resamplers: Vec<Resampler> = Vec::new();
    for packet in job.packets {
        sound.clear();
        let bytes = job.bytes.get(packet.place.clone()).unwrap_or_default();
        let Ok(found) = decoder.decode(bytes, channels, &mut sound) else {
            // Those of the run-up refer to packets before it.
            undecodable += u32::from(packet.at >= needed.start);
            continue;
        };
        let count = sound.len() / width;
        if found != job.sample_rate && PacketSound::SAMPLE_RATES.contains(&found) {
            // The packet knows its rate better than the file.
            let count = (count as u64 * u64::from(job.sample_rate) / u64::from(found)) as usize;
            let place = resamplers.iter().position(|it| it.from == found).unwrap_or_else(|| {
                resamplers.push(Resampler::new(found, job.sample_rate));
                resamplers.len() - 1
            });
            if let Some(resampler) = resamplers.get(place) {
                sound = resampler.resample((&sound, 0), width, (0, count));
            }
        }
        put(&mut pcm, needed, &sound, packet.at, width, &job.heard);
    }
    (pcm, undecodable)
}

/// Puts the sound of a packet in its place.
fn put(pcm: &mut [f32], needed: &Range<i64>, sound: &[f32], at: i64, width: usize, heard: &Range<i64>) {
    let end = at.saturating_add((sound.len() / width) as i64).min(needed.end).min(heard.end);
    let begin = at.max(needed.start).max(heard.start);
    if begin >= end {
        return;
    }
    let (to, from) = ((begin - needed.start) as usize * width, (begin - at) as usize * width);
    let len = (end - begin) as usize * width;
    if let (Some(to), Some(from)) = (pcm.get_mut(to..to + len), sound.get(from..from + len)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_media::{PacketCoding, PcmLayout};

    const LAYOUT: PcmLayout =
        PcmLayout { bytes: 2, is_float: false, is_big_endian: false, is_unsigned: false };

    fn tone(rate: u32, n: i64) -> f64 {
        0.5 * (std::f64::consts::TAU * 440.0 * n as f64 / f64::from(rate)).sin()
    }

    /// The frames of a tone of `rate`, made in blocks of `step`.
    fn coded(rate: u32, frames: Range<i64>, step: i64) -> Vec<Bytes> {
        let sound = PacketSound { coding: PacketCoding::Pcm(LAYOUT), sample_rate: rate, channels: 1 };
        let target = coded_track(rate, 1);
        let mut all = Vec::new();
        let mut first = frames.start;
        while first < frames.end {
            let frames = first..(first + step).min(frames.end);
            let needed = needed(&frames, target, rate);
            let bytes: Vec<u8> =
                needed.clone().flat_map(|n| ((tone(rate, n) * 32_768.0) as i16).to_le_bytes()).collect();
            let packets = [PlacedPacket { at: needed.start, place: 0..bytes.len() }];
            let (packets, bytes, heard) = (&packets[..], &bytes[..], 0..i64::MAX);
            let job = BlockJob { sound: &sound, sample_rate: rate, packets, bytes, heard, target, frames };
            let block = code_block(&job).expect("coded");
            assert_eq!(block.undecodable, 0);
            all.extend((0..block.ends.len()).map(|index| block.frame(index)));
            first += step;
        }
        all
    }

    /// What is heard of these frames: the first of them begins at frame `first`.
    fn heard(rate: u32, frames: &[Bytes]) -> Vec<f64> {
        use fdk_aac::dec::{Decoder, Transport};
        let config = amphi_media::AudioSpecificConfig::lc(AudioFormat { sample_rate: rate, channels: 1 });
        let mut decoder = Decoder::new(Transport::Raw);
        decoder.config_raw(&config.to_bytes()).expect("a configuration");
        let mut out = Vec::new();
        let mut pcm = [0; 2048];
        for frame in frames {
            decoder.fill(frame).expect("taken");
            decoder.decode_frame(&mut pcm).expect("decoded");
            let info = decoder.stream_info();
            let count = info.frameSize as usize * info.numChannels as usize;
            out.extend(pcm[..count].chunks(info.numChannels as usize).map(|it| f64::from(it[0]) / 32_768.0));
        }
        let delay = decoder.stream_info().outputDelay as usize;
        out.drain(..delay);
        out
    }

    #[test]
    fn blocks_fit_and_are_in_time() {
        for rate in [48_000, 44_100, 16_000] {
            let frames = coded(rate, 10..60, 10);
            assert_eq!(frames.len(), 50);
            let heard = heard(rate, &frames);
            // The first frame has no frame before it.
            let off = |at: usize| (heard[at] - tone(rate, 10 * 1024 + at as i64)).abs();
            let worst = (2048..heard.len().min(48 * 1024))
                .max_by(|&a, &b| off(a).total_cmp(&off(b)))
                .expect("samples");
            assert!(off(worst) < 0.02, "{rate}: off by {} at sample {worst}", off(worst));
            let at_seams = (1..4)
                .flat_map(|seam| seam * 10_240 - 1100..seam * 10_240 + 1100)
                .map(off)
                .fold(0.0, f64::max);
            let between = (1..4)
                .flat_map(|seam| seam * 10_240 + 3000..seam * 10_240 + 6000)
                .map(off)
                .fold(0.0, f64::max);
            assert!(at_seams < 2.0 * between + 0.002, "{rate}: {at_seams} at seams, {between} between them");
        }
    }

    #[test]
    fn a_block_is_the_same_whoever_asks() {
        assert_eq!(coded(48_000, 20..30, 10), coded(48_000, 0..40, 10)[20..30]);
    }

    #[test]
    fn rates_that_aac_does_not_have_are_changed() {
        for (rate, coded) in
            [(48_000, 48_000), (192_000, 48_000), (176_400, 44_100), (37_800, 48_000), (0, 48_000)]
        {
            assert_eq!(coded_track(rate, 6).format, AudioFormat { sample_rate: coded, channels: 2 });
        }
        let frames = coded(192_000, 10..40, 10);
        let heard = heard(48_000, &frames);
        let off = (4096..20_000)
            .map(|at| (heard[at] - tone(48_000, 10 * 1024 + at as i64)).abs())
            .fold(0.0, f64::max);
        assert!(off < 0.02, "off by {off}");
    }
}
