//! A connection of TCP, in the clear or inside TLS, with one interface for both.
//!
//! # Contract
//! A [`Socket`] is used as a [`TcpStream`] is: [`Socket::try_read`], [`Socket::try_write_vectored`] and the like take `&self` and
//! never wait, [`Socket::readable`] and [`Socket::writable`] wait. So several tasks may share one.
//!
//! Inside TLS, bytes that were taken by a write may still wait, encrypted, for room in the socket: 64 kB at most. Whoever has
//! written the last of something calls [`Socket::flushed`]; the next write and [`Socket::readable`] send what waits, too. A socket
//! that is dropped says farewell (close_notify, RFC 8446 §6.1), unless it was [aborted](Socket::abort).
//!
//! TLS is computed here (rustls), with one copy of the bytes: encrypted. Where the kernel could encrypt (kTLS), a socket would be a
//! plain one again after the handshake, and the rest of the server would not notice: [`Handshakes::accept`] is the place.
//!
//! What does *not* belong here: certificates, and which of them a peer gets (`amphi_tls`).

mod handshake;
mod session;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use amphi_media::Lock;
use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

pub use handshake::{Handshakes, connect_tls};
use session::Session;

/// Bytes that [`Socket::try_read_buf`] reads at most from TLS: one record (RFC 8446 §5.1).
const RECORD: usize = 16 << 10;

/// A connection of TCP, perhaps inside TLS.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    /// On the heap: most connections have none.
    tls: Option<Box<Lock<Session>>>,
}

/// A socket on its way from one runtime to another.
#[derive(Debug)]
pub struct DetachedSocket {
    tcp: std::net::TcpStream,
    tls: Option<Box<Lock<Session>>>,
}

impl From<TcpStream> for Socket {
    fn from(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }
}

impl Socket {
    /// A socket inside TLS, after the handshake.
    fn secured(tcp: TcpStream, session: Session) -> Self {
        Self { tcp, tls: Some(Box::new(Lock::new(session))) }
    }

    /// The connection below, for its options and its addresses. Bytes go through the socket.
    pub const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether it is inside TLS.
    pub const fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }

    /// The address of our end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Reads what is there. Zero: the peer has closed. [`io::ErrorKind::WouldBlock`]: nothing is there.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.try_read(buffer),
            Some(tls) => tls.lock().read(&self.tcp, buffer),
        }
    }

    /// As [`Socket::try_read`], appending to a buffer.
    pub fn try_read_buf(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.tcp.try_read_buf(buffer) };
        let mut record = [0; RECORD];
        let len = buffer.remaining_mut().min(RECORD);
        let read = tls.lock().read(&self.tcp, record.get_mut(..len).unwrap_or_default())?;
        buffer.put_slice(record.get(..read).unwrap_or_default());
        Ok(read)
    }

    /// Gives bytes back that were read: they are read again first. Only inside TLS.
    pub fn unread(&self, bytes: &[u8]) {
        if let Some(tls) = &self.tls {
            tls.lock().unread(bytes);
        }
    }

    /// Writes what is taken at once, and returns how many bytes that is.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    /// Writes what is taken at once of several pieces.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.try_write_vectored(slices),
            Some(tls) => tls.lock().write(&self.tcp, slices),
        }
    }

    /// Sends what waits encrypted. [`io::ErrorKind::WouldBlock`]: there is no room for all of it.
    pub fn try_flush(&self) -> io::Result<()> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.lock().push(&self.tcp))
    }

    /// Waits until everything that was written has been handed to the system. May be cancelled.
    pub async fn flushed(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_flushed(context)).await
    }

    /// As [`Socket::flushed`].
    pub fn poll_flushed(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.try_flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                flushed => return Poll::Ready(flushed),
            }
            ready!(self.tcp.poll_write_ready(context))?;
        }
    }

    /// Waits until there may be something to read, and sends what waits encrypted meanwhile. May be cancelled.
    pub async fn readable(&self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll_read_ready(context)).await
    }

    /// As [`Socket::readable`].
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &self.tls {
            if tls.lock().has_more() {
                return Poll::Ready(Ok(()));
            }
            // An error is told to who reads.
            if matches!(self.poll_flushed(context), Poll::Ready(Err(_))) {
                return Poll::Ready(Ok(()));
            }
        }
        self.tcp.poll_read_ready(context)
    }

    /// Waits until there may be room to write. May be cancelled.
    pub async fn writable(&self) -> io::Result<()> {
        self.tcp.writable().await
    }

    /// As [`Socket::writable`].
    pub fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_write_ready(context)
    }

    /// Reads at least a byte, appending to a buffer. Zero: the peer has closed. May be cancelled.
    pub async fn read_buf(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        loop {
            self.readable().await?;
            match self.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    /// Writes at least a byte of several pieces. May be cancelled.
    pub async fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            match self.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return written,
            }
            self.tcp.writable().await?;
        }
    }

    /// Waits until there is something to read (`true`), or the peer has closed (`false`), and reads nothing.
    pub async fn has_more(&self) -> io::Result<bool> {
        let Some(tls) = &self.tls else { return Ok(self.tcp.peek(&mut [0]).await? > 0) };
        loop {
            match tls.lock().peek(&self.tcp) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                told => return told,
            }
            self.tcp.readable().await?;
        }
    }

    /// Says that nothing more will be written: close_notify inside TLS, and FIN.
    pub fn shut_down(&self) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            tls.lock().farewell(&self.tcp);
        }
        SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write)
    }

    /// Ends the connection with RST and without a farewell when it is dropped: the peer is not to take for whole what it got.
    pub fn abort(&self) {
        if let Some(tls) = &self.tls {
            tls.lock().mute();
        }
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }

    /// Takes it off its runtime, for another one: a socket is registered with the runtime that waits for it.
    pub fn detach(mut self) -> io::Result<DetachedSocket> {
        let tls = self.tls.take();
        // The rest of `self` is a plain socket, whose drop does nothing.
        let tcp = self.tcp.as_fd().try_clone_to_owned()?;
        drop(self);
        Ok(DetachedSocket { tcp: tcp.into(), tls })
    }
}

impl DetachedSocket {
    /// Registers it with the runtime that this is called in.
    pub fn attach(self) -> io::Result<Socket> {
        Ok(Socket { tcp: TcpStream::from_std(self.tcp)?, tls: self.tls })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(tls) = &self.tls {
            tls.lock().farewell(&self.tcp);
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { tcp, tls } = &mut *self;
        let Some(tls) = tls else { return Pin::new(tcp).poll_read(context, buffer) };
        loop {
            match tls.lock().read(tcp, buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|read| buffer.advance(read))),
            }
            ready!(tcp.poll_read_ready(context))?;
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { tcp, tls } = &mut *self;
        let Some(tls) = tls else { return Pin::new(tcp).poll_write_vectored(context, slices) };
        loop {
            match tls.lock().write(tcp, slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
            ready!(tcp.poll_write_ready(context))?;
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flushed(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &self.tls {
            tls.lock().farewell(&self.tcp);
        }
        ready!(self.poll_flushed(context))?;
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
