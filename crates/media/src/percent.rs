//! Percent-decoding of URLs (RFC 3986 §2.1), the same for all protocols. Sans-IO.

use std::borrow::Cow;

/// Why a text cannot be decoded. Whoever wrote the URL is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// A `%` is not followed by two hexadecimal digits.
    #[error("it has a % that is not followed by two hexadecimal digits")]
    Triplet,
    /// The decoded bytes are not UTF-8.
    #[error("what it stands for is not UTF-8")]
    Utf8,
}

/// Decodes `text`. It allocates only if there is a `%`.
pub fn decode(text: &str) -> Result<Cow<'_, str>, PercentError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let (bytes, is_whole) = bytes(text);
    if !is_whole {
        return Err(PercentError::Triplet);
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| PercentError::Utf8)
}

/// Decodes a text from a trusted writer: a `%` without two digits stays as it is, and what is not UTF-8 is replaced.
pub fn decode_lossy(text: &str) -> String {
    String::from_utf8_lossy(&bytes(text).0).into_owned()
}

/// The decoded bytes; `false` if a `%` had to be kept.
fn bytes(text: &str) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut rest, mut is_whole) = (text.as_bytes(), true);
    while let Some((&first, after)) = rest.split_first() {
        let triplet = match rest {
            [b'%', high, low, tail @ ..] => digit(*high).zip(digit(*low)).map(|digits| (digits, tail)),
            _ => None,
        };
        if let Some(((high, low), tail)) = triplet {
            bytes.push(high << 4 | low);
            rest = tail;
        } else {
            is_whole &= first != b'%';
            bytes.push(first);
            rest = after;
        }
    }
    (bytes, is_whole)
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn triplets_are_read_and_anything_else_is_refused_or_stays() {
        for (text, decoded) in [
            ("plain", Ok("plain")),
            ("a%20b", Ok("a b")),
            ("%c3%A9", Ok("é")),
            ("%2520", Ok("%20")),
            ("%", Err(PercentError::Triplet)),
            ("%2", Err(PercentError::Triplet)),
            ("%+1", Err(PercentError::Triplet)),
            ("%é", Err(PercentError::Triplet)),
            ("%ff", Err(PercentError::Utf8)),
        ] {
            assert_eq!(decode(text).as_deref(), decoded.as_ref().copied(), "{text}");
        }
        for (text, decoded) in
            [("p%40ss%2fw%C3%B6rd%", "p@ss/wörd%"), ("%+1%zz%4", "%+1%zz%4"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decode_lossy(text), decoded);
        }
        assert!(matches!(decode("plain"), Ok(Cow::Borrowed(_))));
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in "\\PC{0,30}") {
            let escaped = text.bytes().fold(String::new(), |mut escaped, byte| {
                write!(escaped, "%{byte:02x}").expect("in memory");
                escaped
            });
            prop_assert_eq!(decode(&escaped), Ok(Cow::Borrowed(&*text)));
            prop_assert_eq!(decode_lossy(&escaped), text);
        }

        #[test]
        fn both_ways_agree_where_the_strict_one_reads(text in ".{0,30}|(%[0-9a-g]{0,2}|[a-z]){0,12}") {
            if let Ok(decoded) = decode(&text) {
                prop_assert_eq!(decoded, decode_lossy(&text));
            }
        }
    }
}
