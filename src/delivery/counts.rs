//! What was asked for, and how much was given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use amphi_media::meter::{Counter, Histogram};

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// A multivariant playlist, or 304 in its place.
    Multivariant,
    /// A media playlist, or 304 in its place.
    MediaPlaylist,
    /// An initialization section.
    Init,
    /// A media segment.
    Segment,
    /// Live media written at once to an RTMP player.
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

/// Threads that count apart; more share.
const SHARDS: usize = 8;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// Answers by kind, and bytes of content. Every thread counts for itself: a number that two cores write travels between
/// them at every answer. Whoever reads adds up.
#[derive(Debug, Default)]
pub struct AnswerCounts {
    shards: [Shard; SHARDS],
}

/// What one thread has counted, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    by_kind: [Counter; AnswerKind::ALL.len()],
    bytes: Counter,
    latencies: [Arc<Histogram>; AnswerKind::ALL.len()],
}

impl AnswerKind {
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

impl AnswerCounts {
    /// Answers of `kind` since start.
    pub fn answers(&self, kind: AnswerKind) -> u64 {
        self.shards.iter().map(|shard| shard.by_kind[kind as usize].get()).sum()
    }

    /// Bytes of content handed to sockets since start; what viewers who left did not take is counted too.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes.get()).sum()
    }

    /// From an answer's beginning to the moment at which its last byte was handed to the socket or its viewer left.
    pub fn latencies(&self, kind: AnswerKind) -> impl Iterator<Item = &Histogram> {
        self.shards.iter().map(move |shard| &*shard.latencies[kind as usize])
    }

    /// Where this thread adds how long an answer took.
    pub(super) fn latency(&self, kind: AnswerKind) -> Arc<Histogram> {
        Arc::clone(&self.own().latencies[kind as usize])
    }

    pub(super) fn count(&self, kind: AnswerKind, bytes: usize) {
        let own = self.own();
        own.by_kind[kind as usize].increment();
        own.bytes.add(bytes as u64);
    }

    /// So many answers, of so many bytes in all.
    pub(super) fn count_many(&self, kind: AnswerKind, answers: u64, bytes: usize) {
        let own = self.own();
        own.by_kind[kind as usize].add(answers);
        own.bytes.add(bytes as u64);
    }

    pub(super) fn count_bytes(&self, bytes: usize) {
        self.own().bytes.add(bytes as u64);
    }

    fn own(&self) -> &Shard {
        &self.shards[SHARD.with(|shard| *shard)]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_many_threads_count_is_added_up() {
        let counts = AnswerCounts::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    for _ in 0..100 {
                        counts.count(AnswerKind::Segment, 7);
                        counts.latency(AnswerKind::Segment).add(Duration::from_micros(3));
                    }
                });
            }
        });
        let all = 200 * SHARDS as u64;
        assert_eq!((counts.answers(AnswerKind::Segment), counts.bytes()), (all, 7 * all));
        let timed =
            counts.latencies(AnswerKind::Segment).flat_map(Histogram::buckets).map(|(_, count)| count);
        assert_eq!(timed.sum::<u64>(), all);
        assert_eq!(counts.answers(AnswerKind::Init), 0);
    }
}
