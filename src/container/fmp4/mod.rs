//! Fragmented MP4: initialization sections and media segments from coded cells (ISO/IEC 14496-12 §8.8), in
//! the shape that CMAF gives them (ISO/IEC 23000-19 §7.3).
//!
//! Sans-IO and stateless: tracks in, bytes out. A rung's segment carries its picture (track 1, 90 kHz) and
//! its sound (track 2, the sample rate as timescale) as two track fragments of one movie fragment.
//! An [`init_section`] is written once per rung by `mp4-atom`; a [`segment_head`] is written for every cell
//! of every channel, by hand, into one allocation of exactly its size, and without a look at the samples.
//!
//! What does *not* belong here: playlists and windows (`store`), encryption, edit lists, B pictures (the
//! ladder makes none, so composition offsets are not written).

mod fragment;
mod init;
pub mod layout;

pub use fragment::{segment, segment_head};
pub use init::{InitError, init_section};

/// `track_ID` of the picture.
pub const VIDEO_TRACK_ID: u32 = 1;
/// `track_ID` of the sound.
pub const AUDIO_TRACK_ID: u32 = 2;

/// Sample flags (ISO/IEC 14496-12 §8.8.3.1) of a sync sample: `sample_depends_on` = 2 (on none).
const SYNC_SAMPLE: u32 = 0x0200_0000;
/// Sample flags of any other: `sample_depends_on` = 1, `sample_is_non_sync_sample` = 1.
const OTHER_SAMPLE: u32 = 0x0101_0000;

#[cfg(test)]
mod ffmpeg_tests;
#[cfg(test)]
mod tests;
