//! RTSP without I/O. The server's side: requests ([`Requests`]), the session of a connection ([`RtspSession`]),
//! descriptions ([`describe`]), RTP packets ([`Packetizer`], [`Packets`]), their pace ([`Pacer`]), sender reports
//! ([`Report`]) and Digest. The simulated halls of the demo and the delivery of channels and recordings use it.
//!
//! [`client`] is the other side, which pulls an encoder.
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
pub use session::{Refusal, RequestTarget, RtspEvent, RtspSession, Start};
pub use span::{Npt, Span};
pub use transport::Transport;
