//! RTSP, RTP and RTMP as cores without I/O.
//!
//! **What does not belong here:** sockets, tasks and clocks (`amphi-source` pulls, `delivery` serves), and names of
//! channels.
//!
//! **Where to start.** A client's side is in `rtsp/client` and `rtmp/client`, a server's in `rtsp/session.rs` and
//! `rtmp/session`. What strangers send goes through `rtmp/guard.rs` and `rtsp/message.rs` first.
//!
//! # Example
//! The first bytes of a connection tell what it speaks:
//! ```
//! use amphi_protocol::rtmp::{Sniffed, sniff};
//!
//! assert!(matches!(sniff(b"OPTIONS rtsp://host/x RTSP/1.0\r\n"), Sniffed::Rtsp));
//! ```

pub mod rtmp;
pub mod rtsp;
