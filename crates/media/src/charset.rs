//! Text in whatever encoding it was written: subtitles, SMIL, catalogues, calendars. The one decoder for all of them.
//!
//! The order is that of the WHATWG Encoding Standard §6 and of XML 1.0 appendix F: a byte order mark decides, then what the
//! text declares of itself, then UTF-8 if all of it is valid UTF-8, then the encoding that the caller falls back on.

use std::borrow::Cow;

pub use encoding_rs::{Encoding, MACINTOSH, UTF_8, WINDOWS_1252};
use encoding_rs::{UTF_16BE, UTF_16LE};

/// Most bytes that a document of XML may become when its entities are written out.
const EXPANDED_MAX: usize = 64 << 20;
/// How many bytes are looked at to tell UTF-16 without a byte order mark.
const SAMPLE: usize = 512;

/// The text of `bytes` without its byte order mark. `declared` is the label that the text itself gives (an XML declaration, a
/// `charset` parameter); a label that nobody knows is as none. What has no meaning in the encoding becomes U+FFFD.
pub fn decode<'a>(
    bytes: &'a [u8],
    declared: Option<&str>,
    fallback: &'static Encoding,
) -> (Cow<'a, str>, &'static Encoding) {
    let encoding = encoding_of(bytes, declared, fallback);
    let (text, _) = encoding.decode_with_bom_removal(bytes);
    (text, encoding)
}

/// The text of an XML document (XML 1.0 §4.3.3): as [`decode`], with the label of its XML declaration.
pub fn decode_xml<'a>(bytes: &'a [u8], fallback: &'static Encoding) -> Cow<'a, str> {
    decode(bytes, xml_label(bytes), fallback).0
}

/// The line of the first entity, if those of a document of XML may become too long (a billion laughs, or one long entity named
/// often). Of entities that name others, `roxmltree` follows no more than 255 references from each.
pub fn too_many_entities(text: &str) -> Option<u32> {
    let first = text.find("<!ENTITY")?;
    let predefined = ["#", "amp;", "lt;", "gt;", "quot;", "apos;"];
    let references = text.split('&').skip(1);
    let own = references.filter(|rest| !predefined.iter().any(|known| rest.starts_with(known))).count();
    let each = longest_plain_entity(text).unwrap_or_else(|| text.len().saturating_mul(255));
    let longest = text.len().saturating_add(each.saturating_mul(own));
    let line =
        || u32::try_from(text.get(..first).unwrap_or_default().matches('\n').count() + 1).unwrap_or(u32::MAX);
    (longest > EXPANDED_MAX).then(line)
}

/// Bytes of the longest entity that a document of XML declares (XML 1.0 §4.2); `None` if one may name another.
fn longest_plain_entity(text: &str) -> Option<usize> {
    let mut longest = 0;
    for declaration in text.split("<!ENTITY").skip(1) {
        let (_, quoted) = declaration.split_at_checked(declaration.find(['"', '\''])?)?;
        let (quote, rest) = quoted.split_at_checked(1)?;
        let (value, _) = rest.split_once(quote)?;
        if !value.split('&').skip(1).all(is_letter) {
            return None;
        }
        longest = longest.max(value.len());
    }
    Some(longest)
}

/// Whether what follows an `&` makes it a character other than `&` itself (XML 1.0 §4.1).
fn is_letter(reference: &str) -> bool {
    let number = reference.strip_prefix('#').and_then(|rest| Some(rest.split_once(';')?.0));
    let code = number.and_then(|number| match number.strip_prefix('x') {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
        None => number.parse().ok(),
    });
    code.is_some_and(|code: u32| code != u32::from('&'))
}

/// The encoding that an XML declaration names (XML 1.0 §2.8, §4.3.3).
fn xml_label(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let head = bytes.get(..bytes.len().min(SAMPLE))?.strip_prefix(b"<?xml")?;
    let end = head.windows(2).position(|pair| pair == b"?>")?;
    let declaration = std::str::from_utf8(head.get(..end)?).ok()?;
    let (_, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    rest.get(1..)?.split(quote).next()
}

fn encoding_of(bytes: &[u8], declared: Option<&str>, fallback: &'static Encoding) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return encoding;
    }
    if let Some(encoding) = utf_16(bytes) {
        return encoding;
    }
    let declared = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    match declared {
        // Text that can be read byte by byte far enough to find a declaration is not UTF-16, whatever that says.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => UTF_8,
        // Many writers declare UTF-8 and write something else.
        Some(encoding) if encoding != UTF_8 => encoding,
        _ if std::str::from_utf8(bytes).is_ok() => UTF_8,
        _ => fallback,
    }
}

/// UTF-16 without a byte order mark, by the zero bytes of its ASCII letters.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..bytes.len().min(SAMPLE) & !1)?;
    let zeros = |from: usize| sample.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, pairs) = (zeros(0), zeros(1), sample.len() / 2);
    // Texts in Latin letters; one zero byte in an 8-bit text proves nothing.
    let is_most = |zeros: usize| pairs >= 2 && zeros * 4 >= pairs * 3;
    match (is_most(even), is_most(odd)) {
        (false, true) => Some(UTF_16LE),
        (true, false) => Some(UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8], declared: Option<&str>) -> String {
        decode(bytes, declared, WINDOWS_1252).0.into_owned()
    }

    #[test]
    fn entities_may_be_named_often_if_they_are_short() {
        let named = |value: &str, times: usize| {
            let entities = format!("<!DOCTYPE tt [\n<!ENTITY e '{value}'>\n<!ENTITY f \"f\">]>");
            too_many_entities(&[entities, "&e;".repeat(times)].concat())
        };
        assert_eq!(named("&#233;", 100_000), None, "accents of a long lecture");
        assert_eq!(named("a long sentence", 10_000), None);
        assert_eq!(named(&"a".repeat(10_000), 10_000), Some(2));
        for nested in ["&f;", "&#38;f;", "&#x26;f;", "&amp;f;", "&"] {
            assert_eq!(named(nested, 100_000), Some(2), "{nested}");
        }
        assert_eq!(too_many_entities(&"&amp;&e;".repeat(100_000)), None, "it declares none");
    }

    #[test]
    fn each_encoding_is_told_by_its_own_rule() {
        assert_eq!(
            text(b"\xef\xbb\xbfd\xc3\xa9j\xc3\xa0", Some("iso-8859-1")),
            "déjà",
            "a byte order mark decides"
        );
        assert_eq!(text(b"d\xc3\xa9j\xc3\xa0", None), "déjà");
        assert_eq!(text(b"d\xe9j\xe0 \x80", None), "déjà €", "not UTF-8, so Windows-1252");
        assert_eq!(text(b"d\xe9j\xe0", Some("utf-8")), "déjà", "declared as UTF-8, and is not");
        assert_eq!(text(b"\xcf\xf0", Some("windows-1251")), "Пр");
        assert_eq!(text(b"d\xe9", Some("no-such-encoding")), "dé");
        let utf_16: Vec<u8> = "<smil>déjà".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&utf_16, None), "<smil>déjà");
        assert_eq!(text(&[&[0xff, 0xfe], &utf_16[..]].concat(), None), "<smil>déjà");
        let utf_16: Vec<u8> = "<smil>déjà".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(text(&utf_16, None), "<smil>déjà");
        assert_eq!(
            text(b"<?xml encoding='utf-16'?>d\xc3\xa9", Some("utf-16")),
            "<?xml encoding='utf-16'?>dé"
        );
        assert_eq!(text(b"", None), "");
    }

    #[test]
    fn xml_is_read_in_the_encoding_that_it_declares() {
        let xml = |bytes: &[u8]| decode_xml(bytes, UTF_8).into_owned();
        for (declaration, bytes) in [
            ("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>", &b"d\xe9"[..]),
            ("<?xml version='1.0' encoding = 'windows-1252' standalone='no'?>", b"d\xe9"),
            ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", b"d\xc3\xa9"),
            ("<?xml version=\"1.0\"?>", b"d\xc3\xa9"),
            ("\n<?xml version=\"1.0\" encoding=\"latin1\"?>", b"d\xe9"),
            ("", b"d\xc3\xa9"),
        ] {
            assert_eq!(xml(&[declaration.as_bytes(), bytes].concat()), format!("{declaration}d\u{e9}"));
        }
        for odd in [
            "<?xml",
            "<?xml encoding",
            "<?xml encoding=?>",
            "<?xml encoding=\"?>",
            "<?xml?><a b='encoding=\"utf-16\"'/>",
        ] {
            assert_eq!(xml(odd.as_bytes()), odd);
        }
    }

    proptest! {
        #[test]
        fn utf_8_stays_as_it_is(text_in in "[ -~é€Пр\n]{0,80}") {
            prop_assert_eq!(text(text_in.as_bytes(), None), text_in);
        }

        #[test]
        fn no_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), declared in prop::option::of("[a-z0-9-]{0,12}")) {
            let _ = text(&bytes, declared.as_deref());
        }
    }
}
