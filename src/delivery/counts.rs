//! What was asked for, and how much was given.

use std::sync::Arc;

use crate::meter::{Counter, Histogram};

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A multivariant playlist, or 304 in its place.
    Multivariant,
    /// A media playlist, or 304 in its place.
    MediaPlaylist,
    /// An initialization section.
    Init,
    /// A media segment.
    Segment,
    /// A cell sent to an RTMP player.
    RtmpCell,
    /// Samples of a recording sent to an RTMP player.
    RtmpRecorded,
    /// Packets of a cell, or of a while of a recording, for an RTSP player.
    RtspCell,
    /// A page, a preflight, `crossdomain.xml`.
    Other,
    /// 404 for a segment that is no more, or not yet.
    SegmentGone,
    /// Any other 4xx.
    Refused,
    /// 503 before a channel's first cell.
    NotReady,
}

/// Answers by kind, and bytes of content.
#[derive(Debug, Default)]
pub struct Counts {
    by_kind: [Counter; Kind::ALL.len()],
    bytes: Counter,
    latencies: [Arc<Histogram>; Kind::ALL.len()],
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Multivariant,
        Self::MediaPlaylist,
        Self::Init,
        Self::Segment,
        Self::RtmpCell,
        Self::RtmpRecorded,
        Self::RtspCell,
        Self::Other,
        Self::SegmentGone,
        Self::Refused,
        Self::NotReady,
    ];

    /// A name for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Multivariant => "multivariant",
            Self::MediaPlaylist => "media_playlist",
            Self::Init => "init",
            Self::Segment => "segment",
            Self::RtmpCell => "rtmp_cell",
            Self::RtmpRecorded => "rtmp_recorded",
            Self::RtspCell => "rtsp_cell",
            Self::Other => "other",
            Self::SegmentGone => "segment_gone",
            Self::Refused => "refused",
            Self::NotReady => "not_ready",
        }
    }
}

impl Counts {
    /// Answers of `kind` since start.
    pub fn answers(&self, kind: Kind) -> u64 {
        self.by_kind[kind as usize].get()
    }

    /// Bytes of content handed to sockets since start; what viewers who left did not take is counted too.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// From an answer's beginning to the moment at which its last byte was handed to the socket or its viewer left.
    pub fn latencies(&self, kind: Kind) -> &Arc<Histogram> {
        &self.latencies[kind as usize]
    }

    pub(super) fn count(&self, kind: Kind, bytes: usize) {
        self.by_kind[kind as usize].increment();
        self.count_bytes(bytes);
    }

    pub(super) fn count_bytes(&self, bytes: usize) {
        self.bytes.add(bytes as u64);
    }
}
