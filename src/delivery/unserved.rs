//! Why a recording is not served, and how each protocol says so: the one place that classifies a fault of a recording.

use std::net::IpAddr;

use http::StatusCode;
use tracing::{debug, warn};

use amphi_protocol::rtsp::Refusal;
use amphi_runtime::log;
use amphi_runtime::workshop::Refused;
use amphi_vod::VodFault;

/// What the viewer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    /// It is not there, or not any more.
    Missing,
    /// It may be there in so many seconds.
    Later(u16),
    /// The file is damaged, or the server has failed.
    Broken,
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
            | VodFault::Refused(Refused::Panicked) => {
                if log::may_say("recording", asker) {
                    warn!(path, %fault, "a recording cannot be served");
                }
                Self::Broken
            }
        }
    }

    /// Players try again after 503 (RFC 9110 §15.6.4).
    pub(super) const fn http(self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::NOT_FOUND,
            Self::Later(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) const fn rtsp(self) -> Refusal {
        match self {
            Self::Missing => Refusal::NotFound,
            Self::Later(_) => Refusal::NotReady,
            Self::Broken => Refusal::Media,
        }
    }

    /// The description of `NetStream.Play.StreamNotFound`, the only refusal that RTMP players understand.
    pub(super) const fn rtmp(self) -> &'static str {
        match self {
            Self::Missing | Self::Later(_) | Self::Broken => "there is no such recording",
        }
    }
}
