//! Answers with content: what a channel has, how it is described, how long it may be kept.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};

use super::Kind;
use super::fault::Fault;
use super::registry::Selection;
use super::route::File;
use crate::http::{Body, Description, content};
use crate::media::{Grid, Segment};
use crate::store::{Playlist, Rendition, Rung, ShelfReader, Snapshot};

pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
pub(super) const SECONDS: HeaderValue = HeaderValue::from_static("public, max-age=2");
const A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");
pub(super) const DASH: HeaderValue = HeaderValue::from_static("application/dash+xml");
pub(super) const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");

/// Flash players asked for this before they read media of another origin.
const CROSS_DOMAIN: &str = "<?xml version=\"1.0\"?>\n\
    <cross-domain-policy><allow-access-from domain=\"*\" secure=\"false\"/></cross-domain-policy>\n";

/// An answer and what to count it as.
pub(super) type Answer = (Kind, Response<Body>);

/// The answer to a GET or HEAD of `file` in what `selection` leaves of a channel's `shelf`.
pub(super) fn file(
    request: &Parts,
    shelf: &ShelfReader,
    selection: Selection,
    file: &File,
) -> Result<Answer, Fault> {
    // Which rungs and initialization sections there are is known before the first cell.
    let rungs = shelf.rungs();
    let index_of = |name: &str| rungs.iter().position(|rung| rung.name() == name).ok_or(Fault::Rung);
    let snapshot = || shelf.snapshot().ok_or(Fault::NotReady);
    match file {
        File::Multivariant => {
            let snapshot = snapshot()?;
            let list = match selection {
                Selection::All => &snapshot.multivariant,
                Selection::Rung(index) => &rendition(&snapshot, index)?.alone,
            };
            Ok((Kind::Multivariant, playlist(request, list, SECONDS)))
        }
        File::Manifest => {
            let snapshot = snapshot()?;
            let manifest = match selection {
                Selection::All => &snapshot.manifest,
                Selection::Rung(index) => &rendition(&snapshot, index)?.manifest,
            };
            let response = list(request, manifest, DASH, under_half_a_cell(shelf.grid()));
            Ok((Kind::MediaPlaylist, response))
        }
        File::Media { rung, bitrate_bps } => {
            let named = rung.as_deref().map(index_of).transpose()?;
            let snapshot = snapshot()?;
            let rendition = match (named, selection) {
                (Some(index), _) | (None, Selection::Rung(index)) => rendition(&snapshot, index)?,
                (None, Selection::All) => nearest(&snapshot, *bitrate_bps).ok_or(Fault::Rung)?,
            };
            let cache_control = under_half_a_cell(shelf.grid());
            Ok((Kind::MediaPlaylist, playlist(request, &rendition.playlist, cache_control)))
        }
        File::Init(file_name) => {
            let rung = rungs.iter().find(|rung| rung.init_name() == file_name).ok_or(Fault::Init)?;
            Ok((Kind::Init, media(request, rung, &Segment::from(rung.init().clone()))))
        }
        File::Segment { rung, k } => {
            let index = index_of(rung)?;
            let snapshot = snapshot()?;
            let rendition = rendition(&snapshot, index)?;
            let segment = rendition.segment(*k).ok_or(Fault::Segment)?;
            Ok((Kind::Segment, media(request, &rendition.rung, segment)))
        }
    }
}

/// `/crossdomain.xml`.
pub(super) fn cross_domain(request: &Parts) -> Response<Body> {
    let bytes = Segment::from(Bytes::from_static(CROSS_DOMAIN.as_bytes()));
    let content_type = HeaderValue::from_static("text/xml");
    content(request, &bytes, Description { content_type, cache_control: A_DAY, etag: None })
}

fn rendition(snapshot: &Snapshot, index: usize) -> Result<&Rendition, Fault> {
    snapshot.renditions.get(index).ok_or(Fault::Rung)
}

/// The rendition whose BANDWIDTH is nearest to the rate asked for, or the best one.
fn nearest(snapshot: &Snapshot, bitrate_bps: Option<u64>) -> Option<&Rendition> {
    let mut variants = snapshot.renditions.iter().filter(|it| it.rung.is_variant());
    match bitrate_bps {
        Some(asked) => variants.min_by_key(|it| it.bandwidth_bps.abs_diff(asked)),
        None => variants.next(),
    }
}

fn playlist(request: &Parts, playlist: &Playlist, cache_control: HeaderValue) -> Response<Body> {
    list(request, playlist, PLAYLIST, cache_control)
}

fn list(
    request: &Parts,
    playlist: &Playlist,
    content_type: HeaderValue,
    cache_control: HeaderValue,
) -> Response<Body> {
    let bytes = Segment::from(playlist.text.clone());
    content(request, &bytes, Description { content_type, cache_control, etag: Some(&playlist.etag) })
}

fn media(request: &Parts, rung: &Rung, bytes: &Segment) -> Response<Body> {
    let content_type = if rung.picture().is_some() { "video/mp4" } else { "audio/mp4" };
    let content_type = HeaderValue::from_static(content_type);
    content(request, bytes, Description { content_type, cache_control: IMMUTABLE, etag: None })
}

fn under_half_a_cell(grid: Grid) -> HeaderValue {
    let seconds = grid.duration_ms().saturating_sub(1) / 2000;
    HeaderValue::try_from(format!("public, max-age={seconds}, must-revalidate"))
        .unwrap_or(HeaderValue::from_static("no-cache"))
}
