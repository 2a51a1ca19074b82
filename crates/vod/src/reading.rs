//! Reads a recording's file: the boxes of its index, and the bytes of segments. Blocks, so it is called on threads that may.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};

use super::fault::VodFault;
use amphi_container::isobmff::{BoxFault, file_header};
use amphi_container::mp4::{Extent, Movie, UNFINISHED};

/// Most bytes of a `moov` box; one of a whole day has about 80 MB.
const MOOV_MAX: u64 = 256 << 20;
/// Most bytes of a `moof` box, and of those that are read at once.
const MOOF_MAX: u64 = 16 << 20;
/// Most boxes in a file: fragments of a second each, for a week.
const BOXES_MAX: usize = 2_000_000;
/// Up to so many bytes between samples are read and thrown away, which is faster than another read.
const GAP_MAX: u64 = 32 << 10;
/// Bytes after a part that the system is asked to read ahead.
pub(super) const AHEAD: u64 = 2 << 20;
/// Most pieces of one `preadv` (IOV_MAX is 1024 on Linux).
const PIECES_MAX: usize = 1000;

/// Finds the boxes that make up a file's index. [`IndexSearch::gather`] reads them on a thread that may wait for the
/// storage, [`Index::take`] parses them in the workshop, in turns until there are no more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IndexSearch {
    at: u64,
    boxes: usize,
    has_moov: bool,
    rounds: usize,
    digest: u64,
}

/// The boxes that were read in one go.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Each box with its position in the file.
    boxes: Vec<(u64, Vec<u8>)>,
    /// There may be more after them.
    more: bool,
    /// A box reaches beyond the end of the file.
    is_cut: bool,
}

impl IndexSearch {
    /// Reads the next boxes of the file at `path`: the `moov` alone, or some megabytes of fragments' indexes.
    pub(super) fn gather(&mut self, file: &File, len: u64, path: &str) -> Result<Gathered, VodFault> {
        let mut gathered = Gathered::default();
        let mut bytes = 0;
        self.rounds += 1;
        while self.boxes < BOXES_MAX && len >= 8 && self.at <= len - 8 {
            self.boxes += 1;
            let at = self.at;
            let mut start = [0; 16];
            let there = usize::try_from(len - at).unwrap_or(16).min(16);
            let start = start.get_mut(..there).unwrap_or_default();
            file.read_exact_at(start, at).map_err(|error| VodFault::io(path, &error))?;
            if start.iter().all(|byte| *byte == 0) {
                // A recorder whose disk was full: what stands before is served, as of a file that is still being recorded.
                if self.has_moov {
                    return Ok(gathered);
                }
                // Some copy programs set the length first.
                return Err(unfinished(
                    path,
                    "it has nothing but zeros where a box begins: it is not finished",
                ));
            }
            let header = match file_header(start, at) {
                // What follows the index of a file may be anything.
                Err(_) if self.has_moov => return Ok(gathered),
                other => other.map_err(|fault| VodFault::index(path, fault))?,
            };
            let known = [*b"ftyp", *b"moov", *b"mdat", *b"wide", *b"free", *b"skip", *b"styp"];
            if at == 0 && !known.contains(&header.kind) {
                return Err(VodFault::NotMp4 { path: path.to_owned() });
            }
            let size = header.size.unwrap_or(len - at);
            let is_whole = size <= len - at;
            self.at = at.saturating_add(size);
            gathered.is_cut |= !is_whole;
            match &header.kind {
                b"moov" if !self.has_moov => {
                    if !is_whole {
                        return Err(unfinished(path, "its moov box is not whole: it is not finished"));
                    }
                    self.has_moov = true;
                    let moov = read_box(file, (header.kind, at, size), MOOV_MAX, path)?;
                    self.digest = folded(self.digest, &moov);
                    gathered.boxes.push((at, moov));
                    gathered.more = true;
                    return Ok(gathered);
                }
                // A file that is still being recorded is served up to its last whole fragment.
                b"moof" if !is_whole || !self.has_moov => return Ok(gathered),
                b"moof" => {
                    let moof = read_box(file, (header.kind, at, size), MOOF_MAX, path)?;
                    self.digest = folded(self.digest, &moof);
                    gathered.boxes.push((at, moof));
                    bytes += size;
                    if bytes >= MOOF_MAX {
                        gathered.more = true;
                        return Ok(gathered);
                    }
                }
                _ => {}
            }
        }
        Ok(gathered)
    }

    /// What has been gathered so far.
    pub(super) const fn digest(&self) -> IndexDigest {
        IndexDigest { rounds: self.rounds, digest: self.digest }
    }
}

/// What an index was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexDigest {
    /// How many times boxes were gathered.
    pub(super) rounds: usize,
    /// Stands for the bytes of these boxes.
    digest: u64,
}

/// Adds a box to the digest of those before it: all of a small one, and of a large one some bytes at many places.
fn folded(digest: u64, bytes: &[u8]) -> u64 {
    const WINDOWS: usize = 512;
    let mut hasher = DefaultHasher::new();
    (digest, bytes.len()).hash(&mut hasher);
    if bytes.len() <= WINDOWS * 64 {
        bytes.hash(&mut hasher);
    } else {
        for window in bytes.chunks(bytes.len() / WINDOWS) {
            window.get(..32).unwrap_or(window).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// An index under construction. Sans-IO.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The movie with the position of its `moov`.
    movie: Option<(Movie, u64)>,
    /// The file ends in the middle of a box.
    is_cut: bool,
    /// A fragment has been read, whole or damaged.
    has_fragment: bool,
}

impl Index {
    /// Parses the next boxes of the file of `len` bytes at `path`; says whether more are needed.
    pub(super) fn take(&mut self, gathered: Gathered, len: u64, path: &str) -> Result<bool, VodFault> {
        self.is_cut |= gathered.is_cut;
        for (at, bytes) in gathered.boxes {
            match &mut self.movie {
                None => {
                    let movie =
                        Movie::parse(&bytes, at, len).map_err(|fault| VodFault::index(path, fault))?;
                    // Whether samples are missing because the file is, the boxes after it say.
                    let more = movie.is_fragmented() || movie.is_cut_off() && !self.is_cut;
                    self.movie = Some((movie, at));
                    return Ok(more);
                }
                Some((movie, _)) => {
                    match movie.add_fragment(&bytes, at, len) {
                        Err(fault) if fault.fault == UNFINISHED => return Ok(false),
                        Err(fault) => movie.leave_out_fragment(&fault),
                        Ok(()) => {}
                    }
                    self.has_fragment = true;
                }
            }
        }
        Ok(gathered.more)
    }

    /// The whole index, after [`Index::take`] has said that no more is needed.
    pub(super) fn finish(self, path: &str) -> Result<Movie, VodFault> {
        let (movie, at) =
            self.movie.ok_or_else(|| unfinished(path, "it has no moov box: it is not finished"))?;
        if movie.is_cut_off() && self.is_cut {
            return Err(unfinished(path, UNFINISHED));
        }
        let has_samples = movie.video.iter().chain(&movie.audio).any(|track| track.samples.count() > 0);
        if movie.is_fragmented() && !self.has_fragment && !has_samples {
            return Err(unfinished(path, "it has no whole fragment yet: it is not finished"));
        }
        movie.finish(at).map_err(|fault| VodFault::index(path, fault))
    }
}

fn unfinished(path: &str, fault: &str) -> VodFault {
    VodFault::Unfinished { path: path.to_owned(), fault: fault.to_owned() }
}

/// The index of the file at `path`, found and parsed in one go.
#[cfg(test)]
pub(super) fn index(file: &File, len: u64, path: &str) -> Result<Movie, VodFault> {
    let (mut search, mut index) = (IndexSearch::default(), Index::default());
    while index.take(search.gather(file, len, path)?, len, path)? {}
    index.finish(path)
}

fn read_box(
    file: &File,
    (kind, at, size): ([u8; 4], u64, u64),
    most: u64,
    path: &str,
) -> Result<Vec<u8>, VodFault> {
    if size > most {
        let fault = BoxFault { kind, at, fault: "it is larger than any recording's".into() };
        return Err(VodFault::index(path, fault));
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, at).map_err(|error| VodFault::io(path, &error))?;
    Ok(bytes)
}

/// Whether reading may wait for the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StorageWait {
    /// Only what is in the page cache, else `WouldBlock`: for threads that must not block.
    Now,
    /// However long it takes; the system is asked to read ahead what follows.
    Waits,
}

/// Reads `extents` into `buffer`, one after the other, but in the order of the file: picture and sound are interleaved
/// there, and every byte goes straight to its place.
pub(super) fn read(
    file: &File,
    extents: &[Extent],
    buffer: &mut [u8],
    patience: StorageWait,
) -> io::Result<()> {
    let mut places = Vec::with_capacity(extents.len());
    let mut rest = buffer;
    for extent in extents {
        let too_short = || io::Error::other("the buffer is too short");
        let (place, after) = rest.split_at_mut_checked(extent.len as usize).ok_or_else(too_short)?;
        places.push((extent.offset, place));
        rest = after;
    }
    places.sort_unstable_by_key(|(offset, _)| *offset);
    let end = places.last().map_or(0, |(offset, place)| offset + place.len() as u64);
    if patience == StorageWait::Waits {
        // Only a hint, so an error does not matter.
        let _ = fadvise(file, end, std::num::NonZeroU64::new(AHEAD), Advice::WillNeed);
    }
    let mut gap = Vec::new();
    let mut places = places.into_iter().peekable();
    while let Some((start, place)) = places.next() {
        let mut at = start + place.len() as u64;
        let mut run = vec![IndexPiece::Wanted(place)];
        while let Some((offset, _)) = places.peek()
            && *offset >= at
            && *offset - at <= GAP_MAX
            && run.len() < PIECES_MAX
        {
            if *offset > at {
                run.push(IndexPiece::Gap(*offset - at));
            }
            let Some((offset, place)) = places.next() else { break };
            at = offset + place.len() as u64;
            run.push(IndexPiece::Wanted(place));
        }
        read_run(file, start, &mut run, &mut gap, patience)?;
    }
    Ok(())
}

enum IndexPiece<'a> {
    Wanted(&'a mut [u8]),
    Gap(u64),
}

impl IndexPiece<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Wanted(place) => place.len() as u64,
            Self::Gap(len) => *len,
        }
    }
}

/// Reads a run of pieces that follow each other in the file, in one call if the system reads all of it.
fn read_run(
    file: &File,
    start: u64,
    run: &mut [IndexPiece<'_>],
    gap: &mut Vec<u8>,
    patience: StorageWait,
) -> io::Result<()> {
    let gaps: u64 = run.iter().map(|piece| if let IndexPiece::Gap(len) = piece { *len } else { 0 }).sum();
    gap.resize(usize::try_from(gaps).map_err(io::Error::other)?, 0);
    let total: u64 = run.iter().map(IndexPiece::len).sum();
    let read = {
        let mut spare = &mut gap[..];
        let mut slices = Vec::with_capacity(run.len());
        for piece in run.iter_mut() {
            match piece {
                IndexPiece::Wanted(place) => slices.push(IoSliceMut::new(place)),
                IndexPiece::Gap(len) => {
                    let (now, after) = std::mem::take(&mut spare).split_at_mut(*len as usize);
                    slices.push(IoSliceMut::new(now));
                    spare = after;
                }
            }
        }
        let flags = match patience {
            StorageWait::Now => ReadWriteFlags::NOWAIT,
            StorageWait::Waits => ReadWriteFlags::empty(),
        };
        preadv2(file, &mut slices, start, flags)? as u64
    };
    if read == total {
        return Ok(());
    }
    if patience == StorageWait::Now {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    // The read was cut short: go on from there, piece by piece.
    let mut at = 0;
    for piece in run {
        let len = piece.len();
        if let IndexPiece::Wanted(place) = piece
            && at + len > read
        {
            let done = read.saturating_sub(at) as usize;
            file.read_exact_at(place.get_mut(done..).unwrap_or_default(), start + at + done as u64)?;
        }
        at += len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_goes_to_its_place(extents in prop::collection::vec((0..200_000_u64, 0..3000_u64), 1..40)) {
            let bytes: Vec<u8> = (0..210_000_u32).map(|n| (n * 7 / 3) as u8).collect();
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&bytes).expect("written");
            let extents: Vec<Extent> = extents.into_iter().map(|(offset, len)| Extent { offset, len }).collect();
            let expected: Vec<u8> = extents
                .iter()
                .flat_map(|extent| &bytes[extent.offset as usize..(extent.offset + extent.len) as usize])
                .copied()
                .collect();
            for patience in [StorageWait::Waits, StorageWait::Now] {
                let mut buffer = vec![0; expected.len() + 5];
                match read(&file, &extents, &mut buffer, patience) {
                    // Not every file system can say what is in the page cache.
                    Err(_) if patience == StorageWait::Now => {}
                    done => {
                        done.expect("read");
                        prop_assert_eq!(&buffer[..expected.len()], &expected[..]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_file_that_ends_is_an_error() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[1; 100]).expect("written");
        for extents in [&[(90, 20)][..], &[(0, 10), (20, 10), (95, 10)]] {
            let extents: Vec<_> = extents.iter().map(|&(offset, len)| Extent { offset, len }).collect();
            let fault = read(&file, &extents, &mut [0; 50], StorageWait::Waits).expect_err("too short");
            assert_eq!(fault.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
