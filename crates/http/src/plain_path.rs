//! The plain path: GETs over HTTP/1.1 that a service answers, but that hyper is not needed for.
//!
//! It goes on with connections that have left the [fast path](super::fast_path), because of an answer that has to be made or read,
//! and gives their requests to the service. What hyper would do for such a request is little: it copies what the service answers
//! into the socket. Here a body that lies in a file is sent from there. Everything else (other methods, bodies, HTTP/2, a
//! connection that is to be closed) is left to hyper, with all that was read of it.

use std::io;
use std::pin::pin;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, DATE, HeaderName};
use http::{HeaderValue, Method, Request, StatusCode, Uri, response};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::body::{Body, LaterBytes};
use super::date;
use super::fast_path::{HEAD, Left, READ};
use super::head::append_field;
use super::limits::Limits;
use super::pace::Pace;
use super::plain_request::{HEADER_BYTES, NextRequest, next_request, plain};
use super::sending::{send_head, send_pieces};
use amphi_media::Pieces;
use amphi_runtime::socket::Socket;

/// Answers requests until one is hyper's, the peer closes or stays idle for too long, or `shutdown`. `read` was read already.
pub(super) async fn drive<S>(
    stream: &Socket,
    read: Bytes,
    service: &S,
    limits: Limits,
    shutdown: &CancellationToken,
) -> Left
where
    S: Service<Request<()>, Response = http::Response<Body>> + Clone,
{
    let mut rest = Vec::from(read);
    let mut ending = pin!(shutdown.cancelled());
    loop {
        let request = tokio::select! {
            biased;
            next = next(stream, &mut rest) => match next {
                Ok(Some(request)) => request,
                Ok(None) => return Left::Over(rest.into()),
                Err(_) => return Left::Ended,
            },
            () = ending.as_mut() => return Left::Ended,
            () = tokio::time::sleep(limits.idle) => return Left::Ended,
        };
        let answered = tokio::select! {
            biased;
            answered = answer(stream, service.clone(), request, !rest.is_empty()) => answered,
            () = async { shutdown.cancelled().await; tokio::time::sleep(limits.drain).await } => return Left::Ended,
        };
        if let Err(error) = &answered {
            tracing::debug!(%error, "a connection ended early");
        }
        if answered.is_err() || shutdown.is_cancelled() {
            return Left::Ended;
        }
        // Whoever sends many requests at once leaves some time to others.
        tokio::task::yield_now().await;
    }
}

/// The next request; `None` if `rest` is to be left to hyper. An error ends the connection.
async fn next(stream: &Socket, rest: &mut Vec<u8>) -> io::Result<Option<Request<()>>> {
    loop {
        if !rest.is_empty() {
            match next_request(rest, request_of) {
                NextRequest::Whole(used, request) => {
                    *rest = rest.get(used..).unwrap_or_default().to_vec();
                    return Ok(Some(request));
                }
                NextRequest::Partial if rest.len() < HEADER_BYTES => {}
                NextRequest::Partial | NextRequest::Other => return Ok(None),
            }
        }
        stream.readable().await?;
        let read: io::Result<usize> = READ.with_borrow_mut(|buffer| {
            let read = stream.try_read(&mut buffer[..])?;
            rest.extend_from_slice(buffer.get(..read).unwrap_or_default());
            Ok(read)
        });
        match read {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
}

/// The request as a service takes it; `None` for one that hyper may judge.
fn request_of(request: &httparse::Request<'_, '_>) -> Option<Request<()>> {
    plain(request)?;
    let mut whole = Request::new(());
    *whole.method_mut() = Method::GET;
    *whole.uri_mut() = Uri::try_from(request.path?).ok()?;
    let headers = whole.headers_mut();
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(whole)
}

/// Has a request answered, and sends the answer. An error ends the connection. If `has_more` of its requests
/// were read already, the peer may close its side before the answer is there.
async fn answer<S>(stream: &Socket, service: S, request: Request<()>, has_more: bool) -> io::Result<()>
where
    S: Service<Request<()>, Response = http::Response<Body>>,
{
    let answered = tokio::select! {
        biased;
        answered = service.oneshot(request) => answered,
        () = gone(stream), if !has_more => return Err(io::ErrorKind::UnexpectedEof.into()),
    };
    let (parts, body) = answered.map_err(|_| io::ErrorKind::Other)?.into_parts();
    let mut head = HEAD.take();
    head.clear();
    write_head(&mut head, &parts, body.remaining());
    let sent = send_body(stream, &head, body).await;
    HEAD.set(head);
    sent
}

/// Waits until the peer has closed the connection. Never, if it has sent the next request meanwhile.
async fn gone(stream: &Socket) {
    if matches!(stream.has_more().await, Ok(true)) {
        std::future::pending::<()>().await;
    }
}

/// The head of an answer with so many bytes of content (RFC 9112 §4, §5).
fn write_head(head: &mut Vec<u8>, parts: &response::Parts, content: usize) {
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(parts.status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(parts.status.canonical_reason().unwrap_or_default().as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in &parts.headers {
        append_field(head, name.as_str().as_bytes(), value.as_bytes());
    }
    // These have no content (RFC 9110 §8.6).
    let has_none = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !has_none && !parts.headers.contains_key(CONTENT_LENGTH) {
        append_field(head, CONTENT_LENGTH.as_str().as_bytes(), HeaderValue::from(content).as_bytes());
    }
    if !parts.headers.contains_key(DATE) {
        head.extend_from_slice(b"date: ");
        date::append(head);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
}

/// Sends a head and a body, of which some may lie in a file, or is still being read.
async fn send_body(stream: &Socket, head: &[u8], body: Body) -> io::Result<()> {
    let mut pace = Pace::default();
    let (pieces, later, mut left, timed) = body.into_parts();
    match later {
        LaterBytes::None => send_pieces(stream, &mut pace, head, &pieces).await?,
        LaterBytes::File(ranges) => {
            send_head(stream, &mut pace, head, &pieces).await?;
            if let Err(error) = ranges.send(stream, &mut pace).await {
                // What was sent may not be what the file was: the peer should not take it for the whole.
                stream.abort();
                return Err(error);
            }
        }
        LaterBytes::Stream(mut later) => {
            send_pieces(stream, &mut pace, head, &pieces).await?;
            while let Some(piece) = later.next().await {
                let piece = piece?;
                left = left.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
                send_pieces(stream, &mut pace, &piece, &Pieces::default()).await?;
            }
            if left > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    drop(timed);
    Ok(())
}
