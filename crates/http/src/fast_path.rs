//! The fast path: GETs over HTTP/1.1 whose answers are ready.
//!
//! A player's connection carries the same two requests for hours. They are read with httparse, [`FastPath`] looks up the
//! answer, and head and content leave in one vectored write, or the content by sendfile ([`MemoryFile`]). Everything
//! else (another method or version, a body, a range, an answer that is not ready or not there, anything that is not
//! HTTP, no Host or two of them) is left, with all that was read of it, to the [plain path](super::plain_path) and to hyper, which
//! go on with the connection. So the fast path judges no request.
//!
//! An idle connection costs its socket and its task: requests are read into a buffer of the thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::body::Timed;
use super::date;
use super::limits::Limits;
use super::memory_file::MemoryFile;
use super::pace::Pace;
use super::plain_request::{Asked, HEADER_BYTES, NextRequest, next_request, plain};
use super::sending::{file_write, flush, send_head, send_pieces, take};
use amphi_media::Pieces;
use amphi_runtime::socket::Socket;

thread_local! {
    /// The buffer that requests are read into.
    pub(super) static READ: RefCell<Box<[u8; HEADER_BYTES]>> = RefCell::new(Box::new([0; HEADER_BYTES]));
    /// The buffer that heads of answers are written into.
    pub(super) static HEAD: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What is sent after the head of an answer.
#[derive(Debug)]
pub struct ReadyAnswer {
    /// The content, perhaps empty.
    pub content: Content,
    /// Dropped, and so recorded, when the last byte has been handed to the socket.
    pub timed: Timed,
}

/// The content of an answer, by how it is sent.
#[derive(Debug)]
pub enum Content {
    /// Written from shared memory, in one vectored write with the head.
    Pieces(Pieces),
    /// Sent by sendfile(2), without a copy; inside TLS it is copied.
    Pages(Arc<MemoryFile>),
}

/// Looks up answers that are ready.
pub trait FastPath {
    /// Appends the head of the answer to `head`, without `Date` and the blank line, and returns its content. `None` if the
    /// answer is not ready: then `head` is as before.
    fn ready(&self, asked: &Asked<'_>, head: &mut Vec<u8>) -> Option<ReadyAnswer>;
}

/// How the fast path ended.
#[derive(Debug)]
pub(super) enum Left {
    /// The connection has ended.
    Ended,
    /// Others go on with the connection; these bytes were read already.
    Over(Bytes),
}

/// Answers requests until one is not for the fast path, the peer closes or stays idle for too long, or `shutdown`.
pub(super) async fn drive(
    stream: &mut Socket,
    answers: &impl FastPath,
    limits: Limits,
    shutdown: &CancellationToken,
) -> Left {
    let mut ending = pin!(shutdown.cancelled());
    let mut idle = pin!(tokio::time::sleep(limits.idle));
    let mut active = tokio::time::Instant::now();
    let mut rest = Vec::new();
    loop {
        let next = poll_fn(|context| {
            // Taken from the thread only while it is written: a connection that waits has none.
            let mut head = HEAD.take();
            head.clear();
            if let Poll::Ready(next) = poll_next(stream, &mut rest, answers, &mut head, context) {
                return Poll::Ready(Some((next, head)));
            }
            HEAD.set(head);
            if ending.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            // One timer for all requests: when it fires, it checks when the last one was.
            while idle.as_mut().poll(context).is_ready() {
                if active.elapsed() >= limits.idle {
                    return Poll::Ready(None);
                }
                idle.as_mut().reset(active + limits.idle);
            }
            Poll::Pending
        });
        let (parcel, mut head) = match next.await {
            Some((Ok(Some(parcel)), head)) => (parcel, head),
            Some((Ok(None), _)) => return Left::Over(rest.into()),
            Some((Err(_), _)) | None => return Left::Ended,
        };
        date::append(&mut head);
        head.extend_from_slice(b"\r\n\r\n");
        let sent = tokio::select! {
            biased;
            sent = send(stream, &head, &parcel.content) => sent,
            () = async { ending.as_mut().await; tokio::time::sleep(limits.drain).await } => return Left::Ended,
        };
        drop(parcel);
        HEAD.set(head);
        if sent.is_err() || shutdown.is_cancelled() {
            return Left::Ended;
        }
        active = tokio::time::Instant::now();
    }
}

/// The next answer; `None` if `rest` is to be left to the plain path. An error ends the connection.
fn poll_next(
    stream: &mut Socket,
    rest: &mut Vec<u8>,
    answers: &impl FastPath,
    head: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<io::Result<Option<ReadyAnswer>>> {
    READ.with_borrow_mut(|buffer| {
        let mut len = rest.len();
        let Some(before) = buffer.get_mut(..len) else { return Poll::Ready(Ok(None)) };
        before.copy_from_slice(rest);
        let mut is_read = len > 0;
        loop {
            if is_read {
                let bytes = buffer.get(..len).unwrap_or_default();
                let next = next(bytes, answers, head);
                let used = if let NextRequest::Whole(used, _) = &next { *used } else { 0 };
                *rest = bytes.get(used..).unwrap_or_default().to_vec();
                match next {
                    NextRequest::Whole(_, parcel) => return Poll::Ready(Ok(Some(parcel))),
                    NextRequest::Other => return Poll::Ready(Ok(None)),
                    NextRequest::Partial => {}
                }
            }
            let mut room = ReadBuf::new(buffer.get_mut(len..).unwrap_or_default());
            if room.remaining() == 0 {
                return Poll::Ready(Ok(None));
            }
            ready!(Pin::new(&mut *stream).poll_read(context, &mut room))?;
            match room.filled().len() {
                0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                read => len += read,
            }
            is_read = true;
        }
    })
}

fn next(bytes: &[u8], answers: &impl FastPath, head: &mut Vec<u8>) -> NextRequest<ReadyAnswer> {
    let next = next_request(bytes, |request| asked(request).and_then(|asked| answers.ready(&asked, head)));
    match &next {
        NextRequest::Whole(..) => head.extend_from_slice(b"date: "),
        NextRequest::Partial | NextRequest::Other => head.clear(),
    }
    next
}

/// What the fast path would ask for, given the bytes of a whole request: for tests and fuzzing that compare it with hyper.
pub fn would_ask<T>(bytes: &[u8], with: impl FnOnce(&Asked<'_>) -> T) -> Option<T> {
    match next_request(bytes, |request| asked(request).map(|asked| with(&asked))) {
        NextRequest::Whole(_, answer) => Some(answer),
        NextRequest::Partial | NextRequest::Other => None,
    }
}

/// The request, if the fast path may answer it.
fn asked<'a>(request: &'a httparse::Request<'_, '_>) -> Option<Asked<'a>> {
    // Fields that change the answer in ways that only a service handles.
    const OTHERS: [&str; 3] = ["range", "if-range", "if-match"];
    let is_other = |field: &httparse::Header<'_>| OTHERS.iter().any(|it| field.name.eq_ignore_ascii_case(it));
    let asked = plain(request)?;
    let mut tags = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("if-none-match"));
    let if_none_match = tags.next().map(|field| field.value);
    let is_one = tags.next().is_none() && !request.headers.iter().any(is_other);
    is_one.then_some(Asked { if_none_match, ..asked })
}

/// Sends a head and the content that lies ready for it.
async fn send(stream: &Socket, head: &[u8], content: &Content) -> io::Result<()> {
    let mut pace = Pace::default();
    match content {
        Content::Pieces(pieces) => send_pieces(stream, &mut pace, head, pieces).await,
        Content::Pages(pages) => {
            send_head(stream, &mut pace, head, &Pieces::default()).await?;
            let mut at = 0;
            while at < pages.len() {
                let send = || file_write(stream, pages.as_fd(), at as u64, pages.len() - at);
                at += take(stream, &mut pace, send).await?;
            }
            flush(stream, &mut pace).await
        }
    }
}
