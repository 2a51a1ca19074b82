//! RTSP, all sans-IO. The server side: requests ([`Requests`]), a connection's session ([`Session`]),
//! descriptions ([`describe`]), RTP packets ([`Packetizer`], [`Packets`]), their pace ([`Pacer`]), sender reports
//! ([`Report`]), Digest. The simulated halls of the demo and the delivery of channels and recordings stand on it.
//!
//! [`client`] is the other side: how an encoder is pulled.
//!
//! What does not belong here: sockets.

pub mod client;
mod digest;
mod hex;
mod latm;
mod message;
mod pace;
mod packets;
mod rtcp;
mod rtp;
mod sdp;
mod session;
mod span;
mod transport;

pub use digest::Digest;
pub use latm::{Latm, LatmFault};
pub use message::{Incoming, IncomingRequest, MessageError, Requests, frame_head, interleaved};
pub use pace::{Due, LATE, Pacer};
pub use packets::{Coded, PAYLOAD_TYPE, Packet, Packets, PacketsBuilder, RungNumbers, Unit};
pub use rtcp::Report;
pub use rtp::{Packetizer, Sink};
pub use sdp::describe;
pub use session::{Event, Refusal, Session, Start, Target};
pub use span::{Npt, Span};
pub use transport::Transport;
