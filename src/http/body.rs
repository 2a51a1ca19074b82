//! A body of shared pieces.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::media::Pieces;

/// Up to three pieces of bytes, sent one after the other without being copied: hyper hands queued pieces to
/// one vectored write.
#[derive(Debug)]
pub struct Body(std::array::IntoIter<Bytes, 3>);

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::from(Pieces::default())
    }

    /// Bytes still to be sent.
    pub fn remaining(&self) -> usize {
        self.0.as_slice().iter().map(Bytes::len).sum()
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Pieces> for Body {
    fn from(pieces: Pieces) -> Self {
        Self(pieces.into_iter())
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
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.find(|piece| !piece.is_empty());
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
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
}
