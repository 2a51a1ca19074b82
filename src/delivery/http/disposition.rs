//! The `Content-Disposition` of a download (RFC 6266). Sans-IO.

use std::fmt::Write as _;

use http::HeaderValue;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A file of this name: in letters that every client takes, and, if that is not all of it, in its own (§4.3).
pub(super) fn attachment(name: &str) -> HeaderValue {
    let plain: String = name.nfd().filter(|letter| !is_combining_mark(*letter)).map(plain).collect();
    let mut field = format!("attachment; filename=\"{plain}\"");
    let name: String = name.nfc().filter(|letter| !letter.is_control()).collect();
    if name != plain {
        field.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            // The characters of RFC 8187 §3.2.1.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                field.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(field, "%{byte:02X}");
            }
        }
    }
    HeaderValue::try_from(field).unwrap_or(HeaderValue::from_static("attachment"))
}

/// Letters that every browser takes in a quoted file name.
fn plain(letter: char) -> char {
    if letter.is_ascii_alphanumeric() || "._- ".contains(letter) { letter } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_in_ascii_and_in_its_own_letters() {
        for (name, expected) in [
            ("paes_hd.mp4", "attachment; filename=\"paes_hd.mp4\""),
            ("leçon.mp4", "attachment; filename=\"lecon.mp4\"; filename*=UTF-8''le%C3%A7on.mp4"),
            ("lec\u{327}on.mp4", "attachment; filename=\"lecon.mp4\"; filename*=UTF-8''le%C3%A7on.mp4"),
            (
                "a\"b; c'd%.mp4",
                "attachment; filename=\"a_b_ c_d_.mp4\"; filename*=UTF-8''a%22b%3B%20c%27d%25.mp4",
            ),
            ("講義.mp4", "attachment; filename=\"__.mp4\"; filename*=UTF-8''%E8%AC%9B%E7%BE%A9.mp4"),
            ("a\r\nb.mp4", "attachment; filename=\"a__b.mp4\"; filename*=UTF-8''ab.mp4"),
        ] {
            assert_eq!(attachment(name), expected, "{name:?}");
        }
    }
}
