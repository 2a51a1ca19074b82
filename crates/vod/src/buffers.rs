//! Buffers for parts of segments, used again and again, so that no buffer is zeroed or faulted in twice.

use std::sync::Arc;

use amphi_media::Lock;
use bytes::Bytes;

/// Length of a buffer in bytes; larger parts get a buffer of their own that is not kept.
pub(super) const LEN: usize = 512 << 10;
/// Most buffers that wait for use: 16 MB.
const KEPT: usize = 32;

/// A stock of buffers. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Arc<Lock<Vec<Box<[u8]>>>>);

impl Buffers {
    /// A buffer of at least `len` bytes; its content is arbitrary and must be overwritten.
    pub(super) fn take(&self, len: usize) -> Box<[u8]> {
        let kept = if len <= LEN { self.0.lock().pop() } else { None };
        kept.unwrap_or_else(|| vec![0; len.max(LEN)].into_boxed_slice())
    }

    /// The first `len` bytes of a filled buffer, which comes back when the last clone is gone.
    pub(super) fn lend(&self, buffer: Box<[u8]>, len: usize) -> Bytes {
        Bytes::from_owner(Lent { buffer, len, home: self.clone() })
    }

    /// A buffer that was not lent after all.
    pub(super) fn give_back(&self, buffer: Box<[u8]>) {
        let mut kept = self.0.lock();
        if buffer.len() == LEN && kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

struct Lent {
    buffer: Box<[u8]>,
    len: usize,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(10);
        buffer[..10].fill(7);
        let place = buffer.as_ptr();
        let lent = buffers.lend(buffer, 10);
        assert_eq!(lent[..], [7; 10]);
        let other = buffers.take(10);
        assert_ne!(other.as_ptr(), place, "it is still lent");
        drop(lent);
        let again = buffers.take(LEN);
        assert_eq!(again.as_ptr(), place);
        assert_eq!(buffers.take(LEN + 1).len(), LEN + 1);
    }
}
