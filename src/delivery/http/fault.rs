//! How a viewer is told over HTTP that there is nothing.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::answer::Answer;
use crate::delivery::AnswerKind;
use crate::delivery::unserved::Unserved;
use amphi_http::{empty, problem};

/// What a viewer may show who showed nothing (RFC 9110 §11.6.1, RFC 6750 §3). Browsers ask nobody for it.
pub(super) const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// In the fault's own words.
pub(super) fn unserved(fault: Unserved) -> Answer {
    told(fault, &fault.to_string())
}

/// In these words.
pub(super) fn told(fault: Unserved, words: &str) -> Answer {
    if fault == Unserved::Segment {
        // Without content, as a real Wowza answers.
        return (AnswerKind::SegmentGone, empty(fault.http()));
    }
    let mut response = problem(fault.http(), words);
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
    }
    let Some(seconds) = fault.retry_after() else { return (AnswerKind::Refused, response) };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    (AnswerKind::NotReady, response)
}
