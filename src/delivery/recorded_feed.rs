//! A recording on its way to a player of frames, over RTMP or RTSP: its samples, read batch by batch.
//!
//! Contract. Call [`RecordedFeed::next`] when more may be sent. If the call is cancelled, the next one goes on with the batch
//! that was being read; [`RecordedFeed::seek`] drops it.
//!
//! What does *not* belong here: pace, and how a protocol packs samples.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tracing::{Instrument, Span, info, info_span};

use amphi_media::MediaTime;
use amphi_vod::{FrameRendition, Mount, RecordedSample, SampleCursor, TrackSelection, VodFault};

/// A mount and a cursor in one of its recordings.
pub(super) struct RecordedFeed {
    mount: Arc<Mount>,
    cursor: SampleCursor,
    /// Names the recording where its samples are read.
    span: Span,
    /// The batch that is being read, and when its first sample is decoded.
    reading: Option<(MediaTime, BoxFuture<'static, Result<LoadedBatch, VodFault>>)>,
}

/// Samples with their bytes.
pub(super) struct LoadedBatch {
    samples: Vec<RecordedSample>,
    bytes: Bytes,
}

/// Says which tracks of a recording a player does not get because `protocol` cannot carry them; `sent` are those that it gets.
pub(super) fn say_what_is_left_out(
    protocol: &'static str,
    mount: &Mount,
    rendition: &FrameRendition,
    sent: &[TrackSelection],
) {
    let Some(left_out) = left_out(rendition, sent) else { return };
    if amphi_runtime::log::may_say("left out", mount.asker()) {
        let path = &rendition.recording().path;
        info!(
            protocol,
            path, left_out, "a recording is played without a track that the protocol cannot carry"
        );
    }
}

/// The tracks that are not among `sent`, with their codecs.
fn left_out(rendition: &FrameRendition, sent: &[TrackSelection]) -> Option<String> {
    let of_kind = |kind: &TrackSelection| {
        let what = if *kind == TrackSelection::Picture { "picture" } else { "sound" };
        Some(format!("{what} ({})", rendition.track(*kind)?.coding.codec))
    };
    let left_out = rendition.kinds().iter().filter(|kind| !sent.contains(kind)).filter_map(of_kind);
    left_out.reduce(|all, next| format!("{all}, {next}"))
}

impl LoadedBatch {
    /// The samples with their bytes, in decode order.
    pub(super) fn samples(&self) -> impl Iterator<Item = (&RecordedSample, &[u8])> {
        self.samples.iter().filter_map(|sample| Some((sample, self.bytes.get(sample.place.clone())?)))
    }

    /// How many bytes all samples have.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl RecordedFeed {
    /// A feed that begins where `cursor` is.
    pub(super) fn new(mount: Arc<Mount>, cursor: SampleCursor) -> Self {
        let path = &cursor.rendition().recording().path;
        let span = info_span!("recording", name = %path);
        Self { mount, cursor, span, reading: None }
    }

    pub(super) const fn cursor(&self) -> &SampleCursor {
        &self.cursor
    }

    pub(super) fn mount(&self) -> &Mount {
        &self.mount
    }

    /// When the next sample is decoded; `None` at the end.
    pub(super) fn next_at(&self) -> Option<MediaTime> {
        self.reading.as_ref().map(|(at, _)| *at).or_else(|| self.cursor.next_at())
    }

    /// Goes on from `to`: see [`SampleCursor::seek`].
    pub(super) fn seek(&mut self, to: MediaTime) {
        self.reading = None;
        self.cursor.seek(to);
    }

    /// The samples that are decoded before `until`, but not too many at once; `None` at the end. May be cancelled.
    pub(super) async fn next(&mut self, until: MediaTime) -> Result<Option<LoadedBatch>, VodFault> {
        if self.reading.is_none() {
            let Some((at, batch)) = self.cursor.next_at().zip(self.cursor.take(until)) else {
                return Ok(None);
            };
            let (mount, cursor) = (Arc::clone(&self.mount), &self.cursor);
            let recording = Arc::clone(cursor.rendition().recording());
            let reading = async move {
                let (samples, bytes) = mount.load(&recording, batch).await?;
                Ok(LoadedBatch { samples, bytes })
            };
            self.reading = Some((at, Box::pin(reading.instrument(self.span.clone()))));
        }
        let Some((_, reading)) = &mut self.reading else { return Ok(None) };
        let loaded = reading.await;
        self.reading = None;
        loaded.map(Some)
    }
}
