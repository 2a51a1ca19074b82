//! The one access check that every player and publisher passes, whatever the protocol.
//!
//! Contract: a protocol asks its [`Door`] once for every request or session, with an [`AccessRequest`], before
//! anything is opened or sent. The [`Address`] that it asks about is the one that is looked up afterwards, whatever its
//! spelling was. A refused caller gets the reason in [`AccessDenied`] and nothing else. A caller that is let in may still find
//! that what it asked for is not there.
//!
//! Today a door checks the keys of publishers and lets every player in. How many connections there may be, in all and
//! from one address, is decided before the first byte is read: [`Places`](amphi_http::Places).
//!
//! What does *not* belong here: what there is to play (`registry`), how a protocol words a refusal.

use std::fmt;
use std::net::SocketAddr;

use super::address::Address;

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HLS, DASH, files; asked once for each request.
    Http,
    /// Asked once for each play or publish command.
    Rtmp,
    /// Asked for DESCRIBE, and for SETUP of another presentation.
    Rtsp,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessAction<'a> {
    /// To play what has this address: the same value for each of its spellings, in every protocol.
    Play(&'a Address<'a>),
    /// To publish to a source.
    Publish {
        /// The application that publishers use.
        app: &'a str,
        /// The source's name.
        source: &'a str,
    },
}

/// What the door is asked. `Debug` does not show the query: it may hold a key.
#[derive(Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The protocol that the caller speaks.
    pub protocol: Protocol,
    /// What the caller wants.
    pub wish: AccessAction<'a>,
    /// The caller's address and port; `None` only in tests.
    pub peer: Option<SocketAddr>,
    /// The query of the URL as the caller wrote it, without `?`.
    pub query: &'a str,
}

impl fmt::Debug for AccessRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, wish, peer, query: _ } = self;
        match wish {
            AccessAction::Play(address) => write!(f, "{protocol:?} Play {address} by {peer:?}"),
            AccessAction::Publish { app, source } => {
                write!(f, "{protocol:?} Publish {app}/{source} by {peer:?}")
            }
        }
    }
}

/// Why a caller is refused. The caller is told, so it says nothing that the caller does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessDenied(pub &'static str);

/// Decides whether a caller may play or publish.
pub trait Door: Send + Sync + fmt::Debug {
    /// Lets `caller` in, or says why not.
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<(), AccessDenied>;

    /// The challenge that `user` has to answer before it may publish with a user name and a password, as a description of
    /// [`authmod`](amphi_protocol::rtmp::authmod); `None` if publishing that way is not possible.
    fn challenge(&self, _user: &str) -> Option<String> {
        None
    }
}

/// A door that lets every player in and no publisher.
#[derive(Clone, Copy, Debug)]
pub struct OpenDoor;

impl Door for OpenDoor {
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<(), AccessDenied> {
        match caller.wish {
            AccessAction::Play(_) => Ok(()),
            AccessAction::Publish { .. } => Err(AccessDenied("nobody publishes here")),
        }
    }
}
