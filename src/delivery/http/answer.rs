//! Answers with content: the files of a channel, their header fields, and how long caches may keep them.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response};

use super::route::{ChannelFile, ChannelPath};
use crate::delivery::registry::PublishedChannel;
use crate::delivery::unserved::Unserved;
use crate::delivery::{AnswerKind, Selection};
use crate::store::{Playlist, PublishedRung, RenditionSnapshot, Snapshot, WindowReader};
use amphi_http::{Body, ContentMetadata, ETag, content};
use amphi_media::{self as media, Grid, Segment};

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

/// Which rungs of a channel a path is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Narrowed<'a> {
    /// As the door is asked about them.
    pub(super) rungs: Selection<'a>,
    /// The one rung, or the part of it, whose file it is; `None` for all, and before it is known which there are.
    index: Option<usize>,
}

/// Which rungs of `channel` are meant by `path`: by the name of the stream, or by that of the file, which goes before it.
pub(super) fn narrow<'a>(
    channel: &'a PublishedChannel,
    path: &'a ChannelPath<'_>,
) -> Result<Narrowed<'a>, Unserved> {
    let rungs = channel.select(path.address.stream.as_ref()).ok_or(Unserved::Stream)?;
    let Some(window) = &channel.window else { return narrow_starting(rungs, &path.file) };
    let all = window.rungs();
    let named = |name: &str| all.iter().position(|rung| rung.name() == name).ok_or(Unserved::Rung);
    let index = match &path.file {
        ChannelFile::Media { rung: Some(name), .. } | ChannelFile::Segment { rung: name, .. } => {
            Some(named(name)?)
        }
        ChannelFile::Init(name) => {
            Some(all.iter().position(|rung| rung.init_name() == name).ok_or(Unserved::Init)?)
        }
        ChannelFile::Media { rung: None, bitrate_bps: Some(asked) } if rungs == Selection::All => {
            window.snapshot().and_then(|snapshot| nearest(&snapshot, *asked))
        }
        _ => rungs.rung().map(named).transpose()?,
    };
    // A part of a rung is asked about as the rung.
    let rung = index.and_then(|index| all.get(index)).map(|rung| Selection::Rung(&rung.tracks().name));
    Ok(Narrowed { rungs: rung.unwrap_or(Selection::All), index })
}

/// The same of a channel whose rungs are not known yet: by the names alone.
fn narrow_starting<'a>(rungs: Selection<'a>, file: &'a ChannelFile<'_>) -> Result<Narrowed<'a>, Unserved> {
    let named = match file {
        ChannelFile::Media { rung: Some(name), .. } | ChannelFile::Segment { rung: name, .. } => {
            Some(&**name)
        }
        ChannelFile::Init(name) => {
            let rung = name.strip_prefix("init_").and_then(|rest| rest.rsplit_once('_'));
            Some(rung.ok_or(Unserved::Init)?.0)
        }
        ChannelFile::Media { rung: None, .. } | ChannelFile::Multivariant | ChannelFile::Manifest => None,
    };
    let whole = |name: &'a str| {
        let parts = [media::Parts::Picture, media::Parts::Sound];
        parts.into_iter().find_map(|part| name.strip_suffix(part.suffix())).unwrap_or(name)
    };
    Ok(Narrowed { rungs: named.map_or(rungs, |name| Selection::Rung(whole(name))), index: None })
}

/// `file` of the rung with that index in a channel's `window`; without one of all of them, or of the best one.
pub(super) fn find(
    window: &WindowReader,
    narrowed: Narrowed<'_>,
    file: &ChannelFile<'_>,
) -> Result<FoundFile, Unserved> {
    let snapshot = || window.snapshot().ok_or(Unserved::NotReady);
    let changing = || under_half_a_cell(window.grid());
    let index = narrowed.index;
    match file {
        ChannelFile::Multivariant => {
            let snapshot = snapshot()?;
            let list = match index {
                None => &snapshot.multivariant,
                Some(index) => &rendition(&snapshot, index)?.alone,
            };
            Ok(FoundFile::list(AnswerKind::Multivariant, list, PLAYLIST, SECONDS))
        }
        ChannelFile::Manifest => {
            let snapshot = snapshot()?;
            let manifest = match index {
                None => &snapshot.manifest,
                Some(index) => &rendition(&snapshot, index)?.manifest,
            };
            Ok(FoundFile::list(AnswerKind::MediaPlaylist, manifest, DASH, changing()))
        }
        ChannelFile::Media { .. } => {
            let snapshot = snapshot()?;
            let rendition = match index {
                None => snapshot.renditions.iter().find(|it| it.rung.is_variant()).ok_or(Unserved::Rung)?,
                Some(index) => rendition(&snapshot, index)?,
            };
            Ok(FoundFile::list(AnswerKind::MediaPlaylist, &rendition.playlist, PLAYLIST, changing()))
        }
        // There before the first cell.
        ChannelFile::Init(_) => {
            let rung = index.and_then(|index| window.rungs().get(index)).ok_or(Unserved::Init)?;
            Ok(FoundFile::media(AnswerKind::Init, rung, rung.init().clone().into()))
        }
        ChannelFile::Segment { k, .. } => {
            let snapshot = snapshot()?;
            let rendition = rendition(&snapshot, index.ok_or(Unserved::Rung)?)?;
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

/// The index of the rendition whose BANDWIDTH is nearest to the rate asked for.
fn nearest(snapshot: &Snapshot, asked_bps: u64) -> Option<usize> {
    let variants = snapshot.renditions.iter().enumerate().filter(|(_, it)| it.rung.is_variant());
    variants.min_by_key(|(_, it)| it.bandwidth_bps.abs_diff(asked_bps)).map(|(index, _)| index)
}

fn under_half_a_cell(grid: Grid) -> HeaderValue {
    match grid.duration_ms().saturating_sub(1) / 2000 {
        0 => HeaderValue::from_static("public, max-age=0, must-revalidate"),
        1 => HeaderValue::from_static("public, max-age=1, must-revalidate"),
        seconds => HeaderValue::try_from(format!("public, max-age={seconds}, must-revalidate"))
            .unwrap_or(HeaderValue::from_static("no-cache")),
    }
}
