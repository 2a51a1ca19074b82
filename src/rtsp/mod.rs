//! RTSP joints for the server side: requests, RTP packets, sender reports, session descriptions, Digest. All
//! sans-IO. The simulated encoders of the demo stand on it; playback of channels will.
//!
//! What does not belong here: sockets, pacing, and pulling from encoders (that is retina's work).

mod digest;
mod hex;
mod message;
mod rtp;
mod sdp;

pub use digest::Digest;
pub use message::{Incoming, MessageError, Requests, interleaved};
pub use rtp::{Packetizer, sender_report};
pub use sdp::{Described, describe};
