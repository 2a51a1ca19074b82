//! Which version of a file a name means, and reading of bytes that are surely that version's.

use std::fs::File;
use std::io;
use std::sync::Arc;

use tracing::warn;

use super::{Mount, RecordingStream, candidates};
use crate::fault::VodFault;
use crate::names::{FileNames, VersionNames, digest};
use crate::presentation::Presentation;
use crate::reading::{self, StorageWait};
use crate::recording::Recording;
use crate::report::RecordingReport;
use crate::stamp::Stamp;
use amphi_container::mp4::Extent;

impl Mount {
    /// The rendition of `stream` that a playlist's name means.
    pub async fn rendition(
        &self,
        stream: &RecordingStream,
        names: &VersionNames,
    ) -> Result<Arc<Recording>, VodFault> {
        match names {
            VersionNames::Present(key) => self.present(stream, key).await,
            VersionNames::Exact(names) => self.version(stream, names).await,
        }
    }

    /// The version of a rendition of `stream` with these names: one that was offered before and is still open, or the
    /// present one.
    pub async fn version(
        &self,
        stream: &RecordingStream,
        names: &FileNames,
    ) -> Result<Arc<Recording>, VodFault> {
        let asked = (stream.clone(), names.clone());
        if let Some(place) = self.offered.get(&asked).await
            && let Some(recording) = self.recordings.get(&place).await
            && recording.names == *names
        {
            return Ok(recording);
        }
        let recording = self.present(stream, &names.key).await?;
        if recording.names != *names {
            return Err(VodFault::Gone);
        }
        self.offered.insert(asked, (recording.path.clone(), recording.stamp)).await;
        Ok(recording)
    }

    /// The present version of the rendition of `stream` with this key.
    async fn present(&self, stream: &RecordingStream, key: &str) -> Result<Arc<Recording>, VodFault> {
        match stream {
            RecordingStream::File(path) if digest(path) == key => self.recording(path).await,
            RecordingStream::File(_) => Err(VodFault::Gone),
            RecordingStream::Smil(path) => {
                let smil = self.smil(path).await?;
                for rendition in &smil.renditions {
                    let candidates = candidates(path, rendition);
                    if let Some(path) = candidates.into_iter().find(|path| digest(path) == key) {
                        return self.recording(&path).await;
                    }
                }
                Err(VodFault::Gone)
            }
        }
    }

    /// Remembers what is offered under the names of `stream`, so that it can be had when the files, or those that the SMIL
    /// file names, are others.
    pub(super) async fn offer(&self, stream: &RecordingStream, presentation: &Presentation) {
        for rendition in &presentation.renditions {
            let recording = &rendition.recording;
            let asked = (stream.clone(), recording.names.clone());
            if !self.offered.contains_key(&asked) {
                self.offered.insert(asked, (recording.path.clone(), recording.stamp)).await;
            }
        }
    }

    /// Reads a part whose bytes are surely those that were indexed.
    pub(super) async fn read_part(
        &self,
        recording: &Arc<Recording>,
        part: Vec<Extent>,
    ) -> Result<bytes::Bytes, VodFault> {
        let len = part.iter().map(|extent| extent.len).sum::<u64>() as usize;
        let mut buffer = self.buffers.take(len);
        let file = &recording.file;
        // Copying from the page cache is faster than changing to another thread.
        if file.is_learnt()
            && reading::read(file, &part, &mut buffer, StorageWait::Now).is_ok()
            && file.is_as_it_was(recording.stamp).is_ok_and(|is| is)
        {
            return Ok(self.buffers.lend(buffer, len));
        }
        let (read, buffers) = (Arc::clone(recording), self.buffers.clone());
        let done = self
            .on_thread(move || match read_surely(&read, &part, &mut buffer) {
                Ok(()) => Ok(buffers.lend(buffer, len)),
                Err(fault) => {
                    buffers.give_back(buffer);
                    Err(fault)
                }
            })
            .await;
        if let Err(VodFault::Overwritten { path }) = &done {
            self.overwritten(path, recording.stamp).await;
        }
        done
    }

    /// Forgets a version whose bytes are no more.
    pub(super) async fn overwritten(&self, path: &str, stamp: Stamp) {
        let place = (path.to_owned(), stamp);
        if self.recordings.contains_key(&place) {
            self.recordings.invalidate(&place).await;
            self.stamps.invalidate(path).await;
            if amphi_runtime::log::may_say("overwritten", self.asker) {
                warn!(
                    path,
                    "a recording was overwritten in place; its viewers cannot go on: replace files by renaming"
                );
            }
        }
    }

    /// Says what of a file is not played, once for each of its versions, and keeps it for lists.
    pub(super) fn report(&self, path: &str, stamp: Stamp, report: Option<RecordingReport>) {
        let left_out = report.as_ref().map(|report| report.left_out.clone()).unwrap_or_default();
        let fault = report.as_ref().filter(|report| !report.is_unfinished).and_then(|it| it.fault.clone());
        if !self.reports.lock().note(path, stamp, report) {
            return;
        }
        if let Some(fault) = fault
            && amphi_runtime::log::may_say("left out", self.asker)
        {
            warn!(path, %fault, "nothing of a recording is played");
        }
        for it in left_out {
            if amphi_runtime::log::may_say("left out", self.asker) {
                warn!(path, track = it.track_id, kind = %it.kind, reason = it.reason, "a recording is not played as it is in its file");
            }
        }
    }

    /// Looks at the files of a recording without keeping them open, so that what cannot be played is known before a viewer
    /// comes. Files that have been looked at in their present state are left alone. Says how many were read.
    pub async fn look(&self, stream: &RecordingStream) -> usize {
        let mut read = 0;
        let files = match stream {
            RecordingStream::File(path) if self.reports.lock().is_text(path) => {
                self.look_at_text(path).await;
                return 0;
            }
            RecordingStream::File(path) => vec![path.clone()],
            RecordingStream::Smil(path) => match self.smil(path).await {
                Ok(smil) => smil.renditions.iter().flat_map(|it| candidates(path, it)).collect(),
                Err(_) => Vec::new(),
            },
        };
        for path in files {
            let Ok(stamp) = self.stamp(&path).await else { continue };
            let place = (path, stamp);
            // What is said of another state of the file holds no more, though this one is known: it may be back.
            let is_told = self.reports.lock().stamp_of(&place.0).is_none_or(|of| of == stamp);
            if is_told && self.looked.contains_key(&place) {
                continue;
            }
            read += 1;
            let (path, _) = &place;
            match self.index(path).await {
                Err(fault) if !fault.is_of_the_file() => continue,
                Err(fault) => self.report_fault(path, stamp, &fault),
                Ok(_) => {}
            }
            self.looked.insert(place, ()).await;
        }
        read
    }

    /// Keeps it for lists that nothing of a file is played.
    pub(super) fn report_fault(&self, path: &str, stamp: Stamp, fault: &VodFault) {
        let is_unfinished = matches!(fault, VodFault::Unfinished { .. });
        let report = RecordingReport::of_fault(path, fault.to_string(), is_unfinished);
        self.report(path, stamp, Some(report));
    }

    /// Those of whose files viewers get no picture, no sound or nothing, although there is some: how many there are, and
    /// `most` of them.
    pub fn serious_reports(&self, most: usize) -> (usize, Vec<RecordingReport>) {
        self.reports.lock().serious(most)
    }

    /// What of the mount's recordings cannot be played as it is, as far as they have been opened; by path.
    pub fn reports(&self) -> Vec<RecordingReport> {
        self.reports.lock().all()
    }
}

/// Reads `part` into `buffer`, and checks that the file was not overwritten before or meanwhile. Blocks.
fn read_surely(recording: &Recording, part: &[Extent], buffer: &mut [u8]) -> Result<(), VodFault> {
    surely(recording, |file| reading::read(file, part, buffer, StorageWait::Waits))
}

/// Reads something of the file, and checks that it was not overwritten before or meanwhile. Blocks.
pub(super) fn surely(
    recording: &Recording,
    read: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), VodFault> {
    let Recording { file, path, stamp, .. } = recording;
    let read = file.learn(*stamp).and_then(|()| read(file));
    let is_as_it_was = file.is_as_it_was(*stamp).map_err(|error| VodFault::io(path, &error))?;
    match read {
        Ok(()) if is_as_it_was => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(VodFault::io(path, &error)),
        // A file that became shorter is another one, too.
        Err(_) => Err(file.check(*stamp, path).err().unwrap_or(VodFault::Gone)),
        Ok(()) => file.check(*stamp, path),
    }
}
