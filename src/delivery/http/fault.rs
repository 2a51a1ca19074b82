//! How a viewer is told over HTTP that there is nothing.

use http::HeaderValue;
use http::header::RETRY_AFTER;

use super::answer::Answer;
use crate::delivery::AnswerKind;
use crate::delivery::unserved::Unserved;
use amphi_http::{empty, problem};

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
    let Some(seconds) = fault.retry_after() else { return (AnswerKind::Refused, response) };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    (AnswerKind::NotReady, response)
}
