//! Why a viewer gets nothing, and how each protocol says so: the one place that classifies a fault of a channel or a recording.

use std::borrow::Cow;
use std::net::IpAddr;

use http::StatusCode;
use tracing::{debug, warn};

use super::address::AddressError;
use super::door::AccessDenied;
use super::registry::Absent;
use amphi_access::Refusal as AccessRefusal;
use amphi_protocol::rtsp::Refusal;
use amphi_runtime::log;
use amphi_runtime::workshop::Refused;
use amphi_vod::VodFault;

/// What the viewer is told. What is not said to be ours is the viewer's fault, or an old link's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unserved {
    /// The path cannot be read.
    #[error(transparent)]
    Path(AddressError),
    /// The door did not let the viewer in.
    #[error(transparent)]
    Denied(AccessDenied),
    /// No such channel.
    #[error("there is no channel of that name")]
    Channel,
    /// No such stream in the channel.
    #[error("the channel has no stream of that name")]
    Stream,
    /// No such rung in the channel.
    #[error("the channel has no rung of that name")]
    Rung,
    /// No such initialization section, or one from before a change of settings.
    #[error("the channel has no initialization section of that name")]
    Init,
    /// A segment that is no more, or not yet.
    #[error("the segment is no more, or not yet")]
    Segment,
    /// Ours: the channel has not published its first cell.
    #[error("the channel is starting; its first segment is not there yet")]
    NotReady,
    /// A recording that is not there, or not any more.
    #[error("there is no such recording")]
    Missing,
    /// A recording that may be there in so many seconds.
    #[error("the recording cannot be served now")]
    Later(u16),
    /// A recording of which nothing can be played: the file is damaged, or of another kind.
    #[error("nothing of the recording can be played")]
    Unplayable,
    /// A version of a recording that this viewer began, and that was overwritten.
    #[error("the recording was overwritten; open it again")]
    Overwritten,
    /// A recording that cannot be served: its playlist or picture cannot be made, or the server has failed.
    #[error("the recording cannot be served")]
    Broken,
}

impl From<Absent> for Unserved {
    fn from(absent: Absent) -> Self {
        match absent {
            Absent::Unknown => Self::Channel,
            Absent::Starting => Self::NotReady,
        }
    }
}

impl Unserved {
    /// Classifies the fault of what is at `path`, and logs it.
    pub(super) fn new(path: &str, asker: Option<IpAddr>, fault: &VodFault) -> Self {
        match fault {
            VodFault::NotFound | VodFault::Gone => {
                debug!(path, %fault, "refused");
                Self::Missing
            }
            VodFault::Unfinished { .. } | VodFault::Slow | VodFault::Io { .. } => {
                if log::may_say("recording", asker) {
                    warn!(path, %fault, "a recording cannot be served now");
                }
                Self::Later(2)
            }
            // The workshop logs this once a second for all.
            VodFault::Refused(Refused::Busy) => {
                debug!(path, %fault, "refused");
                Self::Later(1)
            }
            VodFault::Index { .. }
            | VodFault::NotMp4 { .. }
            | VodFault::Smil { .. }
            | VodFault::Picture(_)
            | VodFault::Sound(_)
            | VodFault::Refused(Refused::Panicked) => {
                if log::may_say("recording", asker) {
                    warn!(path, %fault, "a recording cannot be served");
                }
                let is_of_media = matches!(fault, VodFault::Index { .. } | VodFault::NotMp4 { .. });
                if is_of_media { Self::Unplayable } else { Self::Broken }
            }
            // The mount logs this once for each file.
            VodFault::Overwritten { .. } => Self::Overwritten,
        }
    }

    /// Players give up on 404 for a playlist, but try again after 503 (RFC 9110 §15.6.4).
    pub(super) const fn http(self) -> StatusCode {
        match self {
            Self::Path(AddressError::Escape) => StatusCode::BAD_REQUEST,
            Self::Denied(AccessDenied::Told(_)) => StatusCode::FORBIDDEN,
            Self::Denied(AccessDenied::Play(refusal)) => match refusal.status() {
                400 => StatusCode::BAD_REQUEST,
                401 => StatusCode::UNAUTHORIZED,
                410 => StatusCode::GONE,
                503 => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::FORBIDDEN,
            },
            Self::Path(AddressError::Name | AddressError::Outside | AddressError::Form)
            | Self::Channel
            | Self::Stream
            | Self::Rung
            | Self::Init
            | Self::Segment
            | Self::Missing => StatusCode::NOT_FOUND,
            Self::NotReady | Self::Later(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unplayable => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Overwritten => StatusCode::GONE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// In how many seconds it may be there.
    pub(super) const fn retry_after(self) -> Option<u16> {
        match self {
            Self::NotReady
            | Self::Denied(AccessDenied::Play(AccessRefusal::Unavailable | AccessRefusal::Undecided)) => {
                Some(1)
            }
            Self::Later(seconds) => Some(seconds),
            _ => None,
        }
    }

    pub(super) const fn rtsp(self) -> Refusal {
        match self {
            Self::Denied(_) => Refusal::Forbidden,
            Self::Path(_)
            | Self::Channel
            | Self::Stream
            | Self::Rung
            | Self::Init
            | Self::Segment
            | Self::Overwritten
            | Self::Missing => Refusal::NotFound,
            Self::NotReady | Self::Later(_) => Refusal::NotReady,
            Self::Unplayable | Self::Broken => Refusal::Media,
        }
    }

    /// The description of `NetStream.Play.StreamNotFound`, the only refusal that RTMP players understand.
    pub(super) fn rtmp(self) -> Cow<'static, str> {
        match self {
            Self::Path(error) => error.to_string().into(),
            Self::Denied(denied) => denied.to_string().into(),
            Self::Channel => "there is no channel of that name".into(),
            Self::Stream | Self::Rung | Self::Init | Self::Segment => {
                "the channel has no stream of that name".into()
            }
            Self::NotReady => "the channel is starting".into(),
            Self::Unplayable => "nothing of the recording can be played".into(),
            Self::Overwritten => "the recording was overwritten; open it again".into(),
            Self::Missing => "there is no such recording".into(),
            // Nothing of the storage.
            Self::Later(_) => "the recording cannot be played yet; try again".into(),
            Self::Broken => "the recording cannot be played".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_tells_the_same_fault_from_the_others() {
        let denied = Unserved::Denied(AccessDenied::Told("not for you"));
        for (fault, http, rtsp, rtmp) in [
            (Absent::Unknown.into(), 404, Refusal::NotFound, "there is no channel of that name"),
            (Absent::Starting.into(), 503, Refusal::NotReady, "the channel is starting"),
            (Unserved::Stream, 404, Refusal::NotFound, "the channel has no stream of that name"),
            (denied, 403, Refusal::Forbidden, "not for you"),
            (Unserved::Missing, 404, Refusal::NotFound, "there is no such recording"),
            (Unserved::Later(2), 503, Refusal::NotReady, "the recording cannot be played yet; try again"),
            (Unserved::Unplayable, 415, Refusal::Media, "nothing of the recording can be played"),
            (Unserved::Overwritten, 410, Refusal::NotFound, "the recording was overwritten; open it again"),
            (Unserved::Broken, 500, Refusal::Media, "the recording cannot be played"),
        ] {
            assert_eq!(
                (fault.http().as_u16(), fault.rtsp(), &*fault.rtmp()),
                (http, rtsp, rtmp),
                "{fault:?}"
            );
            assert_eq!(fault.retry_after().is_some(), http == 503, "{fault:?}");
        }
    }
}
