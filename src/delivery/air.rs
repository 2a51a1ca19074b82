//! What a channel has just aired, in batches, for protocols that send frames.
//!
//! A channel's task puts samples on the [`Air`] as they are due: a live cell's as its source's ladder codes them, a
//! waiting cell's by the clock. A batch is some consecutive samples of each track in the form of a cell; the batches of a
//! cell together are the cell. Each connection has an [`AirReader`] and takes the batches that are new to it. One that has
//! just come begins with the running cell's IDR picture and gets what there is of that cell at once. The air keeps the
//! last few cells and no queue per reader: one that is slower than that goes on with the beginning of the oldest cell kept.
//! RTMP messages of a batch are written for the first player of a rung who asks, back to back, and shared by all others.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use crate::media::{CodedCell, MediaTime, RungTracks};
use crate::rtmp::{self, Shared, Timebase};

/// Cells kept for slow readers, the running one included.
const KEPT: usize = 4;

/// A batch and what was made of it.
#[derive(Debug)]
pub(super) struct Aired {
    /// Counts up by one.
    number: u64,
    /// A cell begins with it.
    begins: bool,
    samples: Arc<CodedCell>,
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
    /// The number of the next batch; `None` before the first one.
    next: Option<u64>,
}

/// The air of a channel with these rungs. `origin` is the zero of RTMP's clock, earlier than every cell.
pub fn air(tracks: Arc<[RungTracks]>, origin: MediaTime) -> (Air, AirReader) {
    let (sender, kept) = watch::channel(VecDeque::new());
    let reader =
        AirReader { tracks: Arc::clone(&tracks), timebase: Timebase::starting(origin), kept, next: None };
    (Air { tracks, kept: sender }, reader)
}

impl Air {
    /// Airs some samples. `begins` says that they are the first of their cell.
    pub fn push(&self, samples: CodedCell, begins: bool) {
        let (samples, messages) = (Arc::new(samples), self.tracks.iter().map(|_| OnceLock::new()).collect());
        self.kept.send_modify(|kept| {
            let number = kept.back().map_or(0, |last| last.number + 1);
            kept.push_back(Arc::new(Aired { number, begins, samples, messages }));
            if begins && kept.iter().filter(|aired| aired.begins).count() > KEPT {
                kept.pop_front();
                while kept.front().is_some_and(|aired| !aired.begins) {
                    kept.pop_front();
                }
            }
        });
    }
}

impl AirReader {
    /// The beginning of the running cell: an IDR picture of every rung; `None` before the first.
    pub fn newest(&self) -> Option<Arc<CodedCell>> {
        self.kept.borrow().iter().rev().find(|aired| aired.begins).map(|aired| Arc::clone(&aired.samples))
    }

    /// The rungs, best first.
    pub fn tracks(&self) -> &[RungTracks] {
        &self.tracks
    }

    /// RTMP's time of a cell's first picture.
    pub(super) fn timestamp_ms(&self, at: MediaTime) -> u32 {
        self.timebase.timestamp_ms(at)
    }

    /// Waits for batches that are new to this reader, oldest first: at the first call those of the running cell at once.
    /// `None` when the channel has ended.
    pub(super) async fn cells(&mut self) -> Option<Vec<Arc<Aired>>> {
        loop {
            let new: Vec<_> = {
                let kept = self.kept.borrow_and_update();
                let from = match self.next {
                    None => kept.iter().rposition(|aired| aired.begins).unwrap_or(kept.len()),
                    Some(next) => kept.partition_point(|aired| aired.number < next),
                };
                kept.range(from..).cloned().collect()
            };
            if let Some(last) = new.last() {
                self.next = Some(last.number + 1);
                return Some(new);
            }
            self.kept.changed().await.ok()?;
        }
    }

    /// The messages of one rung in a batch, back to back as one piece; none if the batch has nothing of the rung.
    pub(super) fn messages(&self, aired: &Aired, rung: usize) -> Arc<[Shared]> {
        let (Some(tracks), Some(made)) = (self.tracks.get(rung), aired.messages.get(rung)) else {
            return Arc::default();
        };
        let make = || match rtmp::cell(tracks, &aired.samples, self.timebase) {
            Ok(messages) => merged(&messages).into_iter().collect(),
            Err(error) => {
                tracing::error!(k = %aired.samples.k, rung = tracks.name, %error, "a batch cannot be sent over RTMP");
                Arc::default()
            }
        };
        Arc::clone(made.get_or_init(make))
    }
}

/// Messages in one allocation: one piece to write for every player.
fn merged(messages: &[Shared]) -> Option<Shared> {
    let first = messages.first()?;
    let mut bytes = BytesMut::with_capacity(messages.iter().map(|message| message.bytes.len()).sum());
    for message in messages {
        bytes.extend_from_slice(&message.bytes);
    }
    Some(Shared { at: first.at, sync: first.sync, bytes: Bytes::from(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{AudioFormat, AudioTrack, CellIndex, SampleEntry, TrackCell};

    fn tracks() -> Arc<[RungTracks]> {
        let format = AudioFormat { sample_rate: 48_000, channels: 2 };
        let audio = AudioTrack { format, bitrate_bps: 96_000 };
        Arc::new([RungTracks { name: "160p".to_owned(), video: None, video_index: None, audio }])
    }

    /// A batch of two frames of sound.
    fn batch(k: i64) -> CodedCell {
        let entry = SampleEntry { size: 1, duration: 1024, sync: true };
        let audio =
            TrackCell { start: k, data: Bytes::from_static(&[1, 2]), samples: Arc::new([entry, entry]) };
        CodedCell { k: CellIndex(k), video: Vec::new(), audio }
    }

    async fn numbers(reader: &mut AirReader) -> Vec<u64> {
        reader.cells().await.expect("a batch").iter().map(|aired| aired.number).collect()
    }

    #[tokio::test]
    async fn who_comes_gets_the_running_cell_and_then_what_is_new() {
        let (air, mut reader) = air(tracks(), MediaTime::from_nanos(0));
        for n in 0..5 {
            air.push(batch(n / 3), n % 3 == 0);
        }
        assert_eq!(numbers(&mut reader).await, [3, 4]);
        air.push(batch(1), false);
        assert_eq!(numbers(&mut reader).await, [5]);
        drop(air);
        assert!(reader.cells().await.is_none());
    }

    #[tokio::test]
    async fn who_is_slow_goes_on_with_the_beginning_of_a_cell() {
        let (air, mut reader) = air(tracks(), MediaTime::from_nanos(0));
        air.push(batch(0), true);
        assert_eq!(numbers(&mut reader).await, [0]);
        for n in 1..100 {
            air.push(batch(n / 10), n % 10 == 0);
        }
        let new = reader.cells().await.expect("batches");
        assert!(new[0].begins && new[0].number == 60, "four cells are kept");
        assert_eq!(new.last().map(|aired| aired.number), Some(99));
    }

    #[tokio::test]
    async fn messages_of_a_batch_are_one_piece_that_all_players_share() {
        let (air, mut reader) = air(tracks(), MediaTime::from_nanos(0));
        air.push(batch(0), true);
        let aired = reader.cells().await.expect("a batch");
        let messages = reader.messages(&aired[0], 0);
        assert_eq!(messages.len(), 1);
        let apart = rtmp::cell(&reader.tracks()[0], &batch(0), reader.timebase).expect("messages");
        assert_eq!(messages[0].bytes, [&apart[0].bytes[..], &apart[1].bytes].concat());
        let again = reader.clone().messages(&aired[0], 0);
        assert_eq!(messages[0].bytes.as_ptr(), again[0].bytes.as_ptr());
        assert!(reader.messages(&aired[0], 7).is_empty());
    }
}
