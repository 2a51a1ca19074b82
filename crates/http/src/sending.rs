//! Writes answers to a connection of HTTP/1.1: what lies in memory with write(2), what lies in files with sendfile(2). A peer that
//! takes too little of it is let go by its [`Pace`].
//!
//! All bytes of the fast and the plain path leave through here. The kernel can encrypt what a socket is given (kTLS): then the
//! socket is the same, and so is what is done with it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::fs::sendfile;
use rustix::io::retry_on_intr;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::outstanding::Outstanding as _;
use super::pace::{Pace, WHILE};
use amphi_media::Pieces;

/// Sends pieces of memory in one vectored write, as far as the socket takes them at once.
pub(super) async fn send_pieces(
    stream: &TcpStream,
    pace: &mut Pace,
    head: &[u8],
    pieces: &Pieces,
) -> io::Result<()> {
    let [first, second, third] = pieces;
    let mut slices = &mut [head, first, second, third].map(IoSlice::new)[..];
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let written = take(stream, pace, || stream.try_write_vectored(slices)).await?;
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}

/// Hands the head, and what of the content lies in memory, to the kernel, which sends it together with what follows
/// (`MSG_MORE`, send(2)).
pub(super) async fn send_head(
    stream: &TcpStream,
    pace: &mut Pace,
    head: &[u8],
    pieces: &Pieces,
) -> io::Result<()> {
    let [first, second, third] = pieces;
    let mut slices = &mut [head, first, second, third].map(IoSlice::new)[..];
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let send = || SockRef::from(stream).send_vectored_with_flags(slices, libc::MSG_MORE);
        let written = take(stream, pace, || stream.try_io(Interest::WRITABLE, send)).await?;
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}

/// Sends bytes of a file from `at` on, as many as the socket takes at once, `len` at most. `None` if it takes none; zero at the
/// end of the file.
pub(super) fn send_from(
    stream: &TcpStream,
    file: BorrowedFd<'_>,
    at: u64,
    len: u64,
) -> io::Result<Option<u64>> {
    let mut from = at;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let mut send = || Ok(retry_on_intr(|| sendfile(stream.as_fd(), file, Some(&mut from), len))?);
    match stream.try_io(Interest::WRITABLE, &mut send) {
        Ok(sent) => Ok(Some(sent as u64)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes as soon as there is room. Returns the number of bytes, at least one.
pub(super) async fn take(
    stream: &TcpStream,
    pace: &mut Pace,
    write: impl Fn() -> io::Result<usize>,
) -> io::Result<usize> {
    loop {
        match write() {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                pace.wrote(written, Instant::now);
                return Ok(written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        room(stream, pace).await?;
    }
}

/// Waits until a socket that is full has room again. An error: the peer is too slow.
pub(super) async fn room(stream: &TcpStream, pace: &mut Pace) -> io::Result<()> {
    pace.full(Instant::now())?;
    while let Err(_still_full) = tokio::time::timeout(WHILE, stream.writable()).await {
        pace.look(Instant::now(), stream.outstanding()?)?;
    }
    Ok(())
}
