//! Reads what was shown: parameters of a query, the bearer's token, a cookie; base64 and hexadecimal digits. All of it is a
//! stranger's text: it is bounded, and what is doubled or cannot be decoded is refused rather than chosen from.

use std::borrow::Cow;

use amphi_media::percent;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::{Credentials, Refusal};

/// The longest query that is read, in bytes: a JWT of [`TOKEN_BYTES_MAX`], and the rest of a URL.
const QUERY_BYTES_MAX: usize = 16 * 1024;
/// The longest token that is read, in bytes.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// With or without padding; bits after the last byte are zero, so that each value has one spelling apart from padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A parameter of a query as it was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter<'a> {
    pub(super) name: &'a str,
    /// `None` if there is no `=`.
    pub(super) value: Option<&'a str>,
}

impl<'a> Parameter<'a> {
    /// Its name, decoded; as it was written if it cannot be.
    pub(super) fn decoded_name(&self) -> Cow<'a, str> {
        percent::decode(self.name).unwrap_or(Cow::Borrowed(self.name))
    }
}

/// The parameters of a query. A `+` stays one: base64 has it, and none of our values has blanks.
pub(super) fn parameters(query: &str) -> Result<impl Iterator<Item = Parameter<'_>>, Refusal> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    Ok(query.split('&').filter(|part| !part.is_empty()).map(|part| match part.split_once('=') {
        Some((name, value)) => Parameter { name, value: Some(value) },
        None => Parameter { name: part, value: None },
    }))
}

/// The decoded value of the only parameter of this name; doubled, without `=`, or not to be decoded is malformed.
pub(super) fn only<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let mut named = parameters(query)?.filter(|parameter| parameter.decoded_name() == name);
    let Some(first) = named.next() else { return Ok(None) };
    if named.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let value = first.value.ok_or(Refusal::Malformed)?;
    percent::decode(value).map(Some).map_err(|_| Refusal::Malformed)
}

/// The token of `Authorization: Bearer` (RFC 6750 §2.1).
pub(super) fn bearer<'a>(shown: &Credentials<'a>) -> Option<&'a str> {
    let (scheme, token) = shown.authorization?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

/// The value of the first cookie of this name (RFC 6265 §5.4: the one with the longest path).
pub(super) fn cookie<'a>(shown: &Credentials<'a>, name: &str) -> Option<&'a str> {
    let field = shown.cookie.filter(|field| field.len() <= QUERY_BYTES_MAX)?;
    let cookies = field.split(';').filter_map(|pair| pair.trim().split_once('='));
    cookies.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"'))
}

/// Whether it has the form of a JWT (RFC 7515 §7.1): three parts, of which the first two begin as `{` does in base64. No
/// token of our own does.
pub(super) fn is_like_jwt(text: &str) -> bool {
    let parts = text.split('.');
    parts.clone().count() == 3 && parts.take(2).all(|part| part.starts_with('e'))
}

/// Bytes in base64 of either alphabet (RFC 4648 §4, §5), with or without padding.
pub(super) fn from_base64(text: &str) -> Result<Vec<u8>, Refusal> {
    let is_plain = |byte: &u8| matches!(byte, b'+' | b'/');
    let text = if text.bytes().any(|byte| is_plain(&byte)) {
        Cow::Owned(text.replace('+', "-").replace('/', "_"))
    } else {
        Cow::Borrowed(text)
    };
    BASE64.decode(text.as_bytes()).map_err(|_| Refusal::Malformed)
}

/// The 32 bytes of 64 lower-case hexadecimal digits.
pub(super) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digits.iter().try_fold(0, |byte, digit| match digit {
            b'0'..=b'9' => Some(byte << 4 | (digit - b'0')),
            b'a'..=b'f' => Some(byte << 4 | (digit - b'a' + 10)),
            _ => None,
        })?;
    }
    Some(bytes)
}

/// A time in seconds since 1970: digits alone, without a sign or zeros in front.
pub(super) fn unix_seconds(text: &str) -> Result<jiff::Timestamp, Refusal> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let seconds = if is_plain { text.parse().ok() } else { None };
    seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).ok_or(Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once() {
        assert_eq!(only("a=1&b=2", "b"), Ok(Some("2".into())));
        assert_eq!(only("a=1&%62=2%3D", "b"), Ok(Some("2=".into())));
        assert_eq!(only("&&a=1&", "b"), Ok(None));
        for query in ["b=1&b=1", "b=1&%62=1", "b", "b=%", "b=%ff", &"x".repeat(QUERY_BYTES_MAX + 1)] {
            assert_eq!(only(query, "b"), Err(Refusal::Malformed), "{query}");
        }
    }

    #[test]
    fn base64_has_two_alphabets_and_one_spelling_of_each_value() {
        for text in ["-_8=", "-_8", "+/8=", "+/8", "-/8"] {
            assert_eq!(from_base64(text), Ok(vec![0xfb, 0xff]), "{text}");
        }
        for text in ["-_9", "-_8==", "-_8 ", "-_8%3D", "-", "é"] {
            assert_eq!(from_base64(text), Err(Refusal::Malformed), "{text}");
        }
    }

    #[test]
    fn hexadecimal_digits_are_64_and_small() {
        assert_eq!(from_hex(&"0f".repeat(32)), Some([15; 32]));
        for text in ["0f".repeat(31), "0F".repeat(32), "0g".repeat(32), "é".repeat(32)] {
            assert_eq!(from_hex(&text), None, "{text}");
        }
    }

    #[test]
    fn times_have_one_spelling() {
        assert_eq!(unix_seconds("1700000000").map(jiff::Timestamp::as_second), Ok(1_700_000_000));
        for text in ["", "+1", "-1", "01", "1.0", "9999999999999", "99999999999999999999", "1 "] {
            assert_eq!(unix_seconds(text), Err(Refusal::Malformed), "{text}");
        }
    }
}
