//! Writes answers to a connection of HTTP/1.1: what lies in memory with write(2), what lies in files with sendfile(2). A peer that
//! takes too little of it is let go by its [`Pace`].
//!
//! All bytes of the fast and the plain path leave through here. Inside TLS everything is copied once, encrypted; what lies in a file
//! is read for that into a buffer of the thread. The kernel can encrypt what a socket is given (kTLS): then the socket would be the
//! same as in the clear, and so would be what is done with it.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::fs::sendfile;
use rustix::io::{pread, retry_on_intr};
use socket2::SockRef;
use tokio::io::Interest;

use super::outstanding::Outstanding as _;
use super::pace::{Pace, WHILE};
use amphi_media::Pieces;
use amphi_runtime::socket::Socket;

/// Bytes of a file that are read and encrypted at once: as many as rustls keeps for a socket.
const COPIED: usize = 64 << 10;

thread_local! {
    /// Where bytes of files are read that are to be encrypted.
    static COPY: RefCell<Box<[u8]>> = RefCell::new(vec![0; COPIED].into());
}

/// Sends pieces of memory in one vectored write, as far as the socket takes them at once.
pub(super) async fn send_pieces(
    stream: &Socket,
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
    flush(stream, pace).await
}

/// Hands the head, and what of the content lies in memory, to the kernel, which sends it together with what follows
/// (`MSG_MORE`, send(2)).
pub(super) async fn send_head(
    stream: &Socket,
    pace: &mut Pace,
    head: &[u8],
    pieces: &Pieces,
) -> io::Result<()> {
    let [first, second, third] = pieces;
    let mut slices = &mut [head, first, second, third].map(IoSlice::new)[..];
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let send = || SockRef::from(stream.tcp()).send_vectored_with_flags(slices, libc::MSG_MORE);
        let write = || {
            if stream.is_secure() {
                return stream.try_write_vectored(slices);
            }
            stream.tcp().try_io(Interest::WRITABLE, send)
        };
        let written = take(stream, pace, write).await?;
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}

/// Sends bytes of a file from `at` on, as many as the socket takes at once, `len` at most. `None` if it takes none; zero at the
/// end of the file.
pub(super) fn send_from(stream: &Socket, file: BorrowedFd<'_>, at: u64, len: u64) -> io::Result<Option<u64>> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    match file_write(stream, file, at, len) {
        Ok(sent) => Ok(Some(sent as u64)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// As [`send_from`], and says by [`io::ErrorKind::WouldBlock`] that there is no room.
pub(super) fn file_write(stream: &Socket, file: BorrowedFd<'_>, at: u64, len: usize) -> io::Result<usize> {
    if !stream.is_secure() {
        let mut from = at;
        let send = || Ok(retry_on_intr(|| sendfile(stream.as_fd(), file, Some(&mut from), len))?);
        return stream.tcp().try_io(Interest::WRITABLE, send);
    }
    // Nothing is read for a socket that takes nothing.
    stream.try_flush()?;
    COPY.with_borrow_mut(|buffer| {
        let len = len.min(buffer.len());
        let read = retry_on_intr(|| pread(file, buffer.get_mut(..len).unwrap_or_default(), at))?;
        if read == 0 { Ok(0) } else { stream.try_write(buffer.get(..read).unwrap_or_default()) }
    })
}

/// Hands to the system what waits encrypted.
pub(super) async fn flush(stream: &Socket, pace: &mut Pace) -> io::Result<()> {
    loop {
        match stream.try_flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => room(stream, pace).await?,
            flushed => {
                // From now on it is not the peer that is waited for.
                pace.wrote(0, Instant::now);
                return flushed;
            }
        }
    }
}

/// Writes as soon as there is room. Returns the number of bytes, at least one.
pub(super) async fn take(
    stream: &Socket,
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
pub(super) async fn room(stream: &Socket, pace: &mut Pace) -> io::Result<()> {
    pace.full(Instant::now())?;
    while let Err(_still_full) = tokio::time::timeout(WHILE, stream.writable()).await {
        pace.look(Instant::now(), stream.outstanding()?)?;
    }
    Ok(())
}
