//! Silence where a recording's sound begins later than its picture, or ends before it. Sans-IO.
//!
//! Players wait for both buffers: behind the end of the sound they would stand still after a seek, and where the sound begins
//! late they skip to it. So sound that is AAC-LC in one or two channels is filled up with a coded frame of silence
//! ([`MovieTrack::begin_with`](super::Track::begin_with)), and sound that is coded here has silence anyway. Opus, FLAC, AAC of more
//! channels, HE-AAC, and all AAC of 24 kHz and less, which may be HE-AAC without saying so, stay as they are in the file: over DASH
//! their last segment goes on to the end.

use std::sync::Arc;

use super::Track;
use super::transcode::SoundSource;
use amphi_container::mp4::{Movie, SilentFrame};
use amphi_media::{AAC_FRAME_SAMPLES, AudioFormat, AudioSpecificConfig};
use amphi_sound::{RATES, coded_track};

/// Samples per second at which a decoder may find SBR that the configuration does not say.
const IMPLICIT_SBR_MAX: u32 = 24_000;

/// Fills the time before sound that begins late, and is not coded here. To be called before pictures are held, so that they begin
/// with the sound.
pub(super) fn put_before(movie: &mut Movie, sources: &[Option<Arc<SoundSource>>]) {
    for track in in_file(movie, sources).filter(|track| track.begins_late()) {
        if let Some(frame) = frame_of(track) {
            track.begin_with(&frame);
        }
    }
}

/// Fills the time from where sound ends to where the presentation does, if it is not coded here.
pub(super) fn put_after(movie: &mut Movie, sources: &[Option<Arc<SoundSource>>]) {
    let until = movie.duration_nanos();
    for track in in_file(movie, sources).filter(|track| track.ends_before(until)) {
        if let Some(frame) = frame_of(track) {
            track.end_with(&frame, until);
        }
    }
}

/// The sound tracks that are sent as they are in the file.
fn in_file<'a>(
    movie: &'a mut Movie,
    sources: &'a [Option<Arc<SoundSource>>],
) -> impl Iterator<Item = &'a mut Track> {
    movie.audio.iter_mut().zip(sources).filter(|(_, source)| source.is_none()).map(|(track, _)| track)
}

/// A frame that the decoder of `track` takes for silence; `None` if its coding has none that is made here.
fn frame_of(track: &Track) -> Option<SilentFrame> {
    let config = track.coding.aac()?;
    let AudioSpecificConfig { sample_rate, channels, .. } = config;
    // SBR need not be said (ISO/IEC 14496-3 §1.6.5): ffmpeg and Chromium look for it in the first frame, and silence has none.
    let may_have_sbr = config.extended_rate.is_some() || sample_rate <= IMPLICIT_SBR_MAX;
    let is_plain = config.object_type == 2 && !config.short_frames && !may_have_sbr;
    if !is_plain || !(1..=2).contains(&channels) || !RATES.contains(&sample_rate) {
        return None;
    }
    // Channels that a program_config_element describes have other elements.
    let lc = AudioSpecificConfig::lc(AudioFormat { sample_rate, channels });
    if config.to_bytes().get(..2) != lc.to_bytes().get(..2) {
        return None;
    }
    let bytes = amphi_sound::silence(coded_track(sample_rate, channels)).ok()?;
    Some(SilentFrame { bytes, samples: AAC_FRAME_SAMPLES, sample_rate })
}

#[cfg(test)]
mod tests;
