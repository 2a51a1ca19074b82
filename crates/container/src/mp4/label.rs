//! What a track says about itself for people and for players that choose: kind, language, name, whether it is enabled, and
//! what it is to other tracks (ISO/IEC 14496-12 §8.3, §8.4, §8.10). Sans-IO.

use super::super::isobmff::{BoxReader, BoxRef};
use super::left_out::TrackKind;

/// Longest name that is taken, in bytes.
const NAME_MAX: usize = 200;

/// What the file says about a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackLabel {
    /// What its handler says it is.
    pub kind: TrackKind,
    /// A language tag (RFC 5646) that says more than the three letters (`elng`, §8.4.6).
    pub language_tag: Option<String>,
    /// Its name (`udta`/`name`), or that of its handler if that is not its writer's.
    pub name: Option<String>,
    /// `track_enabled` (§8.3.2): of several tracks for one purpose, the writer's choice.
    pub is_enabled: bool,
    /// It is auxiliary to another track: depth, transparency, a thumbnail (§8.3.3).
    pub is_auxiliary: bool,
}

impl TrackLabel {
    /// Reads it of a `trak`; what is missing or damaged is as if it said nothing.
    pub fn read(trak: &BoxRef<'_>) -> Self {
        let mdia = child(trak, *b"mdia");
        let hdlr = mdia.and_then(|mdia| child(&mdia, *b"hdlr"));
        let handler: Option<[u8; 4]> = hdlr.and_then(|hdlr| hdlr.body.get(8..12)?.try_into().ok());
        let entry = || {
            let stbl = child(&child(&mdia?, *b"minf")?, *b"stbl")?;
            child(&stbl, *b"stsd")?.children(8).flatten().next().map(|entry| entry.kind)
        };
        let is_enabled = child(trak, *b"tkhd").and_then(|tkhd| tkhd.full().ok());
        let tag = mdia.and_then(|mdia| child(&mdia, *b"elng")).and_then(|elng| text(elng.body.get(4..)?));
        let own = child(trak, *b"udta").and_then(|udta| child(&udta, *b"name")).and_then(|it| text(it.body));
        let of_handler = || hdlr.and_then(|hdlr| handler_name(hdlr.body.get(24..)?));
        Self {
            kind: kind(handler, entry().unwrap_or_default()),
            language_tag: tag.filter(|tag| is_language_tag(tag)),
            name: own.or_else(of_handler),
            is_enabled: is_enabled.is_none_or(|tkhd| tkhd.flags & 1 != 0),
            is_auxiliary: handler == Some(*b"auxv")
                || [*b"auxl", *b"vdep", *b"vplx", *b"thmb"]
                    .iter()
                    .any(|kind| !refers(trak, *kind).is_empty()),
        }
    }
}

fn child<'a>(of: &BoxRef<'a>, kind: [u8; 4]) -> Option<BoxRef<'a>> {
    of.child(kind).ok().flatten()
}

/// The `track_ID`s to which `trak` refers in this way (`tref`, §8.3.3), eight at most.
pub(super) fn refers(trak: &BoxRef<'_>, kind: [u8; 4]) -> Vec<u32> {
    let found = child(trak, *b"tref").and_then(|tref| child(&tref, kind));
    let mut numbers = BoxReader(found.map_or(&[][..], |found| found.body));
    std::iter::from_fn(|| numbers.u32()).take(8).collect()
}

/// The tracks of a `moov` that others name as their chapters: pictures and titles that are no renditions.
pub(super) fn chapter_tracks(moov: &BoxRef<'_>) -> Vec<u32> {
    let traks = moov.children(0).flatten().filter(|child| child.kind == *b"trak");
    traks.take(64).flat_map(|trak| refers(&trak, *b"chap")).collect()
}

/// By its handler (§8.4.3), or by its first sample entry if it has none.
fn kind(handler: Option<[u8; 4]>, entry: [u8; 4]) -> TrackKind {
    match handler.as_ref() {
        Some(b"vide") => TrackKind::Picture,
        Some(b"soun") => TrackKind::Sound,
        Some(b"text" | b"sbtl" | b"subt" | b"clcp" | b"subp") => TrackKind::Text,
        _ => match &entry {
            b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"vp08" | b"vp09" | b"av01" | b"mp4v" => {
                TrackKind::Picture
            }
            b"mp4a" | b"Opus" | b"fLaC" | b"ac-3" | b"ec-3" | b"alac" | b".mp3" => TrackKind::Sound,
            b"tx3g" | b"text" | b"wvtt" | b"stpp" => TrackKind::Text,
            _ => TrackKind::Other,
        },
    }
}

/// Text up to its first zero byte, if it has something to say.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()).min(NAME_MAX);
    let text = String::from_utf8_lossy(bytes.get(..end)?);
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The name in `hdlr` (§8.4.3), in QuickTime after its length. Most writers put their own name there.
fn handler_name(name: &[u8]) -> Option<String> {
    let name = match name {
        [length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        other => other,
    };
    let name = text(name)?;
    let lower = name.to_lowercase();
    let is_writer =
        ["handler", "media", "google", "gpac", "l-smash", "bento", "apple", "mainconcept", "lavf", "track"];
    let is_generic = ["video", "audio", "sound", "picture", "soun", "vide", "mp4", "iso"];
    (!is_writer.iter().any(|word| lower.contains(word)) && !is_generic.contains(&&*lower)).then_some(name)
}

/// Letters, digits and hyphens (RFC 5646 §2.1), not `und`.
fn is_language_tag(tag: &str) -> bool {
    let is_part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    tag.len() <= 35 && tag.split('-').all(is_part) && !tag.eq_ignore_ascii_case("und")
}
