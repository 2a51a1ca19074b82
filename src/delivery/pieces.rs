//! Shared pieces of bytes, written to a socket in as few system calls as possible.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use amphi_runtime::socket::Socket;

/// Pieces written at once. Linux takes 1024; a player of a live stream has two or three.
const MOST: usize = 64;

/// Writes all of `pieces`, in order, and leaves none.
pub(super) async fn write_all(
    socket: &mut (impl AsyncWrite + Unpin),
    pieces: &mut Vec<Bytes>,
) -> io::Result<()> {
    while let Some(last) = pieces.len().checked_sub(1) {
        let written = {
            let mut room = [IoSlice::new(&[]); MOST];
            socket.write_vectored(slices(pieces, &mut room)).await?
        };
        if written == 0 && !pieces.iter().take(MOST.min(last + 1)).all(Bytes::is_empty) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        skip(pieces, written);
    }
    Ok(())
}

/// Writes all of `pieces`, in order, to a socket that other tasks may write to at other times, and leaves none. If the peer
/// takes nothing for `patience` it fails with [`io::ErrorKind::TimedOut`]. May be cancelled: what is left in `pieces` is still
/// to be written.
pub(super) async fn write_shared(
    socket: &Socket,
    pieces: &mut Vec<Bytes>,
    patience: Duration,
) -> io::Result<()> {
    while !pieces.is_empty() {
        match try_write(socket, pieces) {
            Ok(written) => skip(pieces, written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                timeout(patience, socket.writable()).await??;
            }
            Err(error) => return Err(error),
        }
    }
    timeout(patience, socket.flushed()).await?
}

fn try_write(socket: &Socket, pieces: &[Bytes]) -> io::Result<usize> {
    let mut room = [IoSlice::new(&[]); MOST];
    let slices = slices(pieces, &mut room);
    match socket.try_write_vectored(slices)? {
        0 if slices.iter().any(|slice| !slice.is_empty()) => Err(io::ErrorKind::WriteZero.into()),
        written => Ok(written),
    }
}

/// Sends what the socket takes of `bytes` now, and returns how much that is. It calls send(2) and does not ask the runtime
/// whether the socket is ready: with thousands of sockets that is one more lookup for each. Inside TLS a little may still wait, encrypted, until the
/// next write.
pub(super) fn send_now(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    if socket.is_secure() {
        return match socket.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            written => written,
        };
    }
    match rustix::net::send(socket.tcp(), bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(sent) => Ok(sent),
        Err(Errno::WOULDBLOCK) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn slices<'a, 'b>(pieces: &'a [Bytes], room: &'b mut [IoSlice<'a>; MOST]) -> &'b [IoSlice<'a>] {
    let count = pieces.len().min(MOST);
    for (slice, piece) in room.iter_mut().zip(pieces) {
        *slice = IoSlice::new(piece);
    }
    room.get(..count).unwrap_or_default()
}

/// Removes what was written, and empty pieces after it.
fn skip(pieces: &mut Vec<Bytes>, mut written: usize) {
    let mut whole = 0;
    for piece in pieces.iter_mut() {
        if written < piece.len() {
            let _ = piece.split_to(written);
            break;
        }
        written -= piece.len();
        whole += 1;
    }
    pieces.drain(..whole);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_it_is_written_every_byte_is_written_once(
            lens in prop::collection::vec(0..50_usize, 0..200), steps in prop::collection::vec(1..400_usize, 1..50),
        ) {
            let whole: Vec<u8> = (0..lens.iter().sum::<usize>()).map(|n| n as u8).collect();
            let mut at = 0;
            let cut = lens.iter().map(|len| { at += len; Bytes::copy_from_slice(&whole[at - len..at]) });
            let mut pieces: Vec<Bytes> = cut.collect();
            let mut written = Vec::new();
            for step in steps.iter().cycle() {
                if pieces.is_empty() { break; }
                let mut room = [IoSlice::new(&[]); MOST];
                let ready: Vec<u8> = slices(&pieces, &mut room).iter().flat_map(|slice| slice.to_vec()).collect();
                let step = (*step).min(ready.len());
                written.extend_from_slice(&ready[..step]);
                skip(&mut pieces, step);
            }
            prop_assert_eq!(written, whole);
        }
    }
}
