//! Reads TTML, which was DFXP (W3C TTML2). Times of all forms, nested and in sequence, become cues; of styles bold, italic and
//! underlined letters are kept. Sans-IO.

use std::collections::HashMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::markup::{Face, styled};
use super::ttml_time::TimeParameters;
use super::{Cue, LOST_MAX, TimedText};
use amphi_media::charset;

/// How deep elements are read.
const DEPTH_MAX: usize = 64;
/// Most nodes of a document.
const NODES_MAX: u32 = 2_000_000;
/// Most references to styles that are followed from one element, those of its styles among them.
const REFERENCES_MAX: u32 = 32;
/// Most attributes of a style that are read.
const ATTRIBUTES_MAX: usize = 100;
/// An end that nobody has said.
const OPEN: u64 = u64::MAX;

/// Reads a document.
pub(super) fn read(text: &str) -> TimedText {
    if let Some(line) = charset::too_many_entities(text) {
        let mut found = TimedText::default();
        found.lose(line as usize, "its entities would become too long: nothing of it is read");
        return found;
    }
    let options = ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = match Document::parse_with_options(text, options) {
        Ok(document) => document,
        Err(error) => {
            let mut found = TimedText::default();
            found.lose(error.pos().row as usize, "it is no well-formed XML: nothing of it is read");
            return found;
        }
    };
    let root = document.root_element();
    if root.tag_name().name() != "tt" {
        let mut found = TimedText::default();
        found.lose(1, "its root element is not tt: nothing of it is read");
        return found;
    }
    let mut reader = TtmlReader {
        parameters: TimeParameters::of(&root),
        styles: styles(&root),
        found: TimedText { is_known: true, ..TimedText::default() },
        pieces: Vec::new(),
    };
    if let Some(body) = child(&root, "body") {
        let state =
            Inherited { start: 0, end: OPEN, face: Face::default(), preserve: preserves(&root, false) };
        reader.timed(body, state, 0, 0);
    }
    reader.found.finished()
}

/// What elements take from those around them.
#[derive(Clone, Copy, Debug)]
struct Inherited {
    start: u64,
    end: u64,
    face: Face,
    /// `xml:space="preserve"`
    preserve: bool,
}

/// Text of a paragraph, and when it is shown.
struct Piece {
    start: u64,
    end: u64,
    face: Face,
    text: String,
}

struct TtmlReader<'a, 'input> {
    parameters: TimeParameters,
    styles: HashMap<&'a str, Node<'a, 'input>>,
    found: TimedText,
    pieces: Vec<Piece>,
}

impl TtmlReader<'_, '_> {
    /// Reads an element and what is in it; it begins at `now` unless it says otherwise. Returns when it ends.
    fn timed(&mut self, node: Node<'_, '_>, around: Inherited, now: u64, depth: usize) -> u64 {
        let own = self.inherited(&node, around, now);
        let name = node.tag_name().name();
        if depth > DEPTH_MAX {
            lose(&mut self.found, &node, "its elements are nested too deep");
            return own.end;
        }
        if name == "br" {
            self.piece(own, "\n".to_owned());
            return own.start;
        }
        let is_paragraph = name == "p";
        // In a sequence each begins when the one before has ended (§12.2.4).
        let in_sequence = node.attribute("timeContainer") == Some("seq");
        let mut next = own.start;
        for child in node.children() {
            if child.is_text() {
                if matches!(name, "p" | "span") {
                    self.piece(own, spaced(child.text().unwrap_or_default(), own.preserve));
                }
            } else if matches!(child.tag_name().name(), "div" | "p" | "span" | "br") {
                let end = self.timed(child, own, next, depth + 1);
                next = if in_sequence { end } else { own.start };
            }
        }
        if is_paragraph {
            self.paragraph(&node);
        }
        if own.end == OPEN { next } else { own.end }
    }

    /// The times and the look of an element (§12.2).
    fn inherited(&mut self, node: &Node<'_, '_>, around: Inherited, now: u64) -> Inherited {
        let mut time = |name: &str, is_duration: bool| {
            let text = node.attribute(name)?;
            let ms = if is_duration { self.parameters.duration_ms(text) } else { self.parameters.ms(text) };
            if ms.is_none() {
                lose(&mut self.found, node, "its times cannot be read");
            }
            ms
        };
        let start = now.saturating_add(time("begin", false).unwrap_or(0));
        let end = time("end", false).map_or(OPEN, |end| now.saturating_add(end));
        let end = time("dur", true).map_or(end, |duration| end.min(start.saturating_add(duration)));
        let mut references = REFERENCES_MAX;
        Inherited {
            start,
            end: end.min(around.end),
            face: self.face(node, around.face, &mut references),
            preserve: preserves(node, around.preserve),
        }
    }

    /// How letters look in an element: as it says, as its styles say, as around it. Follows `left` references.
    fn face(&self, node: &Node<'_, '_>, around: Face, left: &mut u32) -> Face {
        let said = || node.attributes().take(ATTRIBUTES_MAX);
        let mut face = around;
        let styles = said().find(|it| it.name() == "style" && it.namespace().is_none());
        for name in styles.map_or("", |styles| styles.value()).split_whitespace() {
            let Some(fewer) = left.checked_sub(1) else { break };
            *left = fewer;
            if let Some(style) = self.styles.get(name) {
                face = self.face(style, face, left);
            }
        }
        for attribute in said() {
            let value = attribute.value().trim();
            match attribute.name() {
                "fontWeight" => face.bold = value == "bold",
                "fontStyle" => face.italic = matches!(value, "italic" | "oblique"),
                "textDecoration" => face.underline = value.split_whitespace().any(|word| word == "underline"),
                _ => {}
            }
        }
        face
    }

    fn piece(&mut self, own: Inherited, text: String) {
        match self.pieces.last_mut() {
            // A line break has no look of its own.
            Some(last)
                if (last.start, last.end) == (own.start, own.end)
                    && (last.face == own.face || text == "\n") =>
            {
                last.text.push_str(&text);
            }
            _ => self.pieces.push(Piece { start: own.start, end: own.end, face: own.face, text }),
        }
    }

    /// A paragraph has ended: pieces that are shown at the same time are a cue.
    fn paragraph(&mut self, node: &Node<'_, '_>) {
        let mut pieces = std::mem::take(&mut self.pieces).into_iter().peekable();
        while let Some(first) = pieces.next() {
            let (start_ms, end) = (first.start, first.end);
            let mut together = vec![(first.face, first.text)];
            while let Some(piece) = pieces.next_if(|piece| (piece.start, piece.end) == (start_ms, end)) {
                together.push((piece.face, piece.text));
            }
            let end_ms = if end == OPEN { 0 } else { end };
            // Blanks between timed spans, and what ends before it begins, are never seen.
            if end_ms > 0 && end_ms <= start_ms {
                continue;
            }
            let text = trimmed(&styled(&together));
            self.found.push(|| line(node), Cue { start_ms, end_ms, text, ..Cue::default() });
        }
    }
}

/// Lines without blanks at their ends, which come from how a document is indented.
fn trimmed(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Text as `xml:space` has it: line breaks and runs of blanks are a blank, or are kept (§8.2.16).
fn spaced(text: &str, preserve: bool) -> String {
    if preserve {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let is_blank = matches!(letter, ' ' | '\t' | '\r' | '\n');
        if !is_blank {
            out.push(letter);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

fn preserves(node: &Node<'_, '_>, around: bool) -> bool {
    let space = node.attribute(("http://www.w3.org/XML/1998/namespace", "space"));
    space.map_or(around, |space| space == "preserve")
}

fn child<'a, 'b>(node: &Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// The styles of the head by their identifiers (§8.4.1.2).
fn styles<'a, 'input>(root: &Node<'a, 'input>) -> HashMap<&'a str, Node<'a, 'input>> {
    let Some(head) = child(root, "head") else { return HashMap::new() };
    let styles = head.descendants().filter(|node| node.tag_name().name() == "style");
    let named = styles.filter_map(|node| {
        let id = node.attributes().find(|it| it.name() == "id")?;
        Some((id.value(), node))
    });
    named.collect()
}

/// To find a line takes as long as to read up to it.
fn lose(found: &mut TimedText, node: &Node<'_, '_>, why: &'static str) {
    if found.lost.len() < LOST_MAX {
        found.lose(line(node), why);
    }
}

fn line(node: &Node<'_, '_>) -> usize {
    node.document().text_pos_at(node.range().start).row as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Vec<(u64, u64, String)> {
        TimedText::of(text).cues.into_iter().map(|cue| (cue.start_ms, cue.end_ms, cue.text)).collect()
    }

    fn document(body: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:tts=\"http://www.w3.org/ns/ttml#styling\">\
             <head><styling><style xml:id=\"em\" tts:fontStyle=\"italic\"/><style xml:id=\"big\" style=\"em\" tts:fontWeight=\"bold\"/></styling></head>{body}</tt>"
        )
    }

    #[test]
    fn paragraphs_with_breaks_and_spans() {
        let text = document(
            "<body><div>\n <p begin=\"00:00:01.000\" end=\"00:00:03.500\">Bonjour\n   &amp; <span style=\"em\">a &lt; b</span><br/>à tous</p>\n\
             <p begin=\"5s\" dur=\"2s\" tts:textDecoration=\"underline\">Deux</p><p begin='8s' end='9s'><span style='big'>gras</span></p></div></body>",
        );
        assert_eq!(
            told(&text),
            [
                (1000, 3500, "Bonjour &amp; <i>a &lt; b\n</i>à tous".to_owned()),
                (5000, 7000, "<u>Deux</u>".to_owned()),
                (8000, 9000, "<b><i>gras</i></b>".to_owned()),
            ]
        );
    }

    #[test]
    fn times_are_nested_and_in_sequence() {
        let text = document(
            "<body begin='10s'><div begin='1s' end='20s'><p begin='1s' end='2s'>a</p><p begin='5s' end='99s'>b</p></div>\
             <div begin='30s' timeContainer='seq'><p dur='1s'>c</p><p begin='1s' dur='1s'>d</p></div>\
             <p begin='40s' end='44s'><span begin='0s' end='1s'>e</span> <span begin='1s'>f</span></p></body>",
        );
        let expected = [
            (12_000, 13_000, "a"),
            (16_000, 30_000, "b"),
            (40_000, 41_000, "c"),
            (42_000, 43_000, "d"),
            (50_000, 51_000, "e"),
            (51_000, 54_000, "f"),
        ];
        let read = told(&text);
        assert_eq!(
            read.iter().map(|(start, end, text)| (*start, *end, &**text)).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn dfxp_of_2006_and_any_encoding() {
        let text = "<?xml version='1.0' encoding='iso-8859-1'?><tt xmlns='http://www.w3.org/2006/10/ttaf1'><body><div>\
                    <p begin='00:00:01:15' end='00:00:03'>\u{e9}t\u{e9}</p><p xml:space='preserve' begin='4s'>a\n  b</p></div></body></tt>";
        let bytes: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
        let read = TimedText::of_bytes(&bytes, amphi_media::charset::WINDOWS_1252);
        let told: Vec<_> = read.cues.iter().map(|cue| (cue.start_ms, cue.end_ms, &*cue.text)).collect();
        assert_eq!(told, [(1500, 3000, "été"), (4000, 14_000, "a\nb")]);
    }

    #[test]
    fn what_is_lost_is_said_with_its_line() {
        let lost = |text: &str| TimedText::of(text).lost.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            lost(&document("<body>\n\n<p begin='soon' end='9s'>a</p></body>")),
            ["line 4: its times cannot be read"]
        );
        assert_eq!(
            lost("<tt><body>\n<p></body></tt>"),
            ["line 2: it is no well-formed XML: nothing of it is read"]
        );
        let html = TimedText::of("<html><body/></html>");
        assert!(!html.is_known && html.lost.len() == 1);
    }

    #[test]
    fn entities_are_written_out_within_limits() {
        let text = |entities: &str| {
            format!("<!DOCTYPE tt [\n{entities}]>\n<tt><body><p begin='1s' end='2s'>&b;</p></body></tt>")
        };
        assert_eq!(told(&text("<!ENTITY b 'bon'>")), [(1000, 2000, "bon".to_owned())]);
        let mut laughs = String::new();
        for it in b'c'..b'k' {
            let hundred = format!("&{};", char::from(it)).repeat(100);
            laughs.extend(["<!ENTITY ", char::from(it - 1).encode_utf8(&mut [0; 4]), " '", &hundred, "'>\n"]);
        }
        let read = TimedText::of(&text(&format!("{laughs}<!ENTITY j 'ha'>")));
        let lost: Vec<_> = read.lost.iter().map(ToString::to_string).collect();
        assert_eq!(lost, ["line 2: its entities would become too long: nothing of it is read"]);
        assert!(read.cues.is_empty());
    }

    #[test]
    fn styles_that_name_each_other_end() {
        let (mut names, mut styles) = (String::new(), String::new());
        for it in 0..2000 {
            names.extend(["s", &it.to_string(), " "]);
        }
        for it in 0..2000 {
            styles.extend(["<style id='s", &it.to_string(), "' style='", &names, "' fontStyle='italic'/>"]);
        }
        let text = format!(
            "<tt><head>{styles}</head><body><p begin='0s' end='1s' style='{names}'>a</p></body></tt>"
        );
        assert_eq!(told(&text), [(0, 1000, "<i>a</i>".to_owned())]);
    }

    proptest! {
        #[test]
        fn nothing_panics(body in "(<p begin='[0-9:.]{0,6}(ms|[hmsft])?' (end|dur)='[0-9:.]{0,6}[hmsft]?'>|<span begin='[0-9]s'>|</span>|</p>|<br/>|<div timeContainer='seq'>|</div>|a|&amp;|-->){0,20}") {
            for cue in TimedText::of(&document(&format!("<body>{body}</body>"))).cues {
                prop_assert!(cue.start_ms < cue.end_ms && !cue.text.contains("-->"));
            }
        }
    }
}
