//! Strong validators (RFC 9110 §8.8.3) and the condition that uses them (§13.1.2).

use std::fmt::Write as _;

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

/// An entity tag computed from the content, so that two servers have the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(HeaderValue);

impl ETag {
    /// The tag of `bytes`: 64 bits of their SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(18);
        text.push('"');
        for byte in Sha256::digest(bytes).iter().take(8) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('"');
        Self(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\"")))
    }

    /// The value of the `ETag` field, with its quotes.
    pub const fn value(&self) -> &HeaderValue {
        &self.0
    }

    /// Whether the request's `If-None-Match` says that the client has this content already. The comparison is
    /// the weak one, as RFC 9110 §13.1.2 requires.
    pub fn is_known_to(&self, headers: &HeaderMap) -> bool {
        headers.get_all(IF_NONE_MATCH).iter().any(|field| self.is_in(field.as_bytes()))
    }

    /// Whether the value of one `If-None-Match` field lists this tag, or is `*`.
    pub fn is_in(&self, field: &[u8]) -> bool {
        let mut tags = field.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        tags.any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_found_in_every_spelling() {
        let tag = ETag::of(b"#EXTM3U");
        let text = tag.value().to_str().expect("ASCII").to_owned();
        assert_eq!(text.len(), 18);
        for (field, known) in [
            (text.clone(), true),
            (format!("W/{text}"), true),
            (format!("\"a\", {text}"), true),
            ("*".to_owned(), true),
            ("\"a\", \"b\"".to_owned(), false),
            (text.trim_matches('"').to_owned(), false),
        ] {
            let headers =
                HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::try_from(&field).expect("ASCII"))]);
            assert_eq!(tag.is_known_to(&headers), known, "{field}");
        }
        assert!(!tag.is_known_to(&HeaderMap::new()));
        assert_ne!(tag, ETag::of(b"#EXTM3U\n"));
    }
}
