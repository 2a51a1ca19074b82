//! Bounded feeds of frames from one source to its readers, which are threads.
//!
//! [`FeedWriter::publish`] never waits. A reader that is too late loses frames up to the next sync frame of the video
//! track, so it never gets a picture that it cannot decode; lost frames are counted. Dropping the writer ends every reader;
//! that a reader was dropped is noticed at the next frame.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use crate::meter::Counter;
use crate::{Lock, SourceFrame, Track};

/// Frames that a reader may lag: about four seconds of 720p15 with sound.
const DEPTH: usize = 256;

/// The writing end. Clones write to the same readers.
#[derive(Clone, Debug, Default)]
pub struct FeedWriter {
    subscribers: Arc<Lock<Vec<Subscriber>>>,
    dropped: Arc<Counter>,
}

#[derive(Debug)]
struct Subscriber {
    sender: SyncSender<SourceFrame>,
    /// Frames were lost, so video waits for a sync frame.
    skipping: bool,
}

/// The reading end, held by one thread.
#[derive(Debug)]
pub struct FeedReader {
    receiver: Receiver<SourceFrame>,
}

/// What a [`FeedReader`] returns.
#[derive(Debug)]
pub enum FeedItem {
    /// The next frame, in the order of publication.
    Frame(SourceFrame),
    /// No frame came in time.
    Nothing,
    /// The writer is gone, so no frame will ever come again.
    Ended,
}

impl FeedWriter {
    /// A new reader of all frames from now on.
    pub fn subscribe(&self) -> FeedReader {
        let (sender, receiver) = sync_channel(DEPTH);
        self.lock().push(Subscriber { sender, skipping: false });
        FeedReader { receiver }
    }

    /// Hands `frame` to every reader that has room. Never waits.
    pub fn publish(&self, frame: &SourceFrame) {
        self.lock().retain_mut(|subscriber| {
            let video = frame.track() == Track::Video;
            if subscriber.skipping && video && !frame.sync {
                self.dropped.increment();
                return true;
            }
            match subscriber.sender.try_send(frame.clone()) {
                Ok(()) => subscriber.skipping &= !video,
                Err(TrySendError::Full(_)) => {
                    self.dropped.increment();
                    subscriber.skipping |= video;
                }
                Err(TrySendError::Disconnected(_)) => return false,
            }
            true
        });
    }

    /// How many frames all readers together have lost by being late.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Subscriber>> {
        self.subscribers.lock()
    }
}

impl FeedReader {
    /// Waits for the next frame, at most for `timeout`.
    pub fn next(&self, timeout: Duration) -> FeedItem {
        match self.receiver.recv_timeout(timeout) {
            Ok(frame) => FeedItem::Frame(frame),
            Err(RecvTimeoutError::Timeout) => FeedItem::Nothing,
            Err(RecvTimeoutError::Disconnected) => FeedItem::Ended,
        }
    }

    /// The next frame if there is one, without waiting.
    pub fn poll(&self) -> FeedItem {
        match self.receiver.try_recv() {
            Ok(frame) => FeedItem::Frame(frame),
            Err(TryRecvError::Empty) => FeedItem::Nothing,
            Err(TryRecvError::Disconnected) => FeedItem::Ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{MediaTime, ParameterSets, TrackFormat};

    fn picture(number: i64, sync: bool) -> SourceFrame {
        let parameter_sets = ParameterSets { sps: Bytes::new(), pps: Bytes::new() };
        SourceFrame {
            pts: MediaTime::from_millis(number),
            data: Bytes::new(),
            sync,
            format: Arc::new(TrackFormat::H264(parameter_sets)),
        }
    }

    #[test]
    fn a_late_reader_goes_on_at_the_next_sync_frame() {
        let publisher = FeedWriter::default();
        let reader = publisher.subscribe();
        for number in 0..DEPTH as i64 + 10 {
            publisher.publish(&picture(number, number == 0));
        }
        let mut read = 0;
        while let FeedItem::Frame(_) = reader.poll() {
            read += 1;
        }
        assert_eq!(read, DEPTH);
        publisher.publish(&picture(1000, false));
        publisher.publish(&picture(1001, true));
        publisher.publish(&picture(1002, false));
        let FeedItem::Frame(first) = reader.poll() else { panic!("the sync frame is there") };
        assert_eq!(first.pts, MediaTime::from_millis(1001));
        assert!(matches!(reader.poll(), FeedItem::Frame(_)));
        assert_eq!(publisher.dropped(), 11);
    }

    #[test]
    fn readers_end_with_the_publisher() {
        let publisher = FeedWriter::default();
        let reader = publisher.subscribe();
        drop(publisher);
        assert!(matches!(reader.poll(), FeedItem::Ended));
    }
}
