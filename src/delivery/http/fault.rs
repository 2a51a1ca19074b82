//! Why a viewer gets nothing, and how that is said.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::answer::Answer;
use crate::delivery::AnswerKind;
use crate::delivery::address::AddressError;
use crate::delivery::door::AccessDenied;
use amphi_http::{empty, problem};

/// The viewer's fault, or an old link's; [`Fault::NotReady`] is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HttpFault {
    /// The path cannot be read.
    #[error(transparent)]
    Path(AddressError),
    /// The door did not let the viewer in.
    #[error(transparent)]
    Refused(AccessDenied),
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
    /// The channel has not published its first cell.
    #[error("the channel is starting; its first segment is not there yet")]
    NotReady,
}

impl HttpFault {
    /// The one place that turns a fault into a status.
    pub(super) fn answer(self) -> Answer {
        match self {
            // Without content, as a real Wowza answers.
            Self::Segment => (AnswerKind::SegmentGone, empty(StatusCode::NOT_FOUND)),
            // Players give up on 404 for a playlist, but come again after 503.
            Self::NotReady => {
                let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, &self.to_string());
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(1));
                (AnswerKind::NotReady, response)
            }
            Self::Refused(_) => (AnswerKind::Refused, problem(StatusCode::FORBIDDEN, &self.to_string())),
            Self::Path(AddressError::Escape) => {
                (AnswerKind::Refused, problem(StatusCode::BAD_REQUEST, &self.to_string()))
            }
            Self::Path(AddressError::Name | AddressError::Outside | AddressError::Form)
            | Self::Channel
            | Self::Stream
            | Self::Rung
            | Self::Init => (AnswerKind::Refused, problem(StatusCode::NOT_FOUND, &self.to_string())),
        }
    }
}
