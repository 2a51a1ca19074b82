//! Coded cells. A ladder makes them, a channel chooses between a live and a waiting one, a packager wraps them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::{AudioFormat, CellIndex, ParameterSets, PictureSize, Timescale};

/// One sample of a [`TrackCell`], as a `trun` entry describes it (ISO/IEC 14496-12 §8.8.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleEntry {
    /// Size of the coded sample in bytes.
    pub size: u32,
    /// Duration in ticks of the track's timescale.
    pub duration: u32,
    /// It is a sync sample. Ladders code no B pictures, so decode order is presentation order.
    pub sync: bool,
}

/// All samples of one track in one cell, back to back in one allocation that every viewer shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackCell {
    /// Decode time of the first sample, in ticks since the epoch (`tfdt`, ISO/IEC 14496-12 §8.8.12).
    pub start: i64,
    /// The bytes of all samples, in decode order.
    pub data: Bytes,
    /// Where `data` is cut into samples; the sizes add up to `data.len()`.
    pub samples: Arc<[SampleEntry]>,
}

impl TrackCell {
    /// Duration of all samples together, in ticks of the track's timescale.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// The samples of `run`, as a track of their own that shares the bytes. Indexes past the end are cut off.
    #[must_use]
    pub fn run(&self, run: Range<usize>) -> Self {
        let to = run.end.min(self.samples.len());
        let from = run.start.min(to);
        let (before, samples) = (&self.samples[..from], &self.samples[from..to]);
        let bytes =
            |samples: &[SampleEntry]| samples.iter().map(|sample| sample.size as usize).sum::<usize>();
        let ticks: i64 = before.iter().map(|sample| i64::from(sample.duration)).sum();
        let begin = bytes(before).min(self.data.len());
        let end = (begin + bytes(samples)).min(self.data.len());
        Self { start: self.start + ticks, data: self.data.slice(begin..end), samples: samples.into() }
    }

    /// The bytes of each sample in turn, without copying.
    pub fn sample_bytes(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut at = 0;
        self.samples.iter().map(move |sample| {
            let from = at;
            at += sample.size as usize;
            self.data.slice(from.min(self.data.len())..at.min(self.data.len()))
        })
    }
}

/// Some consecutive samples of each track of a cell, by their indexes in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// One range for each picture rung, in the ladder's order.
    pub video: Vec<Range<usize>>,
    /// The range of the sound track.
    pub audio: Range<usize>,
}

impl Runs {
    /// Whether every range is empty.
    pub fn is_empty(&self) -> bool {
        self.audio.is_empty() && self.video.iter().all(Range::is_empty)
    }
}

/// The samples of a cell that were in no batch before. All batches of a cell together are the cell.
#[derive(Clone, Debug)]
pub struct CellBatch {
    /// The samples in the form of a cell; a track may be empty.
    pub samples: CodedCell,
    /// This is the cell's first batch: it has a picture of every rung.
    pub first: bool,
}

/// One whole cell of every rung of a ladder.
#[derive(Clone, Debug)]
pub struct CodedCell {
    /// Number of the cell on the grid.
    pub k: CellIndex,
    /// The picture tracks, one per picture rung in the ladder's order.
    pub video: Vec<TrackCell>,
    /// The one sound track, which all rungs share.
    pub audio: TrackCell,
}

impl CodedCell {
    /// The samples of `runs`, in the form of a cell that shares the bytes.
    #[must_use]
    pub fn run(&self, runs: &Runs) -> Self {
        let video = self.video.iter().zip(&runs.video).map(|(track, run)| track.run(run.clone())).collect();
        Self { k: self.k, video, audio: self.audio.run(runs.audio.clone()) }
    }
}

/// Description of a picture track: everything its initialization section says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoTrack {
    /// Coded size, which is also the size shown.
    pub size: PictureSize,
    /// Pictures per second on the grid.
    pub fps: u32,
    /// Nominal bit rate, in bits per second.
    pub bitrate_bps: u32,
    /// SPS and PPS, for the `avcC` box.
    pub parameter_sets: ParameterSets,
}

/// Description of a sound track, which is always AAC-LC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTrack {
    /// Sample rate and channel count.
    pub format: AudioFormat,
    /// Nominal bit rate, in bits per second.
    pub bitrate_bps: u32,
}

impl AudioTrack {
    /// Timescale of the track, which is its sample rate.
    pub const fn timescale(&self) -> Timescale {
        Timescale(self.format.sample_rate)
    }
}

/// Which of a rung's tracks a representation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parts {
    /// Every track of the rung, as HLS lists it.
    All,
    /// The picture alone, as DASH lists it.
    Picture,
    /// The sound alone, as DASH lists it where no rung is audio-only.
    Sound,
}

impl Parts {
    /// What follows the rung's name in file names.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Picture => ".v",
            Self::Sound => ".a",
        }
    }

    /// Whether the picture is one of them.
    pub const fn has_picture(self) -> bool {
        matches!(self, Self::All | Self::Picture)
    }

    /// Whether the sound is one of them.
    pub const fn has_sound(self) -> bool {
        matches!(self, Self::All | Self::Sound)
    }
}

/// The tracks of one rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungTracks {
    /// Name of the rung, e.g. `720p`: the suffix of its stream names.
    pub name: String,
    /// The picture track; `None` for an audio-only rung.
    pub video: Option<VideoTrack>,
    /// Index of the picture track in [`CodedCell::video`]; `None` for an audio-only rung.
    pub video_index: Option<usize>,
    /// The sound track, the same for all rungs of a ladder.
    pub audio: AudioTrack,
}
