//! Reads the index of an mp4 file: its tracks, where their samples are, and when they are shown (ISO/IEC 14496-12 §8).
//!
//! **Where to start.** `movie` has the contract. `track` reads a `trak`: `sample_entry` its coding, `tables` its samples, `edits`
//! when they are shown. `fragmented` appends the samples of fragments, `text_track` and `chapters` read text, `held` puts a picture
//! beside all sound, `silent` silence beside all pictures. What is not played becomes a [`LeftOut`].

mod chapters;
mod compact;
mod descriptions;
mod durations;
mod edits;
mod fragmented;
mod fragments;
mod held;
mod label;
mod left_out;
mod movie;
mod sample_entry;
mod samples;
mod silent;
mod tables;
mod text_samples;
#[cfg(test)]
mod text_tests;
mod text_track;
mod ticks;
mod track;

pub use chapters::chapters_of;
pub use fragments::{FragmentSink, FragmentStart, TrackExtends, read_fragment};
pub use label::TrackLabel;
pub use left_out::{LeftOut, TrackKind};
pub use movie::Movie;
pub use sample_entry::{Coding, DolbySound, TrackMedia, aac_entry};
pub use samples::{Extent, Sample, SampleBudget, SampleInfo, SampleRange, SampleRun, SampleTable};
pub use silent::SilentFrame;
pub use text_track::{TextCoding, TextTrack};
pub use ticks::{UNNOTICED_MS, rescale};
pub use track::{MovieTrack, TrackHeader};

/// The fault of a box that names a sample beyond the end of its file: the file is still being copied, or was cut.
pub const UNFINISHED: &str = "a sample lies beyond the end of the file: it is not finished";

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod odd_tests;
