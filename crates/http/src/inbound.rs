//! The body of a request, which must arrive in time as a whole, and at a least rate.
//!
//! The reader gets [`TooSlow`] when the time is over. The connection ends with the answer, because the rest of the body
//! would come before the next request.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

/// The time for the whole body, from when it is first polled. Ours have some hundred bytes.
pub(super) const WHOLE: Duration = Duration::from_secs(30);
/// The time before the rate counts.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// The least average rate after that, in bytes a second.
pub(super) const LEAST: u64 = 128;

/// The request's body did not arrive in time: the peer's fault, answered with 408.
#[derive(Debug, thiserror::Error)]
#[error("the request's body did not come in time")]
pub struct TooSlow;

/// How long a body may take. Time is an argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyPatience {
    pub(super) whole: Duration,
    pub(super) grace: Duration,
}

impl BodyPatience {
    /// When the time of a body is over of which `came` bytes have arrived, counted from its beginning.
    fn due(self, came: u64) -> Duration {
        let kept_up = Duration::from_millis(came.saturating_mul(1000) / LEAST);
        kept_up.max(self.grace).min(self.whole)
    }
}

/// A request's body that fails with [`TooSlow`] if it does not arrive in time.
pub struct Inbound<B = Incoming> {
    inner: B,
    span: BodyPatience,
    begun: Option<Instant>,
    came: u64,
    /// `None` for bodies that never keep us waiting.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<B> Inbound<B> {
    pub(super) const fn new(inner: B, span: BodyPatience) -> Self {
        Self { inner, span, begun: None, came: 0, alarm: None }
    }
}

impl<B> fmt::Debug for Inbound<B> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Inbound").field("came", &self.came).finish_non_exhaustive()
    }
}

impl<B> http_body::Body for Inbound<B>
where
    B: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Unpin,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let begun = *this.begun.get_or_insert_with(Instant::now);
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            let Some(frame) = frame.transpose()? else { return Poll::Ready(None) };
            this.came += frame.data_ref().map_or(0, |data| data.len() as u64);
            if begun.elapsed() < this.span.whole {
                return Poll::Ready(Some(Ok(frame)));
            }
            return Poll::Ready(Some(Err(TooSlow.into())));
        }
        let due = (begun + this.span.due(this.came)).into();
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
        }
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_judged_by_what_has_come_and_by_its_whole_time() {
        let span = BodyPatience { whole: WHOLE, grace: GRACE };
        for (came, due) in [(0, GRACE), (1, GRACE), (128 * 20, Duration::from_secs(20)), (1 << 20, WHOLE)] {
            assert_eq!(span.due(came), due, "{came}");
        }
    }
}
