//! What a request's conditions say of content with validators (RFC 9110 §13). Sans-IO.
//!
//! A date is a validator for `If-Range` only if the content was not changed within a second before it was sent (§8.8.2.2):
//! otherwise it might have been changed again within that second.

use std::time::{Duration, SystemTime};

use http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use jiff::tz::TimeZone;

use super::ETag;

/// The validators of some content.
#[derive(Clone, Debug)]
pub struct Validators {
    /// A strong one.
    pub etag: ETag,
    /// When the content was last changed, in whole seconds since the epoch.
    modified_s: i64,
}

/// What is to be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditions {
    /// It is answered.
    Hold,
    /// The client has the content already: 304 (§15.4.5).
    NotModified,
    /// The client wants another version: 412 (§15.5.13).
    Failed,
}

impl Validators {
    /// Those of content that was last changed at `modified`.
    pub fn new(etag: ETag, modified: SystemTime) -> Self {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { etag, modified_s: i64::try_from(since.as_secs()).unwrap_or(0) }
    }

    /// The value of `Last-Modified` (§8.8.2): not later than `now`.
    pub fn last_modified(&self, now: SystemTime) -> Option<(HeaderName, HeaderValue)> {
        let second = self.modified_s.min(seconds(now));
        let moment = Timestamp::from_second(second).ok()?;
        let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).ok()?;
        Some((LAST_MODIFIED, HeaderValue::try_from(text).ok()?))
    }

    /// What the conditions of a request say, in the order of §13.2.2.
    pub fn evaluate(&self, method: &Method, headers: &HeaderMap) -> Conditions {
        let is_read = [Method::GET, Method::HEAD].contains(method);
        let is_old = |name| date(headers, name).is_some_and(|since| self.modified_s > since);
        if headers.contains_key(IF_MATCH) {
            let mut fields = headers.get_all(IF_MATCH).iter();
            if !fields.any(|field| self.is_listed(field.as_bytes())) {
                return Conditions::Failed;
            }
        } else if is_old(IF_UNMODIFIED_SINCE) {
            return Conditions::Failed;
        }
        let is_known = if headers.contains_key(IF_NONE_MATCH) {
            self.etag.is_known_to(headers)
        } else {
            is_read && date(headers, IF_MODIFIED_SINCE).is_some_and(|since| self.modified_s <= since)
        };
        match (is_known, is_read) {
            (false, _) => Conditions::Hold,
            (true, true) => Conditions::NotModified,
            (true, false) => Conditions::Failed,
        }
    }

    /// Whether `Range` counts: `If-Range` is missing, or is a validator of this content (§13.1.5). `now` is the time of the
    /// answer.
    pub fn may_be_parted(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        let mut fields = headers.get_all(IF_RANGE).iter();
        let Some(field) = fields.next() else { return true };
        if fields.next().is_some() {
            return false;
        }
        if field == self.etag.value() {
            return true;
        }
        let is_settled = seconds(now) > self.modified_s.saturating_add(1);
        is_settled && date(headers, IF_RANGE) == Some(self.modified_s)
    }

    /// Whether a field of `If-Match` lists the tag, by the strong comparison, or is `*`.
    fn is_listed(&self, field: &[u8]) -> bool {
        let mut tags = field.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        tags.any(|tag| tag == b"*" || tag == self.etag.value().as_bytes())
    }
}

fn seconds(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The date in a field, in seconds since the epoch; `None` if there is none. A date that cannot be read is none (§13.1.3).
fn date(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    let moment = DateTimeParser::new().parse_timestamp(text).ok();
    // The forms of old clients (§5.6.7): RFC 850 and asctime.
    let old = || {
        let forms = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"];
        let civil = forms.into_iter().find_map(|form| DateTime::strptime(form, text).ok())?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    moment.or_else(old).map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second after the epoch's 1000 000 000th.
    const MODIFIED: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
    const AFTER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn validators() -> Validators {
        Validators::new(ETag::of(b"x"), at(1_000_000_000) + Duration::from_millis(700))
    }

    fn fields(all: &[(HeaderName, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.clone(), value.parse().expect("ASCII"))).collect()
    }

    #[test]
    fn the_order_of_conditions_is_that_of_the_standard() {
        let tag = validators().etag.value().to_str().expect("ASCII").to_owned();
        let weak = format!("W/{tag}");
        let several = format!("\"a\", {tag}");
        let known = |name: HeaderName, value: &str| fields(&[(name, value)]);
        for (headers, expected) in [
            (fields(&[]), Conditions::Hold),
            (known(IF_NONE_MATCH, &tag), Conditions::NotModified),
            (known(IF_NONE_MATCH, &weak), Conditions::NotModified),
            (known(IF_NONE_MATCH, "\"other\""), Conditions::Hold),
            (known(IF_MODIFIED_SINCE, MODIFIED), Conditions::NotModified),
            (known(IF_MODIFIED_SINCE, AFTER), Conditions::NotModified),
            (known(IF_MODIFIED_SINCE, BEFORE), Conditions::Hold),
            (known(IF_MODIFIED_SINCE, "Sunday, 09-Sep-01 01:46:40 GMT"), Conditions::NotModified),
            (known(IF_MODIFIED_SINCE, "Sun Sep  9 01:46:40 2001"), Conditions::NotModified),
            (known(IF_MODIFIED_SINCE, "Sun Sep  9 01:46:39 2001"), Conditions::Hold),
            (known(IF_MODIFIED_SINCE, "yesterday"), Conditions::Hold),
            (fields(&[(IF_NONE_MATCH, "\"other\""), (IF_MODIFIED_SINCE, AFTER)]), Conditions::Hold),
            (known(IF_MATCH, &several), Conditions::Hold),
            (known(IF_MATCH, "*"), Conditions::Hold),
            (known(IF_MATCH, &weak), Conditions::Failed),
            (known(IF_UNMODIFIED_SINCE, MODIFIED), Conditions::Hold),
            (known(IF_UNMODIFIED_SINCE, BEFORE), Conditions::Failed),
            (fields(&[(IF_MATCH, &tag), (IF_UNMODIFIED_SINCE, BEFORE)]), Conditions::Hold),
        ] {
            assert_eq!(validators().evaluate(&Method::GET, &headers), expected, "{headers:?}");
            assert_eq!(validators().evaluate(&Method::HEAD, &headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_part_is_of_the_version_that_the_client_has() {
        let tag = validators().etag.value().to_str().expect("ASCII").to_owned();
        let later = at(1_000_000_100);
        for (field, now, expected) in [
            (tag.as_str(), later, true),
            (&format!("W/{tag}"), later, false),
            ("\"other\"", later, false),
            (MODIFIED, later, true),
            (MODIFIED, at(1_000_000_001), false),
            (BEFORE, later, false),
            (AFTER, later, false),
            ("*", later, false),
        ] {
            let headers = fields(&[(IF_RANGE, field)]);
            assert_eq!(validators().may_be_parted(&headers, now), expected, "{field}");
        }
        assert!(validators().may_be_parted(&HeaderMap::new(), later));
        assert_eq!(validators().last_modified(later).map(|(_, value)| value), MODIFIED.parse().ok());
        assert_eq!(
            validators().last_modified(at(0)).map(|(_, it)| it),
            "Thu, 01 Jan 1970 00:00:00 GMT".parse().ok()
        );
    }
}
