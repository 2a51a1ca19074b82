//! Which bytes a request asks for (RFC 9110 §14).
//!
//! One range is served. Several in one request are answered with the whole, which §14.2 allows and every
//! client accepts; so is a `Range` that is not understood, and one with an `If-Range`, because
//! most media has no validator that could match (§13.1.5). Where there is one, [`Validators`](super::Validators) compares it.

use std::ops::Range;

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};

/// What a `Range` field asks for, and the status of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    /// All bytes: 200.
    Whole,
    /// These bytes, at least one: 206 (RFC 9110 §15.3.7).
    Part(Range<usize>),
    /// Only bytes beyond the end: 416 (RFC 9110 §15.5.17).
    Unsatisfiable,
}

/// Which bytes a GET with these `headers` asks for, of content that is `len` bytes long.
pub fn requested_range(headers: &HeaderMap, len: usize) -> Requested {
    if headers.contains_key(IF_RANGE) {
        return Requested::Whole;
    }
    requested_part(headers, len)
}

/// The same without regard to `If-Range`, for content whose validators have been compared.
pub fn requested_part(headers: &HeaderMap, len: usize) -> Requested {
    let mut fields = headers.get_all(RANGE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Requested::Whole };
    field.to_str().ok().and_then(|field| parse(field, len)).unwrap_or(Requested::Whole)
}

/// Parses `bytes=FIRST-LAST` (RFC 9110 §14.1.2). `None` if the field is anything but one byte range.
fn parse(field: &str, len: usize) -> Option<Requested> {
    let (unit, range) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => len.saturating_sub(number(suffix)?)..len,
        (first, "") => number(first)?..len,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(len)
        }
    };
    Some(if range.start < range.end { Requested::Part(range) } else { Requested::Unsatisfiable })
}

/// Decimal digits. A number that does not fit becomes the largest one.
fn number(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn ask(field: &str, len: usize) -> Requested {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::try_from(field).expect("ASCII"))]);
        requested_range(&headers, len)
    }

    #[test]
    fn the_forms_of_a_range() {
        for (field, expected) in [
            ("bytes=0-0", Requested::Part(0..1)),
            ("bytes=10-19", Requested::Part(10..20)),
            ("bytes=10-", Requested::Part(10..100)),
            ("bytes=-7", Requested::Part(93..100)),
            ("bytes=-700", Requested::Part(0..100)),
            ("bytes=90-99999999999999999999999999", Requested::Part(90..100)),
            ("Bytes = 1-2", Requested::Part(1..3)),
            ("bytes=100-", Requested::Unsatisfiable),
            ("bytes=99999999999999999999999999-", Requested::Unsatisfiable),
            ("bytes=-0", Requested::Unsatisfiable),
            ("bytes=0-1,5-6", Requested::Whole),
            ("bytes=5-4", Requested::Whole),
            ("bytes=-", Requested::Whole),
            ("bytes=+1-2", Requested::Whole),
            ("seconds=1-2", Requested::Whole),
            ("nonsense", Requested::Whole),
        ] {
            assert_eq!(ask(field, 100), expected, "{field}");
        }
    }

    #[test]
    fn a_condition_without_a_validator_means_the_whole() {
        let headers = HeaderMap::from_iter([
            (RANGE, HeaderValue::from_static("bytes=0-1")),
            (IF_RANGE, HeaderValue::from_static("\"x\"")),
        ]);
        assert_eq!(requested_range(&headers, 100), Requested::Whole);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_lies_inside(field in "(bytes=)?[0-9,-]{0,12}", len in 0..200_usize) {
            if let Requested::Part(range) = ask(&field, len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }
    }
}
