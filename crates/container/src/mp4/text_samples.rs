//! What is in the samples of text tracks: timed text (3GPP TS 26.245 §5.17), QuickTime's text, WebVTT and TTML in mp4
//! (ISO/IEC 14496-30 §7, §6). Sans-IO.

use amphi_media::charset;

use super::super::isobmff::{BoxReader, BoxRef, Boxes};
use super::super::webvtt::{Cue, Face, TimedText, escaped, styled};
use super::text_track::{TextCoding, TextTrack};
use super::ticks::rescale;

/// How many of the last cues may go on in the next sample.
const OPEN_MAX: usize = 16;

impl TextTrack {
    /// The subtitles in the bytes at [`Self::extents`]. Their times count from presentation time zero.
    pub fn read_samples(&self, bytes: &[u8]) -> TimedText {
        let mut found = match &self.coding {
            TextCoding::Wvtt { header } => {
                TimedText { header: TimedText::of(header).header, ..TimedText::default() }
            }
            _ => TimedText::default(),
        };
        found.is_known = true;
        let ms = |ticks: i64| rescale(ticks - self.origin, self.timescale, 1000);
        let mut rest = BoxReader(bytes);
        for index in 0..self.readable() {
            let Some(sample) = rest.bytes(self.samples.size(index) as usize) else { break };
            let start = self.samples.media_time(index);
            let end = start.saturating_add(i64::from(self.samples.duration(index)));
            let span = SampleSpan { number: index as usize + 1, start_ms: ms(start), end_ms: ms(end) };
            // What is over before the presentation begins is not shown.
            if !sample.is_empty() && (span.end_ms > 0 || end == start) {
                self.sample(sample, span, &mut found);
            }
        }
        if self.readable() < self.samples.count() {
            found.lose(self.readable() as usize + 1, "there are more texts than are read");
        }
        found.finished()
    }

    fn sample(&self, sample: &[u8], span: SampleSpan, found: &mut TimedText) {
        let plain = |text: String| Cue { text, ..Cue::default() };
        match &self.coding {
            TextCoding::TimedText => match timed_text(sample) {
                Some(text) => span.show(plain(text), found),
                None => found.lose(span.number, "its text is cut off"),
            },
            TextCoding::QuickTime => match text_of(sample, charset::MACINTOSH) {
                Some((text, _)) => span.show(plain(escaped(&text)), found),
                None => found.lose(span.number, "its text is cut off"),
            },
            TextCoding::Wvtt { .. } => {
                for part in Boxes::new(sample, 0) {
                    match part {
                        Ok(part) if part.kind == *b"vttc" => span.show(cue_of(&part), found),
                        // vtte says that nothing is shown, vtta is a note.
                        Ok(_) => {}
                        Err(_) => found.lose(span.number, "a box in it is cut off"),
                    }
                }
            }
            TextCoding::Stpp => {
                let document = TimedText::of_bytes(sample, charset::UTF_8);
                if !document.is_known {
                    found.lose(span.number, "it is no TTML");
                }
                span.show_document(document, found);
            }
        }
    }
}

/// When a sample is shown.
#[derive(Clone, Copy, Debug)]
struct SampleSpan {
    /// Counted from 1.
    number: usize,
    start_ms: i64,
    end_ms: i64,
}

impl SampleSpan {
    /// Shows a cue for as long as the sample. It goes on if the one before was the same: samples end where fragments do.
    fn show(self, cue: Cue, found: &mut TimedText) {
        let [start_ms, end_ms] = [self.start_ms, self.end_ms].map(|ms| u64::try_from(ms).unwrap_or(0));
        let is_same = |last: &&mut Cue| {
            last.end_ms == start_ms
                && last.start_ms < start_ms
                && (&last.text, &last.settings, &last.id) == (&cue.text, &cue.settings, &cue.id)
        };
        match found.cues.iter_mut().rev().take(OPEN_MAX).find(is_same) {
            Some(last) => last.end_ms = end_ms,
            None => found.push(|| self.number, Cue { start_ms, end_ms, ..cue }),
        }
    }

    /// Shows what a document shows during the sample. Its times count on the track's timeline (ISO/IEC 14496-30 §5.1), or
    /// from the sample's start where a writer has taken them so.
    fn show_document(self, document: TimedText, found: &mut TimedText) {
        let within = |cue: &Cue, base: i64| {
            let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX).saturating_add(base);
            let (start, end) = (ms(cue.start_ms).max(self.start_ms), ms(cue.end_ms).min(self.end_ms));
            (start < end).then_some((start, end))
        };
        let is_absolute = document.cues.iter().any(|cue| within(cue, 0).is_some());
        for cue in document.cues {
            let base = if is_absolute { 0 } else { self.start_ms };
            if let Some((start_ms, end_ms)) = within(&cue, base) {
                Self { start_ms, end_ms, ..self }.show(cue, found);
            }
        }
    }
}

/// The text of a sample, whose length stands before it, and the bytes after it.
fn text_of<'a>(sample: &'a [u8], fallback: &'static charset::Encoding) -> Option<(String, BoxReader<'a>)> {
    let mut fields = BoxReader(sample);
    let length = fields.u16()?;
    let text = fields.bytes(usize::from(length))?;
    Some((charset::decode(text, None, fallback).0.into_owned(), fields))
}

/// A sample of timed text: its text, then boxes, of which `styl` says how letters look.
fn timed_text(sample: &[u8]) -> Option<String> {
    let (text, rest) = text_of(sample, charset::WINDOWS_1252)?;
    let styl = Boxes::new(rest.0, 0).flatten().find(|part| part.kind == *b"styl");
    let faces = styl.map(|styl| faces(&styl, text.chars().count())).unwrap_or_default();
    let mut pieces: Vec<(Face, String)> = Vec::new();
    for (letter, place) in text.chars().zip(0..) {
        let face = faces.get(place).copied().unwrap_or_default();
        match pieces.last_mut() {
            // A line break has no look of its own.
            Some((last, piece)) if *last == face || letter == '\n' => piece.push(letter),
            _ => pieces.push((face, letter.to_string())),
        }
    }
    Some(styled(&pieces))
}

/// How each letter looks (§5.17.1.1).
fn faces(styl: &BoxRef<'_>, letters: usize) -> Vec<Face> {
    let mut faces = vec![Face::default(); letters];
    let mut fields = BoxReader(styl.body);
    let count = fields.u16().unwrap_or(0);
    for _ in 0..count {
        let mut record = || {
            let (from, to) = (fields.u16()?, fields.u16()?);
            fields.skip(2)?;
            let flags = fields.u8()?;
            // Size and colour.
            fields.skip(5)?;
            Some((usize::from(from), usize::from(to), flags))
        };
        let Some((from, to, flags)) = record() else { break };
        let face = Face { bold: flags & 1 != 0, italic: flags & 2 != 0, underline: flags & 4 != 0 };
        if let Some(letters) = faces.get_mut(from..to.min(letters)) {
            letters.fill(face);
        }
    }
    faces
}

/// A `vttc` box (ISO/IEC 14496-30 §7.5).
fn cue_of(vttc: &BoxRef<'_>) -> Cue {
    let text = |kind: &[u8; 4]| {
        let part = vttc.children(0).flatten().find(|part| part.kind == *kind);
        part.map(|part| String::from_utf8_lossy(part.body).replace('\0', "")).unwrap_or_default()
    };
    let one_line =
        |text: String| text.split(['\r', '\n']).next().unwrap_or_default().trim().replace("-->", "");
    // The text is WebVTT's already; blank lines would end the cue.
    let payload = text(b"payl").replace("\r\n", "\n").replace('\r', "\n").replace("-->", "--&gt;");
    let lines: Vec<&str> = payload.lines().filter(|line| !line.is_empty()).collect();
    Cue {
        id: one_line(text(b"iden")),
        settings: one_line(text(b"sttg")),
        text: lines.join("\n"),
        ..Cue::default()
    }
}
