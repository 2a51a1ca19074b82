//! Coded cells: what a ladder makes, a channel chooses between and a packager wraps.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::{AudioFormat, CellIndex, ParameterSets, PictureSize, Timescale};

/// One sample inside a [`TrackCell`]: what a `trun` entry says of it (ISO/IEC 14496-12 §8.8.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleEntry {
    /// Bytes.
    pub size: u32,
    /// Ticks of the track's timescale.
    pub duration: u32,
    /// A sync sample. We code no B pictures, so decode order is presentation order.
    pub sync: bool,
}

/// All samples of one track in one cell, back to back in one allocation that every viewer shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackCell {
    /// Decode time of the first sample, in ticks since the epoch (`tfdt`, ISO/IEC 14496-12 §8.8.12).
    pub start: i64,
    /// The sample bytes in order.
    pub data: Bytes,
    /// Where they are cut; sizes add up to `data.len()`.
    pub samples: Arc<[SampleEntry]>,
}

impl TrackCell {
    /// The duration in ticks of the track's timescale.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// Some of the samples, as a track of their own that shares the bytes.
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

    /// The samples' bytes, one after the other, without copying.
    pub fn sample_bytes(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut at = 0;
        self.samples.iter().map(move |sample| {
            let from = at;
            at += sample.size as usize;
            self.data.slice(from.min(self.data.len())..at.min(self.data.len()))
        })
    }
}

/// Some consecutive samples of each track of a cell, by their places in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// For each picture rung.
    pub video: Vec<Range<usize>>,
    /// Of the sound.
    pub audio: Range<usize>,
}

impl Runs {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.audio.is_empty() && self.video.iter().all(Range::is_empty)
    }
}

/// What there is of a cell and was not in a batch before. The batches of a cell together are the cell.
#[derive(Clone, Debug)]
pub struct CellBatch {
    /// The samples, in the form of a cell; a track may have none.
    pub samples: CodedCell,
    /// The cell begins: there is a picture of every rung.
    pub first: bool,
}

/// One cell of every rung of a ladder, whole.
#[derive(Clone, Debug)]
pub struct CodedCell {
    /// Its place on the grid.
    pub k: CellIndex,
    /// Picture tracks, one per picture rung in the ladder's order.
    pub video: Vec<TrackCell>,
    /// The one sound track that all rungs share.
    pub audio: TrackCell,
}

impl CodedCell {
    /// Some of the samples, in the form of a cell.
    #[must_use]
    pub fn run(&self, runs: &Runs) -> Self {
        let video = self.video.iter().zip(&runs.video).map(|(track, run)| track.run(run.clone())).collect();
        Self { k: self.k, video, audio: self.audio.run(runs.audio.clone()) }
    }
}

/// A picture track's description: everything its initialization section says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoTrack {
    /// Coded and shown size.
    pub size: PictureSize,
    /// Pictures per second on the lattice.
    pub fps: u32,
    /// Nominal bits per second.
    pub bitrate_bps: u32,
    /// SPS and PPS.
    pub parameter_sets: ParameterSets,
}

/// A sound track's description: AAC-LC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioTrack {
    /// Rate and channels.
    pub format: AudioFormat,
    /// Nominal bits per second.
    pub bitrate_bps: u32,
}

impl AudioTrack {
    /// A sound track's timescale is its sample rate.
    pub const fn timescale(&self) -> Timescale {
        Timescale(self.format.sample_rate)
    }
}

/// Which of a rung's tracks a representation carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parts {
    /// All that the rung has: what HLS lists.
    All,
    /// The picture alone: what DASH lists.
    Picture,
    /// The sound alone: what DASH lists where no rung is audio-only.
    Sound,
}

impl Parts {
    /// Behind the rung's name in the names of files.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Picture => ".v",
            Self::Sound => ".a",
        }
    }

    /// The picture is one of them.
    pub const fn has_picture(self) -> bool {
        matches!(self, Self::All | Self::Picture)
    }

    /// The sound is one of them.
    pub const fn has_sound(self) -> bool {
        matches!(self, Self::All | Self::Sound)
    }
}

/// The tracks of one rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RungTracks {
    /// The rung's name, e.g. `720p`: the suffix of its stream names.
    pub name: String,
    /// Its picture; `None` for an audio-only rung.
    pub video: Option<VideoTrack>,
    /// Index of its picture in [`CodedCell::video`]; `None` for an audio-only rung.
    pub video_index: Option<usize>,
    /// Its sound.
    pub audio: AudioTrack,
}
