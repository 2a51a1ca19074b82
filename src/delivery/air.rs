//! What a channel has just aired, as coded cells, for protocols that send frames.
//!
//! A channel's task puts every cell on the [`Air`]; each connection has an [`AirReader`] and takes the cells that are
//! new to it. The air keeps the last few cells and no queue per reader: one that is slower than that goes on with the
//! oldest cell kept, which begins with an IDR picture. RTMP messages of a cell are written for the first player of a
//! rung who asks, and shared by all others.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::media::{CellIndex, CodedCell, MediaTime, RungTracks};
use crate::rtmp::{self, Shared, Timebase};

/// Cells kept for slow readers.
const KEPT: usize = 4;

/// A cell and what was made of it.
#[derive(Debug)]
pub(super) struct Aired {
    k: CellIndex,
    cell: Arc<CodedCell>,
    /// RTMP messages, by rung.
    messages: Vec<OnceLock<Arc<[Shared]>>>,
}

/// The end that a channel fills.
#[derive(Debug)]
pub struct Air {
    tracks: Arc<[RungTracks]>,
    kept: watch::Sender<VecDeque<Arc<Aired>>>,
}

/// The end that players are served from.
#[derive(Clone, Debug)]
pub struct AirReader {
    tracks: Arc<[RungTracks]>,
    timebase: Timebase,
    kept: watch::Receiver<VecDeque<Arc<Aired>>>,
    next: Option<CellIndex>,
}

/// The air of a channel with these rungs. `origin` is the zero of RTMP's clock, earlier than every cell.
pub fn air(tracks: Arc<[RungTracks]>, origin: MediaTime) -> (Air, AirReader) {
    let (sender, kept) = watch::channel(VecDeque::new());
    let reader =
        AirReader { tracks: Arc::clone(&tracks), timebase: Timebase::starting(origin), kept, next: None };
    (Air { tracks, kept: sender }, reader)
}

impl Air {
    /// Airs a cell.
    pub fn push(&self, cell: Arc<CodedCell>) {
        let messages = self.tracks.iter().map(|_| OnceLock::new()).collect();
        let aired = Arc::new(Aired { k: cell.k, cell, messages });
        self.kept.send_modify(|kept| {
            kept.push_back(aired);
            while kept.len() > KEPT {
                kept.pop_front();
            }
        });
    }
}

impl AirReader {
    /// The newest cell; `None` before the first.
    pub fn newest(&self) -> Option<Arc<CodedCell>> {
        self.kept.borrow().back().map(|aired| Arc::clone(&aired.cell))
    }

    /// The rungs, best first.
    pub fn tracks(&self) -> &[RungTracks] {
        &self.tracks
    }

    /// RTMP's time of a cell's first picture.
    pub(super) fn timestamp_ms(&self, at: MediaTime) -> u32 {
        self.timebase.timestamp_ms(at)
    }

    /// Waits for cells that are new to this reader, oldest first: at the first call the newest one at once. `None`
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

    /// The messages of one rung in a cell.
    pub(super) fn messages(&self, aired: &Aired, rung: usize) -> Arc<[Shared]> {
        let (Some(tracks), Some(made)) = (self.tracks.get(rung), aired.messages.get(rung)) else {
            return Arc::default();
        };
        let make = || match rtmp::cell(tracks, &aired.cell, self.timebase) {
            Ok(messages) => messages.into(),
            Err(error) => {
                tracing::error!(k = %aired.k, rung = tracks.name, %error, "a cell cannot be sent over RTMP");
                Arc::default()
            }
        };
        Arc::clone(made.get_or_init(make))
    }
}
