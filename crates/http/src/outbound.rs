//! The body of an answer, which tells its connection's [`Watch`] whether it waits for the peer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::watch::Watch;

/// The body `B` of a service, or the text of a refusal (`None` once it is sent).
pub(super) struct Outbound<B> {
    inner: Result<B, Option<Bytes>>,
    /// `None` for HTTP/1, where a full socket says the same.
    answer: Option<PendingAnswer>,
}

/// An answer that is being sent.
pub(super) struct PendingAnswer {
    watch: Arc<Watch>,
    /// It waits for the peer: the peer's window is closed, so hyper does not poll the body.
    owed: bool,
}

impl PendingAnswer {
    pub(super) fn new(watch: &Arc<Watch>) -> Self {
        watch.began();
        Self { watch: Arc::clone(watch), owed: false }
    }

    fn owe(&mut self, owed: bool) {
        if self.owed != owed {
            self.owed = owed;
            self.watch.owe(owed);
        }
    }
}

impl Drop for PendingAnswer {
    fn drop(&mut self) {
        self.owe(false);
        self.watch.ended();
    }
}

/// Bytes that wait in hyper's queue.
struct Queued {
    bytes: Bytes,
    watch: Arc<Watch>,
}

impl AsRef<[u8]> for Queued {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.watch.dequeue(self.bytes.len());
    }
}

impl<B> Outbound<B> {
    pub(super) fn new(inner: B, mut answer: Option<PendingAnswer>) -> Self {
        if let Some(answer) = &mut answer {
            answer.owe(true);
        }
        Self { inner: Ok(inner), answer }
    }

    pub(super) const fn words(words: &'static str) -> Self {
        Self { inner: Err(Some(Bytes::from_static(words.as_bytes()))), answer: None }
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Outbound<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { inner, answer } = &mut *self;
        let inner = match inner {
            Ok(inner) => inner,
            Err(words) => return Poll::Ready(words.take().map(|words| Ok(Frame::data(words)))),
        };
        let frame = Pin::new(inner).poll_frame(context);
        let Some(answer) = answer else { return frame };
        // Polled and nothing there yet: it waits for us, not for the peer.
        answer.owe(frame.is_ready());
        let watch = &answer.watch;
        Poll::Ready(ready!(frame).map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| {
                    watch.queue(bytes.len());
                    Bytes::from_owner(Queued { bytes, watch: Arc::clone(watch) })
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Ok(inner) => inner.is_end_stream(),
            Err(words) => words.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Ok(inner) => inner.size_hint(),
            Err(words) => SizeHint::with_exact(words.as_ref().map_or(0, |words| words.len() as u64)),
        }
    }
}
