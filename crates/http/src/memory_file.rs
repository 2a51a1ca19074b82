//! Bytes in a file in memory, sent to many viewers without a copy for each (memfd_create(2), sendfile(2)).
//!
//! A write to a socket copies its bytes once per viewer, and for a viewer who reads slowly the copy stays in the kernel's
//! memory. Pages that are sent from a file are shared by all sockets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::sync::OwnedSemaphorePermit;

/// A segment in a memfd; it does not change.
#[derive(Debug)]
pub struct MemoryFile {
    file: OwnedFd,
    len: usize,
    _place: OwnedSemaphorePermit,
}

impl MemoryFile {
    /// Copies `pieces` into a new memfd, which takes a file descriptor. `place` is given back when this is dropped.
    pub fn new(pieces: &[Bytes], place: OwnedSemaphorePermit) -> io::Result<Self> {
        let file = memfd_create(c"segment", MemfdFlags::CLOEXEC)?;
        for piece in pieces {
            let mut left: &[u8] = piece;
            while !left.is_empty() {
                match rustix::io::write(&file, left)? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => left = left.get(written..).unwrap_or_default(),
                }
            }
        }
        Ok(Self { file, len: pieces.iter().map(Bytes::len).sum(), _place: place })
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A copy of the bytes, for tests and comparisons.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        let read = rustix::io::pread(&self.file, &mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

impl AsFd for MemoryFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
