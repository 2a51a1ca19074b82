//! The batches of a channel: what RTMP players get of a cell while it is being filled.
//!
//! A channel's task puts samples here as they are due: a live cell's as its source's ladder codes them, a waiting cell's by
//! the clock. A batch is some consecutive samples of each track in the form of a cell; the batches of a cell together
//! are the cell. A new player begins with the open cell's IDR picture and gets at once what there is of that
//! cell. The last few cells are kept, and no queue per player: one that falls further behind goes on with the
//! beginning of the oldest cell kept.
//!
//! The messages of a batch are written for the first player of a rung that asks, back to back, and shared. Players that have
//! had everything are served in groups ([`fanout`](super::fanout)).
//!
//! RTMP's clock has 32 bits (Adobe RTMP 1.0 §4), and ffmpeg reads its upper half, from 24.8 days on, as negative times.
//! So it starts from zero every [`DAY`], for new players: all that came on one day share their messages.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use amphi_media::Lock;
use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use amphi_media::{CodedCell, MediaTime, RungTracks, Timescale, TrackCell, VIDEO_TIMESCALE};
use amphi_protocol::rtmp::{self, Shared, Timebase};

/// Cells kept for slow players, the running one included.
const KEPT: usize = 4;
/// How often RTMP's zero is set anew for new players.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Some samples, and the messages made of them.
#[derive(Debug)]
pub(super) struct Batch {
    /// One more than that of the batch before.
    number: u64,
    /// How much media has been aired, to the end of this batch.
    until: Duration,
    /// A cell begins with it.
    begins: bool,
    samples: CodedCell,
    /// Messages for players that came today, by rung.
    today: Vec<OnceLock<Option<Shared>>>,
    /// For players that came before: their zero, the rung, the messages.
    earlier: Lock<Vec<(MediaTime, usize, Option<Shared>)>>,
    zero: MediaTime,
}

/// The batches of the last cells, oldest first.
pub(super) type RecentBatches = VecDeque<Arc<Batch>>;

#[derive(Debug)]
pub(super) struct BatchWriter {
    kept: watch::Sender<RecentBatches>,
    next: u64,
    until: Duration,
    origin: MediaTime,
}

#[derive(Clone, Debug)]
pub(super) struct BatchReader {
    pub(super) kept: watch::Receiver<RecentBatches>,
    pub(super) cursor: Cursor,
}

/// Where a player goes on, and the zero of its clock once it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cursor {
    position: BatchPosition,
    zero: Option<MediaTime>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum BatchPosition {
    /// With the beginning of the open cell.
    Running,
    /// With this batch.
    At(u64),
    /// With the first cell that begins at this batch or later.
    BeginningFrom(u64),
}

/// The two ends; `origin` is earlier than all samples.
pub(super) fn batches(origin: MediaTime) -> (BatchWriter, BatchReader) {
    let (sender, kept) = watch::channel(VecDeque::new());
    let batches = BatchWriter { kept: sender, next: 0, until: Duration::ZERO, origin };
    (batches, BatchReader { kept, cursor: Cursor { position: BatchPosition::Running, zero: None } })
}

impl BatchWriter {
    /// Airs some samples. `begins` says that they are the first of their cell.
    pub(super) fn push(&mut self, tracks: &[RungTracks], samples: CodedCell, begins: bool) {
        self.until += duration(tracks, &samples);
        let zero = self.zero(start(tracks, &samples));
        let today = tracks.iter().map(|_| OnceLock::new()).collect();
        let (number, until) = (self.next, self.until);
        let batch = Batch { number, until, begins, samples, today, earlier: Lock::default(), zero };
        self.next += 1;
        self.kept.send_modify(|kept| {
            kept.push_back(Arc::new(batch));
            if begins && kept.iter().filter(|batch| batch.begins).count() > KEPT {
                kept.pop_front();
                while kept.front().is_some_and(|batch| !batch.begins) {
                    kept.pop_front();
                }
            }
        });
    }

    /// The beginning of the day in which `at` lies.
    fn zero(&self, at: MediaTime) -> MediaTime {
        let days = at.saturating_since(self.origin).as_nanos() / DAY.as_nanos();
        self.origin + DAY * u32::try_from(days).unwrap_or(u32::MAX)
    }
}

impl BatchReader {
    /// See [`AirReader::messages`](super::AirReader::messages).
    pub(super) async fn messages(
        &mut self,
        tracks: &[RungTracks],
        rung: usize,
        out: &mut Vec<Bytes>,
    ) -> Option<MediaTime> {
        loop {
            if let Some(at) = self.take(tracks, rung, out) {
                return Some(at);
            }
            self.kept.changed().await.ok()?;
        }
    }

    fn take(&mut self, tracks: &[RungTracks], rung: usize, out: &mut Vec<Bytes>) -> Option<MediaTime> {
        let new = self.cursor.unheard(&self.kept.borrow_and_update());
        self.cursor.pass(&new, tracks, rung, out)
    }
}

impl Cursor {
    /// This player's RTMP clock.
    pub(super) fn timebase(&self) -> Timebase {
        Timebase::starting(self.zero.unwrap_or(MediaTime::from_nanos(0)))
    }

    /// Skips what comes before the next cell begins.
    pub(super) const fn rest(&mut self) {
        if let BatchPosition::At(next) = self.position {
            self.position = BatchPosition::BeginningFrom(next);
        }
    }

    /// The number of the next batch, for a player that skips none.
    pub(super) const fn next(&self) -> Option<u64> {
        match self.position {
            BatchPosition::At(next) => Some(next),
            BatchPosition::Running | BatchPosition::BeginningFrom(_) => None,
        }
    }

    /// The batches of `kept` that are new to it.
    fn unheard(&self, kept: &RecentBatches) -> Vec<Arc<Batch>> {
        let from = match self.position {
            BatchPosition::Running => kept.iter().rposition(|batch| batch.begins),
            BatchPosition::At(next) => Some(first_from(kept, next)),
            BatchPosition::BeginningFrom(next) => {
                kept.iter().position(|batch| batch.begins && batch.number >= next)
            }
        };
        from.map_or_else(Vec::new, |from| kept.range(from..).cloned().collect())
    }

    /// Puts the messages of those `batches` that the player has not had into `out`, and gives the time of the first one.
    pub(super) fn pass(
        &mut self,
        batches: &[Arc<Batch>],
        tracks: &[RungTracks],
        rung: usize,
        out: &mut Vec<Bytes>,
    ) -> Option<MediaTime> {
        let had = self.next().unwrap_or(0);
        let mut first = None;
        for batch in batches.iter().skip_while(|batch| batch.number < had) {
            self.position = BatchPosition::At(batch.number + 1);
            let zero = *self.zero.get_or_insert(batch.zero);
            if let Some(messages) = batch.messages(tracks, rung, zero) {
                first.get_or_insert(messages.at);
                out.push(messages.bytes);
            }
        }
        first
    }
}

/// The index in `kept` of the batch `number`, or of the oldest one after it.
pub(super) fn first_from(kept: &RecentBatches, number: u64) -> usize {
    kept.partition_point(|batch| batch.number < number)
}

impl Batch {
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// How much media has been aired, to the end of this batch.
    pub(super) const fn until(&self) -> Duration {
        self.until
    }

    /// The messages of one rung, back to back; `None` if it has no samples in this batch.
    fn messages(&self, tracks: &[RungTracks], rung: usize, zero: MediaTime) -> Option<Shared> {
        if zero == self.zero {
            return self.today.get(rung)?.get_or_init(|| self.write(tracks, rung, zero)).clone();
        }
        let mut earlier = self.earlier.lock();
        let known = earlier.iter().find(|(its, number, _)| (*its, *number) == (zero, rung));
        if let Some((_, _, messages)) = known {
            return messages.clone();
        }
        let messages = self.write(tracks, rung, zero);
        earlier.push((zero, rung, messages.clone()));
        messages
    }

    fn write(&self, tracks: &[RungTracks], rung: usize, zero: MediaTime) -> Option<Shared> {
        let tracks = tracks.get(rung)?;
        match rtmp::cell(tracks, &self.samples, Timebase::starting(zero)) {
            Ok(messages) => merged(&messages),
            Err(error) => {
                tracing::error!(k = %self.samples.k, rung = tracks.name, %error, "a batch cannot be sent over RTMP");
                None
            }
        }
    }
}

/// The messages in one allocation, so that there is one piece to write for every player.
fn merged(messages: &[Shared]) -> Option<Shared> {
    let first = messages.first()?;
    let mut bytes = BytesMut::with_capacity(messages.iter().map(|message| message.bytes.len()).sum());
    for message in messages {
        bytes.extend_from_slice(&message.bytes);
    }
    Some(Shared { at: first.at, sync: first.sync, bytes: bytes.freeze() })
}

/// Each track with its timescale.
fn timed<'a>(
    tracks: &[RungTracks],
    samples: &'a CodedCell,
) -> impl Iterator<Item = (&'a TrackCell, Timescale)> {
    let sound = tracks.first().map(|tracks| (&samples.audio, tracks.audio.timescale()));
    let all = samples.video.iter().map(|track| (track, VIDEO_TIMESCALE)).chain(sound);
    all.filter(|(track, _)| !track.samples.is_empty())
}

/// When the first sample is shown or heard.
fn start(tracks: &[RungTracks], samples: &CodedCell) -> MediaTime {
    let starts = timed(tracks, samples).map(|(track, scale)| MediaTime::from_ticks(track.start, scale));
    starts.min().unwrap_or(MediaTime::from_nanos(0))
}

/// How much media there is: of the first picture rung, or of sound where there is none.
fn duration(tracks: &[RungTracks], samples: &CodedCell) -> Duration {
    let sound = tracks.first().map(|tracks| (&samples.audio, tracks.audio.timescale()));
    let first = samples.video.first().map(|track| (track, VIDEO_TIMESCALE)).or(sound);
    let ticks = first.map(|(track, scale)| MediaTime::from_ticks(track.duration() as i64, scale));
    ticks.map_or(Duration::ZERO, |span| span.saturating_since(MediaTime::from_nanos(0)))
}

#[cfg(test)]
pub(super) mod tests;
