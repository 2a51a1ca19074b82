//! The one access check that every player and publisher passes, whatever the protocol.
//!
//! Contract: a protocol asks its [`Door`] once for every request or session, with an [`AccessRequest`], before
//! anything is opened, waited for or sent. The door gets what the [`Address`] was found to name, as one [`Resolved`] value for
//! all its spellings, and that value is played. A refused caller gets the reason in [`AccessDenied`] and nothing else. A caller
//! that is let in may still find that what it asked for is not there.
//!
//! A door that has to ask somebody else first answers [`Refusal::Undecided`]; then wait for [`Door::settle`], and ask again.
//! What a player is let in by is carried on as [`Admission`] says. How many connections there may be, in all and
//! from one address, is decided before the first byte is read: [`Places`](amphi_http::Places).
//!
//! What does *not* belong here: what there is to play (`registry`), how a protocol words a refusal.

mod held;

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use amphi_access::{Admission, Refusal, VisitStep};
use amphi_vod::RecordingStream;
use futures_util::future::BoxFuture;
use http::HeaderMap;

use super::address::Address;
pub(super) use held::{HeldRight, lapsed};

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

/// Which rungs of a channel. Whoever may have all may have each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection<'a> {
    /// All: a player chooses, or is given the best one where its protocol carries one.
    All,
    /// The one of that name, or a part of it.
    Rung(&'a str),
}

impl<'a> Selection<'a> {
    /// The rung's name; `None` for all.
    pub const fn rung(self) -> Option<&'a str> {
        match self {
            Self::All => None,
            Self::Rung(name) => Some(name),
        }
    }
}

/// What an address was found to name: one value for all spellings of a thing, in every protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved<'a> {
    /// A channel, whatever its stream was called.
    Channel {
        /// Its name.
        channel: &'a str,
        /// Which rungs of it; one that the channel does not have where it is still being started.
        rungs: Selection<'a>,
    },
    /// A file beneath a mount, whether or not there is one.
    Recording {
        /// The mount's name.
        mount: &'a str,
        /// The file.
        stream: &'a RecordingStream,
    },
    /// The list of what is beneath the mount of that name.
    Index(&'a str),
    /// Nothing: there is no such channel, stream, rung or mount.
    Nothing(&'a Address<'a>),
}

impl<'a> Resolved<'a> {
    /// Its name for rules and keys ([`amphi_access::Subject`]); `None` of nothing.
    pub fn subject(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Channel { channel: name, .. } | Self::Index(name) => Some(Cow::Borrowed(name)),
            Self::Recording { mount, stream } => Some(format!("{mount}/{}", stream.path()).into()),
            Self::Nothing(_) => None,
        }
    }
}

impl fmt::Display for Resolved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel { channel, rungs: Selection::All } => write!(f, "{channel}"),
            Self::Channel { channel, rungs: Selection::Rung(rung) } => write!(f, "{channel} ({rung})"),
            Self::Recording { mount, stream: RecordingStream::File(path) } => write!(f, "{mount}/mp4:{path}"),
            Self::Recording { mount, stream: RecordingStream::Smil(path) } => {
                write!(f, "{mount}/smil:{path}")
            }
            Self::Index(mount) => write!(f, "{mount}"),
            Self::Nothing(address) => write!(f, "{address}"),
        }
    }
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessAction<'a> {
    /// To play this.
    Play(Resolved<'a>),
    /// To publish to a source.
    Publish {
        /// The application that publishers use.
        app: &'a str,
        /// The source's name.
        source: &'a str,
    },
}

/// The fields of a request's header.
pub trait RequestFields: Sync {
    /// The values of the fields of this name, in their order; empty where one is no text.
    fn values<'a>(&'a self, name: &str) -> Vec<&'a str>;
}

impl RequestFields for HeaderMap {
    fn values<'a>(&'a self, name: &str) -> Vec<&'a str> {
        self.get_all(name).iter().map(|value| str::from_utf8(value.as_bytes()).unwrap_or_default()).collect()
    }
}

impl RequestFields for amphi_http::Asked<'_> {
    fn values<'a>(&'a self, name: &str) -> Vec<&'a str> {
        amphi_http::Asked::values(self, name).collect()
    }
}

/// A protocol without such fields.
impl RequestFields for () {
    fn values<'a>(&'a self, _: &str) -> Vec<&'a str> {
        Vec::new()
    }
}

/// What the door is asked. `Debug` does not show what may hold a key.
#[derive(Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The protocol that the caller speaks.
    pub protocol: Protocol,
    /// What the caller wants.
    pub wish: AccessAction<'a>,
    /// The caller's address and port; `None` only in tests.
    pub peer: Option<SocketAddr>,
    /// Whether it came inside TLS.
    pub is_secure: bool,
    /// The path of the URL as the caller wrote it, with its leading slash.
    pub path: &'a str,
    /// The query of the URL as the caller wrote it, without `?`.
    pub query: &'a str,
    /// The fields of the request.
    pub fields: &'a dyn RequestFields,
    /// How far the caller is.
    pub step: VisitStep,
    /// What a grant would be made for: the application, and the recording as it stands behind a grant. Empty for publishers.
    pub scope: &'a str,
    /// The grant in the path.
    pub grant: Option<&'a str>,
}

impl fmt::Debug for AccessRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, wish, peer, step, .. } = self;
        match wish {
            AccessAction::Play(what) => write!(f, "{protocol:?} Play {what} by {peer:?} ({step:?})"),
            AccessAction::Publish { app, source } => {
                write!(f, "{protocol:?} Publish {app}/{source} by {peer:?}")
            }
        }
    }
}

/// Why a caller is refused. The caller is told, so it says nothing that the caller does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessDenied {
    /// In these words.
    #[error("{0}")]
    Told(&'static str),
    /// A player, who is not told why.
    #[error("{}", words(*.0))]
    Play(Refusal),
}

/// What a player is told who is not let in: nothing by which keys could be found out.
const fn words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Missing => "this is not open to everybody; open it from the page that it belongs to",
        Refusal::Expired | Refusal::NotYet => {
            "the link has expired; open it anew from the page that it belongs to"
        }
        Refusal::Unavailable | Refusal::Undecided => {
            "it cannot be said now whether you may have this; try again"
        }
        _ => "you may not have this",
    }
}

/// Decides whether a caller may play or publish.
pub trait Door: Send + Sync + fmt::Debug {
    /// Lets `caller` in, or says why not.
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<Admission, AccessDenied>;

    /// Asks those who decide about `caller`, after [`Refusal::Undecided`]. Then the door can be asked again.
    fn settle(&self, _caller: &AccessRequest<'_>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    /// The challenge that `user` has to answer before it may publish with a user name and a password, as a description of
    /// [`authmod`](amphi_protocol::rtmp::authmod); `None` if publishing that way is not possible.
    fn challenge(&self, _user: &str) -> Option<String> {
        None
    }
}

/// Asks the door, and if it has to ask others, waits for these.
pub(super) async fn ask_settled(
    door: &dyn Door,
    caller: &AccessRequest<'_>,
) -> Result<Admission, AccessDenied> {
    match door.ask(caller) {
        Err(AccessDenied::Play(Refusal::Undecided)) => {
            door.settle(caller).await;
            door.ask(caller)
        }
        answer => answer,
    }
}

/// A door that lets every player in and no publisher.
#[derive(Clone, Copy, Debug)]
pub struct OpenDoor;

impl Door for OpenDoor {
    fn ask(&self, caller: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        match caller.wish {
            AccessAction::Play(_) => Ok(Admission::Open),
            AccessAction::Publish { .. } => Err(AccessDenied::Told("nobody publishes here")),
        }
    }
}

#[cfg(test)]
mod tests;
