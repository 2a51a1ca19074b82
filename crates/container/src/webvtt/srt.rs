//! Reads SRT. There is no standard; this reads what people have. The lines with times decide: what stands between two of them
//! is the text of the first, without the number of the second and without blank lines, wherever these are. Sans-IO.

use super::clock::{TimingFound, TimingLine, loose_timing};
use super::markup::of_srt;
use super::{Cue, TimedText, bare, lines};

pub(super) fn read(text: &str) -> TimedText {
    let lines = lines(text);
    let mut found = TimedText::default();
    let timings: Vec<(usize, Option<TimingLine<'_>>)> =
        lines.iter().enumerate().filter_map(|(at, line)| timed(at, line)).collect();
    let before =
        |at: usize| at.checked_sub(1).and_then(|at| lines.get(at)).is_some_and(|line| number(line).is_some());
    let with_number = timings.iter().filter(|(at, _)| before(*at)).count();
    let is_numbered = with_number * 2 >= timings.len();
    let ends = timings.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
    for ((at, timing), next) in timings.iter().zip(ends) {
        let Some(TimingLine { start_ms, end_ms, settings: coordinates }) = *timing else {
            found.lose(at + 1, "its times cannot be read");
            continue;
        };
        let body = lines.get(at + 1..next.unwrap_or(lines.len())).unwrap_or_default();
        let body = if next.is_some() { without_number(body, is_numbered) } else { body };
        let body: Vec<&str> = body.iter().map(|line| line.trim_end()).collect();
        let (text, mut settings) = of_srt(&body.join("\n"));
        // A file of WebVTT without its first line has its settings; SRT has coordinates there, in pixels of nobody knows what.
        if settings.is_empty()
            && ["line:", "position:", "align:", "size:"].iter().any(|it| coordinates.starts_with(it))
        {
            coordinates.clone_into(&mut settings);
        }
        found.push(
            || at + 1,
            Cue { start_ms, end_ms: end_ms.unwrap_or(0), id: String::new(), settings, text },
        );
    }
    found.finished()
}

fn timed<'a>(at: usize, line: &&'a str) -> Option<(usize, Option<TimingLine<'a>>)> {
    match loose_timing(line) {
        TimingFound::Times(times) => Some((at, Some(times))),
        TimingFound::Damaged => Some((at, None)),
        TimingFound::Nothing => None,
    }
}

/// The number of a cue, if the line holds nothing else.
fn number(line: &str) -> Option<&str> {
    let line = bare(line);
    (!line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())).then_some(line)
}

/// Leaves out the number of the next cue at the end of a text, also one that stands there twice.
fn without_number<'a, 'b>(body: &'a [&'b str], is_numbered: bool) -> &'a [&'b str] {
    let end = body.iter().rposition(|line| !bare(line).is_empty()).map_or(0, |last| last + 1);
    let Some((last, rest)) = body.get(..end).unwrap_or_default().split_last() else { return &[] };
    let Some(cue) = number(last) else { return body };
    let touches = end == body.len();
    let stands_alone = rest.last().is_some_and(|line| bare(line).is_empty());
    // A number that is all of the text, with an empty line behind it, is text.
    if !(touches && is_numbered || stands_alone) {
        return body;
    }
    match rest.split_last() {
        Some((before, rest)) if number(before) == Some(cue) && is_numbered => rest,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Start, end and text of each cue.
    fn told(text: &str) -> Vec<(u64, u64, String)> {
        TimedText::of(text).cues.into_iter().map(|cue| (cue.start_ms, cue.end_ms, cue.text)).collect()
    }

    fn texts(text: &str) -> Vec<String> {
        told(text).into_iter().map(|(_, _, text)| text).collect()
    }

    const TWO: [&str; 2] = ["Un", "Deux"];

    #[test]
    fn a_plain_file() {
        let plain =
            "1\n00:00:01,000 --> 00:00:03,500\nBonjour\nà tous\n\n2\n00:59:59,000 --> 01:00:01,000\nSecond\n";
        let expected =
            vec![(1000, 3500, "Bonjour\nà tous".to_owned()), (3_599_000, 3_601_000, "Second".to_owned())];
        assert_eq!(told(plain), expected);
        for ends in ["\r\n", "\r", "\n\u{c}"] {
            assert_eq!(told(&plain.replace('\n', ends)), expected, "{ends:?}");
        }
        assert_eq!(told(&format!("\u{feff}{plain}")), expected);
    }

    #[test]
    fn separators_and_numbers_that_are_odd() {
        let cue =
            |text: &str| format!("00:00:0{} --> 00:00:09,000\n{text}", if text == "Un" { 1 } else { 4 });
        let (un, deux) = (cue("Un"), cue("Deux"));
        for (what, text) in [
            ("a blank", format!("1\n{un}\n \n2\n{deux}\n")),
            ("a tab", format!("1\n{un}\n\t\n2\n{deux}\n")),
            ("a form feed", format!("1\n{un}\n\u{c}\n2\n{deux}\n")),
            ("a no-break space", format!("1\n{un}\n\u{a0}\n2\n{deux}\n")),
            ("none", format!("1\n{un}\n2\n{deux}")),
            ("two", format!("1\n{un}\n\n\n2\n{deux}\n\n\n")),
            (
                "an empty line after the times",
                format!("1\n{un}\n\n2\n{deux}").replace("9,000\n", "9,000\n\n"),
            ),
            ("an empty line after the number", format!("1\n\n{un}\n\n2\n\n{deux}")),
            ("no numbers", format!("{un}\n\n{deux}")),
            ("no numbers, no separators", format!("{un}\n{deux}")),
            ("the number twice", format!("1\n1\n{un}\n\n2\n2\n{deux}")),
            ("one number for both", format!("1\n{un}\n\n1\n{deux}")),
            ("a mark before each", format!("\u{feff}1\n{un}\n\n\u{feff}2\n{deux}")),
            ("out of order", format!("2\n{deux}\n\n1\n{un}")),
        ] {
            assert_eq!(texts(&text), TWO, "{what}");
        }
        let numbers = "1\n00:00:01,000 --> 00:00:02,000\n42\n\n2\n00:00:03,000 --> 00:00:04,000\n1998\n";
        assert_eq!(texts(numbers), ["42", "1998"]);
        assert_eq!(texts(&numbers.replace("1\n00", "00").replace("2\n00", "00")), ["42", "1998"]);
        assert_eq!(texts("1\n00:00:01,000 --> 00:00:02,000\nUn\n\nde plus\n"), ["Un\nde plus"]);
    }

    #[test]
    fn times_that_are_odd() {
        let ends =
            |text: &str| told(text).into_iter().map(|(start, end, _)| (start, end)).collect::<Vec<_>>();
        assert_eq!(
            ends("00:00:01,000 -->\nUn\n\n00:00:04,000 --> 00:00:03,000\nDeux"),
            [(1000, 4000), (4000, 14_000)]
        );
        assert_eq!(
            ends("00:00:01,000 --> 00:00:01,000\nUn\n\n00:01:00,000 --> 00:02:00,000\nDeux"),
            [(1000, 11_000), (60_000, 120_000)]
        );
        assert_eq!(ends("100:00:00,000 --> 100:00:02,000\nUn"), [(360_000_000, 360_002_000)]);
        assert_eq!(
            ends("0:0:1.5 --> 0:0:2\nUn\n\n00:00:01,600 --> 00:00:05,000\nDeux"),
            [(1500, 2000), (1600, 5000)]
        );
        // Both are shown from the same moment, until something else is.
        assert_eq!(
            ends("00:01,0 -->\na\n\n00:01,0 -->\nb\n\n00:03,0 --> 00:04,0\nc"),
            [(1000, 3000), (1000, 3000), (3000, 4000)]
        );
    }

    #[test]
    fn text_is_escaped_and_known_tags_are_kept() {
        let one = |text: &str| {
            let read = TimedText::of(&format!("1\n00:00:01,000 --> 00:00:04,000 X1:0 X2:9\n{text}\n"));
            let cue = read.cues.into_iter().next().expect("a cue");
            (cue.text, cue.settings)
        };
        for (text, told) in [
            ("si x < 3 alors y > 2", "si x &lt; 3 alors y > 2"),
            ("une List<String> & co", "une List&lt;String> &amp; co"),
            ("<I>a</I> <b>b</b> <u>c</u >", "<i>a</i> <b>b</b> <u>c</u>"),
            ("<font color=\"#fff\" size='9'>a</font>", "a"),
            ("a --> b", "a --&gt; b"),
            ("a < b > c, <b and c>", "a &lt; b > c, &lt;b and c>"),
            ("&amp;", "&amp;amp;"),
            ("{\\i1}a{\\i0}{\\fad(1,2)}b", "<i>a</i>b"),
            ("{x} {\\", "{x} {\\"),
            ("<", "&lt;"),
        ] {
            assert_eq!(one(text), (told.to_owned(), String::new()), "{text}");
        }
        assert_eq!(one("{\\an8}Haut"), ("Haut".to_owned(), "line:0".to_owned()));
        assert_eq!(one("{\\an4}a").1, "line:50% align:left");
        assert_eq!(one("{\\an3}a").1, "align:right");
        assert_eq!(one("{\\a6}a{\\an1}").1, "line:0");
    }

    #[test]
    fn what_is_lost_is_said_with_its_line() {
        let read =
            TimedText::of("1\n00:00:0x,000 --> 00:00:03,000\nUn\n\n2\n00:00:04,000 --> 00:00:06,000\nDeux\n");
        assert_eq!(
            read.lost.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["line 2: its times cannot be read"]
        );
        assert_eq!(read.cues.len(), 1);
        assert!(!TimedText::of("a letter").is_known && !TimedText::of("").is_known);
        assert_eq!(texts("<!-- no XML -->\n00:01,000 --> 00:02,000\na"), ["a"]);
    }

    #[test]
    fn every_encoding() {
        let bytes = b"1\r\n00:00:01,000 --> 00:00:04,000\r\n\xc9l\xe8ve \xe0 gauche\r\n";
        let read = TimedText::of_bytes(bytes, amphi_media::charset::WINDOWS_1252);
        assert_eq!(read.cues.first().map(|cue| &*cue.text), Some("Élève à gauche"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(cues in prop::collection::vec((0..1_000_000_u64, 1..10_000_u64, "[a-z<>&{}éß-]([ -~é]{0,20}[a-z])?"), 1..20)) {
            let clock = |ms: u64| format!("{:02}:{:02}:{:02},{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
            let mut cues = cues;
            cues.sort_by_key(|(start, ..)| *start);
            // Tags may be in capitals, and have blanks.
            let tags = ["<i", "</i", "<b", "</b", "<u", "</u", "<font", "</font", "{\\"];
            cues.retain(|(_, _, text)| !tags.iter().any(|tag| text.to_ascii_lowercase().contains(tag)) && loose_timing(text) == TimingFound::Nothing);
            let text: Vec<String> = cues
                .iter()
                .zip(1..)
                .map(|((start, duration, text), number)| format!("{number}\n{} --> {}\n{text}\n\n", clock(*start), clock(start + duration)))
                .collect();
            let read = TimedText::of(&text.concat());
            let told: Vec<_> = read.cues.iter().map(|cue| (cue.start_ms, cue.end_ms - cue.start_ms, super::super::plain(&cue.text))).collect();
            prop_assert_eq!(told, cues);
            prop_assert!(read.cues.iter().all(|cue| !cue.text.contains("-->")));
        }

        #[test]
        fn nothing_panics(text in "(1\n|\n|\r\n|-->|->| |\t|<i>|<|>|\\{\\\\an8\\}|\\{\\\\|&|[0-9:.,]{1,9}|00:00:01,0|\\PC){0,40}") {
            for cue in TimedText::of(&text).cues {
                prop_assert!(cue.start_ms < cue.end_ms && !cue.text.contains("-->"));
                prop_assert!(cue.text.lines().all(|line| !line.trim().is_empty()));
            }
        }
    }
}
