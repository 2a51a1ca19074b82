//! Paths of channels, in all the forms that players and pages of the last ten years use.
//!
//! ```text
//! /<app>/[_definst_/][<stream>/]<file>
//! <stream>  any name · ngrp:<name>_all
//! <file>    playlist.m3u8 · manifest.mpd · manifest_mpm4sav_mvlist.mpd
//!           chunklist[_w<digits>][_b<bit/s>][_<rung>].m3u8     the session id is read over
//!           init_<rung>_<hash>.mp4 · media_<rung>_<k>.m4s
//! ```
//!
//! A name has letters, digits, `_`, `.` and `-`; `%3A` and the like are read as what they stand for
//! (RFC 3986 §2.4); everything else is refused, dot segments too. Which names exist is not asked here, so
//! `<name>_720p` and `<name>.stream` are plain names. A rung whose own name looks like a session id or a bit
//! rate (`w1`, `b64`) could not be told from one; its playlist answers under `<name>_<rung>` all the same.
//!
//! What is read lies in the path itself; only a path with `%` costs memory.

use std::borrow::Cow;

use crate::media::CellIndex;

/// Wowza's default application instance.
pub(super) const DEFAULT_INSTANCE: &str = "_definst_";

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/crossdomain.xml`: may a Flash player of another origin read this?
    CrossDomain,
    /// Something of a channel.
    Channel(ChannelPath<'a>),
}

/// A path into a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPath<'a> {
    /// The channel's name.
    pub app: Cow<'a, str>,
    /// The stream's name, if the path has one.
    pub stream: Option<Stream<'a>>,
    /// The file.
    pub file: File<'a>,
}

/// The stream part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream<'a> {
    /// `<name>`, which may end with a rung's name.
    Name(Cow<'a, str>),
    /// `ngrp:<name>_all`: all rungs of the stream (without prefix and suffix).
    Group(Cow<'a, str>),
}

/// The file part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File<'a> {
    /// The multivariant playlist.
    Multivariant,
    /// A media playlist; without a rung or a bit rate the best one.
    Media {
        /// The rung's name.
        rung: Option<Cow<'a, str>>,
        /// Asked for by bits per second.
        bitrate_bps: Option<u64>,
    },
    /// The DASH manifest.
    Manifest,
    /// An initialization section, by its whole file name.
    Init(Cow<'a, str>),
    /// A media segment.
    Segment {
        /// The rung's name.
        rung: Cow<'a, str>,
        /// The cell.
        k: CellIndex,
    },
}

/// A path that leads nowhere: the viewer's fault, or an old link's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// `%` without two hexadecimal digits.
    #[error("the path has a % that is not followed by two hexadecimal digits")]
    Escape,
    /// A name that cannot exist.
    #[error("the path has a name that is empty or has characters that names do not have")]
    Name,
    /// None of the forms above.
    #[error("the path has none of the forms that are served here")]
    Form,
}

/// Reads the path of a request target.
pub fn parse(path: &str) -> Result<Route<'_>, RouteError> {
    if path == "/crossdomain.xml" {
        return Ok(Route::CrossDomain);
    }
    let path = path.strip_prefix('/').ok_or(RouteError::Form)?;
    let Some((names, file)) = path.rsplit_once('/') else {
        decode(path)?;
        return Err(RouteError::Form);
    };
    let file = decode(file)?;
    let (app, stream) = parse_names(names)?;
    let (app, file) = (name(app)?, parse_file(name(file)?)?);
    let stream = stream.map(parse_stream).transpose()?;
    Ok(Route::Channel(ChannelPath { app, stream, file }))
}

/// Reads the path of an RTSP URL: `/<app>[/_definst_][/[<prefix>:]<stream>]`. Prefixes of Wowza's other than `ngrp` say
/// nothing about a channel.
pub(in crate::delivery) fn parse_play(path: &str) -> Result<(Cow<'_, str>, Option<Stream<'_>>), RouteError> {
    let (app, stream) = parse_names(path.strip_prefix('/').ok_or(RouteError::Form)?)?;
    let plain = |text| {
        within(text, |text| match text.split_once(':') {
            Some(("mp4" | "flv", stream)) => stream,
            _ => text,
        })
    };
    Ok((name(app)?, stream.map(plain).map(parse_stream).transpose()?))
}

/// `<app>[/_definst_][/<stream>]`, decoded.
fn parse_names(names: &str) -> Result<(Cow<'_, str>, Option<Cow<'_, str>>), RouteError> {
    let mut parts = names.split('/').map(decode);
    let app = parts.next().ok_or(RouteError::Form)??;
    let mut stream = parts.next().transpose()?;
    if stream.as_ref().is_some_and(|part| part == DEFAULT_INSTANCE) {
        stream = parts.next().transpose()?;
    }
    match parts.next().transpose()? {
        None => Ok((app, stream)),
        Some(_) => Err(RouteError::Form),
    }
}

/// A part of a text, borrowed from where the text is.
fn within(text: Cow<'_, str>, choose: impl FnOnce(&str) -> &str) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(choose(text)),
        Cow::Owned(text) => Cow::Owned(choose(&text).to_owned()),
    }
}

/// Reads `%` and the two digits behind it as what they stand for.
pub(super) fn decode(part: &str) -> Result<Cow<'_, str>, RouteError> {
    if !part.contains('%') {
        return Ok(Cow::Borrowed(part));
    }
    let mut bytes = part.bytes();
    let mut decoded = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or(RouteError::Escape)?, digit().ok_or(RouteError::Escape)?);
                (high << 4 | low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| RouteError::Name)
}

fn name(text: Cow<'_, str>) -> Result<Cow<'_, str>, RouteError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let dots_alone = text.bytes().all(|byte| byte == b'.');
    if plain && !dots_alone { Ok(text) } else { Err(RouteError::Name) }
}

fn parse_stream(text: Cow<'_, str>) -> Result<Stream<'_>, RouteError> {
    match text.split_once(':') {
        None => Ok(Stream::Name(name(text)?)),
        Some(("ngrp", group)) if group.ends_with("_all") => {
            let bare = within(text, |text| {
                text.strip_prefix("ngrp:").and_then(|group| group.strip_suffix("_all")).unwrap_or_default()
            });
            Ok(Stream::Group(name(bare)?))
        }
        Some(_) => Err(RouteError::Form),
    }
}

fn parse_file(file: Cow<'_, str>) -> Result<File<'_>, RouteError> {
    match file {
        Cow::Borrowed(file) => read_file(file),
        Cow::Owned(file) => read_file(&file).map(File::into_owned),
    }
}

fn read_file(file: &str) -> Result<File<'_>, RouteError> {
    let between = |prefix: &str, suffix: &str| file.strip_prefix(prefix)?.strip_suffix(suffix);
    if file == "playlist.m3u8" {
        return Ok(File::Multivariant);
    }
    if matches!(file, "manifest.mpd" | "manifest_mpm4sav_mvlist.mpd") {
        return Ok(File::Manifest);
    }
    if let Some(tail) = between("chunklist", ".m3u8") {
        return parse_chunklist(tail).ok_or(RouteError::Form);
    }
    if between("init_", ".mp4").is_some() {
        return Ok(File::Init(file.into()));
    }
    if let Some((rung, k)) = between("media_", ".m4s").and_then(|middle| middle.rsplit_once('_')) {
        let k = cell_index(k).ok_or(RouteError::Form)?;
        return Ok(File::Segment { rung: rung.into(), k });
    }
    Err(RouteError::Form)
}

impl File<'_> {
    fn into_owned(self) -> File<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Multivariant => File::Multivariant,
            Self::Media { rung, bitrate_bps } => File::Media { rung: rung.map(own), bitrate_bps },
            Self::Manifest => File::Manifest,
            Self::Init(name) => File::Init(own(name)),
            Self::Segment { rung, k } => File::Segment { rung: own(rung), k },
        }
    }
}

/// `[_w<digits>][_b<digits>][_<rung>]`.
fn parse_chunklist(tail: &str) -> Option<File<'_>> {
    let mut rest = tail;
    let mut bitrate_bps = None;
    if let Some((_, after)) = digits_behind("_w", rest) {
        rest = after;
    }
    if let Some((digits, after)) = digits_behind("_b", rest).filter(|(digits, _)| !digits.is_empty()) {
        // A rate too large to be read asks for the best rung.
        bitrate_bps = Some(digits.parse().unwrap_or(u64::MAX));
        rest = after;
    }
    let rung = match rest {
        "" => None,
        rest => Some(rest.strip_prefix('_').filter(|rung| !rung.is_empty())?.into()),
    };
    Some(File::Media { rung, bitrate_bps })
}

/// The digits between `prefix` and the next `_` or the end, maybe none, and the rest from there.
fn digits_behind<'a>(prefix: &str, text: &'a str) -> Option<(&'a str, &'a str)> {
    let text = text.strip_prefix(prefix)?;
    let (digits, rest) = text.split_at(text.find('_').unwrap_or(text.len()));
    is_digits(digits).then_some((digits, rest))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One spelling per cell, so that a cache keeps a segment once.
fn cell_index(text: &str) -> Option<CellIndex> {
    let canonical = is_digits(text) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok().map(CellIndex)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel<'a>(app: &'a str, stream: Option<Stream<'a>>, file: File<'a>) -> Route<'a> {
        Route::Channel(ChannelPath { app: app.into(), stream, file })
    }

    fn name_of(stream: &str) -> Stream<'_> {
        Stream::Name(stream.into())
    }

    fn media(rung: Option<&str>, bitrate_bps: Option<u64>) -> File<'_> {
        File::Media { rung: rung.map(Into::into), bitrate_bps }
    }

    #[test]
    fn every_form_of_a_playlist() {
        let group = || Some(Stream::Group("vl1".into()));
        for (path, stream) in [
            ("/hs-a/playlist.m3u8", None),
            ("/hs-a/_definst_/playlist.m3u8", None),
            ("/hs-a/vl1/playlist.m3u8", Some(name_of("vl1"))),
            ("/hs-a/vl1.stream/playlist.m3u8", Some(name_of("vl1.stream"))),
            ("/hs-a/vl1_720p/playlist.m3u8", Some(name_of("vl1_720p"))),
            ("/hs-a/_definst_/vl1/playlist.m3u8", Some(name_of("vl1"))),
            ("/hs-a/ngrp:vl1_all/playlist.m3u8", group()),
            ("/hs-a/ngrp%3Avl1_all/playlist.m3u8", group()),
            ("/hs-a/ngrp%3avl1_all/playlist.m3u8", group()),
            ("/hs-a/_definst_/ngrp:vl1_all/playlist.m3u8", group()),
            ("/hs%2Da/%76l1/playlist.m3u8", Some(name_of("vl1"))),
        ] {
            assert_eq!(parse(path), Ok(channel("hs-a", stream, File::Multivariant)), "{path}");
        }
        assert_eq!(parse("/crossdomain.xml"), Ok(Route::CrossDomain));
    }

    #[test]
    fn every_form_of_a_chunklist() {
        for (file, expected) in [
            ("chunklist.m3u8", media(None, None)),
            ("chunklist_w.m3u8", media(None, None)),
            ("chunklist_w929118404.m3u8", media(None, None)),
            ("chunklist_b64000.m3u8", media(None, Some(64_000))),
            ("chunklist_w2067742926_b216000.m3u8", media(None, Some(216_000))),
            ("chunklist_w2067742926_b216000_480p.m3u8", media(Some("480p"), Some(216_000))),
            ("chunklist_w1_720p.m3u8", media(Some("720p"), None)),
            ("chunklist_720p.m3u8", media(Some("720p"), None)),
            ("chunklist_wide.m3u8", media(Some("wide"), None)),
            ("chunklist_best_of.m3u8", media(Some("best_of"), None)),
            ("chunklist_b99999999999999999999999.m3u8", media(None, Some(u64::MAX))),
        ] {
            assert_eq!(parse(&format!("/a/{file}")), Ok(channel("a", None, expected.clone())), "{file}");
            assert_eq!(
                parse(&format!("/a/s/{file}")),
                Ok(channel("a", Some(name_of("s")), expected)),
                "{file}"
            );
        }
    }

    #[test]
    fn files_of_a_rung() {
        let segment = File::Segment { rung: "720p".into(), k: CellIndex(897_500_000) };
        assert_eq!(parse("/a/media_720p_897500000.m4s"), Ok(channel("a", None, segment.clone())));
        assert_eq!(
            parse("/a/_definst_/s/media_720p_897500000.m4s"),
            Ok(channel("a", Some(name_of("s")), segment))
        );
        let init = File::Init("init_720p_01234567.mp4".into());
        assert_eq!(
            parse("/a/s_720p/init_720p_01234567.mp4"),
            Ok(channel("a", Some(name_of("s_720p")), init))
        );
    }

    #[test]
    fn every_form_of_an_rtsp_url() {
        let vl1 = || Some(name_of("vl1_720p"));
        for (path, stream) in [
            ("/hs-a", None),
            ("/hs-a/_definst_", None),
            ("/hs-a/vl1_720p", vl1()),
            ("/hs-a/_definst_/vl1_720p", vl1()),
            ("/hs-a/mp4:vl1_720p", vl1()),
            ("/hs%2Da/_definst_/mp4%3Avl1_720p", vl1()),
            ("/hs-a/ngrp:vl1_all", Some(Stream::Group("vl1".into()))),
        ] {
            assert_eq!(parse_play(path), Ok(("hs-a".into(), stream)), "{path}");
        }
        for (path, error) in [
            ("", RouteError::Form),
            ("/", RouteError::Name),
            ("/a/", RouteError::Name),
            ("/a/b/c", RouteError::Form),
            ("/a/..", RouteError::Name),
            ("/a/rtp:b", RouteError::Form),
            ("/a/%", RouteError::Escape),
        ] {
            assert_eq!(parse_play(path), Err(error), "{path}");
        }
    }

    #[test]
    fn what_leads_nowhere() {
        for (path, error) in [
            ("", RouteError::Form),
            ("/", RouteError::Form),
            ("*", RouteError::Form),
            ("/playlist.m3u8", RouteError::Form),
            ("/a/", RouteError::Name),
            ("/a/b/c/playlist.m3u8", RouteError::Form),
            ("/a/index.html", RouteError::Form),
            ("/a/chunklist720p.m3u8", RouteError::Form),
            ("/a/chunklist_.m3u8", RouteError::Form),
            ("/a/media_720p_0897500000.m4s", RouteError::Form),
            ("/a/media_720p_+1.m4s", RouteError::Name),
            ("/a/media_720p_-1.m4s", RouteError::Form),
            ("/a/media_720p_99999999999999999999.m4s", RouteError::Form),
            ("/a/smil:x.smil/playlist.m3u8", RouteError::Form),
            ("/a/ngrp:x/playlist.m3u8", RouteError::Form),
            ("/../playlist.m3u8", RouteError::Name),
            ("/a/%2e%2e/playlist.m3u8", RouteError::Name),
            ("/a/ngrp:.._all/playlist.m3u8", RouteError::Name),
            ("/a/..%2f..%2fetc/playlist.m3u8", RouteError::Name),
            ("//playlist.m3u8", RouteError::Name),
            ("/a/s%00/playlist.m3u8", RouteError::Name),
            ("/a/%ff/playlist.m3u8", RouteError::Name),
            ("/a/%2/playlist.m3u8", RouteError::Escape),
            ("/a/%zz/playlist.m3u8", RouteError::Escape),
            ("/a/%+1/playlist.m3u8", RouteError::Escape),
        ] {
            assert_eq!(parse(path), Err(error), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic_and_names_stay_plain(
            path in prop_oneof![".{0,60}", "(/([a-z_.:%]|%[0-9a-f]{2}|ngrp:|_all|_definst_){0,8}){0,4}(/[a-z_0-9]{0,12}\\.(m3u8|mp4|m4s))?"],
        ) {
            if let Ok(Route::Channel(path)) = parse(&path) {
                let stream = match path.stream {
                    Some(Stream::Name(name) | Stream::Group(name)) => name,
                    None => "none".into(),
                };
                for name in [path.app, stream] {
                    prop_assert!(!name.is_empty() && name != "." && name != "..");
                    prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)));
                }
            }
        }

        #[test]
        fn what_the_shelf_names_is_found(rung in "[0-9]{2,4}p", k in 0..i64::MAX) {
            let segment = File::Segment { rung: rung.as_str().into(), k: CellIndex(k) };
            let path = format!("/a/media_{rung}_{k}.m4s");
            prop_assert_eq!(parse(&path), Ok(channel("a", None, segment)));
            let path = format!("/a/chunklist_{rung}.m3u8");
            prop_assert_eq!(parse(&path), Ok(channel("a", None, media(Some(&rung), None))));
        }
    }
}
