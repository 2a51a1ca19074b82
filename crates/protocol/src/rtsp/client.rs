//! The client's side of RTSP (RFC 2326), sans-IO: it pulls pictures and sound from a hall's encoder.
//!
//! * [`Client`] conducts the conversation on one connection, from DESCRIBE to TEARDOWN.
//! * [`SessionDescription`] is the part of an encoder's SDP that is needed; [`ServerAddress`] is its URL, and where a redirect leads.
//! * [`Receiver`] puts the packets of one stream in order and counts them for receiver reports ([`receiver_report`]).
//!
//! Encoders differ in every line of their responses, so nothing depends on a line that is not needed. Each file lists what it
//! tolerates. Every line, header, body, list and queue has a bound.
//!
//! What does not belong here: sockets, clocks, and the meaning of payloads.

mod auth;
mod control;
mod conversation;
mod keepalive;
mod message;
mod order;
mod place;
mod receive;
mod rtp;
mod sdp;
#[cfg(test)]
mod tests;
mod transport;

pub use auth::Credentials;
pub use control::report as receiver_report;
pub use conversation::{Client, Failure, Happening};
pub use message::Nonsense;
pub use place::{MOST_REDIRECTS, ServerAddress};
pub use receive::{Arrived, Received, Receiver};
pub use rtp::RtpPacket;
pub use sdp::{Media, SessionDescription};
pub use transport::{RequestedTransport, Route};
