//! The body of an answer: shared pieces of bytes, and perhaps more that are still being read, or lie in a file.

use std::fmt::{self, Formatter};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use http_body::{Frame, SizeHint};

use super::file_ranges::FileRanges;
use amphi_media::Pieces;
use amphi_media::meter::Histogram;

/// Up to three pieces of bytes, sent one after the other without being copied: hyper hands queued pieces to
/// one vectored write. More may follow from a stream or a file; an error there ends the connection, because `Content-Length`
/// is already sent.
pub struct Body {
    ready: std::array::IntoIter<Bytes, 3>,
    later: LaterBytes,
    /// Bytes that `later` has still to give.
    left: u64,
    timed: Option<Timed>,
}

/// What follows the pieces.
pub(super) enum LaterBytes {
    None,
    Stream(BoxStream<'static, io::Result<Bytes>>),
    /// Read as a stream where it cannot be sent from the file.
    File(FileRanges),
}

/// Records how long sending took, when it is dropped.
#[derive(Debug)]
pub struct Timed {
    begun: Instant,
    latencies: Arc<Histogram>,
}

impl Timed {
    /// Adds the time since `begun` to `latencies` when dropped.
    pub const fn new(begun: Instant, latencies: Arc<Histogram>) -> Self {
        Self { begun, latencies }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.latencies.add(self.begun.elapsed());
    }
}

/// A piece whose sending is timed.
struct Sent {
    bytes: Bytes,
    _timed: Timed,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body {
    /// The same body, which adds the time since `begun` to `latencies` when its last byte has been handed to the socket, or
    /// when it is dropped.
    #[must_use]
    pub fn timed(mut self, begun: Instant, latencies: Arc<Histogram>) -> Self {
        let timed = Timed::new(begun, latencies);
        if !matches!(self.later, LaterBytes::None) {
            self.timed = Some(timed);
        } else if let Some(last) = self.ready.as_mut_slice().iter_mut().rfind(|piece| !piece.is_empty()) {
            // hyper drops a body before it has written the pieces, so the timer is tied to the last piece.
            *last = Bytes::from_owner(Sent { bytes: std::mem::take(last), _timed: timed });
        }
        self
    }

    /// A body of no bytes.
    pub fn empty() -> Self {
        Self::from(Pieces::default())
    }

    /// `pieces`, then `left` more bytes from `later`.
    pub fn streaming(pieces: Pieces, later: BoxStream<'static, io::Result<Bytes>>, left: u64) -> Self {
        Self { ready: pieces.into_iter(), later: LaterBytes::Stream(later), left, timed: None }
    }

    /// `pieces`, then ranges of a file.
    pub fn of_file(pieces: Pieces, ranges: FileRanges) -> Self {
        let left = ranges.len();
        Self { ready: pieces.into_iter(), later: LaterBytes::File(ranges), left, timed: None }
    }

    /// What of it is there already.
    pub fn into_ready(self) -> Pieces {
        self.into_parts().0
    }

    /// Its pieces, what follows them and how long that is, and what is to be dropped when all is sent.
    pub(super) fn into_parts(mut self) -> (Pieces, LaterBytes, u64, Option<Timed>) {
        let pieces = [(); 3].map(|()| self.ready.next().unwrap_or_default());
        (pieces, self.later, self.left, self.timed)
    }

    /// Bytes still to be sent.
    pub fn remaining(&self) -> usize {
        self.ready.as_slice().iter().map(Bytes::len).sum::<usize>() + self.left as usize
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Body").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Pieces> for Body {
    fn from(pieces: Pieces) -> Self {
        Self { ready: pieces.into_iter(), later: LaterBytes::None, left: 0, timed: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::from([bytes, Bytes::new(), Bytes::new()])
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(piece) = self.ready.find(|piece| !piece.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let later = match std::mem::replace(&mut self.later, LaterBytes::None) {
            LaterBytes::None => return Poll::Ready(None),
            LaterBytes::Stream(later) => later,
            LaterBytes::File(ranges) => ranges.read(),
        };
        self.later = LaterBytes::Stream(later);
        let LaterBytes::Stream(later) = &mut self.later else { return Poll::Ready(None) };
        let piece = ready!(Pin::new(later).poll_next(context));
        Poll::Ready(piece.map(|piece| {
            let piece = piece?;
            self.left = self.left.saturating_sub(piece.len() as u64);
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining() as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn pieces_pass_through_as_they_are() {
        let (first, last) = (Bytes::from(vec![1; 10]), Bytes::from(vec![2; 5]));
        let mut body = Body::from([first.clone(), Bytes::new(), last.clone()]);
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(15));
        for expected in [first, last] {
            let frame = body.frame().await.expect("a piece").expect("infallible");
            assert_eq!(frame.into_data().expect("data").as_ptr(), expected.as_ptr());
        }
        assert!(http_body::Body::is_end_stream(&body));
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn the_time_ends_with_the_last_piece() {
        let latencies = Arc::new(Histogram::default());
        let count = || latencies.buckets().map(|(_, count)| count).sum::<u64>();
        let pieces = [Bytes::from_static(b"a"), Bytes::from_static(b"b"), Bytes::new()];
        let mut body = Body::from(pieces).timed(Instant::now(), Arc::clone(&latencies));
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.expect("infallible").into_data().expect("data"));
        }
        drop(body);
        assert_eq!((frames.concat(), count()), (b"ab".to_vec(), 0));
        drop(frames);
        assert_eq!(count(), 1);
    }

    #[tokio::test]
    async fn what_is_read_later_follows() {
        let later = [Ok(Bytes::from_static(b"cd")), Err(io::Error::other("gone"))];
        let head = [Bytes::from_static(b"ab"), Bytes::new(), Bytes::new()];
        let mut body = Body::streaming(head, Box::pin(futures_util::stream::iter(later)), 4);
        for left in [6, 4] {
            assert_eq!(http_body::Body::size_hint(&body).exact(), Some(left));
            body.frame().await.expect("a piece").expect("read");
            assert!(!http_body::Body::is_end_stream(&body));
        }
        assert!(body.frame().await.expect("something").is_err());
    }
}
