//! Shared pieces of bytes, written to a socket in as few system calls as may be.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Writes all of `pieces`, in order.
pub(super) async fn write_all(socket: &mut (impl AsyncWrite + Unpin), pieces: Vec<Bytes>) -> io::Result<()> {
    let mut pieces = Pieces { pieces, at: 0 };
    while pieces.has_some() {
        let slices = pieces.slices();
        let written = socket.write_vectored(&slices).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        pieces.skip(written);
    }
    Ok(())
}

/// What is left to be written.
struct Pieces {
    pieces: Vec<Bytes>,
    at: usize,
}

impl Pieces {
    /// IOV_MAX is 1024 on Linux.
    const MOST: usize = 256;

    fn has_some(&self) -> bool {
        self.at < self.pieces.len()
    }

    fn slices(&self) -> Vec<io::IoSlice<'_>> {
        self.pieces.iter().skip(self.at).take(Self::MOST).map(|piece| io::IoSlice::new(piece)).collect()
    }

    /// Forgets what was written, and empty pieces behind it.
    fn skip(&mut self, mut written: usize) {
        while let Some(piece) = self.pieces.get_mut(self.at) {
            if written < piece.len() {
                let _ = piece.split_to(written);
                return;
            }
            written -= piece.len();
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_it_is_written_every_byte_is_written_once(
            lens in prop::collection::vec(0..50_usize, 0..20), steps in prop::collection::vec(1..40_usize, 1..50),
        ) {
            let whole: Vec<u8> = (0..lens.iter().sum::<usize>()).map(|n| n as u8).collect();
            let mut at = 0;
            let cut = lens.iter().map(|len| { at += len; Bytes::copy_from_slice(&whole[at - len..at]) }).collect();
            let mut pieces = Pieces { pieces: cut, at: 0 };
            let mut written = Vec::new();
            for step in steps.iter().cycle() {
                if !pieces.has_some() { break; }
                let ready: Vec<u8> = pieces.slices().iter().flat_map(|slice| slice.to_vec()).collect();
                let step = (*step).min(ready.len());
                written.extend_from_slice(&ready[..step]);
                pieces.skip(step);
            }
            prop_assert_eq!(written, whole);
        }
    }
}
