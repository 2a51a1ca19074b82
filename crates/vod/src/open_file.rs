//! A file that is open, and whether its bytes are still those that were indexed. All of it blocks.
//!
//! Contract. [`OpenFile::indexed`] tells once what the index was made of. Before the first bytes are served,
//! [`OpenFile::learn`] looks at some bytes in between, and whether the file can be sent from the page cache. After each read
//! [`OpenFile::is_as_it_was`] compares the state of the file, which is cheap; if it differs, [`OpenFile::check`] says whether
//! the bytes do.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use amphi_media::Lock;

use super::at_hand;
use super::fault::VodFault;
use super::reading::{IndexDigest, IndexSearch};
use super::stamp::Stamp;

/// How many places of a file are looked at, and how many bytes at each.
const PLACES: u64 = 16;
const PLACE_LEN: u64 = 512;

/// A file that is open, and counted.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: std::fs::File,
    open: Arc<AtomicUsize>,
    index: OnceLock<IndexDigest>,
    learnt: OnceLock<Learnt>,
    /// The last state in which its bytes were found to be those that were indexed; `None`: that of the index.
    accepted: Lock<Option<Stamp>>,
    /// Held while the file is checked.
    checking: Lock<()>,
    overwritten: AtomicBool,
}

/// What is known of a file before its first bytes are served.
#[derive(Clone, Copy, Debug)]
struct Learnt {
    /// Stands for the bytes at some places.
    places: u64,
    /// Whether it can be [sent from the page cache](at_hand::can_be_sent).
    can_be_sent: bool,
}

impl Deref for OpenFile {
    type Target = std::fs::File;

    fn deref(&self) -> &std::fs::File {
        &self.file
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl OpenFile {
    /// Counts the file in `open` until it is dropped.
    pub(super) fn new(file: std::fs::File, open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self {
            file,
            open: Arc::clone(open),
            index: OnceLock::new(),
            learnt: OnceLock::new(),
            accepted: Lock::new(None),
            checking: Lock::new(()),
            overwritten: AtomicBool::new(false),
        }
    }

    /// Says what its index was made of.
    pub(super) fn indexed(&self, digest: IndexDigest) {
        // It is indexed once.
        let _ = self.index.set(digest);
    }

    /// Whether [`Self::learn`] has been called.
    pub(super) fn is_learnt(&self) -> bool {
        self.learnt.get().is_some()
    }

    /// Whether it can be sent from the page cache; `None` if that is not known before [`Self::learn`].
    pub(super) fn can_be_sent(&self) -> Option<bool> {
        self.learnt.get().map(|learnt| learnt.can_be_sent)
    }

    /// Remembers bytes at some places of the file, which was indexed in the state `indexed`, and whether it can be sent.
    pub(super) fn learn(&self, indexed: Stamp) -> io::Result<()> {
        if !self.is_learnt() {
            let places = self.look(indexed.len)?;
            let can_be_sent = at_hand::can_be_sent(&self.file);
            // The first one counts: whoever read first was served those bytes.
            let _ = self.learnt.set(Learnt { places, can_be_sent });
        }
        Ok(())
    }

    /// The state of the file now.
    pub(super) fn stamp(&self) -> io::Result<Stamp> {
        let metadata = self.file.metadata()?;
        Ok(Stamp { len: metadata.len(), modified: metadata.modified()? })
    }

    /// Whether nobody has written to the file since it was indexed in the state `indexed`, or since it was last checked.
    pub(super) fn is_as_it_was(&self, indexed: Stamp) -> io::Result<bool> {
        let accepted = *self.accepted.lock();
        Ok(self.stamp()? == accepted.unwrap_or(indexed))
    }

    /// Checks that the first `indexed.len` bytes are still those that were indexed, as those of a file that was touched, or
    /// that grows, are. An error is either that they are not, or the storage's.
    pub(super) fn check(&self, indexed: Stamp, path: &str) -> Result<(), VodFault> {
        let overwritten = || VodFault::Overwritten { path: path.to_owned() };
        if self.overwritten.load(Ordering::Relaxed) {
            return Err(overwritten());
        }
        let io = |error: &io::Error| VodFault::io(path, error);
        // One looks for all who read meanwhile.
        let _checking = self.checking.lock();
        let now = self.stamp().map_err(|error| io(&error))?;
        if *self.accepted.lock() == Some(now) {
            return Ok(());
        }
        let is_same = now.len >= indexed.len && self.has_same_index(indexed, path)? && {
            let places = self.look(indexed.len).map_err(|error| io(&error))?;
            self.learnt.get().is_none_or(|learnt| learnt.places == places)
        };
        if !is_same {
            self.overwritten.store(true, Ordering::Relaxed);
            return Err(overwritten());
        }
        *self.accepted.lock() = Some(now);
        Ok(())
    }

    /// Whether the boxes of the index are as they were.
    fn has_same_index(&self, indexed: Stamp, path: &str) -> Result<bool, VodFault> {
        let Some(known) = self.index.get() else { return Ok(false) };
        let mut search = IndexSearch::default();
        for _ in 0..known.rounds {
            match search.gather(&self.file, indexed.len, path) {
                Ok(_) => {}
                Err(fault) if fault.is_of_the_file() => return Ok(false),
                Err(fault) => return Err(fault),
            }
        }
        Ok(search.digest() == *known)
    }

    /// Stands for bytes at some places of the first `len`.
    fn look(&self, len: u64) -> io::Result<u64> {
        let mut hasher = DefaultHasher::new();
        let mut bytes = [0; PLACE_LEN as usize];
        for place in 0..PLACES {
            let at = len.saturating_sub(PLACE_LEN) / (PLACES - 1) * place;
            let there = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
            let bytes = bytes.get_mut(..there).unwrap_or_default();
            self.file.read_exact_at(bytes, at)?;
            bytes.hash(&mut hasher);
        }
        Ok(hasher.finish())
    }
}
