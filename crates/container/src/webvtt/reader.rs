//! Reads WebVTT (W3C WebVTT §6.1). Identifiers, settings and markup of cues are kept as they are, and so are the `STYLE` and
//! `REGION` blocks before the first cue. Notes are left out. `X-TIMESTAMP-MAP` is of segments that are not here, and is
//! read over. Sans-IO.

use super::clock::{TimingFound, timing};
use super::{Cue, TimedText, bare, lines};

/// Most bytes of `STYLE` and `REGION` blocks that are kept.
const HEADER_MAX: usize = 64 << 10;

/// Whether a text is a WebVTT file (§4.1), if need be behind blank lines.
pub(super) fn is_webvtt(text: &str) -> bool {
    text.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
        .strip_prefix("WEBVTT")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether the first times in a text have dots, as WebVTT's have (§4.1).
pub(super) fn has_dots(text: &str) -> bool {
    let found = text.split(['\r', '\n']).find(|line| matches!(timing(line), TimingFound::Times(_)));
    found.is_some_and(|line| line.contains('.') && !line.contains(','))
}

/// Reads a file, or one whose first line is missing.
pub(super) fn read(text: &str) -> TimedText {
    let lines = lines(text);
    let mut found = TimedText { is_known: is_webvtt(text), ..TimedText::default() };
    let mut at = lines.iter().position(|line| !bare(line).is_empty()).unwrap_or(lines.len());
    // The header, up to a blank line or the first cue.
    while found.is_known && lines.get(at).is_some_and(|line| !line.is_empty() && !line.contains("-->")) {
        at += 1;
    }
    while at < lines.len() {
        at = block(&lines, at, &mut found);
    }
    found.finished()
}

/// Reads the block at a line (§6.1, "collect a WebVTT block"). Returns the line after it.
fn block(lines: &[&str], at: usize, found: &mut TimedText) -> usize {
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    if is_blank(lines, at) {
        return at + 1;
    }
    let timing_at = [at, at + 1].into_iter().find(|&at| line(at).contains("-->"));
    let Some(timing_at) = timing_at else {
        let end = end_of(lines, at + 1);
        other_block(at, lines.get(at..end).unwrap_or_default(), found);
        return end;
    };
    let end = end_of(lines, timing_at + 1);
    match timing(line(timing_at)) {
        TimingFound::Times(times) => {
            let text = lines.get(timing_at + 1..end).unwrap_or_default().join("\n");
            let id = if timing_at > at { bare(line(at)).to_owned() } else { String::new() };
            let (start_ms, end_ms) = (times.start_ms, times.end_ms.unwrap_or(0));
            found.push(
                || timing_at + 1,
                Cue { start_ms, end_ms, id, settings: times.settings.to_owned(), text },
            );
        }
        TimingFound::Damaged | TimingFound::Nothing => found.lose(timing_at + 1, "its times cannot be read"),
    }
    end
}

/// A block that is no cue, which begins at a line.
fn other_block(at: usize, block: &[&str], found: &mut TimedText) {
    let first = block.first().copied().unwrap_or_default();
    let is = |word: &str| {
        first.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    };
    if !is("STYLE") && !is("REGION") {
        if !is("NOTE") {
            found.lose(at + 1, "it is neither a cue nor a note");
        }
        return;
    }
    let text = block.join("\n");
    if !found.cues.is_empty() || found.header.len() + text.len() >= HEADER_MAX {
        found.lose(at + 1, "a STYLE or REGION block after the first cue, or a very long one");
    } else if block.len() > 1 {
        // hls.js takes one that says nothing for the identifier of the cue after it.
        if !found.header.is_empty() {
            found.header.push_str("\n\n");
        }
        found.header.push_str(&text);
    }
}

/// The line after the last one of a block: a blank one, or the times of the next cue.
fn end_of(lines: &[&str], from: usize) -> usize {
    let is_end = |at: &usize| is_blank(lines, *at) || lines.get(*at).is_some_and(|line| line.contains("-->"));
    (from..lines.len()).find(is_end).unwrap_or(lines.len())
}

/// Whether a line ends a block. One with blanks in it does not (§4.1), unless a cue follows: then an editor left them there.
fn is_blank(lines: &[&str], at: usize) -> bool {
    let Some(line) = lines.get(at) else { return true };
    let is_cue = |at: usize| lines.get(at).is_some_and(|line| matches!(timing(line), TimingFound::Times(_)));
    line.is_empty() || bare(line).is_empty() && (is_cue(at + 1) || is_cue(at + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VTT: &str = "\u{feff}WEBVTT - lecture\r\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\r\n\r\nNOTE by hand\r\n\r\nSTYLE\r\n::cue(.x) { color: red }\r\n\r\n\
        REGION\r\nid:top\r\nlines:2\r\n\r\nintro\r\n00:01.000 --> 00:03.500 region:top align:start\r\n<v Anna>Bonjour &amp; <c.x>vous</c>\r\nà tous\r\n\r\n\
        NOTE\r\nof several\r\nlines\r\n\r\n00:59:59.000 --> 01:00:01.000\r\nSecond";

    #[test]
    fn what_a_file_says_is_kept() {
        let read = TimedText::of(VTT);
        assert_eq!(read.header, "STYLE\n::cue(.x) { color: red }\n\nREGION\nid:top\nlines:2");
        let first = Cue {
            start_ms: 1000,
            end_ms: 3500,
            id: "intro".to_owned(),
            settings: "region:top align:start".to_owned(),
            text: "<v Anna>Bonjour &amp; <c.x>vous</c>\nà tous".to_owned(),
        };
        let second =
            Cue { start_ms: 3_599_000, end_ms: 3_601_000, text: "Second".to_owned(), ..Cue::default() };
        assert_eq!((&read.cues[..], &read.lost[..]), (&[first, second][..], &[][..]));
        for ends in ["\n", "\r"] {
            assert_eq!(TimedText::of(&VTT.replace("\r\n", ends)), read, "{ends:?}");
        }
        let wide: Vec<u8> = VTT.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(TimedText::of_bytes(&wide, amphi_media::charset::WINDOWS_1252), read);
    }

    #[test]
    fn cues_in_odd_places() {
        let texts = |text: &str| TimedText::of(text).cues.into_iter().map(|cue| cue.text).collect::<Vec<_>>();
        assert_eq!(texts("WEBVTT\n00:01.000 --> 00:02.000\na"), ["a"], "no blank line after the header");
        assert_eq!(texts("WEBVTT\n\n00:01.000 --> 00:02.000\na\n00:03.000 --> 00:04.000\nb"), ["a", "b"]);
        assert_eq!(
            texts("WEBVTT\n\n00:01.000 --> 00:02.000\na\n \n2\n00:03.000 --> 00:04.000\nb"),
            ["a", "b"]
        );
        assert_eq!(texts("WEBVTT\n\n00:01.000 --> 00:02.000\na\n \nb"), ["a\n \nb"], "§4.1: not blank");
        assert_eq!(texts("WEBVTT\n\n00:01.000 --> 00:02.000\n\n00:03.000 --> 00:04.000\nb"), ["b"]);
        assert_eq!(texts("WEBVTT"), [""; 0]);
        assert_eq!(TimedText::of("WEBVTT\n\nSTYLE\n\nREGION\nid:a\n").header, "REGION\nid:a");
        assert!(TimedText::of("WEBVTT\n").is_known);
        assert_eq!(texts("\n\u{feff}WEBVTT\n\n00:01.000 --> 00:02.000\n<b>a</b>"), ["<b>a</b>"]);
    }

    #[test]
    fn a_file_without_its_first_line_is_told_by_its_name() {
        let text = |name: &str, text: &str| {
            let read = TimedText::of_file(name, text.as_bytes(), amphi_media::charset::WINDOWS_1252);
            (read.is_known, read.cues.into_iter().map(|cue| cue.text).collect::<String>())
        };
        let (dots, commas) =
            ("1\n00:01.000 --> 00:02.000\n<v A>&amp;", "1\n00:01,000 --> 00:02,000\n<v A>&amp;");
        assert_eq!(text("a.VTT", dots), (true, "<v A>&amp;".to_owned()));
        assert_eq!(text("a.srt", dots), (true, "&lt;v A>&amp;amp;".to_owned()));
        assert_eq!(text("a.vtt", commas), (true, "&lt;v A>&amp;amp;".to_owned()));
        assert_eq!(text("a.vtt", "words"), (false, String::new()));
    }

    #[test]
    fn what_is_lost_is_said_with_its_line() {
        let read = TimedText::of(
            "WEBVTT\n\n00:00:0x.000 --> 00:00:02.000\na\n\n00:03.000 --> 00:04.000\nb\n\nrest of b\n",
        );
        let lost: Vec<String> = read.lost.iter().map(ToString::to_string).collect();
        assert_eq!(lost, ["line 3: its times cannot be read", "line 9: it is neither a cue nor a note"]);
        assert_eq!(read.cues.len(), 1);
    }

    #[test]
    fn identifiers_that_are_shared_are_none() {
        let read = TimedText::of(
            "WEBVTT\n\na\n00:01.000 --> 00:02.000\nx\n\na\n00:03.000 --> 00:04.000\ny\n\nb\n00:05.000 --> 00:06.000\nz",
        );
        let ids: Vec<&str> = read.cues.iter().map(|cue| &*cue.id).collect();
        assert_eq!(ids, ["", "", "b"]);
    }
}
