//! The TLS of one connection: rustls between our bytes and the socket's. Nothing here waits.

use std::io::{self, BufRead as _, IoSlice, Read as _, Write as _};

use tokio::net::TcpStream;
use tokio_rustls::rustls::Connection;

/// What is known of one connection's TLS.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    /// Bytes that were read and given back.
    given_back: Vec<u8>,
    /// The peer has been told that nothing more comes, or is not to be told.
    has_ended: bool,
}

impl Session {
    /// A connection after its handshake.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, given_back: Vec::new(), has_ended: false }
    }

    /// Reads what is there. An end without close_notify is an end, too: what is spoken inside knows how long its messages are.
    pub(super) fn read(&mut self, tcp: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.given_back.is_empty() {
            let len = buffer.len().min(self.given_back.len());
            for (to, from) in buffer.iter_mut().zip(self.given_back.drain(..len)) {
                *to = from;
            }
            return Ok(len);
        }
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.fill(tcp)?;
        }
    }

    /// The bytes are read again before all others.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.given_back.splice(..0, bytes.iter().copied());
    }

    /// Whether a read would not have to wait for the socket.
    pub(super) fn has_more(&mut self) -> bool {
        if !self.given_back.is_empty() {
            return true;
        }
        let mut reader = self.connection.reader();
        let first = reader.fill_buf().map(<[u8]>::len);
        !matches!(first, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether there is something to read, or the peer has closed.
    pub(super) fn peek(&mut self, tcp: &TcpStream) -> io::Result<bool> {
        loop {
            if !self.given_back.is_empty() {
                return Ok(true);
            }
            let mut reader = self.connection.reader();
            match reader.fill_buf().map(<[u8]>::is_empty) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                is_empty => return is_empty.map(|it| !it),
            }
            self.fill(tcp)?;
        }
    }

    /// Takes bytes from the socket, and decrypts them.
    fn fill(&mut self, tcp: &TcpStream) -> io::Result<()> {
        self.connection.read_tls(&mut Wire(tcp))?;
        let told = self.connection.process_new_packets();
        // Answers to the peer's messages, or an alert that says what is wrong with them (RFC 8446 §4.6, §6).
        let pushed = self.push(tcp);
        if let Err(fault) = told {
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
        }
        match pushed {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// Encrypts what there is room for, and sends as much of it as the socket takes.
    pub(super) fn write(&mut self, tcp: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.push(tcp)?;
        let taken = self.connection.writer().write_vectored(slices)?;
        match self.push(tcp) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Sends what waits.
    pub(super) fn push(&mut self, tcp: &TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut Wire(tcp))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Sends close_notify, once, if there is room.
    pub(super) fn farewell(&mut self, tcp: &TcpStream) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.connection.send_close_notify();
        }
        // The connection ends in any case.
        let _ = self.push(tcp);
    }

    /// There will be no close_notify.
    pub(super) fn mute(&mut self) {
        self.has_ended = true;
    }
}

/// The socket, as rustls reads and writes it.
struct Wire<'a>(&'a TcpStream);

impl io::Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl io::Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
