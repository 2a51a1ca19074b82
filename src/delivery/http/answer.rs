//! Answers with content: the files of a channel, their header fields, and how long caches may keep them.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};

use super::route::ChannelFile;
use crate::delivery::AnswerKind;
use crate::delivery::registry::Selection;
use crate::delivery::unserved::Unserved;
use crate::store::{Playlist, PublishedRung, RenditionSnapshot, Snapshot, WindowReader};
use amphi_http::{Body, ContentMetadata, ETag, content};
use amphi_media::{Grid, Segment};

pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
pub(super) const SECONDS: HeaderValue = HeaderValue::from_static("public, max-age=2");
const A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");
pub(super) const DASH: HeaderValue = HeaderValue::from_static("application/dash+xml");
pub(super) const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");

/// Flash players asked for this before they read media of another origin.
const CROSS_DOMAIN: &str = "<?xml version=\"1.0\"?>\n\
    <cross-domain-policy><allow-access-from domain=\"*\" secure=\"false\"/></cross-domain-policy>\n";

/// An answer and what to count it as.
pub(super) type Answer = (AnswerKind, Response<Body>);

/// A file of a channel, and its header fields.
pub(super) struct FoundFile {
    pub(super) kind: AnswerKind,
    pub(super) bytes: Segment,
    pub(super) content_type: HeaderValue,
    pub(super) cache_control: HeaderValue,
    pub(super) etag: Option<ETag>,
}

impl FoundFile {
    /// The answer to a GET or HEAD.
    pub(super) fn answer(self, request: &Parts) -> Answer {
        let Self { kind, bytes, content_type, cache_control, etag } = self;
        (kind, content(request, &bytes, ContentMetadata { content_type, cache_control, etag: etag.as_ref() }))
    }

    fn list(
        kind: AnswerKind,
        list: &Playlist,
        content_type: HeaderValue,
        cache_control: HeaderValue,
    ) -> Self {
        let (bytes, etag) = (Segment::from(list.text.clone()), Some(list.etag.clone()));
        Self { kind, bytes, content_type, cache_control, etag }
    }

    fn media(kind: AnswerKind, rung: &PublishedRung, bytes: Segment) -> Self {
        let content_type = if rung.picture().is_some() { "video/mp4" } else { "audio/mp4" };
        let content_type = HeaderValue::from_static(content_type);
        Self { kind, bytes, content_type, cache_control: IMMUTABLE, etag: None }
    }
}

/// `file` in a channel's `window`, among the rungs that `selection` allows.
pub(super) fn find(
    window: &WindowReader,
    selection: Selection,
    file: &ChannelFile<'_>,
) -> Result<FoundFile, Unserved> {
    // Rungs and initialization sections are known before the first cell.
    let rungs = window.rungs();
    let index_of = |name: &str| rungs.iter().position(|rung| rung.name() == name).ok_or(Unserved::Rung);
    let snapshot = || window.snapshot().ok_or(Unserved::NotReady);
    let changing = || under_half_a_cell(window.grid());
    match file {
        ChannelFile::Multivariant => {
            let snapshot = snapshot()?;
            let list = match selection {
                Selection::All => &snapshot.multivariant,
                Selection::Rung(index) => &rendition(&snapshot, index)?.alone,
            };
            Ok(FoundFile::list(AnswerKind::Multivariant, list, PLAYLIST, SECONDS))
        }
        ChannelFile::Manifest => {
            let snapshot = snapshot()?;
            let manifest = match selection {
                Selection::All => &snapshot.manifest,
                Selection::Rung(index) => &rendition(&snapshot, index)?.manifest,
            };
            Ok(FoundFile::list(AnswerKind::MediaPlaylist, manifest, DASH, changing()))
        }
        ChannelFile::Media { rung, bitrate_bps } => {
            let named = rung.as_deref().map(index_of).transpose()?;
            let snapshot = snapshot()?;
            let rendition = match (named, selection) {
                (Some(index), _) | (None, Selection::Rung(index)) => rendition(&snapshot, index)?,
                (None, Selection::All) => nearest(&snapshot, *bitrate_bps).ok_or(Unserved::Rung)?,
            };
            Ok(FoundFile::list(AnswerKind::MediaPlaylist, &rendition.playlist, PLAYLIST, changing()))
        }
        ChannelFile::Init(name) => {
            let rung = rungs.iter().find(|rung| rung.init_name() == *name).ok_or(Unserved::Init)?;
            Ok(FoundFile::media(AnswerKind::Init, rung, rung.init().clone().into()))
        }
        ChannelFile::Segment { rung, k } => {
            let index = index_of(rung)?;
            let snapshot = snapshot()?;
            let rendition = rendition(&snapshot, index)?;
            let segment = rendition.segment(*k).ok_or(Unserved::Segment)?;
            Ok(FoundFile::media(AnswerKind::Segment, &rendition.rung, segment.clone()))
        }
    }
}

pub(super) fn cross_domain(request: &Parts) -> Response<Body> {
    let bytes = Segment::from(Bytes::from_static(CROSS_DOMAIN.as_bytes()));
    let content_type = HeaderValue::from_static("text/xml");
    content(request, &bytes, ContentMetadata { content_type, cache_control: A_DAY, etag: None })
}

fn rendition(snapshot: &Snapshot, index: usize) -> Result<&RenditionSnapshot, Unserved> {
    snapshot.renditions.get(index).ok_or(Unserved::Rung)
}

/// The rendition whose BANDWIDTH is nearest to the rate asked for, or the best one.
fn nearest(snapshot: &Snapshot, bitrate_bps: Option<u64>) -> Option<&RenditionSnapshot> {
    let mut variants = snapshot.renditions.iter().filter(|it| it.rung.is_variant());
    match bitrate_bps {
        Some(asked) => variants.min_by_key(|it| it.bandwidth_bps.abs_diff(asked)),
        None => variants.next(),
    }
}

fn under_half_a_cell(grid: Grid) -> HeaderValue {
    match grid.duration_ms().saturating_sub(1) / 2000 {
        0 => HeaderValue::from_static("public, max-age=0, must-revalidate"),
        1 => HeaderValue::from_static("public, max-age=1, must-revalidate"),
        seconds => HeaderValue::try_from(format!("public, max-age={seconds}, must-revalidate"))
            .unwrap_or(HeaderValue::from_static("no-cache")),
    }
}
