//! The whole server from outside: one binary, modules by noun. Tests that need outside programs are ignored here and
//! run by `tests/run`.

#![expect(unreachable_pub, reason = "a test binary exports nothing, so pub is as good as pub(crate)")]
#![expect(clippy::expect_used, reason = "a test says what it expects")]

mod access;
mod admin;
mod air_log;
mod browser;
mod cache;
mod chaos;
mod clock;
mod commands;
mod console;
mod costly;
mod dash;
mod day;
mod demo;
mod faults;
mod files;
mod gstreamer;
mod http;
mod judge;
mod log;
mod material;
mod metrics;
mod odd_recordings;
mod outage;
mod peers;
mod people;
mod prefix;
mod push;
mod quality;
mod reload;
mod rfc8216;
mod rtmp;
mod rtsp;
mod server;
mod soak;
mod sources;
mod spoiled;
mod stream;
mod tasks;
mod tls;
mod vod;
mod wowza;
