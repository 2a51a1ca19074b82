//! A connection of which some bytes were read already, and whose peer must keep up a [`Pace`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use super::outstanding::Outstanding;
use super::pace::Pace;
use super::watch::Watch;

/// Reads `before`, then from the connection.
#[derive(Debug)]
pub(super) struct Rewound<T> {
    before: Bytes,
    inner: T,
    pace: Pace,
    /// Fires when the peer's pace is due to be checked; `None` for peers that never keep us waiting.
    look: Option<Pin<Box<Sleep>>>,
    /// Counts what is written.
    watch: Arc<Watch>,
    /// A flush has found no room.
    is_flushing: bool,
}

impl<T> Rewound<T> {
    pub(super) fn new(before: Bytes, inner: T, watch: Arc<Watch>) -> Self {
        Self { before, inner, pace: Pace::default(), look: None, watch, is_flushing: false }
    }
}

impl<T: Outstanding> Rewound<T> {
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.full(context)?,
            Poll::Ready(Ok(bytes)) => {
                self.watch.wrote(*bytes);
                self.pace.wrote(*bytes, Instant::now);
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }

    fn full(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.pace.full(Instant::now())?;
        while let Some(due) = self.pace.due().map(Into::into) {
            let look = self.look.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if look.deadline() != due {
                look.as_mut().reset(due);
            }
            if look.as_mut().poll(context).is_pending() {
                break;
            }
            self.pace.look(Instant::now(), self.inner.outstanding()?)?;
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.inner).poll_read(context, buffer);
        }
        let len = self.before.len().min(buffer.remaining());
        let piece = self.before.split_to(len);
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Outstanding + Unpin> AsyncWrite for Rewound<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Inside TLS, what was taken may still wait for room.
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        if flushed.is_pending() {
            self.is_flushing = true;
            self.full(context)?;
        } else if std::mem::take(&mut self.is_flushing) {
            self.pace.wrote(0, Instant::now);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_was_read_is_read_again_and_nothing_twice() {
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(b" and what came later").await.expect("sent");
        drop(peer);
        let mut rewound = Rewound::new(Bytes::from_static(b"what was read"), ours, Arc::default());
        let mut first = [0; 5];
        rewound.read_exact(&mut first).await.expect("there");
        let mut rest = Vec::new();
        rewound.read_to_end(&mut rest).await.expect("there");
        assert_eq!([&first[..], &rest].concat(), b"what was read and what came later");
    }
}
