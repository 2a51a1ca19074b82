//! CMAF: initialization sections and media segments (ISO/IEC 23000-19, ISO/IEC 14496-12), without I/O.
//!
//! A variant's segment carries picture and sound of its rung together: one `moof` with two `traf` boxes and one
//! `mdat`. Sample bytes are never copied: a [`Segment`] is a head of its own and the cells' shared bytes.
//! What does not belong here: playlists, and where segments are kept.

mod head;
mod init;

use crate::media::{CellIndex, Segment, TrackCell};

pub use init::{PackageError, init_section};

/// Track numbers: picture first, as players expect it.
const VIDEO_TRACK: u32 = 1;
/// The sound track's number.
const AUDIO_TRACK: u32 = 2;

/// Wraps cell `k` of one rung. The sample bytes are shared, not copied.
pub fn segment(k: CellIndex, video: Option<&TrackCell>, audio: Option<&TrackCell>) -> Segment {
    let samples = |track: Option<&TrackCell>| track.map(|track| track.data.clone()).unwrap_or_default();
    Segment::new(head::head(k, video, audio), samples(video), samples(audio))
}
