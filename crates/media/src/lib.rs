//! The words of the media path: time, cells, pictures, coded samples, parameter sets.
//!
//! Storey 0: plain values without I/O, clock or threads. What does *not* belong here: anything that
//! decides (lattice, splice), anything that speaks a protocol or a container.

mod aac;
mod bits;
mod cell;
pub mod clock;
pub mod feed;
mod frame;
pub mod h264;
mod lock;
pub mod meter;
mod mp3;
mod names;
pub mod percent;
mod picture;
pub mod retry;
mod segment;
mod time;

pub use aac::{AAC_FRAME_SAMPLES, AudioFormat, AudioSpecificConfig, AudioSpecificConfigError};
pub use bits::{Bits, Short};
pub use cell::{
    AudioTrack, CellBatch, CodedCell, Parts, RungTracks, Runs, SampleEntry, TrackCell, VideoTrack,
};
pub use frame::{G711Law, SourceFrame, Track, TrackFormat};
pub use h264::{ParameterSets, VideoDescription};
pub use lock::Lock;
pub use mp3::Mp3Header;
pub use names::{ChannelName, SourceName};
pub use picture::{Picture, PictureSize, SampleAspect};
pub use segment::{Pieces, Segment};
pub use time::{CellIndex, Grid, MediaTime, Slot, Timescale, VIDEO_TIMESCALE};
