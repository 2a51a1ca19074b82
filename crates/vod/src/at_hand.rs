//! Whether bytes of a file are in the page cache, and bringing them there, for those who send them from there.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use rustix::fs::{Advice, fadvise, sendfile};
use rustix::io::{Errno, ReadWriteFlags, preadv2, retry_on_intr};

use super::reading::AHEAD;

/// A byte is looked at every so often, which takes 0.4 us. The system reads ahead by as much, and mostly gives up together what it
/// read together; where pages between two that are there are not, whoever sends them waits for the storage a moment.
const STEP: u64 = 128 << 10;
/// Bytes that are read at once: few enough to stay in the processor's cache, since nobody looks at them.
const PIECE: usize = 128 << 10;

/// Whether these bytes can be had without waiting for the storage. Does not block. `false` where the file system cannot say, and
/// for bytes beyond the end.
pub(super) fn is_at_hand(file: &File, range: &Range<u64>) -> bool {
    let steps = std::iter::successors(Some(range.start), |at| Some((at / STEP + 1) * STEP));
    let last = range.end.checked_sub(1).filter(|last| *last > range.start);
    steps.take_while(|at| *at < range.end).chain(last).all(|at| {
        let mut byte = [0];
        let read = preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT);
        matches!(read, Ok(1))
    })
}

/// Where a byte is sent to that nobody wants. Opened anew after a failure, such as that of a process without free descriptors.
static SINK: OnceLock<File> = OnceLock::new();

fn sink() -> Option<&'static File> {
    if SINK.get().is_none()
        && let Ok(file) = File::options().write(true).open("/dev/null")
    {
        let _ = SINK.set(file);
    }
    SINK.get()
}

/// Whether the file can be sent from the page cache without waiting for the storage: it can be asked what is there, which tmpfs
/// does not say and network file systems may not, and sendfile(2) takes it. Blocks.
pub(super) fn can_be_sent(file: &File) -> bool {
    let Some(sink) = sink() else { return false };
    let mut byte = [0];
    let asked = preadv2(file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT).map(|_| ());
    let sent = retry_on_intr(|| sendfile(sink, file, Some(&mut 0), 1)).map(|_| ());
    [asked, sent].into_iter().all(|done| !matches!(done, Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS)))
}

/// Brings these bytes into the page cache, however long it takes; the system is asked to read ahead what follows. Blocks.
pub(super) fn fetch(file: &File, range: &Range<u64>) -> io::Result<()> {
    // Only a hint, so an error does not matter.
    let ahead = NonZeroU64::new(range.end - range.start + AHEAD);
    let _ = fadvise(file, range.start, ahead, Advice::WillNeed);
    let len = usize::try_from(range.end - range.start).unwrap_or(PIECE).min(PIECE);
    let mut scratch = vec![0; len];
    let mut at = range.start;
    while at < range.end {
        let left = usize::try_from(range.end - at).unwrap_or(len).min(len);
        let piece = scratch.get_mut(..left).unwrap_or_default();
        file.read_exact_at(piece, at)?;
        at += left as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_just_written_is_at_hand() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&vec![7; 300_000]).expect("written");
        for range in [0..1, 0..300_000, 70_000..140_000, 299_999..300_000] {
            fetch(&file, &range).expect("there");
            // Not every file system can say what is in the page cache.
            if is_at_hand(&file, &(0..1)) {
                assert!(is_at_hand(&file, &range), "{range:?}");
            }
        }
        for range in [300_000..300_001, 0..300_001, 100_000..900_000] {
            assert!(!is_at_hand(&file, &range), "{range:?}");
            assert_eq!(fetch(&file, &range).expect_err("the end").kind(), io::ErrorKind::UnexpectedEof);
        }
        assert!(is_at_hand(&file, &(5..5)), "nothing");
        file.sync_all().expect("on disk");
        fadvise(&file, 0, None, Advice::DontNeed).expect("a hint");
        if !is_at_hand(&file, &(0..1)) {
            fetch(&file, &(0..300_000)).expect("there");
            let is_known =
                preadv2(&file, &mut [IoSliceMut::new(&mut [0])], 0, ReadWriteFlags::NOWAIT).is_ok();
            assert_eq!(is_at_hand(&file, &(0..300_000)), is_known);
            assert_eq!(can_be_sent(&file), is_known);
        }
    }
}
