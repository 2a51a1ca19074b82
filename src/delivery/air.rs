//! What a channel has just aired, for protocols that send frames, on two lanes.
//!
//! A channel's task puts every whole cell on the [`Air`], for RTSP and pushes, which pace themselves by the clock; and
//! before that, for RTMP players, its samples in batches as they are coded ([`batch`]). Each connection has an
//! [`AirReader`] and takes what is new to it; RTMP players that keep up are served in groups ([`fanout`]). The air keeps the last
//! few cells and no queue per reader: a reader that falls further behind goes on with the oldest cell kept, which begins with
//! an IDR picture. RTP packets of a cell are written for the first player of a rung that asks, and shared by all others.

mod batch;
mod fanout;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::delivery::AnswerCounts;
use amphi_media::{CellIndex, CodedCell, Grid, MediaTime, RungTracks, VIDEO_TIMESCALE};
use amphi_protocol::rtmp::{self, Shared, Timebase, TooLong};
use amphi_protocol::rtsp::{Packets, RungNumbers};
use amphi_runtime::tasks::Tasks;
use batch::{BatchReader, BatchWriter};
use fanout::{FanoutGroups, Membership};

pub(super) use fanout::RtmpPlayer;

/// Cells kept for slow readers.
const KEPT: usize = 4;
/// Time from a cell's decision until players can have it, on top of the deadline of live cells.
const MARGIN: Duration = Duration::from_millis(100);

/// A cell and the packets made of it.
#[derive(Debug)]
pub(super) struct Aired {
    k: CellIndex,
    cell: Arc<CodedCell>,
    /// RTP packets of each rung, and the sequence numbers that they begin with.
    packets: Vec<(RungNumbers, OnceLock<Arc<Packets>>)>,
}

/// The end that a channel's task writes to.
#[derive(Debug)]
pub struct Air {
    tracks: Arc<[RungTracks]>,
    /// Numbers of the RTP packets of the next cell, by rung.
    numbers: Vec<RungNumbers>,
    kept: watch::Sender<VecDeque<Arc<Aired>>>,
    batches: BatchWriter,
}

/// The end that players are served from.
#[derive(Clone, Debug)]
pub struct AirReader {
    tracks: Arc<[RungTracks]>,
    grid: Grid,
    lead: Duration,
    ssrcs: Arc<[RungNumbers]>,
    kept: watch::Receiver<VecDeque<Arc<Aired>>>,
    next: Option<CellIndex>,
    batches: BatchReader,
    groups: Arc<FanoutGroups>,
}

/// When a channel's cells are aired: `grid` says when they end, and they come at most `deadline` after that.
#[derive(Clone, Copy, Debug)]
pub struct AirTiming {
    /// The grid that the cells are counted on.
    pub grid: Grid,
    /// How long after a cell's end the splicer waits for a live cell.
    pub deadline: Duration,
}

/// The air of a channel with these rungs, best first. `origin` is the zero of RTMP's clock, earlier than every cell.
pub fn air(tracks: Arc<[RungTracks]>, origin: MediaTime, timing: AirTiming) -> (Air, AirReader) {
    let (sender, kept) = watch::channel(VecDeque::new());
    let numbers: Vec<_> = tracks.iter().map(|rung| RungNumbers::new(rung, || fastrand::u32(..))).collect();
    let AirTiming { grid, deadline } = timing;
    let (batches, batch_reader) = batch::batches(origin);
    let reader = AirReader {
        tracks: Arc::clone(&tracks),
        grid,
        lead: grid.duration() + deadline + MARGIN,
        ssrcs: numbers.clone().into(),
        kept,
        next: None,
        batches: batch_reader,
        groups: Arc::default(),
    };
    (Air { tracks, numbers, kept: sender, batches }, reader)
}

impl Air {
    /// Airs some samples of the open cell. `begins` says that they are its first.
    pub fn batch(&mut self, samples: CodedCell, begins: bool) {
        self.batches.push(&self.tracks, samples, begins);
    }

    /// Airs a whole cell, to RTSP players and pushes.
    pub fn push(&mut self, cell: Arc<CodedCell>) {
        let mut packets = Vec::with_capacity(self.tracks.len());
        for (numbers, tracks) in self.numbers.iter_mut().zip(&*self.tracks) {
            packets.push((numbers.clone(), OnceLock::new()));
            numbers.pass(tracks, &cell);
        }
        let aired = Arc::new(Aired { k: cell.k, cell, packets });
        self.kept.send_modify(|kept| {
            kept.push_back(aired);
            while kept.len() > KEPT {
                kept.pop_front();
            }
        });
    }
}

impl AirReader {
    /// The same, with its fan-out groups on the list of `tasks`, named after `channel`.
    #[must_use]
    pub fn listed(self, channel: &str, tasks: &Tasks) -> Self {
        Self { groups: Arc::new(FanoutGroups::listed(channel, tasks)), ..self }
    }

    /// The newest whole cell; `None` before the first.
    pub fn newest(&self) -> Option<Arc<CodedCell>> {
        self.kept.borrow().back().map(|aired| Arc::clone(&aired.cell))
    }

    /// The rungs, best first.
    pub fn tracks(&self) -> &[RungTracks] {
        &self.tracks
    }

    /// Waits for samples of a rung that are new to this RTMP player and puts their messages into `out`. The first call gives
    /// those of the open cell at once. Returns the time of the first message; `None` when the channel has ended. May
    /// be cancelled.
    pub(super) async fn messages(&mut self, rung: usize, out: &mut Vec<Bytes>) -> Option<MediaTime> {
        self.batches.messages(&self.tracks, rung, out).await
    }

    /// Skips the messages that come before the next cell begins.
    pub(super) const fn rest(&mut self) {
        self.batches.cursor.rest();
    }

    /// Puts an RTMP player that has had all messages into a fan-out group. The group serves it until its socket does not take
    /// all at once, or the membership is left. `None` while there are messages that the player has not had, or if it waits for
    /// the beginning of a cell.
    pub(super) fn join_group<'a>(
        &'a mut self,
        rung: usize,
        player: &'a Arc<RtmpPlayer>,
        counts: &Arc<AnswerCounts>,
    ) -> Option<Membership<'a>> {
        self.groups.join(&self.tracks, rung, &mut self.batches, player, counts)
    }

    /// `at` on this player's RTMP clock.
    pub(super) fn timestamp_ms(&self, at: MediaTime) -> u32 {
        self.batches.cursor.timebase().timestamp_ms(at)
    }

    /// Waits for cells that are new to this reader, oldest first. The first call gives the newest one at once. `None`
    /// when the channel has ended.
    pub(super) async fn cells(&mut self) -> Option<Vec<Arc<Aired>>> {
        loop {
            let new: Vec<_> = {
                let kept = self.kept.borrow_and_update();
                match self.next {
                    None => kept.back().cloned().into_iter().collect(),
                    Some(next) => kept.iter().filter(|aired| aired.k >= next).cloned().collect(),
                }
            };
            if let Some(last) = new.last() {
                self.next = Some(last.k.next());
                return Some(new);
            }
            self.kept.changed().await.ok()?;
        }
    }

    /// When the first picture or sound of a cell is due: the RTMP clock of a push begins with it.
    pub(super) fn media_start(&self, aired: &Aired) -> MediaTime {
        let pictures =
            aired.cell.video.iter().map(|track| MediaTime::from_ticks(track.start, VIDEO_TIMESCALE));
        let sound = self.tracks.first().map(|tracks| tracks.audio.timescale());
        let sound = sound.map(|scale| MediaTime::from_ticks(aired.cell.audio.start, scale));
        pictures.chain(sound).min().unwrap_or(MediaTime::from_nanos(0))
    }

    /// The RTMP messages of one rung of a cell, on a clock that begins at `origin`; made anew at every call.
    pub(super) fn messages_from(
        &self,
        aired: &Aired,
        rung: usize,
        origin: MediaTime,
    ) -> Result<Vec<Shared>, TooLong> {
        let Some(tracks) = self.tracks.get(rung) else { return Ok(Vec::new()) };
        rtmp::cell(tracks, &aired.cell, Timebase::starting(origin))
    }

    /// The cell with which an RTSP player begins, whose packets leave at the pace of the media: the newest that began so long
    /// ago that every later one is there before it is due. Waits for the first one; `None` when the channel has ended.
    pub(super) async fn begin(&mut self, now: MediaTime) -> Option<Arc<Aired>> {
        loop {
            let chosen = {
                let kept = self.kept.borrow_and_update();
                let is_early = |aired: &&Arc<Aired>| self.grid.start(aired.k) + self.lead <= now;
                kept.iter().rev().find(is_early).or(kept.front()).cloned()
            };
            if let Some(aired) = chosen {
                self.next = Some(aired.k.next());
                return Some(aired);
            }
            self.kept.changed().await.ok()?;
        }
    }

    /// The cell after the last one, or the oldest kept if that is gone; `None` if there is none yet.
    pub(super) fn following(&mut self) -> Option<Arc<Aired>> {
        let kept = self.kept.borrow_and_update();
        let aired = kept.iter().find(|aired| self.next.is_none_or(|next| aired.k >= next))?;
        self.next = Some(aired.k.next());
        Some(Arc::clone(aired))
    }

    /// Waits for a change; false when the channel has ended.
    pub(super) async fn changed(&mut self) -> bool {
        self.kept.changed().await.is_ok()
    }

    /// When a cell begins on the grid, which is when its first slot is.
    pub(super) fn cell_start(&self, aired: &Aired) -> MediaTime {
        self.grid.start(aired.k)
    }

    /// The RTP packets of one rung of a cell, made once for all players.
    pub(super) fn packets(&self, aired: &Aired, rung: usize) -> Arc<Packets> {
        let (Some(tracks), Some((numbers, made))) = (self.tracks.get(rung), aired.packets.get(rung)) else {
            return Arc::default();
        };
        Arc::clone(made.get_or_init(|| Arc::new(numbers.clone().packets(tracks, &aired.cell))))
    }

    /// The SSRC of one of a rung's tracks.
    pub(super) fn ssrc(&self, rung: usize, track: u8) -> u32 {
        self.ssrcs.get(rung).map_or(0, |numbers| numbers.ssrc(track))
    }
}
