//! The ladder: a source's pictures and sound, decoded once, coded once per rung, in whole cells.
//!
//! * [`lattice`] and [`assembler`] are cores: they decide which picture stands in which slot and when a cell
//!   is whole, with time as an argument.
//! * [`colour`] converts a source's colours to the ladder's, `diagnosis` says why no picture comes out.
//! * `decoding` chooses between [`rusty`] and OpenH264.
//! * [`openh264`], [`scale`], [`scene`] and [`audio`] are the tools: codec wrappers, letterbox, slide changes,
//!   the sound lattice.
//! * `pressure` says how many pictures a rung leaves out when the machine cannot follow; `vitals` looks and listens
//!   for black, still and silent sources.
//! * `batches` and `sound` give out a cell's samples while it is being filled; `repeats` finishes a cell whose encoder is
//!   gone.
//! * [`LiveLadder`] is the shell: one decoding thread, one thread per picture rung.
//! * [`card_text`] puts words on the waiting video's pictures.
//! * [`WaitingLoop`] is the same encoders run once over the waiting video.
//!
//! What does not belong here: which source is on which channel, and what becomes of a cell.
//!
//! **Where to start.** `live.rs` is the shell that joins everything; [`lattice`] is what makes a camera's pictures fit into
//! cells; `rung.rs` codes one rung.
//!
//! # Example
//! A picture that comes off its slot is shown in the nearest one:
//! ```
//! use std::time::Duration;
//!
//! use amphi_ladder::lattice::Lattice;
//! use amphi_media::{Grid, MediaTime, Slot};
//!
//! let mut lattice = Lattice::new(Grid::new(4000), 25, Duration::from_millis(200));
//! let at = MediaTime::from_millis(8_003);
//! lattice.push(at, "a picture", at);
//! let filled = lattice.poll(at).expect("its slot has come");
//! assert!(filled.begins_cell && filled.slot == Slot(200));
//! ```

pub mod assembler;
pub mod audio;
mod batches;
pub mod card_text;
pub mod colour;
mod damage;
mod decoding;
mod diagnosis;
mod inspector;
mod latest_picture;
pub mod lattice;
#[cfg(test)]
mod lecture;
mod live;
mod meter;
mod motion;
pub mod openh264;
#[cfg(test)]
mod overload_tests;
mod pictures;
mod pressure;
mod repeats;
mod rung;
pub mod rusty;
pub mod scale;
pub mod scene;
mod sound;
mod spec;
mod speech;
mod vitals;
mod waiting;

pub use decoding::DecoderChoice;
pub use inspector::Inspector;
pub use latest_picture::LatestPicture;
pub use live::{LadderNews, LiveLadder};
pub use meter::{LadderMeter, RungMeter};
pub use spec::{LadderSpec, PictureRung};
pub use waiting::WaitingLoop;

/// Why a ladder cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum LadderError {
    /// OpenH264 refuses the settings of a rung, or fails.
    #[error("picture coding: {0}")]
    Codec(#[from] openh264::CodecError),
    /// A picture of the waiting video cannot be coded.
    #[error("picture coding: {0}")]
    Picture(#[from] rung::RungError),
    /// FDK AAC cannot code the ladder's sound.
    #[error("sound coding: {0}")]
    Audio(#[from] audio::AudioError),
    /// The waiting video has no picture that can be shown.
    #[error("the waiting video has no H.264 picture that can be decoded")]
    NoPicture,
    /// Live and waiting cells of a rung could not follow each other in one stream.
    #[error("rung {rung}: the live encoder's parameter sets differ from the waiting loop's")]
    ParameterSets {
        /// The rung's name in the configuration.
        rung: String,
    },
    /// The operating system gives no thread.
    #[error("the ladder's thread cannot be started: {0}")]
    Thread(std::io::Error),
}
