//! Where a player's packets come from, row by row.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use tracing::warn;

use super::programme::clock_rate;
use crate::delivery::air::AirReader;
use crate::media::{MediaTime, Timescale, TrackFormat};
use crate::rtsp::{Coded, PAYLOAD_TYPE, Packetizer, Packets, PacketsBuilder, Unit};
use crate::vod::{Kind, Mount, Passage, PassageSample, Playhead, Recording, VodFault};

/// See the module's text.
pub(super) enum Feed {
    /// Nothing is played, or all has been.
    Over,
    /// A rung of a channel: what is aired.
    Live { air: AirReader, rung: usize },
    /// A recording: a passage is read while the one before is sent.
    Recorded(Tape),
}

pub(super) enum Tape {
    Idle(Box<Reel>),
    Reading(BoxFuture<'static, (Box<Reel>, Option<Packets>)>),
    Read(Box<Reel>, Packets),
}

impl Feed {
    /// The next row, if it is there.
    pub(super) fn ready(&mut self) -> Option<Arc<Packets>> {
        match self {
            Self::Live { air, rung } => {
                let aired = air.following()?;
                Some(air.packets(&aired, *rung))
            }
            Self::Recorded(_) => match std::mem::replace(self, Self::Over) {
                Self::Recorded(Tape::Read(reel, packets)) => {
                    *self = Self::Recorded(Tape::Idle(reel));
                    Some(Arc::new(packets))
                }
                other => {
                    *self = other;
                    None
                }
            },
            Self::Over => None,
        }
    }

    /// Waits until there may be another row, or the feed is over. May be cancelled.
    pub(super) async fn more(&mut self) {
        match self {
            Self::Live { air, .. } => {
                if !air.changed().await {
                    *self = Self::Over;
                }
            }
            Self::Recorded(tape) => {
                if let Tape::Idle(_) = tape
                    && let Self::Recorded(Tape::Idle(mut reel)) = std::mem::replace(self, Self::Over)
                {
                    *self = Self::Recorded(Tape::Reading(Box::pin(async move {
                        let packets = reel.next().await;
                        (reel, packets)
                    })));
                }
                if let Self::Recorded(Tape::Reading(reading)) = self {
                    let (reel, packets) = reading.await;
                    *self = match packets {
                        Some(packets) => Self::Recorded(Tape::Read(reel, packets)),
                        None => Self::Over,
                    };
                }
            }
            Self::Over => std::future::pending().await,
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Every packet counts: a player that is slow gets them later.
    pub(super) const fn is_recorded(&self) -> bool {
        matches!(self, Self::Recorded(_))
    }
}

/// A recording on its way into packets.
pub(super) struct Reel {
    mount: Mount,
    recording: Arc<Recording>,
    playhead: Playhead,
    tracks: Vec<ReelTrack>,
    /// When the beginning is sent.
    at: MediaTime,
}

/// A stream of a recording.
pub(super) struct ReelTrack {
    number: usize,
    kind: Kind,
    format: TrackFormat,
    packetizer: Packetizer,
    timescale: u32,
    /// RTP time of the beginning, not yet cut to 32 bits.
    begin: i64,
}

impl ReelTrack {
    /// The stream `number`; `sequence` is its first packet's.
    pub(super) fn new(number: usize, kind: Kind, format: TrackFormat, ssrc: u32, sequence: u16) -> Self {
        let packetizer = Packetizer::new(PAYLOAD_TYPE + number as u8, ssrc, sequence);
        Self { number, kind, format, packetizer, timescale: 0, begin: 0 }
    }

    fn timestamp(&self, shown: i64) -> u32 {
        let Timescale(rate) = clock_rate(&self.format);
        let ticks = (i128::from(shown) * i128::from(rate)).div_euclid(i128::from(self.timescale.max(1)));
        self.begin.wrapping_add(ticks as i64) as u32
    }
}

impl Reel {
    /// From the sync sample at or before `from`, sent from `at` on. `None` where there is nothing any more.
    pub(super) fn new(
        mount: Mount,
        recording: Arc<Recording>,
        mut tracks: Vec<ReelTrack>,
        from: i64,
        until: Option<i64>,
        at: MediaTime,
    ) -> Option<Self> {
        let kinds: Vec<_> = tracks.iter().map(|track| (track.number, track.kind)).collect();
        let playhead = Playhead::new(Arc::clone(&recording), &kinds, from, until)?;
        for track in &mut tracks {
            let of_file = recording.tracks(track.kind)?;
            track.timescale = of_file.first()?.timescale;
            track.begin = at.to_ticks(clock_rate(&track.format));
        }
        Some(Self { mount, recording, playhead, tracks, at })
    }

    /// Presentation time of beginning and end, in nanoseconds.
    pub(super) const fn span(&self) -> (i64, i64) {
        (self.playhead.start_nanos(), self.playhead.until_nanos())
    }

    async fn next(&mut self) -> Option<Packets> {
        let passage = self.playhead.take()?;
        match self.read(&passage).await {
            Ok(bytes) => Some(self.packets(&passage, &bytes)),
            Err(fault) => {
                if crate::log::may_say("recording", self.mount.asker()) {
                    warn!(path = self.recording.path, %fault, "a recording ends early");
                }
                None
            }
        }
    }

    async fn read(&self, passage: &Passage) -> Result<Vec<u8>, VodFault> {
        let io = |error: std::io::Error| VodFault::Io {
            path: self.recording.path.clone(),
            error: error.to_string(),
        };
        let (first, rest) = self.mount.read(&self.recording, &passage.layout).await?;
        let mut bytes = first.to_vec();
        if let Some(mut rest) = rest {
            while let Some(part) = rest.try_next().await.map_err(io)? {
                bytes.extend_from_slice(&part);
            }
        }
        Ok(bytes)
    }

    fn packets(&mut self, passage: &Passage, bytes: &[u8]) -> Packets {
        let mut rest = bytes;
        let mut samples: Vec<(PassageSample, &[u8])> = Vec::with_capacity(passage.samples.len());
        for sample in &passage.samples {
            let (coded, after) = rest.split_at(rest.len().min(sample.len as usize));
            samples.push((*sample, coded));
            rest = after;
        }
        samples.sort_by_key(|(sample, _)| sample.at);
        let mut builder = PacketsBuilder::with_capacity(bytes.len());
        for (sample, coded) in samples {
            let Some(track) = self.tracks.iter_mut().find(|track| track.number == sample.track) else {
                continue;
            };
            let timestamp = track.timestamp(sample.shown);
            let (coded, spread) = match &track.format {
                TrackFormat::H264(sets) => {
                    let half = Duration::from_nanos(u64::try_from(sample.duration / 2).unwrap_or(0));
                    (Coded::H264(Some(sets).filter(|_| sample.sync), coded), half)
                }
                TrackFormat::Aac(_) => (Coded::Aac(coded), Duration::ZERO),
                // Not in what we make, and not offered from recordings.
                TrackFormat::Mp3 { .. } | TrackFormat::G711 { .. } => continue,
            };
            let at = self.at.offset_nanos(sample.at);
            let unit = Unit { track: track.number as u8, at, spread, timestamp, coded };
            builder.unit(&mut track.packetizer, unit);
        }
        builder.finish()
    }
}
