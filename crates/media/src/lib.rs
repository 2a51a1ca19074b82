//! The basic types of the media path: time, cells, pictures, coded samples, parameter sets.
//!
//! Storey 0. Plain values without I/O; only [`clock`] asks the machine for the time. What does *not* belong here: whatever
//! decides (lattice, splicer), and whatever speaks a protocol or a container format.
//!
//! **Where to start.** `cell.rs`: a [`CodedCell`] is what travels from a ladder to every viewer. `time.rs` says how time is
//! counted. Seven small modules serve every crate: [`auth_params`] (fields of
//! challenges and credentials), [`charset`] (text in any encoding), [`clock`] (media time and the wall clock), [`feed`] (frames from one source
//! to many readers), [`meter`] (counters and fault notes), [`retry`] (back-off), [`percent`] (percent-decoding of URLs).
//!
//! # Example
//! A cell is one segment's place on the wall clock:
//! ```
//! use amphi_media::{CellIndex, Grid, MediaTime};
//!
//! let grid = Grid::new(4000);
//! assert_eq!(grid.cell_at(MediaTime::from_millis(9_500)), CellIndex(2));
//! assert_eq!(grid.start(CellIndex(2)), MediaTime::from_millis(8_000));
//! ```

mod aac;
pub mod auth_params;
mod bits;
mod cell;
pub mod charset;
pub mod clock;
pub mod feed;
mod frame;
pub mod h264;
mod lock;
pub mod meter;
mod mp3;
mod names;
mod packets;
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
pub use names::{ChannelName, EventId, NAME_BYTES_MAX, RungName, SourceName};
pub use packets::{PacketCoding, PacketSound, PcmLayout};
pub use picture::{Picture, PictureSize, SampleAspect};
pub use segment::{Pieces, Segment};
pub use time::{CellIndex, Grid, MediaTime, Slot, Timescale, VIDEO_TIMESCALE};
