//! The client's side of RTSP (RFC 2326), sans-IO: how a hall's encoder is asked for its picture and sound.
//!
//! * [`Client`] holds the conversation on one connection, from DESCRIBE to TEARDOWN,
//! * [`SessionDescription`] is what of an encoder's SDP matters, [`ServerAddress`] where it is and where a redirect leads,
//! * [`Receiver`] makes one stream's packets orderly and counts them for receiver reports ([`receiver_report`]).
//!
//! What is not needed decides nothing: encoders differ in every line of their answers. Each file lists what it
//! tolerates. Every line, header, body, list and queue has a bound.
//!
//! What does not belong here: sockets and clocks, and what payloads mean.

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
