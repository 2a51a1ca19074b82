//! The one door that everybody passes who plays or publishes, whatever the protocol.
//!
//! Contract: a protocol asks its [`Door`] once for every request or session, with what it knows of the [`AccessRequest`], before
//! anything is opened or sent; what is played is the [`Address`] that is looked up afterwards, whatever its spelling was. A
//! refused caller gets the [`AccessDenied`]'s reason and nothing else. Whoever is let in may still find that what was asked for
//! is not there.
//!
//! Today a door checks the keys of publishers and lets every player in. How many connections there may be, in all and
//! from one address, is decided before anybody speaks: [`Places`](amphi_http::Places).
//!
//! What does *not* belong here: what there is to play (`registry`), how a refusal is said in a protocol.

use std::fmt;
use std::net::SocketAddr;

use super::address::Address;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HLS, DASH, files.
    Http,
    /// RTMP.
    Rtmp,
    /// RTSP.
    Rtsp,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessAction<'a> {
    /// To see or hear what has this address: the same value for each of its spellings, in every protocol.
    Play(&'a Address<'a>),
    /// To be a source.
    Publish {
        /// The application that publishers use.
        app: &'a str,
        /// The source's name.
        source: &'a str,
    },
}

/// Somebody at the door. `Debug` does not show the query: it may hold a key.
#[derive(Clone, Copy)]
pub struct AccessRequest<'a> {
    /// What is spoken.
    pub protocol: Protocol,
    /// What is wanted.
    pub wish: AccessAction<'a>,
    /// From where; `None` where nobody knows, in tests.
    pub peer: Option<SocketAddr>,
    /// Parameters as the caller wrote them, without `?`.
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

/// Why somebody is not let in: said to the caller, and without anything that the caller does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessDenied(pub &'static str);

/// Decides who may do what.
pub trait Door: Send + Sync + fmt::Debug {
    /// Lets `caller` in, or says why not.
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<(), AccessDenied>;

    /// What `user` has to answer before it may publish with a user name and a password, in the words of
    /// [`authmod`](amphi_protocol::rtmp::authmod); `None` where nobody can.
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
