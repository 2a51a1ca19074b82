//! Paths: Wowza's URLs and ours (sans-IO).
//!
//! ```text
//! /<app>/[_definst_/][<stream>/]playlist.m3u8       also ngrp:<stream>_all, <stream>_<rung>, <stream>.stream
//! …/chunklist[_w<id>][_b<bit/s>][_<rung>].m3u8      any session id is accepted and ignored; none is ever made
//! …/init_<rung>_<hash>.mp4   …/media_<rung>_<k>.m4s
//! ```
//! Names are `[A-Za-z0-9_.-]`; a path that holds anything else names nothing.

use crate::media::CellIndex;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The channel's name.
    pub app: String,
    /// The stream's name as given, without prefix, suffix or rung; `None` where the path has none.
    pub stream: Option<String>,
    /// The file in it.
    pub asset: Asset,
}

/// A file of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asset {
    /// The multivariant playlist.
    Multivariant,
    /// A media playlist.
    Media(Selection),
    /// An initialization section, by its whole name.
    Init(String),
    /// A segment.
    Segment {
        /// Name of the rung.
        rung: String,
        /// Which cell.
        k: CellIndex,
    },
}

/// Which rung's media playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// By name.
    Rung(String),
    /// The rung whose bandwidth is nearest, in bits per second.
    Nearest(u64),
    /// The best one.
    Best,
}

/// A path that names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such path")]
pub struct RouteError;

/// Reads an absolute path, still percent-encoded.
pub fn route(path: &str) -> Result<Route, RouteError> {
    let segments: Vec<String> =
        path.strip_prefix('/').ok_or(RouteError)?.split('/').map(decode).collect::<Result<_, _>>()?;
    let (file, rest) = segments.split_last().ok_or(RouteError)?;
    let (app, names) = rest.split_first().ok_or(RouteError)?;
    let names = match names.split_first() {
        Some((first, names)) if first == "_definst_" => names,
        _ => names,
    };
    let stream = match names {
        [] => None,
        [name] => Some(stream_name(name)?),
        _ => return Err(RouteError),
    };
    Ok(Route { app: name(app)?, stream, asset: asset(file)? })
}

fn stream_name(given: &str) -> Result<String, RouteError> {
    if let Some(group) = given.strip_prefix("ngrp:") {
        return name(group.strip_suffix("_all").unwrap_or(group));
    }
    name(given.strip_prefix("mp4:").unwrap_or(given))
}

fn asset(file: &str) -> Result<Asset, RouteError> {
    let file = name(file)?;
    if file == "playlist.m3u8" {
        return Ok(Asset::Multivariant);
    }
    if let Some(chunklist) = file.strip_prefix("chunklist").and_then(|rest| rest.strip_suffix(".m3u8")) {
        return selection(chunklist).map(Asset::Media);
    }
    if file.strip_prefix("init_").is_some_and(|rest| rest.strip_suffix(".mp4").is_some()) {
        return Ok(Asset::Init(file));
    }
    let media = file.strip_prefix("media_").and_then(|rest| rest.strip_suffix(".m4s")).ok_or(RouteError)?;
    let (rung, k) = media.rsplit_once('_').ok_or(RouteError)?;
    let k = k.parse().map(CellIndex).map_err(|_| RouteError)?;
    Ok(Asset::Segment { rung: rung.to_owned(), k })
}

/// What stands between `chunklist` and `.m3u8`.
fn selection(given: &str) -> Result<Selection, RouteError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut nearest = None;
    let mut rest = given;
    while let Some(part) = rest.strip_prefix('_') {
        let (head, tail) = part.split_at(part.find('_').unwrap_or(part.len()));
        if head.strip_prefix('w').is_some_and(digits) {
            rest = tail;
        } else if let Some(bps) = head.strip_prefix('b').filter(|text| digits(text)) {
            nearest = bps.parse().ok();
            rest = tail;
        } else {
            return Ok(Selection::Rung(part.to_owned()));
        }
    }
    if rest.is_empty() { Ok(nearest.map_or(Selection::Best, Selection::Nearest)) } else { Err(RouteError) }
}

/// `[A-Za-z0-9_.-]+`, and not all dots.
fn name(given: &str) -> Result<String, RouteError> {
    let allowed = given.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let telling = given.bytes().any(|byte| byte != b'.');
    if allowed && telling { Ok(given.to_owned()) } else { Err(RouteError) }
}

/// Percent-decoding (RFC 3986 §2.1) to ASCII; anything else names nothing.
fn decode(given: &str) -> Result<String, RouteError> {
    let mut bytes = given.bytes();
    let mut out = String::with_capacity(given.len());
    while let Some(byte) = bytes.next() {
        let decoded = if byte == b'%' {
            let mut hex = || bytes.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(RouteError);
            (hex()? * 16 + hex()?) as u8
        } else {
            byte
        };
        if !decoded.is_ascii_graphic() {
            return Err(RouteError);
        }
        out.push(char::from(decoded));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(path: &str) -> Route {
        route(path).unwrap_or_else(|_| panic!("{path} is a path"))
    }

    #[test]
    fn every_form_of_playlist_url_is_read() {
        for (path, stream) in [
            ("/Live_PAES/playlist.m3u8", None),
            ("/Live_PAES/live/playlist.m3u8", Some("live")),
            ("/Live_PAES/_definst_/live/playlist.m3u8", Some("live")),
            ("/Live_PAES/_definst_/playlist.m3u8", None),
            ("/Live_PAES/ngrp:live_all/playlist.m3u8", Some("live")),
            ("/Live_PAES/ngrp%3Alive_all/playlist.m3u8", Some("live")),
            ("/Live_PAES/mp4:live/playlist.m3u8", Some("live")),
            ("/Live_PAES/live_720p/playlist.m3u8", Some("live_720p")),
            ("/Live_PAES/PS-Amphi_D.stream/playlist.m3u8", Some("PS-Amphi_D.stream")),
        ] {
            let route = found(path);
            assert_eq!((route.app.as_str(), route.stream.as_deref()), ("Live_PAES", stream), "{path}");
            assert_eq!(route.asset, Asset::Multivariant);
        }
    }

    #[test]
    fn chunklists_are_found_whatever_their_session() {
        for (file, selection) in [
            ("chunklist.m3u8", Selection::Best),
            ("chunklist_w1234567.m3u8", Selection::Best),
            ("chunklist_w12_b750000.m3u8", Selection::Nearest(750_000)),
            ("chunklist_b400000.m3u8", Selection::Nearest(400_000)),
            ("chunklist_720p.m3u8", Selection::Rung("720p".to_owned())),
            ("chunklist_w7_b1_low_res.m3u8", Selection::Rung("low_res".to_owned())),
        ] {
            assert_eq!(found(&format!("/a/{file}")).asset, Asset::Media(selection), "{file}");
        }
    }

    #[test]
    fn sections_and_segments_are_read() {
        let init = Asset::Init("init_720p_0badcafe.mp4".to_owned());
        assert_eq!(found("/a/s/init_720p_0badcafe.mp4").asset, init);
        let segment = Asset::Segment { rung: "low_res".to_owned(), k: CellIndex(900_000_000) };
        assert_eq!(found("/a/media_low_res_900000000.m4s").asset, segment);
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for path in [
            "",
            "/",
            "playlist.m3u8",
            "/playlist.m3u8",
            "//playlist.m3u8",
            "/a/../playlist.m3u8",
            "/a/%2e%2e/playlist.m3u8",
            "/a/b/c/playlist.m3u8",
            "/a/b%2Fc/playlist.m3u8",
            "/a/%zz/playlist.m3u8",
            "/a/%00/playlist.m3u8",
            "/a/media_720p.m4s",
            "/a/media_720p_x.m4s",
            "/a/chunklistx.m3u8",
            "/a/%C3%A9/playlist.m3u8",
            "/a/playlist.m3u8/",
        ] {
            assert_eq!(route(path), Err(RouteError), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic_and_names_are_clean(path in "(/[a-z%0-9_.:-]{0,12}){0,5}|.{0,40}") {
            if let Ok(route) = route(&path) {
                let clean = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
                prop_assert!(clean(&route.app));
                prop_assert!(route.stream.as_deref().is_none_or(clean));
            }
        }
    }
}
