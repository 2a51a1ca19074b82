//! Why a viewer of a channel gets nothing, and the status that says so.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::answer::Answer;
use crate::delivery::AnswerKind;
use crate::delivery::address::AddressError;
use crate::delivery::door::AccessDenied;
use amphi_http::{empty, problem};

/// A fault of the viewer, or of an old link. [`HttpFault::NotReady`] is the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HttpFault {
    #[error(transparent)]
    Path(AddressError),
    #[error(transparent)]
    Refused(AccessDenied),
    #[error("there is no channel of that name")]
    Channel,
    #[error("the channel has no stream of that name")]
    Stream,
    #[error("the channel has no rung of that name")]
    Rung,
    /// No such initialization section, or one from before a change of settings.
    #[error("the channel has no initialization section of that name")]
    Init,
    #[error("the segment is not kept any more, or not there yet")]
    Segment,
    #[error("the channel is starting; its first segment is not there yet")]
    NotReady,
}

impl HttpFault {
    /// The one place that turns a fault into a status.
    pub(super) fn answer(self) -> Answer {
        match self {
            // Without content, as Wowza answers.
            Self::Segment => (AnswerKind::SegmentGone, empty(StatusCode::NOT_FOUND)),
            // Players give up on 404 for a playlist, but try again after 503 (RFC 9110 §15.6.4).
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
