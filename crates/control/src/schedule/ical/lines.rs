//! Content lines (RFC 5545 §3.1): octets are unfolded first and decoded afterwards, since a fold may stand within a letter.
//!
//! The `icalendar` crate unfolds text, when such a letter is lost already, and counts the lines of the unfolded text; so this is
//! our own. Tolerated: bare LF, a CR too many before it (text that was copied as text twice), CR alone where a file has no LF; a
//! byte order mark; UTF-16, which is decoded first, as its octets are no lines.
//!
//! Each line is decoded by itself ([`charset`]): one event in another encoding, or one letter that was cut off, does not spoil
//! the accents of the others.

use std::borrow::Cow;

use amphi_media::charset::{self, UTF_8, WINDOWS_1252};

/// How many octets are looked at to tell UTF-16.
const SAMPLE: usize = 512;

/// A content line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentLine<'a> {
    /// The number of its first line in the file, from 1.
    pub(super) number: usize,
    pub(super) text: Cow<'a, str>,
}

/// The content lines of a calendar.
#[derive(Debug)]
pub(super) struct ContentLines<'a> {
    rest: &'a [u8],
    number: usize,
    /// What ends a line.
    newline: u8,
    /// What the transport declares of the encoding.
    charset: Option<&'a str>,
}

/// The text of a calendar in UTF-16.
pub(super) fn utf_16(octets: &[u8]) -> Option<String> {
    let head = octets.get(..octets.len().min(SAMPLE)).unwrap_or_default();
    let (_, encoding) = charset::decode(head, None, UTF_8);
    encoding.name().starts_with("UTF-16").then(|| charset::decode(octets, None, UTF_8).0.into_owned())
}

impl<'a> ContentLines<'a> {
    /// Reads `octets`, of which the transport declares `charset`.
    pub(super) fn new(octets: &'a [u8], charset: Option<&'a str>) -> Self {
        // What is declared as ASCII and is not declares nothing.
        let charset = charset.filter(|label| !label.to_ascii_lowercase().contains("ascii"));
        let newline = if octets.contains(&b'\n') { b'\n' } else { b'\r' };
        Self { rest: octets, number: 0, newline, charset }
    }

    /// The next line of the file without its end.
    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|octet| *octet == self.newline).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        self.number += 1;
        let length = line.iter().rposition(|octet| *octet != b'\r').map_or(0, |last| last + 1);
        line.get(..length)
    }
}

impl<'a> Iterator for ContentLines<'a> {
    type Item = ContentLine<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut octets = Cow::Borrowed(self.line()?);
        let number = self.number;
        while matches!(self.rest.first(), Some(b' ' | b'\t')) {
            let folded = self.line()?;
            octets.to_mut().extend_from_slice(folded.get(1..).unwrap_or_default());
        }
        let text = match octets {
            Cow::Borrowed(octets) => decoded(octets, self.charset),
            Cow::Owned(octets) => Cow::Owned(decoded(&octets, self.charset).into_owned()),
        };
        Some(ContentLine { number, text })
    }
}

fn decoded<'a>(octets: &'a [u8], charset: Option<&str>) -> Cow<'a, str> {
    // A line with a letter in UTF-8 is in UTF-8, and what cannot be read was cut off; in Windows-1252 such pairs mean nothing.
    let is_utf_8 = || octets.utf8_chunks().any(|chunk| !chunk.valid().is_ascii());
    let fallback = if octets.is_ascii() || is_utf_8() { UTF_8 } else { WINDOWS_1252 };
    // Servers declare what they are set to, not what a file is in; hardly any text of another encoding is valid UTF-8.
    let declared = charset.filter(|_| octets.is_ascii() || std::str::from_utf8(octets).is_err());
    charset::decode(octets, declared, fallback).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(octets: &[u8]) -> Vec<(usize, String)> {
        ContentLines::new(octets, None).map(|line| (line.number, line.text.into_owned())).collect()
    }

    #[test]
    fn a_fold_may_stand_anywhere() {
        for fold in [&b"\r\n "[..], b"\n ", b"\r\n\t", b"\r\r\n "] {
            let folded =
                [&b"SUMMARY:caf\xc3"[..], fold, b"\xa9 \xe2", fold, b"\x82", fold, b"\xac\nUID:1"].concat();
            assert_eq!(lines(&folded), [(1, "SUMMARY:café €".to_owned()), (5, "UID:1".to_owned())]);
        }
        assert_eq!(lines(b"A:1\r B\rC:2\r"), [(1, "A:1B".to_owned()), (3, "C:2".to_owned())], "CR alone");
        assert_eq!(lines(b"A:1\n  B\n \n\tC"), [(1, "A:1 BC".to_owned())], "one blank belongs to the fold");
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n\nA:1"), [(1, String::new()), (2, String::new()), (3, "A:1".to_owned())]);
    }

    #[test]
    fn each_line_is_decoded_by_itself() {
        let mixed = b"\xef\xbb\xbfA:\xc3\xa9t\xc3\xa9\nA:\xe9t\xe9\nA:\xc3\xa9t\xc3\n";
        let texts: Vec<_> = lines(mixed).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["A:été", "A:été", "A:ét\u{fffd}"]);
        let declared = |charset: &'static str, octets: &'static [u8]| {
            ContentLines::new(octets, Some(charset)).map(|line| line.text.into_owned()).collect::<String>()
        };
        assert_eq!(declared("windows-1251", b"\xcf\xf0"), "Пр");
        assert_eq!(declared("ISO-8859-1", b"\xe9"), "é");
        assert_eq!(declared("US-ASCII", b"\xc3\xa9"), "é");
        assert_eq!(declared("utf-8", b"\xe9"), "é");
        for charset in ["ISO-8859-1", "windows-1251", "utf-16", "us-ascii"] {
            assert_eq!(declared(charset, b"A:\xc3\xa9t\xc3\xa9 \xe2\x82\xac"), "A:été €", "{charset}");
        }
        assert_eq!(
            declared("ISO-8859-1", b"A:\xe9t\xe9\nA:\xc3\xa9t\xc3\xa9"),
            "A:étéA:été",
            "each by itself"
        );
        assert_eq!(
            declared("iso-2022-jp", b"\x1b$B%\"\x1b(B"),
            "ア",
            "ASCII letters alone are as they are declared"
        );
    }

    #[test]
    fn utf_16_is_told_by_its_mark_or_its_zeros() {
        let text = "BEGIN:VCALENDAR\r\nSUMMARY:été";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(utf_16(&little).as_deref(), Some(text));
        assert_eq!(utf_16(&[&[0xfe, 0xff], &big[..]].concat()).as_deref(), Some(text));
        assert_eq!(utf_16(text.as_bytes()), None);
    }
}
