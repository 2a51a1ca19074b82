//! Bytes that are sent from their file, without being read: whether they are at hand, and still those that were indexed.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::versions::surely;
use super::{Mount, parts};
use crate::at_hand;
use crate::fault::VodFault;
use crate::recording::Recording;
use amphi_container::mp4::Extent;

impl Recording {
    /// The descriptor of its file: of the version that was indexed, whatever has become of its name.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Mount {
    /// Whether these bytes of a recording's file can be sent without waiting for the storage, and are surely those that were
    /// indexed. Does not block.
    pub fn is_at_hand(&self, recording: &Recording, range: &Range<u64>) -> bool {
        let Recording { file, stamp, .. } = recording;
        file.is_learnt() && at_hand::is_at_hand(file, range) && file.is_as_it_was(*stamp).is_ok_and(|is| is)
    }

    /// Brings these bytes to hand, on a thread that may wait.
    pub async fn fetch(&self, recording: &Arc<Recording>, range: Range<u64>) -> Result<(), VodFault> {
        let read = Arc::clone(recording);
        let done = self.on_thread(move || surely(&read, |file| at_hand::fetch(file, &range))).await;
        if let Err(VodFault::Overwritten { path }) = &done {
            self.overwritten(path, recording.stamp).await;
        }
        done
    }

    /// The same, if they are not at hand: what is to be done before an answer with them begins, so that a fault can still become
    /// a status.
    pub async fn prepare(&self, recording: &Arc<Recording>, range: Range<u64>) -> Result<(), VodFault> {
        self.ask();
        if self.is_at_hand(recording, &range) { Ok(()) } else { self.fetch(recording, range).await }
    }

    /// Reads extents, one after the other.
    pub fn stream(
        &self,
        recording: &Arc<Recording>,
        extents: &[Extent],
    ) -> BoxStream<'static, io::Result<Bytes>> {
        self.stream_parts(recording, parts(extents).into_iter())
    }

    pub(super) fn stream_parts(
        &self,
        recording: &Arc<Recording>,
        parts: std::vec::IntoIter<Vec<Extent>>,
    ) -> BoxStream<'static, io::Result<Bytes>> {
        let (mount, recording) = (self.clone(), Arc::clone(recording));
        let reads = stream::iter(parts).then(move |part| {
            let (mount, recording) = (mount.clone(), Arc::clone(&recording));
            async move { mount.read_part(&recording, part).await.map_err(io::Error::other) }
        });
        reads.boxed()
    }
}
