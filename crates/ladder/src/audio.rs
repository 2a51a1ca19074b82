//! Sound on its lattice: a source's access units, or none at all, become exactly the AAC frames that a cell
//! needs. Frame *n* of 1024 samples starts n·1024/rate after the unix epoch.
//!
//! Without clock, threads or I/O. [`AudioLane::push`] access units in decode order as they come, and
//! [`AudioLane::take`] ranges of frames in ascending order whenever a cell is due. What has not come by then
//! is silence, so a lane that gets no units gives silence for ever. [`AudioLane::covered_until`] says whether
//! waiting for more is of use.
//!
//! Each unit is decoded as it comes (`loudness`, `decoder`): AAC of every kind, MP3, G.711. Units that are AAC-LC in the
//! ladder's rate and channels and decode without a fault, in a second decoder (`witness`) too, pass through byte for byte
//! (`passthrough`). All other sound is transcoded (`transcoder`): mixed to the ladder's channels, fitted to the lattice
//! as samples (`fitter`, `stretcher`) and encoded ([`amphi_sound`]); its frames come about 64 ms after their samples. Both paths
//! tell holes from jitter in the same way (`follower`) and put their frames into one `history`. A time stamp more than a
//! second away from where the last unit ended, or a new format, ends the path and begins another on the same lattice: no
//! frame is ever out of order or there twice.
//!
//! An [`AudioError`] concerns one unit, or the units until the format changes again; the lane goes on.
//!
//! Pictures are shown at their slots' times and not at their own. A lane is told of them, so that the sound stays with
//! them: [`AudioLane::beside`] and [`AudioLane::see`] (`av_sync`).
//!
//! [`AudioLane::level`] says how loud the last unit was; a [`LoudnessMeter`] alone does so without a lattice.
//!
//! What does *not* belong here: when a cell is due, and pictures.

mod av_sync;
mod clip;
mod decoder;
mod fitter;
mod follower;
mod history;
mod loudness;
mod passthrough;
mod stretcher;
#[cfg(test)]
mod tests;
mod transcoder;
mod witness;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use amphi_media::{AudioFormat, AudioTrack, MediaTime, SourceFrame, TrackCell, TrackFormat};
use amphi_sound::CodingError;
use av_sync::AvSync;
use history::AudioHistory;
use passthrough::PassThrough;
use transcoder::Transcoder;
use witness::Witness;

pub use amphi_sound::joined;
pub use clip::loop_frames;
pub use loudness::{Level, LoudnessMeter};

/// A time stamp farther than this from where it should be begins a new path.
const JUMP_NANOS: u64 = 1_000_000_000;
/// So many units in a row of another sample rate are not damage, but SBR that is not signalled.
const TURNED: u32 = 3;

/// What is wrong with a unit of sound, a source's sound, or the sound that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AudioError {
    /// A frame that is not sound was pushed: our fault.
    #[error("a frame at {pts} that is not sound was given to the sound lane")]
    NotSound {
        /// Presentation time of the frame.
        pts: MediaTime,
    },
    /// The source sends an access unit that no decoder would take; it is silence.
    #[error("the source's access unit at {pts} has {size} bytes, which its coding does not allow")]
    Size {
        /// Presentation time of the access unit.
        pts: MediaTime,
        /// Length of the access unit in bytes.
        size: usize,
    },
    /// The source sends an access unit that cannot be decoded; it is silence.
    #[error("the source's access unit at {pts} of {size} bytes cannot be decoded: {reason}")]
    Decode {
        /// Presentation time of the access unit.
        pts: MediaTime,
        /// Length of the access unit in bytes.
        size: usize,
        /// What the decoder says is wrong.
        reason: String,
    },
    /// The source's sound is of a kind that is not decoded; it is silence until it changes.
    #[error("the source's sound ({format}) cannot be decoded: {reason}")]
    Source {
        /// Coding, sample rate and channels, as the source announces them.
        format: String,
        /// Why this kind of sound is not decoded.
        reason: String,
    },
    /// The sound that the ladder is configured for cannot be encoded: the operator's fault. Or the encoder failed on good
    /// samples: ours; the frame is silence.
    #[error(transparent)]
    Coding(#[from] CodingError),
}

/// One access unit of silence in `target`'s format. However often it is repeated, it decodes to zeros.
pub fn silence(target: AudioTrack) -> Result<Bytes, AudioError> {
    Ok(amphi_sound::silence(target)?)
}

/// What happened to the sound since the lane was made, in units of the source or frames of the lattice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioCounts {
    /// Units that could not be used, and became silence.
    pub undecodable: u64,
    /// Units that were repeated, for a lost one or against a skew.
    pub repeated: u64,
    /// Units or frames dropped, for one sent twice or against a skew.
    pub dropped: u64,
    /// Frames that came after their place was taken.
    pub late: u64,
    /// Frames forgotten because nobody took them in time.
    pub overflowed: u64,
    /// Frames of silence handed out for frames that never came.
    pub silent: u64,
    /// How often a path began: with the first unit, and with every jump or change of format since.
    pub anchored: u64,
}

/// The sound of one source on the lattice.
#[derive(Debug)]
pub struct AudioLane {
    target: AudioTrack,
    loudness: LoudnessMeter,
    level: Option<Level>,
    /// The format of the last unit.
    format: Option<Arc<TrackFormat>>,
    path: Path,
    /// Units in a row that are decoded to another sample rate than the path's.
    turned: u32,
    history: AudioHistory,
    av_sync: AvSync,
    counts: AudioCounts,
}

#[derive(Debug)]
enum Path {
    /// Nothing came yet, or nothing that can be used.
    None,
    PassThrough(PassThrough, Option<Box<Witness>>),
    Transcode(Box<Transcoder>),
}

impl AudioLane {
    /// A lane that makes frames in `target`'s format.
    pub fn new(target: AudioTrack) -> Result<Self, AudioError> {
        let history = AudioHistory::new(target.format, silence(target)?);
        let (av_sync, counts) = (AvSync::new(1), AudioCounts::default());
        Ok(Self {
            target,
            loudness: LoudnessMeter::default(),
            level: None,
            format: None,
            path: Path::None,
            turned: 0,
            history,
            av_sync,
            counts,
        })
    }

    /// The same lane, but for units in the ladder's own format whose bytes may be anything: they are not decoded.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn blind(self) -> Self {
        let loudness = LoudnessMeter::blind(amphi_media::AudioSpecificConfig::lc(self.target.format));
        Self { loudness, ..self }
    }

    /// The same lane beside pictures on a lattice of `fps` slots per second.
    #[must_use]
    pub fn beside(self, fps: u32) -> Self {
        Self { av_sync: AvSync::new(fps.max(1)), ..self }
    }

    /// A picture of the same source, to be shown at `pts`; in presentation order.
    pub fn see(&mut self, pts: MediaTime) {
        self.av_sync.see(pts);
    }

    /// Takes one access unit. Any error leaves the lane ready for the next one.
    pub fn push(&mut self, unit: &SourceFrame) -> Result<(), AudioError> {
        let heard = self.loudness.hear(unit).map(|decoder| Level::of(decoder.pcm()));
        self.level = heard.as_ref().ok().copied();
        let fault = match heard {
            Err(fault @ AudioError::NotSound { .. }) => return Err(fault),
            heard => heard.err(),
        };
        self.counts.undecodable += u64::from(fault.is_some());
        let same = |format: &Arc<TrackFormat>| Arc::ptr_eq(format, &unit.format) || *format == unit.format;
        if !self.format.as_ref().is_some_and(same) {
            self.format = Some(Arc::clone(&unit.format));
            self.turned = 0;
            self.end()?;
        }
        if let Some(fault) = fault {
            return self.push_damaged(unit.pts).and(Err(fault));
        }
        self.push_good(unit)
    }

    /// How loud the last unit was; `None` where it could not be decoded.
    pub const fn level(&self) -> Option<Level> {
        self.level
    }

    /// A unit that cannot be decoded: silence where it belongs, if that is known.
    fn push_damaged(&mut self, pts: MediaTime) -> Result<(), AudioError> {
        let Self { path, loudness, history, counts, .. } = self;
        match (path, loudness.decoder()) {
            (Path::PassThrough(path, _), _) if !path.is_jump(pts) => path.push(pts, None, history, counts),
            (Path::Transcode(path), Some(decoder)) if !path.is_jump(pts) => {
                return path.push(pts, decoder, history, counts);
            }
            _ => {}
        }
        Ok(())
    }

    /// A unit that `loudness` has just decoded.
    fn push_good(&mut self, unit: &SourceFrame) -> Result<(), AudioError> {
        let Some(sound) = self.loudness.decoder().map(decoder::AudioDecoder::format) else { return Ok(()) };
        let (jumped, rate) = match &self.path {
            Path::None => (true, sound.sample_rate),
            Path::PassThrough(path, _) => (path.is_jump(unit.pts), self.target.format.sample_rate),
            Path::Transcode(path) => (path.is_jump(unit.pts), path.rate()),
        };
        self.turned = if sound.sample_rate == rate { 0 } else { self.turned + 1 };
        if (1..TURNED).contains(&self.turned) {
            self.counts.undecodable += 1;
            if let Path::PassThrough(path, _) = &mut self.path {
                path.push(unit.pts, None, &mut self.history, &mut self.counts);
            }
            return Err(AudioError::Decode {
                pts: unit.pts,
                size: unit.data.len(),
                reason: format!("it has {} samples a second, those before had {rate}", sound.sample_rate),
            });
        }
        if jumped || self.turned > 0 {
            self.turned = 0;
            self.begin(&unit.format, sound, unit.pts)?;
        }
        let Self { path, loudness, history, counts, .. } = self;
        match (path, loudness.decoder()) {
            (Path::PassThrough(path, witness), _) => {
                let objection = witness.as_mut().and_then(|witness| witness.objects(&unit.data));
                let Some(reason) = objection else {
                    path.push(unit.pts, Some(&unit.data), history, counts);
                    return Ok(());
                };
                counts.undecodable += 1;
                self.level = None;
                path.push(unit.pts, None, history, counts);
                return Err(AudioError::Decode { pts: unit.pts, size: unit.data.len(), reason });
            }
            (Path::Transcode(path), Some(decoder)) => path.push(unit.pts, decoder, history, counts)?,
            _ => {}
        }
        Ok(())
    }

    /// The first frame of the lattice that is not known yet: all before it have come, or will not come
    /// unless the source goes back in time. `None` before the first unit.
    pub fn covered_until(&self) -> Option<i64> {
        self.history.covered_until()
    }

    /// Whether the frames before `end` have come, and one more, in case one is left out.
    pub fn covers(&self, end: i64) -> bool {
        self.covered_until().is_some_and(|covered| covered > end)
    }

    /// The frames of `frames` as one cell of exactly so many samples; those that have not come are silence.
    /// Everything before `frames.end` is forgotten, and dropped if it comes later.
    pub fn take(&mut self, frames: Range<i64>) -> TrackCell {
        self.history.take(frames, &self.av_sync, &mut self.counts)
    }

    /// The counts since the lane was made.
    pub const fn counts(&self) -> AudioCounts {
        self.counts
    }

    /// Ends the path: what is in it comes out.
    fn end(&mut self) -> Result<(), AudioError> {
        match std::mem::replace(&mut self.path, Path::None) {
            Path::Transcode(path) => path.finish(&mut self.history, &mut self.counts),
            Path::None | Path::PassThrough(..) => Ok(()),
        }
    }

    /// Ends the path and begins one for the unit that was just decoded to `sound` and is heard at `pts`.
    fn begin(&mut self, format: &TrackFormat, sound: AudioFormat, pts: MediaTime) -> Result<(), AudioError> {
        let finished = self.end();
        let is_ours = sound == self.target.format
            && matches!(format, TrackFormat::Aac(config) if config.is_lc(self.target.format));
        let next = if is_ours {
            let path = PassThrough::new(sound.sample_rate, pts);
            let next = path.next();
            let witness = match format {
                TrackFormat::Aac(config) if self.loudness.sees() => Some(Box::new(Witness::new(*config))),
                _ => None,
            };
            self.path = Path::PassThrough(path, witness);
            next
        } else {
            let Some(decoder) = self.loudness.decoder() else { return finished };
            let path = Box::new(Transcoder::new(decoder, self.target, pts).inspect_err(|_| {
                self.counts.undecodable += 1;
            })?);
            let next = path.next();
            self.path = Path::Transcode(path);
            next
        };
        self.counts.anchored += 1;
        self.history.anchor(next, &mut self.counts);
        finished
    }
}

/// Whether a time stamp is so far from where it should be that a new path begins.
const fn is_jump(pts: MediaTime, expected: MediaTime) -> bool {
    pts.as_nanos().abs_diff(expected.as_nanos()) > JUMP_NANOS
}
