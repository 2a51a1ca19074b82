//! Counts of answers, their bytes and how long they took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use amphi_media::meter::{Counter, Histogram};

/// What an answer is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// A multivariant playlist or a recording's DASH manifest, or the 304 for one.
    Multivariant,
    /// A media playlist or a live DASH manifest, or the 304 for one.
    MediaPlaylist,
    /// An initialization section of a channel or a recording.
    Init,
    /// A media segment, or a segment of subtitles.
    Segment,
    /// Live media written at once to an RTMP player.
    RtmpCell,
    /// Samples of a recording sent to an RTMP player.
    RtmpRecorded,
    /// Packets of a cell, or of a while of a recording, for an RTSP player.
    RtspCell,
    /// A page, a poster, a list, a CORS preflight, `crossdomain.xml`.
    Other,
    /// 404 for a live segment that is not kept any more, or not there yet.
    SegmentGone,
    /// Any other refusal: 4xx, and 500 for a recording that is broken.
    Refused,
    /// 503: a channel before its first cell, or a recording that can be had in a moment.
    NotReady,
}

/// Threads that count apart; if there are more, they share.
const SHARDS: usize = 8;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// Answers by kind, and bytes of content. Every thread counts for itself, because the cache line of a number that two cores
/// write would move between them at every answer. Reading adds up.
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
    /// All kinds, in the order of their discriminants.
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

    /// The value of the label `kind` in metrics.
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

    /// Bytes of content handed to sockets since start; what viewers that left did not take is counted too.
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

    /// Counts several answers, with their bytes in all.
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
