//! RTMP without I/O: from bytes of sockets to the types of `media`, and back.
//!
//! * [`RtmpSession`] is a connection from a publisher or player to this server; [`Publisher`] and [`Viewer`] are connections from
//!   here to another server. All of them read through the [`Guard`], which bounds everything that a peer chooses.
//! * [`Unpacker`] turns a publisher's messages into frames.
//! * [`opening`], [`cell`], [`video`] and [`audio`] write messages once for all players of a rung;
//!   [`recorded_opening`] and [`recorded_video`] write those of a recording.
//!
//! What does not belong here: sockets, queues, time limits, access rules.
//!
//! "RTMP 1.0" is Adobe's specification of 2012; "FLV" is Adobe's "Video File Format Specification 10.1".

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
mod viewer;
mod wire;

pub use amf::{AmfError, AmfFault};
pub use client::{Publisher, ServerFault, Target, TargetError};
pub use flv::{FlvError, Frame, Metadata, Unpacker};
pub use guard::{ChunkPosition, Guard, GuardError, Message, SkippedMessages};
pub use name::{AppName, NameError, Query, StreamName, shows_key};
pub use session::{RtmpEvent, RtmpSession, SessionError};
pub use share::{
    RecordingDescription, Shared, Timebase, TooLong, audio, cell, opening, recorded_opening, recorded_video,
    video,
};
pub use viewer::{Viewer, ViewerEvent};

#[cfg(test)]
mod ffmpeg_tests;
