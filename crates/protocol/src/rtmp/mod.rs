//! RTMP joints: what stands between sockets and the words of `media`. All sans-IO.
//!
//! * [`sniff`] tells RTMP from the other protocols of its port.
//! * [`Session`] is a connection to this server, of a publisher or a player; [`Publisher`] and
//!   [`Viewer`] are connections of ours to another server. All read through the [`Guard`], which bounds whatever a peer chooses.
//! * [`Unpacker`] makes frames of a publisher's messages.
//! * [`opening`], [`cell`], [`video`] and [`audio`] write messages once for all players of a rung;
//!   [`recorded_opening`] and its like those of a recording.
//!
//! What does not belong here: sockets, queues, time limits, who may do what.
//!
//! "RTMP 1.0" is Adobe's specification of 2012; FLV is "Video File Format Specification 10.1".

mod aggregate;
mod amf;
pub mod authmod;
mod client;
mod control;
mod flv;
mod guard;
mod handshake;
mod name;
mod session;
mod share;
mod sniff;
mod viewer;
mod wire;

pub use amf::AmfFault;
pub use client::{PublishError, Publisher, Target, TargetError};
pub use flv::{FlvError, Frame, Metadata, Unpacker};
pub use guard::{ChunkPosition, Guard, GuardError, LeftOut, Message};
pub use name::{AppName, NameError, Query, StreamName, shows_key};
pub use session::{Event, Session, SessionError};
pub use share::{
    Description, Shared, Timebase, TooLong, audio, cell, opening, recorded_opening, recorded_video, video,
};
pub use sniff::{SNIFF_MAX, Sniffed, sniff};
pub use viewer::{Seen, Viewer};

#[cfg(test)]
mod ffmpeg_tests;
