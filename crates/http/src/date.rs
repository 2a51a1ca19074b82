//! The `Date` field (RFC 9110 §6.6.1), formatted once a second by each thread.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::header::DATE;
use http::{HeaderValue, Response};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

thread_local! {
    static LAST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// Appends `now`, counted from the epoch, as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn append_at(now: Duration, head: &mut Vec<u8>) {
    let second = now.as_secs();
    LAST.with_borrow_mut(|(of, text)| {
        if *of != second || text.is_empty() {
            let moment = Timestamp::from_second(second as i64).unwrap_or_default();
            *text = DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap_or_default();
            *of = second;
        }
        head.extend_from_slice(text.as_bytes());
    });
}

/// Appends the present time.
pub(super) fn append(head: &mut Vec<u8>) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    append_at(now, head);
}

/// Adds `Date` to an answer without one. hyper's own dates stand still after the clock was stepped back, until it catches up.
pub(super) fn dated<B>(mut response: Response<B>) -> Response<B> {
    if !response.headers().contains_key(DATE) {
        let mut text = Vec::new();
        append(&mut text);
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
            response.headers_mut().insert(DATE, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_has_its_date() {
        for (second, expected) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            let mut head = Vec::new();
            append_at(Duration::from_secs(second), &mut head);
            assert_eq!(head, expected.as_bytes());
        }
    }
}
