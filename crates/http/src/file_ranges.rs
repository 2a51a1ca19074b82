//! Ranges of a file as content of an answer: over HTTP/1.1 they are sent from the page cache with sendfile(2), without a copy in
//! our memory; elsewhere they are read.
//!
//! sendfile(2) waits for the storage if it must. So before a stretch is sent, the file is asked whether it
//! [is at hand](SentFile::is_at_hand), and is made to [`fetch`](SentFile::fetch) it if not. It may be gone
//! again when one who reads slowly comes to it, so what was seen too long ago is asked anew.

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::pace::Pace;
use super::sending::{flush, room, send_from};
use amphi_runtime::socket::Socket;

/// Most bytes that are looked for and then sent: what a socket takes at once, more or less.
const STRETCH: u64 = 512 << 10;
/// Ranges that lie so near to each other are looked for together.
const NEAR: u64 = 32 << 10;
/// After such a time it is asked again what is at hand: pages that have just been seen stay that long.
const FRESH: Duration = Duration::from_secs(1);
/// Bytes after which others of the same thread have their turn, if the peer takes all of them at once.
const TURN: u64 = 2 << 20;

/// A file of which ranges are sent.
pub trait SentFile: Debug + Send + Sync {
    /// Its descriptor.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Whether these bytes can be sent without waiting for the storage, and are still those that were promised. Does not block.
    fn is_at_hand(&self, range: &Range<u64>) -> bool;

    /// Whether its bytes are surely those that were promised. Does not block.
    fn is_as_promised(&self) -> bool;

    /// Brings these bytes to hand, on a thread that may wait. An error: they are not to be had, or are others by now.
    fn fetch(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<()>>;

    /// Reads ranges of it, one after the other.
    fn read(&self, ranges: Vec<Range<u64>>) -> BoxStream<'static, io::Result<Bytes>>;
}

/// Ranges of a file, one after the other.
#[derive(Debug)]
pub struct FileRanges {
    file: Arc<dyn SentFile>,
    ranges: Vec<Range<u64>>,
    /// When the first bytes were seen to be at hand.
    seen: Instant,
}

impl FileRanges {
    /// These ranges of `file`. The first [`stretch`](Self::stretch) of them has just been seen to be at hand.
    pub fn new(file: Arc<dyn SentFile>, ranges: Vec<Range<u64>>) -> Self {
        Self { file, ranges, seen: Instant::now() }
    }

    /// Their length in bytes.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first bytes of `range`, as many as are looked for at a time.
    pub fn stretch(range: &Range<u64>) -> Range<u64> {
        range.start..range.end.min(range.start.saturating_add(STRETCH))
    }

    /// Their bytes, read.
    pub(super) fn read(self) -> BoxStream<'static, io::Result<Bytes>> {
        self.file.read(self.ranges)
    }

    /// What is looked for before the bytes from `at` on, which is in the range number `place`, are sent: these and those of
    /// ranges near by.
    fn ahead(&self, place: usize, at: u64) -> Range<u64> {
        let most = at.saturating_add(STRETCH);
        let mut ahead = at..at;
        for range in self.ranges.iter().skip(place) {
            if range.start > ahead.end.saturating_add(NEAR) || range.end < ahead.end || ahead.end >= most {
                break;
            }
            ahead.end = range.end.min(most);
        }
        ahead
    }

    /// Sends all of them.
    pub(super) async fn send(&self, stream: &Socket, pace: &mut Pace) -> io::Result<()> {
        let mut known = self.ranges.first().map_or(0..0, Self::stretch);
        let mut seen = self.seen;
        let mut turn = 0;
        for (place, range) in self.ranges.iter().enumerate() {
            let mut at = range.start;
            while at < range.end {
                if !known.contains(&at) || seen.elapsed() >= FRESH {
                    known = self.ahead(place, at);
                    self.bring(known.clone()).await?;
                    seen = Instant::now();
                }
                let len = known.end.min(range.end) - at;
                match send_from(stream, self.file.descriptor(), at, len)? {
                    Some(0) => {
                        // It was cut short, of which it says more.
                        self.file.fetch(at..at + len).await?;
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    Some(sent) => {
                        pace.wrote(sent as usize, Instant::now);
                        at += sent;
                        turn += sent;
                    }
                    None => {
                        room(stream, pace).await?;
                        turn = 0;
                    }
                }
                if turn >= TURN {
                    turn = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
        flush(stream, pace).await?;
        // Were they others by the time that they were sent?
        match self.ranges.last() {
            Some(last) if last.start < last.end && !self.file.is_as_promised() => {
                self.file.fetch(last.end - 1..last.end).await
            }
            _ => Ok(()),
        }
    }

    async fn bring(&self, range: Range<u64>) -> io::Result<()> {
        if self.file.is_at_hand(&range) { Ok(()) } else { self.file.fetch(range).await }
    }
}

#[cfg(test)]
mod tests;
