//! Decoded sound in another format than the ladder's: fitted to the lattice, encoded.

use std::collections::VecDeque;

use bytes::Bytes;

use super::decoder::AudioDecoder;
use super::fitter::Fitter;
use super::history::AudioHistory;
use super::{AudioCounts, AudioError};
use amphi_media::{AudioTrack, MediaTime};
use amphi_sound::AacEncoder;

/// A fitter and an encoder, from the first unit to a jump or a change of format.
pub(super) struct Transcoder {
    fitter: Fitter,
    encoder: AacEncoder,
    /// Numbers of the blocks that are inside the encoder.
    inside: VecDeque<i64>,
}

impl Transcoder {
    /// A transcoder for the unit just decoded by `decoder`, which is heard at `pts`, and those after it.
    pub(super) fn new(
        decoder: &AudioDecoder,
        target: AudioTrack,
        pts: MediaTime,
    ) -> Result<Self, AudioError> {
        let fitter = Fitter::new(decoder, target.format, pts)
            .map_err(|reason| AudioError::Source { format: format!("{:?}", decoder.format()), reason })?;
        Ok(Self { fitter, encoder: AacEncoder::new(target)?, inside: VecDeque::new() })
    }

    /// The number of the first frame still to come.
    pub(super) fn next(&self) -> i64 {
        self.inside.front().copied().unwrap_or(self.fitter.next())
    }

    /// Whether a unit heard at `pts` needs a new transcoder.
    pub(super) const fn is_jump(&self, pts: MediaTime) -> bool {
        self.fitter.is_jump(pts)
    }

    /// The sample rate of what is pushed.
    pub(super) const fn rate(&self) -> u32 {
        self.fitter.rate()
    }

    /// Transcodes what `decoder` has just made of a unit heard at `pts`; frames that are complete with it go into `history`.
    pub(super) fn push(
        &mut self,
        pts: MediaTime,
        decoder: &AudioDecoder,
        history: &mut AudioHistory,
        counts: &mut AudioCounts,
    ) -> Result<(), AudioError> {
        self.fitter.push(pts, decoder, counts);
        self.encode(history, counts)
    }

    /// Encodes all that was pushed so far and puts it into `history`.
    pub(super) fn finish(
        mut self,
        history: &mut AudioHistory,
        counts: &mut AudioCounts,
    ) -> Result<(), AudioError> {
        self.fitter.pad();
        self.encode(history, counts)?;
        let zeros = vec![0; self.encoder.block()];
        for _ in 0..self.encoder.delay() {
            if let Some(frame) = self.encoder.encode(&zeros)? {
                put_oldest(&mut self.inside, frame, history, counts);
            }
        }
        Ok(())
    }

    fn encode(&mut self, history: &mut AudioHistory, counts: &mut AudioCounts) -> Result<(), AudioError> {
        while let Some((n, block)) = self.fitter.block() {
            self.inside.push_back(n);
            if let Some(frame) = self.encoder.encode(block)? {
                put_oldest(&mut self.inside, frame, history, counts);
            }
        }
        Ok(())
    }
}

fn put_oldest(
    inside: &mut VecDeque<i64>,
    frame: Bytes,
    history: &mut AudioHistory,
    counts: &mut AudioCounts,
) {
    if let Some(n) = inside.pop_front() {
        // Samples are fitted to the lattice: a frame stands at its own time.
        history.put(n, 0, frame, counts);
    }
}

impl std::fmt::Debug for Transcoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcoder").field("next", &self.next()).finish_non_exhaustive()
    }
}
