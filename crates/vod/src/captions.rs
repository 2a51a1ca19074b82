//! Subtitles of a presentation: what they are called, and the versions of them that are kept. Sans-IO.
//!
//! **Names.** The URLs of subtitles say where they come from and in which state that was, so that a name never means another
//! language, and a text that is corrected gets other names. Those who have begun with the earlier text go on with it for as long as
//! it is remembered, then with the present one. Subtitles that are gone have no cues: a player that shows them would take any error
//! for one of the recording.
//!
//! Names of earlier versions count subtitles (`text_0.m3u8`). They mean what they meant where a recording has one file of
//! subtitles, and go on meaning that one when others come.

use std::sync::Arc;

use super::names::{FileNames, digest};
use super::recording::Recording;
use amphi_container::webvtt::{self as text, Cue, TimedText};

/// Goes up whenever files are read in another way, so that no cache mixes what was read before and after.
const READER_VERSION: u32 = 2;

/// Subtitles of a presentation that can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedText {
    /// A language tag (RFC 5646 §2.1); `und` if unknown.
    pub language: String,
    /// What the file calls them, if it does.
    pub name: Option<String>,
    /// Key and tag in their URLs.
    pub names: FileNames,
}

/// The cues of subtitles.
#[derive(Clone, Debug)]
pub struct Captions {
    /// The cues in order of time, and styles.
    pub text: Arc<TimedText>,
    /// Changes whenever they change; part of keys of caches.
    pub version: String,
}

impl Captions {
    /// The WebVTT text of segment number `part`, counted from 0 (RFC 8216 §3.5).
    pub fn segment(&self, part: usize) -> String {
        text::segment(&self.text, part)
    }

    /// The cues as chapters: titles have no markup.
    pub fn chapters(&self) -> Vec<Cue> {
        self.text.cues.iter().map(|cue| Cue { text: text::plain(&cue.text), ..cue.clone() }).collect()
    }

    /// Those that are gone.
    pub(super) fn none() -> Self {
        Self { text: Arc::default(), version: "gone".to_owned() }
    }
}

/// Where subtitles come from.
#[derive(Clone, Debug)]
pub(super) enum TextSource {
    /// A file at the first of these paths that is there.
    File(Vec<String>),
    /// A track within a recording, by its place among its text tracks.
    Track(Arc<Recording>, usize),
}

/// Subtitles that a presentation names, whether or not they are there.
#[derive(Clone, Debug)]
pub(super) struct NamedText {
    pub language: String,
    pub name: Option<String>,
    pub source: TextSource,
    /// They stand beside the recording: of one language only the first ones are listed.
    pub is_beside: bool,
}

/// Key and tag for what stands at `place` in the state `state`.
pub(super) fn names_of(place: &str, state: &str) -> FileNames {
    FileNames { key: digest(place), tag: digest(&format!("{READER_VERSION} {state}")) }
}

/// The key of a text track.
pub(super) fn track_place(path: &str, track_id: u32) -> String {
    format!("{path}#{track_id}")
}

/// Where a file may be that the playlist at `playlist` names for subtitles: from the root, as Wowza has it; then beside the playlist.
pub(super) fn text_candidates(playlist: &str, named: &str) -> impl Iterator<Item = String> {
    let beside = playlist.rsplit_once('/').map(|(folder, _)| format!("{folder}/{named}"));
    std::iter::once(named.to_owned()).chain(beside)
}
