//! The index of an mp4 file: its tracks, where their samples are, and when they are shown (ISO/IEC 14496-12 §8).

mod chapters;
mod compact;
mod fragments;
mod movie;
mod sample_entry;
mod samples;
mod tables;

pub use chapters::ChapterTrack;
pub use movie::{Movie, Track, rescale};
pub use sample_entry::{Coding, Media};
pub use samples::{Budget, Extent, Sample, SampleInfo, SampleRange, Samples};
