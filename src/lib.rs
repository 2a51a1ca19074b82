//! Amphi: from a lecture hall's RTSP feed to a student's browser.

pub mod admin;
pub mod channel;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod feed;
pub mod http;
pub mod ladder;
pub mod matrix;
pub mod media;
pub mod meter;
pub mod package;
pub mod rtsp;
pub mod server;
pub mod simulator;
pub mod source;
pub mod store;
