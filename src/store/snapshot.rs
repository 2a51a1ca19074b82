//! What there is to fetch, at one moment.

use std::sync::Arc;

use bytes::Bytes;

use super::PublishedRung;
use amphi_http::ETag;
use amphi_media::{CellIndex, Segment};

/// A playlist or manifest as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    /// UTF-8 without a byte order mark (RFC 8216 §4.1).
    pub text: Bytes,
    /// A hash of the text.
    pub etag: ETag,
}

impl From<String> for Playlist {
    fn from(text: String) -> Self {
        Self { etag: ETag::of(text.as_bytes()), text: text.into() }
    }
}

/// Everything that can be fetched of a channel, up to one cell.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The newest cell.
    pub last: CellIndex,
    /// The multivariant playlist of all rungs (RFC 8216 §4.3.4).
    pub multivariant: Playlist,
    /// The DASH manifest of all rungs (ISO/IEC 23009-1 §5).
    pub manifest: Playlist,
    /// Every rung, best first.
    pub renditions: Vec<RenditionSnapshot>,
}

/// One rung's part of a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct RenditionSnapshot {
    /// Its names and its initialization section.
    pub rung: Arc<PublishedRung>,
    /// The media playlist (RFC 8216 §4.3.3).
    pub playlist: Playlist,
    /// The multivariant playlist of this rung alone.
    pub alone: Playlist,
    /// The DASH manifest of this rung alone.
    pub manifest: Playlist,
    /// BANDWIDTH in the multivariant playlist, unique among rungs with the same parts.
    pub bandwidth_bps: u64,
    /// AVERAGE-BANDWIDTH in the multivariant playlist.
    pub average_bps: u64,
    /// Segments of the cells from `first` to [`Snapshot::last`], without a hole.
    pub(super) segments: Vec<Segment>,
    pub(super) first: CellIndex,
}

impl RenditionSnapshot {
    /// The segment of cell `k`; `None` if it is not kept any more, or not there yet.
    pub fn segment(&self, k: CellIndex) -> Option<&Segment> {
        let index = usize::try_from(k.0.checked_sub(self.first.0)?).ok()?;
        self.segments.get(index)
    }
}
