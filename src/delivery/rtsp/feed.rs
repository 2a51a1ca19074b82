//! Where a player's packets come from. A row is the packets of a cell, or of a second of a recording.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::playable::clock_rate;
use crate::delivery::air::AirReader;
use crate::delivery::recorded_feed::{LoadedBatch, RecordedFeed};
use amphi_media::{MediaTime, TrackFormat};
use amphi_protocol::rtsp::{Coded, PAYLOAD_TYPE, Packetizer, Packets, PacketsBuilder, Unit};
use amphi_vod::{Mount, SampleCursor, TrackSelection};

/// How much of a recording is read at once, in nanoseconds of decode time.
const WHILE: i64 = 1_000_000_000;

pub(super) enum PlayFeed {
    /// Nothing is played, or all has been.
    Over,
    /// A rung of a channel; a row is a cell.
    Live { air: AirReader, rung: usize },
    /// A recording: a row is read while the one before is sent.
    Recorded(Box<RecordedRows>),
}

impl PlayFeed {
    /// The next row, if it is there.
    pub(super) fn ready(&mut self) -> Option<Arc<Packets>> {
        match self {
            Self::Live { air, rung } => {
                let aired = air.following()?;
                Some(air.packets(&aired, *rung))
            }
            Self::Recorded(rows) => rows.ready.take().map(Arc::new),
            Self::Over => None,
        }
    }

    /// Waits until there may be another row, or the feed is over. May be cancelled.
    pub(super) async fn more(&mut self) {
        let is_going_on = match self {
            Self::Live { air, .. } => air.changed().await,
            Self::Recorded(rows) => rows.more().await,
            Self::Over => std::future::pending().await,
        };
        if !is_going_on {
            *self = Self::Over;
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Whether no packet may be left out: a slow player gets them later.
    pub(super) const fn is_recorded(&self) -> bool {
        matches!(self, Self::Recorded(_))
    }
}

/// A recording on its way into packets.
pub(super) struct RecordedRows {
    feed: RecordedFeed,
    tracks: Vec<RecordedTrack>,
    /// When the first sample is sent.
    at: MediaTime,
    /// When the first sample is decoded.
    zero: MediaTime,
    ready: Option<Packets>,
}

pub(super) struct RecordedTrack {
    number: usize,
    kind: TrackSelection,
    format: TrackFormat,
    packetizer: Packetizer,
}

impl RecordedTrack {
    /// The stream `number` of a session; `sequence` is the sequence number of its first packet.
    pub(super) fn new(
        number: usize,
        kind: TrackSelection,
        format: TrackFormat,
        ssrc: u32,
        sequence: u16,
    ) -> Self {
        let packetizer = Packetizer::new(PAYLOAD_TYPE + number as u8, ssrc, sequence);
        Self { number, kind, format, packetizer }
    }

    pub(super) const fn kind(&self) -> TrackSelection {
        self.kind
    }
}

impl RecordedRows {
    /// Packets from where `cursor` is, sent from `at` on. `None` if nothing is left.
    pub(super) fn new(
        mount: Arc<Mount>,
        cursor: SampleCursor,
        tracks: Vec<RecordedTrack>,
        at: MediaTime,
    ) -> Option<Self> {
        let zero = cursor.next_at()?;
        Some(Self { feed: RecordedFeed::new(mount, cursor), tracks, at, zero, ready: None })
    }

    /// Reads the next row; `false` at the end. May be cancelled.
    async fn more(&mut self) -> bool {
        if self.ready.is_some() {
            return true;
        }
        let until = self.feed.next_at().map_or(self.zero, |next| next.offset_nanos(WHILE));
        match self.feed.next(until).await {
            Ok(Some(batch)) => self.ready = Some(self.packets(&batch)),
            Ok(None) => return false,
            Err(fault) => {
                if amphi_runtime::log::may_say("recording", self.feed.mount().asker()) {
                    let path = &self.feed.cursor().rendition().recording().path;
                    warn!(path, %fault, "a recording ends early");
                }
                return false;
            }
        }
        true
    }

    fn packets(&mut self, batch: &LoadedBatch) -> Packets {
        let start = self.feed.cursor().start();
        let mut builder = PacketsBuilder::with_capacity(batch.len());
        for (sample, coded) in batch.samples() {
            let Some(track) = self.tracks.iter_mut().find(|track| track.kind == sample.kind) else {
                continue;
            };
            let (coded, spread) = match &track.format {
                TrackFormat::H264(sets) => {
                    (Coded::H264(Some(sets).filter(|_| sample.sync), coded), sample.duration / 2)
                }
                TrackFormat::Aac(_) => (Coded::Aac(coded), Duration::ZERO),
                // Not in recordings that are described.
                TrackFormat::Mp3 { .. } | TrackFormat::G711 { .. } => continue,
            };
            // In ticks, so that nothing is rounded twice; the low 32 bits are the RTP timestamp (RFC 3550 §5.1).
            let rate = clock_rate(&track.format);
            let played = sample.shown.to_ticks(rate) - start.to_ticks(rate);
            let timestamp = self.at.to_ticks(rate).wrapping_add(played) as u32;
            let at = self.at.offset_nanos(sample.decode.nanos_since(self.zero));
            let unit = Unit { track: track.number as u8, at, spread, timestamp, coded };
            builder.unit(&mut track.packetizer, unit);
        }
        builder.finish()
    }
}
