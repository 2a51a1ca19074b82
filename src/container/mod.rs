//! Media files: boxes, mp4 and its fragments, playlists and manifests.

pub mod clip;
pub mod dash;
pub mod fmp4;
pub mod hls;
pub mod isobmff;
pub mod mp4;
pub mod webvtt;
