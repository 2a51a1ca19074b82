//! Paths of HTTP requests: an [`Address`], and a file of HLS or DASH in it, in all the forms that players and pages of the last
//! ten years use.
//!
//! ```text
//! /<address>/<file>
//! <file>    of a channel:  playlist.m3u8 · manifest.mpd · manifest_mpm4sav_mvlist.mpd
//!                          chunklist[_w<digits>][_b<bit/s>][_<rung>].m3u8     the session id is ignored
//!                          init_<rung>_<hash>.mp4 · media_<rung>_<k>.m4s
//!           of a mount:    index.json at its root; else see `vod::names`
//! ```
//! `%3A` and the like are decoded (RFC 3986 §2.4). Which names exist does not matter here, so
//! `<name>_720p` and `<name>.stream` are plain names. A rung whose own name looks like a session id or a bit
//! rate (`w1`, `b64`) cannot be told from one; its playlist is still served under `<name>_<rung>`.
//!
//! The path of a channel is borrowed, not copied; only a path with `%` allocates.

use std::borrow::Cow;

use crate::delivery::address::{self, Address, AddressError, decode, plain};
use amphi_access::VisitStep;
use amphi_media::CellIndex;
use amphi_vod as vod;

/// The list of a mount's recordings.
const INDEX: &str = "index.json";

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpRoute<'a> {
    /// `/crossdomain.xml`, in which a Flash player reads whether it may load media of another origin.
    CrossDomain,
    /// A file of a channel.
    Channel(ChannelPath<'a>),
    /// A path beneath a mount, or why it is no address.
    Mount(Result<MountPath, AddressError>),
}

/// A path into a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPath<'a> {
    /// The channel, and which stream of it.
    pub address: Address<'a>,
    /// The playlist, manifest, initialization section or segment.
    pub file: ChannelFile<'a>,
}

/// A path into a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPath {
    /// The mount, and which recording of it.
    pub address: Address<'static>,
    /// The file; `None` for the list of recordings.
    pub file: Option<vod::RecordingFile>,
}

/// The file part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelFile<'a> {
    /// `playlist.m3u8`: the multivariant playlist.
    Multivariant,
    /// `chunklist….m3u8`: a media playlist; without a rung or a bit rate, that of the best rung.
    Media {
        /// The rung's name, which takes precedence.
        rung: Option<Cow<'a, str>>,
        /// The rung with the nearest BANDWIDTH, in bits per second.
        bitrate_bps: Option<u64>,
    },
    /// `manifest.mpd`: the DASH manifest.
    Manifest,
    /// An initialization section, by its whole file name.
    Init(Cow<'a, str>),
    /// `media_<rung>_<k>.m4s`: a media segment.
    Segment {
        /// The rung's name, with the suffix of a part: `720p.v`.
        rung: Cow<'a, str>,
        /// The cell, which is also the segment's media sequence number.
        k: CellIndex,
    },
}

/// Reads the path of a request target; `is_mount` says whether an application is a mount.
pub fn parse(path: &str, is_mount: impl FnOnce(&str) -> bool) -> Result<HttpRoute<'_>, AddressError> {
    if path == "/crossdomain.xml" {
        return Ok(HttpRoute::CrossDomain);
    }
    let path = path.strip_prefix('/').ok_or(AddressError::Form)?;
    let Some((names, file)) = path.rsplit_once('/') else {
        decode(path)?;
        return Err(AddressError::Form);
    };
    let mut beneath_mount = false;
    let address = address::parse(names, |app| {
        beneath_mount = is_mount(app);
        beneath_mount
    });
    if beneath_mount {
        return Ok(HttpRoute::Mount(address.and_then(|address| mount_path(address, file))));
    }
    let file = parse_file(file)?;
    Ok(HttpRoute::Channel(ChannelPath { address: address?, file }))
}

/// Reads the path of a request target if it leads into a channel, says `is_channel`. Any other is read no further than its
/// application.
pub(super) fn parse_in_channel(path: &str, is_channel: impl FnOnce(&str) -> bool) -> Option<ChannelPath<'_>> {
    let (names, file) = path.strip_prefix('/')?.rsplit_once('/')?;
    let address = address::parse_in_channel(names, is_channel)?;
    Some(ChannelPath { address, file: parse_file(file).ok()? })
}

fn mount_path(address: Address<'_>, file: &str) -> Result<MountPath, AddressError> {
    let file = decode(file)?;
    let file = match &address.stream {
        None if file == INDEX => None,
        None => return Err(AddressError::Form),
        Some(_) => Some(vod::parse_file(&file).ok_or(AddressError::Form)?),
    };
    Ok(MountPath { address: address.into_owned(), file })
}

impl MountPath {
    /// How far a viewer is who asks for it.
    pub(super) fn step(&self) -> VisitStep {
        use vod::RecordingFile as File;
        match &self.file {
            Some(
                File::Multivariant
                | File::Manifest
                | File::Nearest(_)
                | File::Playlist(..)
                | File::IFrames(..)
                | File::TextPlaylist(..),
            ) => VisitStep::Entry,
            _ => VisitStep::Onward,
        }
    }
}

impl ChannelFile<'_> {
    /// How far a viewer is who asks for it.
    pub(super) const fn step(&self) -> VisitStep {
        match self {
            Self::Multivariant | Self::Media { .. } | Self::Manifest => VisitStep::Entry,
            Self::Init(_) | Self::Segment { .. } => VisitStep::Onward,
        }
    }
}

impl ChannelPath<'_> {
    /// A copy that does not borrow from the path.
    pub(super) fn into_owned(self) -> ChannelPath<'static> {
        ChannelPath { address: self.address.into_owned(), file: self.file.into_owned() }
    }
}

fn parse_file(file: &str) -> Result<ChannelFile<'_>, AddressError> {
    match plain(decode(file)?)? {
        Cow::Borrowed(file) => read_file(file),
        Cow::Owned(file) => read_file(&file).map(ChannelFile::into_owned),
    }
}

fn read_file(file: &str) -> Result<ChannelFile<'_>, AddressError> {
    let between = |prefix: &str, suffix: &str| file.strip_prefix(prefix)?.strip_suffix(suffix);
    if file == "playlist.m3u8" {
        return Ok(ChannelFile::Multivariant);
    }
    if matches!(file, "manifest.mpd" | "manifest_mpm4sav_mvlist.mpd") {
        return Ok(ChannelFile::Manifest);
    }
    if let Some(tail) = between("chunklist", ".m3u8") {
        return parse_chunklist(tail).ok_or(AddressError::Form);
    }
    if between("init_", ".mp4").is_some() {
        return Ok(ChannelFile::Init(file.into()));
    }
    if let Some((rung, k)) = between("media_", ".m4s").and_then(|middle| middle.rsplit_once('_')) {
        let k = cell_index(k).ok_or(AddressError::Form)?;
        return Ok(ChannelFile::Segment { rung: rung.into(), k });
    }
    Err(AddressError::Form)
}

impl ChannelFile<'_> {
    fn into_owned(self) -> ChannelFile<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Multivariant => ChannelFile::Multivariant,
            Self::Media { rung, bitrate_bps } => ChannelFile::Media { rung: rung.map(own), bitrate_bps },
            Self::Manifest => ChannelFile::Manifest,
            Self::Init(name) => ChannelFile::Init(own(name)),
            Self::Segment { rung, k } => ChannelFile::Segment { rung: own(rung), k },
        }
    }
}

/// `[_w<digits>][_b<digits>][_<rung>]`.
fn parse_chunklist(tail: &str) -> Option<ChannelFile<'_>> {
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
    Some(ChannelFile::Media { rung, bitrate_bps })
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

/// Accepts one spelling per cell, so that a cache keeps a segment once.
fn cell_index(text: &str) -> Option<CellIndex> {
    let canonical = is_digits(text) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok().map(CellIndex)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::address::StreamRef;

    /// By both ways, which read the same.
    fn parse(path: &str) -> Result<HttpRoute<'_>, AddressError> {
        let route = super::parse(path, |_| false);
        let in_channel = match &route {
            Ok(HttpRoute::Channel(path)) => Some(path.clone()),
            _ => None,
        };
        assert_eq!(parse_in_channel(path, |_| true), in_channel, "{path}");
        assert_eq!(parse_in_channel(path, |_| false), None, "{path}");
        route
    }

    fn channel<'a>(app: &'a str, stream: Option<StreamRef<'a>>, file: ChannelFile<'a>) -> HttpRoute<'a> {
        HttpRoute::Channel(ChannelPath { address: Address { app: app.into(), grant: None, stream }, file })
    }

    fn name_of(stream: &str) -> StreamRef<'_> {
        StreamRef::Name(stream.into())
    }

    fn media(rung: Option<&str>, bitrate_bps: Option<u64>) -> ChannelFile<'_> {
        ChannelFile::Media { rung: rung.map(Into::into), bitrate_bps }
    }

    #[test]
    fn every_form_of_a_playlist() {
        let group = || Some(StreamRef::Group("vl1".into()));
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
            assert_eq!(parse(path), Ok(channel("hs-a", stream, ChannelFile::Multivariant)), "{path}");
        }
        assert_eq!(parse("/crossdomain.xml"), Ok(HttpRoute::CrossDomain));
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
        let segment = ChannelFile::Segment { rung: "720p".into(), k: CellIndex(897_500_000) };
        assert_eq!(parse("/a/media_720p_897500000.m4s"), Ok(channel("a", None, segment.clone())));
        assert_eq!(
            parse("/a/_definst_/s/media_720p_897500000.m4s"),
            Ok(channel("a", Some(name_of("s")), segment))
        );
        let init = ChannelFile::Init("init_720p_01234567.mp4".into());
        assert_eq!(
            parse("/a/s_720p/init_720p_01234567.mp4"),
            Ok(channel("a", Some(name_of("s_720p")), init))
        );
    }

    #[test]
    fn what_is_read_of_a_plain_path_lies_in_it() {
        for path in ["/hs-a/vl1/media_720p_9.m4s", "/hs-a/_definst_/mp4:vl1/media_720p_9.m4s"] {
            let Ok(HttpRoute::Channel(ChannelPath { address, file })) = parse(path) else { panic!("{path}") };
            let Some(StreamRef::Name(stream)) = address.stream else { panic!("{path}") };
            let ChannelFile::Segment { rung, .. } = file else { panic!("{path}") };
            for part in [address.app, stream, rung] {
                assert!(matches!(part, Cow::Borrowed(_)), "{path}: {part} was copied");
            }
        }
    }

    #[test]
    fn what_leads_nowhere() {
        for (path, error) in [
            ("", AddressError::Form),
            ("/", AddressError::Form),
            ("*", AddressError::Form),
            ("/playlist.m3u8", AddressError::Form),
            ("/a/", AddressError::Name),
            ("/a/b/c/playlist.m3u8", AddressError::Form),
            ("/a/index.html", AddressError::Form),
            ("/a/chunklist720p.m3u8", AddressError::Form),
            ("/a/chunklist_.m3u8", AddressError::Form),
            ("/a/media_720p_0897500000.m4s", AddressError::Form),
            ("/a/media_720p_+1.m4s", AddressError::Name),
            ("/a/media_720p_-1.m4s", AddressError::Form),
            ("/a/media_720p_99999999999999999999.m4s", AddressError::Form),
            ("/a/smil:x.smil/playlist.m3u8", AddressError::Form),
            ("/a/ngrp:x/playlist.m3u8", AddressError::Form),
            ("/../playlist.m3u8", AddressError::Name),
            ("/a/%2e%2e/playlist.m3u8", AddressError::Name),
            ("/a/ngrp:.._all/playlist.m3u8", AddressError::Name),
            ("/a/..%2f..%2fetc/playlist.m3u8", AddressError::Name),
            ("//playlist.m3u8", AddressError::Name),
            ("/a/s%00/playlist.m3u8", AddressError::Name),
            ("/a/%ff/playlist.m3u8", AddressError::Name),
            ("/a/%2/playlist.m3u8", AddressError::Escape),
            ("/a/%zz/playlist.m3u8", AddressError::Escape),
            ("/a/%+1/playlist.m3u8", AddressError::Escape),
        ] {
            assert_eq!(parse(path), Err(error), "{path}");
        }
    }

    #[test]
    fn every_form_of_a_path_beneath_a_mount() {
        let file = |path: &str| Some(vod::RecordingStream::File(path.to_owned()));
        let smil = |path: &str| Some(vod::RecordingStream::Smil(path.to_owned()));
        for (path, stream) in [
            ("/vod/smil:a/b_presenter.smil/playlist.m3u8", smil("a/b_presenter.smil")),
            ("/vod/_definst_/smil:b.smil/manifest_mpm4sav_mvlist.mpd", smil("b.smil")),
            ("/vod/_definst_/a/b.smil/playlist.m3u8", smil("a/b.smil")),
            ("/vod/mp4:engage-player/x/y/PAES_hd/playlist.m3u8", file("engage-player/x/y/PAES_hd.mp4")),
            ("/vod/mp4%3Aa%20b.mp4/playlist.m3u8", file("a b.mp4")),
            ("/vod/a.mov/chunklist_w1_b2.m3u8", file("a.mov")),
            ("/vod/mp4:a%2F..%2Fb.mp4/playlist.m3u8", None),
            ("/vod/mp4:a%00.mp4/playlist.m3u8", None),
            ("/vod/rtp:a.mp4/playlist.m3u8", None),
            ("/vod/playlist.m3u8", None),
            ("/vod/mp4:a.mp4/index.html", None),
        ] {
            let Ok(HttpRoute::Mount(read)) = super::parse(path, |app| app == "vod") else { panic!("{path}") };
            let read = read.ok().and_then(|path| path.address.stream);
            assert_eq!(read, stream.map(StreamRef::Recording), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic_and_names_stay_plain(
            path in prop_oneof![".{0,60}", "(/([a-z_.:%]|%[0-9a-f]{2}|ngrp:|_all|_definst_){0,8}){0,4}(/[a-z_0-9]{0,12}\\.(m3u8|mp4|m4s))?"],
        ) {
            if let Ok(HttpRoute::Channel(path)) = parse(&path) {
                let stream = match path.address.stream {
                    Some(StreamRef::Name(name) | StreamRef::Group(name)) => name,
                    Some(StreamRef::Recording(_)) => "".into(),
                    None => "none".into(),
                };
                for name in [path.address.app, stream] {
                    prop_assert!(!name.is_empty() && name != "." && name != "..");
                    prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)));
                }
            }
        }

        #[test]
        fn what_the_window_names_is_found(rung in "[0-9]{2,4}p", k in 0..i64::MAX) {
            let segment = ChannelFile::Segment { rung: rung.as_str().into(), k: CellIndex(k) };
            let path = format!("/a/media_{rung}_{k}.m4s");
            prop_assert_eq!(parse(&path), Ok(channel("a", None, segment)));
            let path = format!("/a/chunklist_{rung}.m3u8");
            prop_assert_eq!(parse(&path), Ok(channel("a", None, media(Some(&rung), None))));
        }
    }
}
