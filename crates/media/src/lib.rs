//! The words of the media path: time, cells, pictures, coded samples, parameter sets.
//!
//! Storey 0: plain values without I/O, clock or threads. What does *not* belong here: anything that
//! decides (lattice, splice), anything that speaks a protocol or a container.
//!
//! **Where to start.** `cell.rs`: a [`CodedCell`] is what travels from a ladder to every viewer. `time.rs` says how time is
//! counted. Around them stand five small modules that every crate may use: [`clock`] (the two doors to time), [`feed`]
//! (frames from one to many, dropping), [`meter`] (counters and fault notes), [`retry`] (back-off), [`percent`] (decoding of URLs).
//!
//! # Example
//! A cell is one segment's slot on the wall-clock grid:
//! ```
//! use amphi_media::{CellIndex, Grid, MediaTime};
//!
//! let grid = Grid::new(4000);
//! assert_eq!(grid.cell_at(MediaTime::from_millis(9_500)), CellIndex(2));
//! assert_eq!(grid.start(CellIndex(2)), MediaTime::from_millis(8_000));
//! ```

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
pub use names::{ChannelName, EventId, RungName, SourceName};
pub use picture::{Picture, PictureSize, SampleAspect};
pub use segment::{Pieces, Segment};
pub use time::{CellIndex, Grid, MediaTime, Slot, Timescale, VIDEO_TIMESCALE};
