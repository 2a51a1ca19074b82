//! Markup of cues: from that of other formats to WebVTT's (W3C WebVTT §4.2), and to none. Sans-IO.

use std::fmt::Write as _;

/// Longest tag that is looked for, in bytes.
const TAG_MAX: usize = 256;

/// How letters look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) bold: bool,
    pub(crate) italic: bool,
    pub(crate) underline: bool,
}

impl Face {
    /// Its tags in the order in which they are opened.
    fn tags(self) -> impl DoubleEndedIterator<Item = char> {
        let tags = [(self.bold, 'b'), (self.italic, 'i'), (self.underline, 'u')];
        tags.into_iter().filter(|(is, _)| *is).map(|(_, tag)| tag)
    }
}

/// Text without markup as a cue's text: what has a meaning in WebVTT is escaped (§4.2.2), and empty lines, which would end
/// the cue, are left out.
pub(crate) fn escaped(text: &str) -> String {
    whole_lines(&text.replace('&', "&amp;").replace('<', "&lt;"))
}

/// The same for text in pieces that look differently.
pub(crate) fn styled(pieces: &[(Face, String)]) -> String {
    let mut out = String::new();
    for (face, text) in pieces.iter().filter(|(_, text)| !text.is_empty()) {
        face.tags().for_each(|tag| out.extend(['<', tag, '>']));
        out.push_str(&text.replace('&', "&amp;").replace('<', "&lt;"));
        face.tags().rev().for_each(|tag| out.extend(['<', '/', tag, '>']));
    }
    whole_lines(&out)
}

/// A cue's text has neither empty lines nor arrows (§4.1).
fn whole_lines(text: &str) -> String {
    let lines =
        text.split(['\n', '\r', '\u{c}']).map(str::trim_end).filter(|line| !super::bare(line).is_empty());
    lines.collect::<Vec<_>>().join("\n").replace("-->", "--&gt;")
}

/// The text of an SRT cue in WebVTT, and the cue settings for the place that it asks for. `<i>`, `<b>` and `<u>` are kept,
/// `<font>` is left out; any other `<` is text. Overrides of SubStation Alpha (`{\an8}`, `{\i1}`) become tags and settings, or are
/// left out.
pub(super) fn of_srt(text: &str) -> (String, String) {
    let mut out = String::with_capacity(text.len());
    let mut settings = None;
    let mut rest = text;
    while let Some(place) = rest.find(['<', '&', '{']) {
        let (before, at) = rest.split_at(place);
        out.push_str(before);
        let first = at.chars().next().unwrap_or_default();
        let after = at.get(1..).unwrap_or_default();
        rest = match first {
            '<' => tag(after, &mut out),
            '{' => overrides(after, &mut out, &mut settings),
            _ => None,
        }
        .unwrap_or_else(|| {
            out.push_str(match first {
                '<' => "&lt;",
                '&' => "&amp;",
                _ => "{",
            });
            after
        });
    }
    out.push_str(rest);
    (whole_lines(&out), settings.unwrap_or_default().to_owned())
}

/// Reads a tag behind its `<`, and returns what follows it; `None` if it is none.
fn tag<'a>(text: &'a str, out: &mut String) -> Option<&'a str> {
    let end = text.bytes().take(TAG_MAX).position(|byte| matches!(byte, b'>' | b'<' | b'\n'))?;
    let rest = text.get(end..)?.strip_prefix('>')?;
    let inner = text.get(..end)?;
    let (slash, name) = inner.strip_prefix('/').map_or(("", inner), |name| ("/", name));
    let (name, attributes) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
    let is_tag = attributes.trim().is_empty() || slash.is_empty() && attributes.contains('=');
    let name = name.to_ascii_lowercase();
    match (is_tag, &*name) {
        (true, "i" | "b" | "u") => {
            // Writing to a String cannot fail.
            let _ = write!(out, "<{slash}{name}>");
            Some(rest)
        }
        (true, "font") => Some(rest),
        _ => None,
    }
}

/// Reads overrides behind their `{`, and returns what follows them; `None` if there are none.
fn overrides<'a>(text: &'a str, out: &mut String, settings: &mut Option<&'static str>) -> Option<&'a str> {
    let end = text.bytes().take(TAG_MAX).position(|byte| matches!(byte, b'}' | b'{' | b'\n'))?;
    let rest = text.get(end..)?.strip_prefix('}')?;
    for code in text.get(..end)?.strip_prefix('\\')?.split('\\') {
        match code {
            "i1" => out.push_str("<i>"),
            "i0" => out.push_str("</i>"),
            "b1" => out.push_str("<b>"),
            "b0" => out.push_str("</b>"),
            "u1" => out.push_str("<u>"),
            "u0" => out.push_str("</u>"),
            // The first one holds.
            _ => *settings = settings.or_else(|| alignment(code)),
        }
    }
    Some(rest)
}

/// Cue settings for a place: `an` counts as the keys of a number pad, the older `a` from the left in each of three rows.
fn alignment(code: &str) -> Option<&'static str> {
    let pad = match (code.strip_prefix("an"), code.strip_prefix('a')) {
        (Some(pad), _) => pad.parse().ok().filter(|pad| (1..=9).contains(pad))?,
        (None, Some(old)) => match old.parse::<u32>().ok()? {
            old @ 1..=3 => old,
            old @ 5..=7 => old + 2,
            old @ 9..=11 => old - 5,
            _ => return None,
        },
        _ => return None,
    };
    Some(match pad {
        1 => "align:left",
        3 => "align:right",
        4 => "line:50% align:left",
        5 => "line:50%",
        6 => "line:50% align:right",
        7 => "line:0 align:left",
        8 => "line:0",
        9 => "line:0 align:right",
        _ => "",
    })
}

/// A cue's text without markup, for lists: tags are left out, escapes resolved (§6.4).
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find(['<', '&']) {
        let (before, at) = rest.split_at(place);
        out.push_str(before);
        let escapes = [
            ("&amp;", "&"),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&nbsp;", "\u{a0}"),
            ("&lrm;", "\u{200e}"),
            ("&rlm;", "\u{200f}"),
        ];
        let found = escapes.iter().find_map(|(name, letter)| Some((at.strip_prefix(name)?, *letter)));
        rest = match (found, at.strip_prefix('<').and_then(|tag| tag.split_once('>'))) {
            (Some((after, letter)), _) => {
                out.push_str(letter);
                after
            }
            (None, Some((_, after))) => after,
            (None, None) => {
                let after = at.get(1..).unwrap_or_default();
                out.push_str(at.strip_suffix(after).unwrap_or_default());
                after
            }
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_that_look_differently() {
        let face = |bold, italic| Face { bold, italic, underline: false };
        let pieces = [
            (face(false, true), "a <".to_owned()),
            (Face::default(), " & \n\n".to_owned()),
            (face(true, true), "b".to_owned()),
        ];
        assert_eq!(styled(&pieces), "<i>a &lt;</i> &amp;\n<b><i>b</i></b>");
        assert_eq!(escaped("a --> b\r\n\r\n<i>"), "a --&gt; b\n&lt;i>");
    }

    #[test]
    fn text_for_lists() {
        assert_eq!(plain("<v Anna>R&amp;D</v> &lt;b&gt; <00:01.000>x"), "R&D <b> x");
        assert_eq!(plain("1 < 2 & 3"), "1 < 2 & 3");
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_the_same_text(text in "[ -~é]{0,40}") {
            prop_assert_eq!(plain(&escaped(&text)), if text.trim().is_empty() { "" } else { text.trim_end() });
        }
    }
}
