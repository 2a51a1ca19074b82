//! Names of files in a recording's URLs: written and read here. Sans-IO.
//!
//! ```text
//! playlist.m3u8 · manifest.mpd · manifest_mpm4sav_mvlist.mpd
//! chunklist[_w<digits>][_b<bit/s>].m3u8               as Wowza's, read only
//! chunklist_<key>[_<tag>][_v|_a<n>|_f<n>][_t<ms>[-<ms>]].m3u8   one rendition, all of it or its picture or a sound track
//! iframes_<key>[_<tag>][_t<ms>[-<ms>]].m3u8
//! chapters.json · poster.jpg · download
//! text_<key>_<tag>[_t<ms>[-<ms>]].m3u8 · text_<key>_<tag>_<m>.vtt      subtitles in segments
//! text_<key>_<tag>[_t<ms>[-<ms>]].vtt                  subtitles in one piece, for DASH
//! text_<n>[…].m3u8 · text_<n>_<m>.vtt · text_<n>[…].vtt                by number, read only
//! init_<key>_<tag>_<kind>.mp4 · media_<key>_<tag>_<kind>_<from>-<to>.m4s · media_<key>_<tag>_<kind>_t<ticks>.m4s
//! ```
//! A kind is `av`, `v`, `a<n>` or `f<n>`: picture and sound, the picture, sound track number *n*, or that track as it is in the
//! file where `a<n>` is coded anew. A key stands for the rendition's path, a tag for the state of its file. So a name always means the same bytes, and players
//! that change the rendition go on with the version that they began. Without a tag, as before, a playlist is of the file's
//! present version.

use std::fmt::Write as _;
use std::iter::Peekable;

use sha2::{Digest, Sha256};

use super::cut::Trim;

/// Which tracks of a rendition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrackSelection {
    /// The picture and the first sound track, if there are any.
    #[default]
    Both,
    /// The picture alone (the video track).
    Picture,
    /// One sound track alone, counted from 0.
    Sound(usize),
    /// The same as it is in the file: AC-3 or E-AC-3, where [`Sound`](Self::Sound) is AAC that is made of it.
    InFile(usize),
}

/// The parts that the names of one rendition's files have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileNames {
    /// Stands for its path: `k` and eight hexadecimal digits.
    pub key: String,
    /// Stands for the state of its file, in the same form.
    pub tag: String,
}

/// How a URL names subtitles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextName {
    /// As playlists do.
    Names(FileNames),
    /// By number, as playlists of earlier versions did.
    Number(usize),
}

/// Which version of a rendition a playlist is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionNames {
    /// The present one of the rendition with this key.
    Present(String),
    /// That one.
    Exact(FileNames),
}

/// What the last part of a recording's URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingFile {
    /// `playlist.m3u8`, the multivariant playlist.
    Multivariant,
    /// `manifest.mpd`, the DASH manifest.
    Manifest,
    /// A media playlist by Wowza's name: the rendition nearest to this bit rate, in bits per second.
    Nearest(Option<u64>),
    /// The media playlist of a rendition.
    Playlist(VersionNames, TrackSelection, Trim),
    /// The I-frame playlist of a rendition.
    IFrames(VersionNames, Trim),
    /// An initialization section of a rendition.
    Init(FileNames, TrackSelection),
    /// A segment by its samples: the first one, and the first one after it.
    Segment(FileNames, TrackSelection, u32, u32),
    /// A segment by the presentation time of its beginning, in ticks of its leading track.
    SegmentAt(FileNames, TrackSelection, i64),
    /// The media playlist of subtitles.
    TextPlaylist(TextName, Trim),
    /// Subtitles in one piece.
    WholeText(TextName, Trim),
    /// A segment of subtitles, by its number.
    Text(TextName, usize),
    /// `chapters.json`, the list of chapters.
    Chapters,
    /// `poster.jpg`, a picture of the recording.
    Poster,
    /// `download`, the mp4 file itself.
    Download,
}

/// `k` and eight hexadecimal digits that stand for `text`: no part of Wowza's names looks like this.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(4).fold("k".to_owned(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

impl TrackSelection {
    pub(super) fn text(self) -> String {
        match self {
            Self::Both => "av".to_owned(),
            Self::Picture => "v".to_owned(),
            Self::Sound(index) => format!("a{index}"),
            Self::InFile(index) => format!("f{index}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "av" => Some(Self::Both),
            "v" => Some(Self::Picture),
            other => {
                let sound = other.strip_prefix('a').and_then(number).map(Self::Sound);
                sound.or_else(|| other.strip_prefix('f').and_then(number).map(Self::InFile))
            }
        }
    }

    /// Whether it is sound alone.
    pub const fn is_sound(self) -> bool {
        matches!(self, Self::Sound(_) | Self::InFile(_))
    }
}

impl FileNames {
    /// Name of the media playlist of these tracks.
    pub fn playlist(&self, kind: TrackSelection, trim: Trim) -> String {
        let tracks = if kind == TrackSelection::Both { String::new() } else { format!("_{}", kind.text()) };
        format!("chunklist_{}_{}{tracks}{}.m3u8", self.key, self.tag, trim_text(trim))
    }

    /// Name of the I-frame playlist.
    pub fn i_frames(&self, trim: Trim) -> String {
        format!("iframes_{}_{}{}.m3u8", self.key, self.tag, trim_text(trim))
    }

    /// Name of the initialization section for these tracks.
    pub fn init(&self, kind: TrackSelection) -> String {
        format!("init_{}_{}_{}.mp4", self.key, self.tag, kind.text())
    }

    /// Template for the segments of these tracks (ISO/IEC 23009-1 §5.3.9.4.4).
    pub(super) fn segment_template(&self, kind: TrackSelection) -> String {
        format!("media_{}_{}_{}_t$Time$.m4s", self.key, self.tag, kind.text())
    }

    /// Name of the segment of the samples `from..to` of the leading one of these tracks.
    pub fn segment(&self, kind: TrackSelection, from: u32, to: u32) -> String {
        format!("media_{}_{}_{}_{from}-{to}.m4s", self.key, self.tag, kind.text())
    }
}

pub(super) fn text_playlist(names: &FileNames, trim: Trim) -> String {
    format!("text_{}_{}{}.m3u8", names.key, names.tag, trim_text(trim))
}

pub(super) fn whole_text(names: &FileNames, trim: Trim) -> String {
    format!("text_{}_{}{}.vtt", names.key, names.tag, trim_text(trim))
}

pub(super) fn text_segment(names: &FileNames, part: u64) -> String {
    format!("text_{}_{}_{part}.vtt", names.key, names.tag)
}

fn trim_text(trim: Trim) -> String {
    match (trim.is_whole(), trim.duration_ms) {
        (true, _) => String::new(),
        (false, None) => format!("_t{}", trim.start_ms),
        (false, Some(duration)) => format!("_t{}-{duration}", trim.start_ms),
    }
}

/// Reads a file's name; `None` if it is not one of these.
pub fn parse(file: &str) -> Option<RecordingFile> {
    let between = |prefix: &str, suffix: &str| file.strip_prefix(prefix)?.strip_suffix(suffix);
    match file {
        "playlist.m3u8" => return Some(RecordingFile::Multivariant),
        "manifest.mpd" | "manifest_mpm4sav_mvlist.mpd" => return Some(RecordingFile::Manifest),
        "chapters.json" => return Some(RecordingFile::Chapters),
        "poster.jpg" => return Some(RecordingFile::Poster),
        "download" => return Some(RecordingFile::Download),
        _ => {}
    }
    if let Some(tail) = between("chunklist", ".m3u8") {
        return wowza(tail).or_else(|| playlist(tail));
    }
    if let Some(tail) = between("iframes_", ".m3u8") {
        let mut fields = tail.split('_').peekable();
        let names = version(&mut fields)?;
        return Some(RecordingFile::IFrames(names, trim(&mut fields)?));
    }
    if let Some(tail) = between("init_", ".mp4") {
        let mut fields = tail.split('_');
        let names = names(&mut fields)?;
        let kind = TrackSelection::parse(fields.next()?)?;
        return fields.next().is_none().then_some(RecordingFile::Init(names, kind));
    }
    if let Some(tail) = between("media_", ".m4s") {
        let mut fields = tail.split('_');
        let names = names(&mut fields)?;
        let kind = TrackSelection::parse(fields.next()?)?;
        let place = fields.next()?;
        if let Some(time) = place.strip_prefix('t') {
            let is_plain = (1..=18).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
            let time = is_plain.then(|| time.parse().ok()).flatten()?;
            return fields.next().is_none().then_some(RecordingFile::SegmentAt(names, kind, time));
        }
        let (from, to) = place.split_once('-')?;
        let (from, to) = (number(from)? as u32, number(to)? as u32);
        return (fields.next().is_none() && from < to)
            .then_some(RecordingFile::Segment(names, kind, from, to));
    }
    if let Some(tail) = between("text_", ".m3u8") {
        let mut fields = tail.split('_');
        return Some(RecordingFile::TextPlaylist(text_name(&mut fields)?, trim(&mut fields)?));
    }
    let mut fields = between("text_", ".vtt")?.split('_').peekable();
    let name = text_name(&mut fields)?;
    if let Some(part) = fields.peek().copied().and_then(number) {
        fields.next();
        return fields.next().is_none().then_some(RecordingFile::Text(name, part));
    }
    Some(RecordingFile::WholeText(name, trim(&mut fields)?))
}

fn text_name<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<TextName> {
    let first = fields.next()?;
    match key(first) {
        Some(key_of_text) => Some(TextName::Names(FileNames { key: key_of_text, tag: key(fields.next()?)? })),
        None => number(first).map(TextName::Number),
    }
}

/// Reads `[_w<digits>][_b<digits>]`, as in Wowza's names.
fn wowza(tail: &str) -> Option<RecordingFile> {
    let mut bitrate = None;
    for field in tail.split('_').skip(1) {
        if let Some(digits) = field.strip_prefix('b') {
            bitrate = Some(number(digits)? as u64);
        } else {
            field.strip_prefix('w').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        }
    }
    (tail.is_empty() || tail.starts_with('_')).then_some(RecordingFile::Nearest(bitrate))
}

fn playlist(tail: &str) -> Option<RecordingFile> {
    let mut fields = tail.strip_prefix('_')?.split('_').peekable();
    let names = version(&mut fields)?;
    let kind = match fields.peek().copied().and_then(TrackSelection::parse) {
        Some(kind) => {
            fields.next();
            kind
        }
        None => TrackSelection::Both,
    };
    Some(RecordingFile::Playlist(names, kind, trim(&mut fields)?))
}

fn trim<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<Trim> {
    let Some(field) = fields.next() else { return Some(Trim::default()) };
    let text = field.strip_prefix('t')?;
    let trim = match text.split_once('-') {
        Some((start, duration)) => {
            Trim { start_ms: number(start)? as u64, duration_ms: Some(number(duration)? as u64) }
        }
        None => Trim { start_ms: number(text)? as u64, duration_ms: None },
    };
    fields.next().is_none().then_some(trim)
}

/// `<key>[_<tag>]`
fn version<'a>(fields: &mut Peekable<impl Iterator<Item = &'a str>>) -> Option<VersionNames> {
    let first = key(fields.next()?)?;
    let Some(tag) = fields.peek().copied().and_then(key) else { return Some(VersionNames::Present(first)) };
    fields.next();
    Some(VersionNames::Exact(FileNames { key: first, tag }))
}

fn names<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Option<FileNames> {
    Some(FileNames { key: key(fields.next()?)?, tag: key(fields.next()?)? })
}

fn key(text: &str) -> Option<String> {
    let digits = text.strip_prefix('k')?;
    let is = digits.len() == 8
        && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is.then(|| text.to_owned())
}

/// Reads up to nine decimal digits, so that every number fits into 32 bits.
fn number(text: &str) -> Option<usize> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let names = FileNames { key: digest("a.mp4"), tag: digest("1") };
        for kind in [
            TrackSelection::Both,
            TrackSelection::Picture,
            TrackSelection::Sound(3),
            TrackSelection::InFile(2),
        ] {
            assert_eq!(parse(&names.init(kind)), Some(RecordingFile::Init(names.clone(), kind)));
            let at = names.segment_template(kind).replace("$Time$", "123456789012");
            assert_eq!(parse(&at), Some(RecordingFile::SegmentAt(names.clone(), kind, 123_456_789_012)));
            assert_eq!(
                parse(&names.segment(kind, 3, 70)),
                Some(RecordingFile::Segment(names.clone(), kind, 3, 70))
            );
            for trim in [
                Trim::default(),
                Trim { start_ms: 30_000, duration_ms: None },
                Trim { start_ms: 0, duration_ms: Some(40_000) },
            ] {
                let version = VersionNames::Exact(names.clone());
                let expected = RecordingFile::Playlist(version.clone(), kind, trim);
                assert_eq!(parse(&names.playlist(kind, trim)), Some(expected));
                assert_eq!(parse(&names.i_frames(trim)), Some(RecordingFile::IFrames(version, trim)));
                // Old links have no tag.
                let present = VersionNames::Present(names.key.clone());
                let without = |name: String| name.replace(&format!("_{}", names.tag), "");
                let expected = RecordingFile::Playlist(present.clone(), kind, trim);
                assert_eq!(parse(&without(names.playlist(kind, trim))), Some(expected));
                let expected = RecordingFile::IFrames(present, trim);
                assert_eq!(parse(&without(names.i_frames(trim))), Some(expected));
                let text = TextName::Names(names.clone());
                let expected = RecordingFile::TextPlaylist(text.clone(), trim);
                assert_eq!(parse(&text_playlist(&names, trim)), Some(expected));
                assert_eq!(
                    parse(&whole_text(&names, trim)),
                    Some(RecordingFile::WholeText(text.clone(), trim))
                );
                assert_eq!(parse(&text_segment(&names, 7)), Some(RecordingFile::Text(text, 7)));
            }
        }
    }

    #[test]
    fn wowzas_names_are_read() {
        let number = TextName::Number;
        assert_eq!(parse("text_0_7.vtt"), Some(RecordingFile::Text(number(0), 7)));
        assert_eq!(parse("text_4.vtt"), Some(RecordingFile::WholeText(number(4), Trim::default())));
        assert_eq!(parse("text_4.m3u8"), Some(RecordingFile::TextPlaylist(number(4), Trim::default())));
        for name in ["text_x.vtt", "text_k01234567.vtt", "text_0_7_8.vtt", "text_0_x.vtt", "text_.m3u8"] {
            assert_eq!(parse(name), None, "{name}");
        }
        for (name, bitrate) in [
            ("chunklist.m3u8", None),
            ("chunklist_w1234567.m3u8", None),
            ("chunklist_w12_b374532.m3u8", Some(374_532)),
            ("chunklist_b64000.m3u8", Some(64_000)),
        ] {
            assert_eq!(parse(name), Some(RecordingFile::Nearest(bitrate)), "{name}");
        }
        for name in ["chunklists.m3u8", "chunklist_x.m3u8", "media_1_2_3.m4s", "passwd", "init__.mp4", ""] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(name in "(chunklist|media|init|text|iframes|_|k[0-9a-f]{8}|t|a|f|v|-|[0-9]{1,12}|\\.m3u8|\\.m4s|.){0,10}") {
            let _ = parse(&name);
        }
    }
}
