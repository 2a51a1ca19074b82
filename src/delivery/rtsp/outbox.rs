//! What is to be written to a player's connection: shared pieces, in order.
//!
//! The caller keeps its bound: it adds media only when the outbox is empty, and reads nothing while it holds [`FULL`] bytes.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// With so many bytes the peer must take something before more is read from it.
const FULL: usize = 64 << 10;
/// How many pieces one system call writes.
const PIECES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push_back(piece);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= FULL
    }

    pub(super) fn slices(&self) -> Vec<IoSlice<'_>> {
        self.pieces.iter().take(PIECES).map(|piece| IoSlice::new(piece)).collect()
    }

    /// Removes what was written.
    pub(super) fn advance(&mut self, mut written: usize) {
        self.len = self.len.saturating_sub(written);
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_is_written_once(
            lens in prop::collection::vec(0..50_usize, 0..100), steps in prop::collection::vec(1..400_usize, 1..50),
        ) {
            let whole: Vec<u8> = (0..lens.iter().sum::<usize>()).map(|n| n as u8).collect();
            let mut outbox = Outbox::default();
            let mut at = 0;
            for len in lens {
                outbox.push(Bytes::copy_from_slice(&whole[at..at + len]));
                at += len;
            }
            let mut written = Vec::new();
            for step in steps.iter().cycle() {
                if outbox.is_empty() { break; }
                let ready: Vec<u8> = outbox.slices().iter().flat_map(|slice| slice.to_vec()).collect();
                let step = (*step).min(ready.len());
                written.extend_from_slice(&ready[..step]);
                outbox.advance(step);
            }
            prop_assert_eq!(written, whole);
            prop_assert_eq!(outbox.len, 0);
        }
    }
}
