//! Bytes in pages of the kernel, sent to many without being copied to any (memfd_create(2), sendfile(2)).
//!
//! A write to a socket copies its bytes once per viewer, and a viewer who is slow to read keeps the copy in the kernel's
//! memory. Pages that are sent from a file are shared by all.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;
use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use tokio::sync::OwnedSemaphorePermit;

/// Bytes that do not change.
#[derive(Debug)]
pub struct MemoryFile {
    file: OwnedFd,
    len: usize,
    _place: OwnedSemaphorePermit,
}

impl MemoryFile {
    /// Copies `pieces`, for the last time. It takes a descriptor, and gives `place` back when the last viewer has let go.
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

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A copy, to be looked at.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        let read = rustix::io::pread(&self.file, &mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Sends from `at` on as much as the socket takes, at once.
    pub(super) fn send(&self, socket: impl AsFd, at: u64) -> io::Result<usize> {
        let mut from = at;
        let left = (self.len as u64).saturating_sub(at) as usize;
        Ok(sendfile(socket, &self.file, Some(&mut from), left)?)
    }
}
