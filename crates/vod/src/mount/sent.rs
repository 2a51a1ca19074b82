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

    /// Whether nobody has written to its file since it was indexed. Does not block.
    pub fn is_as_it_was(&self) -> bool {
        self.file.is_as_it_was(self.stamp).is_ok_and(|is| is)
    }
}

impl Mount {
    /// Whether these bytes of a recording's file can be sent without waiting for the storage, and are surely those that were
    /// indexed. Does not block.
    pub fn is_at_hand(&self, recording: &Recording, range: &Range<u64>) -> bool {
        let Recording { file, .. } = recording;
        file.can_be_sent() == Some(true) && at_hand::is_at_hand(file, range) && recording.is_as_it_was()
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

    /// Brings the first bytes of an answer to hand before it begins, so that a fault can still become a status. `false` if the
    /// recording's file cannot be sent, and is to be [read](Self::read).
    pub async fn prepare(&self, recording: &Arc<Recording>, range: Range<u64>) -> Result<bool, VodFault> {
        self.ask();
        if recording.file.can_be_sent().is_none() {
            // Whether it can be sent is found out first: what is read here would be read again.
            self.fetch(recording, range.start..range.start).await?;
        }
        let can_be_sent = recording.file.can_be_sent() == Some(true);
        if can_be_sent && !self.is_at_hand(recording, &range) {
            self.fetch(recording, range).await?;
        }
        Ok(can_be_sent)
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
