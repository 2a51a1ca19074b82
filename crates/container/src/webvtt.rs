//! Subtitles and chapters: reads WebVTT, SRT and TTML (DFXP), and cuts cues into segments of WebVTT (RFC 8216 §3.5). Sans-IO.
//!
//! A file is told by its content: `WEBVTT` begins a WebVTT file, an element `tt` a TTML document, anything else is SRT. Whatever
//! it is, the cues hold WebVTT's markup: what SRT and TTML say in their own way is translated, and what is only text is escaped.
//!
//! Cues are sorted by their start. One without an end, or with one that is not after its start, is shown until the next one
//! begins, ten seconds at most. What looks like a cue and cannot be read is a [`LostCue`] with its line.

mod clock;
mod markup;
mod reader;
mod segments;
mod srt;
mod ttml;
mod ttml_time;

use std::collections::HashMap;

use amphi_media::charset::{self, Encoding};
use serde::Serialize;

pub use markup::plain;
pub(crate) use markup::{Face, escaped, styled};
pub use segments::{playlist, segment, whole};

/// How many cues of a file are read; a long day of speech has fewer.
pub(crate) const CUES_MAX: usize = 200_000;
/// How many cues that cannot be read are remembered.
const LOST_MAX: usize = 100;
/// Latest time that is believed, in milliseconds: 17 years.
const LATEST_MS: u64 = 1 << 39;
/// How long a cue without an end is shown at most, in milliseconds.
const WITHOUT_END_MS: u64 = 10_000;

/// A subtitle cue, or a chapter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cue {
    /// Start in milliseconds of presentation time.
    pub start_ms: u64,
    /// End in milliseconds of presentation time.
    pub end_ms: u64,
    /// The cue's identifier; empty if it has none that is its own.
    #[serde(skip)]
    pub id: String,
    /// Cue settings such as the position, as WebVTT writes them.
    #[serde(skip)]
    pub settings: String,
    /// The text: one or more lines, with WebVTT's markup.
    pub text: String,
}

impl Cue {
    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.id.capacity() + self.settings.capacity() + self.text.capacity()
    }
}

/// What a file or a track of subtitles holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimedText {
    /// The cues in order of time.
    pub cues: Vec<Cue>,
    /// The `STYLE` and `REGION` blocks of a WebVTT file, with a blank line between them.
    pub header: String,
    /// What looks like a cue and is none: the first hundred.
    pub lost: Vec<LostCue>,
    /// Whether it is known to be subtitles: it says so, or has a cue.
    pub is_known: bool,
}

/// A cue that could not be read: its writer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct LostCue {
    /// The line of its times, counted from 1; for a track within an mp4, the number of the sample.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl TimedText {
    /// Reads the file with this name. Text that does not say its encoding, as TTML may, and is not UTF-8 is in `fallback`.
    pub fn of_file(name: &str, bytes: &[u8], fallback: &'static Encoding) -> Self {
        let text = charset::decode_xml(bytes, fallback);
        let is_named =
            name.len() > 4 && name.get(name.len() - 4..).is_some_and(|it| it.eq_ignore_ascii_case(".vtt"));
        let found = Self::of(&text);
        // Its first line is missing, but not its markup. SRT that is only called .vtt has commas in its times.
        if is_named && !reader::is_webvtt(&text) && reader::has_dots(&text) {
            reader::read(&text)
        } else {
            found
        }
    }

    /// Reads text of bytes in the same way.
    pub fn of_bytes(bytes: &[u8], fallback: &'static Encoding) -> Self {
        Self::of(&charset::decode_xml(bytes, fallback))
    }

    /// Reads the text of a file.
    pub fn of(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}').replace('\0', "\u{fffd}");
        if reader::is_webvtt(&text) {
            return reader::read(&text);
        }
        if !text.trim_start().starts_with('<') {
            return srt::read(&text);
        }
        let found = ttml::read(&text);
        let other = if found.is_known { None } else { Some(srt::read(&text)).filter(|other| other.is_known) };
        other.unwrap_or(found)
    }

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.header.capacity() + self.cues.iter().map(Cue::memory).sum::<usize>()
    }

    pub(crate) fn lose(&mut self, line: usize, why: &'static str) {
        if self.lost.len() < LOST_MAX {
            self.lost.push(LostCue { line, why });
        }
    }

    /// Adds a cue; `end_ms` is not after its start if nobody knows it.
    pub(crate) fn push(&mut self, line: impl FnOnce() -> usize, cue: Cue) {
        if cue.text.trim().is_empty() {
            return;
        }
        self.is_known = true;
        let why = match cue.start_ms.max(cue.end_ms) {
            LATEST_MS.. => "its times are later than any recording",
            _ if self.cues.len() >= CUES_MAX => TOO_MANY,
            _ => return self.cues.push(cue),
        };
        // To find the line may take as long as to read up to it.
        if self.lost.len() < LOST_MAX && self.lost.last().is_none_or(|last| last.why != why) {
            self.lose(line(), why);
        }
    }

    /// Sorts the cues, and gives an end to those without one.
    pub(crate) fn finished(mut self) -> Self {
        self.cues.sort_by_key(|cue| cue.start_ms);
        let (mut this, mut next) = (None, None);
        for cue in self.cues.iter_mut().rev() {
            if this != Some(cue.start_ms) {
                (this, next) = (Some(cue.start_ms), this);
            }
            if cue.end_ms <= cue.start_ms {
                let longest = cue.start_ms.saturating_add(WITHOUT_END_MS);
                cue.end_ms = next.map_or(longest, |next| longest.min(next));
            }
        }
        self.drop_shared_ids();
        self
    }

    /// hls.js shows one cue of several with the same identifier.
    fn drop_shared_ids(&mut self) {
        let mut times: HashMap<&str, u32> = HashMap::new();
        for cue in self.cues.iter().filter(|cue| !cue.id.is_empty()) {
            *times.entry(&cue.id).or_default() += 1;
        }
        let shared: Vec<bool> =
            self.cues.iter().map(|cue| times.get(&*cue.id).is_some_and(|times| *times > 1)).collect();
        for (cue, _) in self.cues.iter_mut().zip(shared).filter(|(_, is_shared)| *is_shared) {
            cue.id.clear();
        }
    }
}

const TOO_MANY: &str = "there are more cues than are read: it and those after it are left out";

/// The lines of a text, which CR, LF or both end (WebVTT §4.1).
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\r', '\n']) {
        let (line, after) = rest.split_at(end);
        lines.push(line);
        rest = after.strip_prefix("\r\n").unwrap_or_else(|| after.get(1..).unwrap_or_default());
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Takes from both ends of a line what is not seen there.
fn bare(line: &str) -> &str {
    line.trim_matches(|letter: char| {
        letter.is_whitespace() || letter.is_control() || matches!(letter, '\u{feff}' | '\u{200b}')
    })
}
