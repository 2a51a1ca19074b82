//! RTSP, RTP and RTMP as sans-IO cores.
//!
//! **What does not belong here:** sockets, tasks and clocks (`amphi-source` pulls, `delivery` serves), and what the names of
//! streams mean.
//!
//! **Where to start.** The client's side is in `rtsp/client` and `rtmp/client`, the server's in `rtsp/session.rs` and
//! `rtmp/session.rs`; `sniff.rs` tells their connections apart. Whatever a peer sends goes through `rtmp/guard.rs` or `rtsp/message.rs` first.
//!
//! # Example
//! The first bytes of a connection tell its protocol:
//! ```
//! use amphi_protocol::sniff::{Sniffed, sniff};
//!
//! assert!(matches!(sniff(b"OPTIONS rtsp://host/x RTSP/1.0\r\n"), Sniffed::Rtsp));
//! ```

pub mod rtmp;
pub mod rtsp;
pub mod sniff;
