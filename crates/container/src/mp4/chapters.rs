//! Chapters: QuickTime's (QuickTime File Format, "Chapter Lists"), a text track that another track names by `tref`/`chap`; and
//! Nero's, a list of titles in `chpl`. Sans-IO.

use amphi_media::charset;

use super::super::isobmff::{BoxFault, BoxRef};
use super::super::webvtt::{Cue, plain};
use super::text_track::{TextContext, TextTrack};
use super::track::track_id;

/// Largest number of chapters that are read of one recording.
const CHAPTERS_MAX: usize = 1000;
/// How many ticks of a chapter list are a millisecond.
const TICKS_PER_MS: u64 = 10_000;

/// The first text track among those with these `track_ID`s.
pub(super) fn track(
    moov: &BoxRef<'_>,
    named: &[u32],
    context: &mut TextContext<'_>,
) -> Result<Option<TextTrack>, BoxFault> {
    if named.is_empty() {
        return Ok(None);
    }
    for trak in moov.children(0).flatten().filter(|child| child.kind == *b"trak") {
        if named.contains(&track_id(&trak.need(*b"tkhd")?)?.0)
            && let Some(track) = TextTrack::read(&trak, context)?
        {
            return Ok(Some(track));
        }
    }
    Ok(None)
}

/// The titles of a chapter track, from the bytes at its extents.
pub fn chapters_of(track: &TextTrack, titles: &[u8]) -> Vec<Cue> {
    let cues = track.read_samples(titles).cues.into_iter().take(CHAPTERS_MAX);
    cues.map(|cue| Cue { text: plain(&cue.text), ..cue }).collect()
}

/// The chapters of a `chpl` box: when each begins, in units of 100 ns, and its title. One ends where the next begins; where the
/// last one ends is for the caller to say: until then its end is its start.
pub(super) fn listed(moov: &BoxRef<'_>) -> Vec<Cue> {
    let mut udtas = moov.children(0).flatten().filter(|child| child.kind == *b"udta");
    let Some(chpl) = udtas.find_map(|udta| udta.child(*b"chpl").ok().flatten()) else { return Vec::new() };
    let Ok(mut full) = chpl.full() else { return Vec::new() };
    let chapters = &mut full.rest;
    // Version 1 has four bytes more.
    if full.version > 0 && chapters.skip(4).is_none() {
        return Vec::new();
    }
    let count = chapters.u8().unwrap_or(0);
    let mut found: Vec<Cue> = Vec::new();
    for _ in 0..count {
        let mut chapter = || {
            let start = chapters.u64()?;
            let length = chapters.u8()?;
            Some((start, chapters.bytes(usize::from(length))?))
        };
        let Some((start, title)) = chapter() else { break };
        let title =
            charset::decode(title, None, charset::WINDOWS_1252).0.trim_matches('\0').trim().to_owned();
        let start_ms = start / TICKS_PER_MS;
        if !title.is_empty() {
            found.push(Cue { start_ms, end_ms: start_ms, text: title, ..Cue::default() });
        }
    }
    found.sort_by_key(|chapter| chapter.start_ms);
    let next: Vec<u64> = found.iter().skip(1).map(|chapter| chapter.start_ms).collect();
    for (chapter, next) in found.iter_mut().zip(next) {
        chapter.end_ms = next;
    }
    found
}
