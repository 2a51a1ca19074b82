//! Segments and batches with sound that is not in the file.
//!
//! Sound that is coded here: packets are read on threads that may wait, coded in the workshop on account of the asker, and
//! kept. A block is coded once, however many ask for it. Silence: the same frame as often as it is needed.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use tracing::{info, warn};

use super::Mount;
use crate::cursor::{RecordedSample, SampleBatch};
use crate::fault::VodFault;
use crate::names::TrackSelection;
use crate::recording::Recording;
use crate::transcode::BLOCK;
use amphi_container::fmp4::layout::{SegmentLayout, TrackPart, layout_with};
use amphi_sound::CodedFrames;

/// Most bytes of sound that are read to be followed by silence: more than any sound of ten minutes has.
const SOUND_MAX: u64 = 32 << 20;

impl Mount {
    /// The segment of the samples of `kind` that `cut` finds, kept as `name`.
    pub(super) async fn laid_out(
        &self,
        recording: &Arc<Recording>,
        kind: TrackSelection,
        name: String,
        cut: impl FnOnce() -> Option<(u32, u32)> + Send,
    ) -> Result<Arc<SegmentLayout>, VodFault> {
        if let Some(layout) = self.layouts.get(&name).await {
            return Ok(layout);
        }
        let (from, to) = cut().ok_or(VodFault::Gone)?;
        let parts = recording.parts(kind, from, to)?;
        let mut made = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            made.push(match recording.sound_source_of(kind, index) {
                Some(sound) => self.frames(recording, sound, part.from..part.to).await?,
                None if part.turns_silent() => self.frames_and_silence(recording, *part).await?,
                None => Vec::new(),
            });
        }
        let layout = Arc::new(layout_with(&parts, &made, from));
        self.layouts.insert(name, Arc::clone(&layout)).await;
        Ok(layout)
    }

    /// The frames of a part that ends with silence; none where they are too large.
    async fn frames_and_silence(
        &self,
        recording: &Arc<Recording>,
        TrackPart { track, from, to }: TrackPart<'_>,
    ) -> Result<Vec<Bytes>, VodFault> {
        if track.samples.bytes(from, to) > SOUND_MAX {
            return Ok(Vec::new());
        }
        let mut bytes = self.read_part(recording, track.samples.extents(from, to)).await?;
        let frame = |index: u32| {
            if track.samples.is_silent(index) {
                return track.silence.clone();
            }
            bytes.split_to(bytes.len().min(track.samples.size(index) as usize))
        };
        Ok((from..to).map(frame).collect())
    }

    /// The frames `range` of sound track number `index`, which is coded here.
    async fn frames(
        &self,
        recording: &Arc<Recording>,
        index: usize,
        range: Range<u32>,
    ) -> Result<Vec<Bytes>, VodFault> {
        let mut frames = Vec::new();
        for block in range.start / BLOCK..range.end.div_ceil(BLOCK) {
            let coded = self.block(recording, index, block).await?;
            let first = block * BLOCK;
            let within = range.start.max(first) - first..range.end.min(first + BLOCK) - first;
            frames.extend(within.map(|place| coded.frame(place as usize)));
        }
        // A segment with a frame that is not there would shift all others.
        if frames.iter().any(Bytes::is_empty) { Err(VodFault::Gone) } else { Ok(frames) }
    }

    async fn block(
        &self,
        recording: &Arc<Recording>,
        index: usize,
        block: u32,
    ) -> Result<Arc<CodedFrames>, VodFault> {
        let name = format!("{:?} {index} {block}", recording.names);
        let code = async {
            let count = recording.movie.audio.get(index).map_or(0, |track| track.end);
            let source = recording.sound_source(index).ok_or(VodFault::Gone)?;
            let mut plan = source.plan(block, count).ok_or(VodFault::Gone)?;
            let bytes = self.read_part(recording, std::mem::take(&mut plan.extents)).await?;
            let coded = self.compute(move || plan.code(&bytes)).await?;
            let coded = coded.map_err(|error| VodFault::Sound(format!("{}: {error}", recording.path)))?;
            if coded.undecodable > 0 && amphi_runtime::log::may_say("packets", self.asker) {
                warn!(recording = %recording.path, packets = coded.undecodable, "sound that cannot be decoded is silent");
            }
            Ok(Arc::new(coded))
        };
        self.coded.try_get_with(name, code).await.map_err(|fault| VodFault::clone(&fault))
    }

    /// Reads the samples of a batch, and makes those that are not in the file.
    pub async fn load(
        &self,
        recording: &Arc<Recording>,
        batch: SampleBatch,
    ) -> Result<(Vec<RecordedSample>, Bytes), VodFault> {
        let SampleBatch { layout, mut samples } = batch;
        let (first, rest) = self.read(recording, &layout).await?;
        let made: Vec<(usize, u32)> = samples
            .iter()
            .filter_map(|sample| match sample.kind {
                TrackSelection::Sound(index) if recording.sound_source(index).is_some() => {
                    Some((index, sample.coded?))
                }
                _ => None,
            })
            .collect();
        if rest.is_none() && samples.iter().all(|sample| sample.coded.is_none()) {
            return Ok((samples, first));
        }
        let mut bytes = BytesMut::with_capacity(layout.total_len() as usize);
        bytes.extend_from_slice(&first);
        if let Some(mut rest) = rest {
            let io = |error: std::io::Error| VodFault::Io {
                path: recording.path.clone(),
                error: error.to_string(),
            };
            while let Some(part) = rest.try_next().await.map_err(io)? {
                bytes.extend_from_slice(&part);
            }
        }
        if let (Some(&(index, from)), Some(&(_, to))) = (made.first(), made.last()) {
            let frames = self.frames(recording, index, from..to.saturating_add(1)).await?;
            for sample in &mut samples {
                let Some(number) = sample.coded else { continue };
                let Some(frame) = frames.get(number.wrapping_sub(from) as usize) else { continue };
                let begin = bytes.len();
                bytes.extend_from_slice(frame);
                sample.place = begin..bytes.len();
            }
        }
        for sample in &mut samples {
            let TrackSelection::Sound(index) = sample.kind else { continue };
            let Some(track) = recording.movie.audio.get(index) else { continue };
            if sample.coded.is_some_and(|number| track.samples.is_silent(number)) {
                let begin = bytes.len();
                bytes.extend_from_slice(&track.silence);
                sample.place = begin..bytes.len();
            }
        }
        Ok((samples, bytes.freeze()))
    }

    /// Says once for each version of a file which sound is coded here, and why.
    pub(super) async fn say_transcoded(&self, recording: &Recording) {
        for (index, track) in recording.movie.audio.iter().enumerate() {
            let Some(source) = recording.sound_source(index) else { continue };
            let this = format!("coded {} {:?} {index}", recording.path, recording.stamp);
            if !self.kept.is_new(this).await {
                continue;
            }
            info!(
                track = track.id,
                coding = source.sound().name(),
                "browsers do not play this sound, so it is coded to AAC as it is watched"
            );
        }
    }
}
