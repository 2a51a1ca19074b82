//! Fragmented MP4: writes initialization sections and media segments (ISO/IEC 14496-12 §8.8), in the form of CMAF
//! (ISO/IEC 23000-19 §7.3).
//!
//! Stateless: tracks in, bytes out. One writer serves a rung's cells ([`init_section`], [`segment`]) and the samples of a
//! recording ([`layout`](mod@layout)). A cell's segment holds its tracks one after the other, as track fragments of one movie
//! fragment; a recording's holds them as they lie in its file.
//! [`segment_head`] is called for every cell of every channel: it allocates once, exactly the bytes needed, and never reads the
//! sample bytes.
//!
//! What does *not* belong here: playlists ([`hls`](super::hls), [`dash`](super::dash)), encryption.

mod fragment;
mod init;
pub mod layout;
mod placing;

pub use fragment::{FragmentSample, TrackFragment, TrackRun, fragment_head, segment, segment_head};
pub use init::{InitError, InitTrack, init_section, init_section_of};
pub use layout::SegmentLayout;

/// A part of the names of recorded segments, which caches keep for a year. Increase it with every change that turns the same
/// samples into other bytes.
pub const LAYOUT_VERSION: u32 = 5;

/// `track_ID` of the picture in live segments.
pub const VIDEO_TRACK_ID: u32 = 1;
/// `track_ID` of the sound in live segments.
pub const AUDIO_TRACK_ID: u32 = 2;

/// Sample flags (ISO/IEC 14496-12 §8.8.3.1) of a sync sample: `sample_depends_on` = 2 (on no other).
const SYNC_SAMPLE: u32 = 0x0200_0000;
/// Sample flags of any other sample: `sample_depends_on` = 1, `sample_is_non_sync_sample` = 1.
const OTHER_SAMPLE: u32 = 0x0101_0000;

#[cfg(test)]
mod ffmpeg_tests;
#[cfg(test)]
mod tests;
