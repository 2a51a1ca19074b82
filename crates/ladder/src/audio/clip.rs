//! The sound of a whole clip, coded once to be played in a loop.

use bytes::Bytes;

use super::decoder::{AudioDecoder, size_is_legal};
use super::fitter::Fitter;
use super::{AudioCounts, AudioError, silence};
use amphi_media::{AAC_FRAME_SAMPLES, AudioSpecificConfig, AudioTrack, MediaTime, Timescale, TrackFormat};
use amphi_sound::AacEncoder;

/// Blocks given to the encoder before the first one that counts, so that it is coded like the loop's middle.
const RUN_UP: usize = 8;
/// Units that are decoded to learn the real sample rate, before any is used.
const FIRST: usize = 8;

/// Exactly `wanted` frames in `target`'s format from a clip's access units: unit *i* covers the samples from
/// i·1024 on (the caller has left out the encoder's priming). A longer clip is cut, a shorter one ends in
/// silence, and a broken unit is silence.
///
/// Units in `target`'s format are used as they are. Others are encoded as a ring: the last frame runs into
/// the first one, so that the loop's seam is like any other place.
pub fn loop_frames(
    target: AudioTrack,
    config: AudioSpecificConfig,
    units: &[Bytes],
    wanted: usize,
) -> Result<Vec<Bytes>, AudioError> {
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let silence = silence(target)?;
    if !config.is_lc(target.format) {
        return transcode(target, config, units, wanted);
    }
    let format = TrackFormat::Aac(config);
    let mut decoder = decoder(&format)?;
    let mut is_good = |unit: &&Bytes| size_is_legal(unit, &format) && decoder.decode(unit).is_ok();
    let frame = |i: usize| units.get(i).filter(&mut is_good).unwrap_or(&silence).clone();
    Ok((0..wanted).map(frame).collect())
}

fn transcode(
    target: AudioTrack,
    config: AudioSpecificConfig,
    units: &[Bytes],
    wanted: usize,
) -> Result<Vec<Bytes>, AudioError> {
    let blocks = decode(target, config, units, wanted)?;
    let mut encoder = AacEncoder::new(target)?;
    let mut frames = Vec::with_capacity(wanted);
    let first = (wanted - RUN_UP % wanted) % wanted;
    let ring = blocks.iter().cycle().skip(first).take(RUN_UP + wanted + encoder.delay());
    for (fed, block) in ring.enumerate() {
        let frame = encoder.encode(block)?;
        if fed >= RUN_UP + encoder.delay() {
            frames.extend(frame);
        }
    }
    Ok(frames)
}

fn decoder(format: &TrackFormat) -> Result<AudioDecoder, AudioError> {
    AudioDecoder::new(format).map_err(|reason| AudioError::Source { format: format.describe(), reason })
}

/// The clip's sound in the target's rate and channels: `wanted` blocks.
fn decode(
    target: AudioTrack,
    config: AudioSpecificConfig,
    units: &[Bytes],
    wanted: usize,
) -> Result<Vec<Vec<i16>>, AudioError> {
    let format = TrackFormat::Aac(config);
    // SBR that is not signalled shows in the first units (ISO/IEC 14496-3 §1.6.5).
    let mut decoder = decoder(&format)?;
    for unit in units.iter().take(FIRST) {
        let _ = decoder.decode(unit);
    }
    let sound = decoder.format();
    let mut decoder = self::decoder(&format)?;
    let mut fitter = None;
    let mut counts = AudioCounts::default();
    let mut blocks = Vec::with_capacity(wanted);
    for (i, data) in units.iter().enumerate() {
        if blocks.len() >= wanted {
            break;
        }
        let ticks = i as i64 * i64::from(config.frame_samples());
        let pts = MediaTime::from_ticks(ticks, Timescale(config.sample_rate));
        // A unit that cannot be decoded becomes silence; the rest of the clip is still of use.
        let _ = decoder.decode(data);
        if decoder.format().sample_rate != sound.sample_rate {
            continue;
        }
        if fitter.is_none() {
            let refused = |reason| AudioError::Source { format: format.describe(), reason };
            fitter = Some(Fitter::new(&decoder, target.format, pts).map_err(refused)?);
        }
        if let Some(fitter) = &mut fitter {
            fitter.push(pts, &decoder, &mut counts);
            drain(fitter, &mut blocks);
        }
    }
    if let Some(fitter) = &mut fitter {
        fitter.pad();
        drain(fitter, &mut blocks);
    }
    blocks.resize(wanted, vec![0; AAC_FRAME_SAMPLES as usize * usize::from(target.format.channels)]);
    Ok(blocks)
}

/// Takes all blocks except those before the clip, where only the resampler's filter rings.
fn drain(fitter: &mut Fitter, blocks: &mut Vec<Vec<i16>>) {
    while let Some((n, block)) = fitter.block() {
        if n >= 0 {
            blocks.push(block.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STEREO_48, coded, decoded, tone};
    use super::*;
    use amphi_media::AudioFormat;

    #[test]
    fn the_seam_of_a_loop_is_coded_like_its_middle() {
        let from = AudioFormat { sample_rate: 44_100, channels: 1 };
        let config = AudioSpecificConfig::lc(from);
        let clip = coded(from, 360, tone(1000.0, 44_100));
        // 375 frames are 8 s and whole periods: an endless tone, but for the start of the first unit.
        let blocks = decode(STEREO_48, config, &clip, 375).expect("blocks");
        let frames = loop_frames(STEREO_48, config, &clip, 375).expect("frames");
        let twice = decoded(STEREO_48.format, frames.iter().chain(&frames));
        let error = |frame: usize| {
            let block = blocks[frame % 375].chunks(2).map(|samples| f64::from(samples[0]) / 32_768.0);
            let heard = &twice[frame * 1024..][..1024];
            heard.iter().zip(block).map(|(heard, meant)| (heard - meant).abs()).fold(0.0, f64::max)
        };
        for frame in [200, 373, 374, 375, 376, 377] {
            assert!(error(frame) < 0.05, "frame {frame}: {}", error(frame));
        }
    }
}
