//! The sound of a ladder: whatever AAC a source sends becomes exactly the frames of the lattice (sans-IO).
//!
//! Contract. [`AudioLane::push`] each access unit as it arrives. When a cell's pictures are whole, look at
//! [`AudioLane::covered_until`] to see whether its sound is, and [`AudioLane::take`] the frames that start in it.
//! Frame *n* starts n·1024/rate seconds after the epoch. Frames that never came are silence; what was taken is
//! forgotten.
//!
//! Sound that has the ladder's format passes through untouched: consecutive access units take consecutive
//! frames, and only an accumulated error of a whole frame drops one or leaves a hole. Any other AAC-LC is
//! decoded, mixed, resampled and coded anew on the lattice. An access unit that cannot be decoded is a hole.

mod coder;
mod pass;
mod pcm;

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::clip::ClipTrack;
use crate::media::{
    AAC_FRAME_SAMPLES, AudioSpecificConfig, AudioTrack, MediaTime, SampleEntry, SourceFrame, TrackCell,
    TrackFormat,
};

use coder::Coder;
use pass::PassThrough;
use pcm::PcmDecoder;

/// Frames kept for a taker that is late: about ten seconds at 48 kHz.
const KEPT: usize = 470;

/// Why sound cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The source's fault: a configuration that is not AAC-LC with one or two channels.
    #[error("the source's sound ({0:?}) is not AAC-LC with one or two channels")]
    Unsupported(AudioSpecificConfig),
    /// The source's fault: an access unit that is no AAC.
    #[error("sound not decoded: {0}")]
    Decode(#[from] symphonia::core::errors::Error),
    /// Ours: the rates cannot be converted.
    #[error("no resampler from {from} to {into} Hz: {why}")]
    Resampler {
        /// The source's rate.
        from: u32,
        /// The ladder's rate.
        into: u32,
        /// What the library says.
        why: String,
    },
    /// The operator's: the encoder refuses the ladder's format.
    #[error("AAC coder: {0}")]
    Encode(String),
}

/// See the module's text.
pub struct AudioLane {
    target: AudioTrack,
    silence: Bytes,
    path: Path,
    frames: BTreeMap<i64, Bytes>,
    /// The first frame that may still be taken.
    floor: i64,
    /// The frame after the newest that ever came.
    covered: Option<i64>,
}

/// How the source's present format is treated.
enum Path {
    /// Nothing came yet.
    Idle,
    Pass(AudioSpecificConfig, PassThrough),
    Transcode(AudioSpecificConfig, Box<Transcoder>),
    /// A format that cannot be used, said once.
    Refused(AudioSpecificConfig),
}

struct Transcoder {
    decoder: PcmDecoder,
    coder: Coder,
}

impl AudioLane {
    /// A lane that gives silence until something comes.
    pub fn new(target: AudioTrack) -> Result<Self, AudioError> {
        let silence = silence(target)?;
        Ok(Self {
            target,
            silence,
            path: Path::Idle,
            frames: BTreeMap::new(),
            floor: i64::MIN,
            covered: None,
        })
    }

    /// One access unit. An error costs that access unit, no more.
    pub fn push(&mut self, frame: &SourceFrame) -> Result<(), AudioError> {
        let TrackFormat::Aac(config) = &*frame.format else { return Ok(()) };
        self.follow(*config)?;
        match &mut self.path {
            Path::Pass(_, pass) => {
                if let Some(n) = pass.place(frame.pts) {
                    self.keep(n, frame.data.clone());
                }
                Ok(())
            }
            Path::Transcode(_, transcoder) => {
                let Transcoder { decoder, coder } = &mut **transcoder;
                let delay = decoder.delay();
                let mut coded = Vec::new();
                // What cannot be decoded leaves a hole that the next good access unit fills with zeros.
                let decoded = decoder.decode(&frame.data);
                let done = decoded.and_then(|pcm| coder.push(frame.pts, pcm, delay, &mut coded));
                for (n, bytes) in coded {
                    self.keep(n, bytes);
                }
                done
            }
            Path::Refused(_) | Path::Idle => Ok(()),
        }
    }

    /// The frame after the newest one that came; `None` before the first.
    pub const fn covered_until(&self) -> Option<i64> {
        self.covered
    }

    /// The frames of `range` as one cell; those that did not come are silence.
    pub fn take(&mut self, range: Range<i64>) -> TrackCell {
        self.frames = self.frames.split_off(&range.start);
        let later = self.frames.split_off(&range.end);
        let mut there = std::mem::replace(&mut self.frames, later);
        self.floor = self.floor.max(range.end);
        let mut data = BytesMut::with_capacity(there.values().map(Bytes::len).sum::<usize>() + 64);
        let mut samples = Vec::with_capacity((range.end - range.start).max(0) as usize);
        let start = range.start * i64::from(AAC_FRAME_SAMPLES);
        for n in range {
            let frame = there.remove(&n).unwrap_or_else(|| self.silence.clone());
            data.extend_from_slice(&frame);
            samples.push(SampleEntry { size: frame.len() as u32, duration: AAC_FRAME_SAMPLES, sync: true });
        }
        TrackCell { start, data: data.freeze(), samples: samples.into() }
    }

    fn keep(&mut self, n: i64, frame: Bytes) {
        if n < self.floor {
            return;
        }
        self.covered = Some(self.covered.map_or(n + 1, |covered| covered.max(n + 1)));
        self.frames.entry(n).or_insert(frame);
        while self.frames.len() > KEPT {
            self.frames.pop_first();
        }
    }

    /// Chooses the path for `config`; a change in mid-stream begins a new one.
    fn follow(&mut self, config: AudioSpecificConfig) -> Result<(), AudioError> {
        let known = match &self.path {
            Path::Idle => None,
            Path::Pass(known, _) | Path::Transcode(known, _) | Path::Refused(known) => Some(*known),
        };
        if known == Some(config) {
            return Ok(());
        }
        if config.is_lc(self.target.format) {
            self.path = Path::Pass(config, PassThrough::new(config.sample_rate));
            return Ok(());
        }
        self.path = Path::Refused(config);
        let decoder = PcmDecoder::new(config, self.target.format)?;
        let coder = Coder::new(self.target)?;
        self.path = Path::Transcode(config, Box::new(Transcoder { decoder, coder }));
        Ok(())
    }
}

/// One coded frame of silence, which may stand anywhere and be repeated.
pub fn silence(target: AudioTrack) -> Result<Bytes, AudioError> {
    let mut coder = Coder::new(target)?;
    let zeros = vec![0.0; AAC_FRAME_SAMPLES as usize * usize::from(target.format.channels) * 8];
    let mut coded = Vec::new();
    coder.push(MediaTime::default(), &zeros, 0, &mut coded)?;
    coded.pop().map(|(_, frame)| frame).ok_or_else(|| AudioError::Encode("no frame of silence".to_owned()))
}

/// The sound of a clip on a lattice that begins with the clip: `wanted` frames, padded with silence. Sound in the
/// ladder's format passes through.
pub fn loop_frames(target: AudioTrack, clip: &ClipTrack, wanted: usize) -> Result<Vec<Bytes>, AudioError> {
    let mut lane = AudioLane::new(target)?;
    let mut frames = Vec::with_capacity(wanted);
    for sample in &clip.samples {
        let frame = SourceFrame {
            pts: MediaTime::from_ticks(sample.pts, clip.timescale),
            data: sample.data.clone(),
            sync: true,
            format: clip.format.clone(),
        };
        match lane.push(&frame) {
            Ok(()) | Err(AudioError::Decode(_)) => {}
            Err(error) => return Err(error),
        }
        // Taken frame by frame, so that a long clip is not cut to what the lane keeps.
        while lane.covered_until().is_some_and(|covered| covered > frames.len() as i64 + 1)
            && frames.len() < wanted
        {
            let n = frames.len() as i64;
            frames.push(lane.take(n..n + 1).data);
        }
    }
    while frames.len() < wanted {
        let n = frames.len() as i64;
        frames.push(lane.take(n..n + 1).data);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests;
