//! Media files: boxes, mp4 and its fragments, playlists and manifests.

pub mod clip;
pub mod fmp4;
pub mod isobmff;
pub mod mp4;
pub mod webvtt;
