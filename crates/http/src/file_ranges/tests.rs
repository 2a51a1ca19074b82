//! Ranges arrive as they are in the file, and what is not at hand is fetched first.

use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use amphi_media::Lock;
use futures_util::FutureExt;
use futures_util::stream::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A file of which nothing is at hand that has not been fetched.
#[derive(Debug)]
struct FetchedFile {
    file: std::fs::File,
    fetched: Lock<Vec<Range<u64>>>,
    is_other: AtomicBool,
}

impl SentFile for FetchedFile {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn is_at_hand(&self, range: &Range<u64>) -> bool {
        let is_in = |it: &Range<u64>| it.start <= range.start && range.end <= it.end;
        !self.is_other.load(Relaxed) && self.fetched.lock().iter().any(is_in)
    }

    fn is_as_promised(&self) -> bool {
        !self.is_other.load(Relaxed)
    }

    fn fetch(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<()>> {
        self.fetched.lock().push(range);
        let fetched =
            if self.is_other.load(Relaxed) { Err(io::Error::other("another file")) } else { Ok(()) };
        std::future::ready(fetched).boxed()
    }

    fn read(&self, _: Vec<Range<u64>>) -> BoxStream<'static, io::Result<Bytes>> {
        futures_util::stream::empty().boxed()
    }
}

fn byte(at: u64) -> u8 {
    (at / 3) as u8
}

fn file(len: u64) -> Arc<FetchedFile> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&(0..len).map(byte).collect::<Vec<u8>>()).expect("written");
    Arc::new(FetchedFile { file, fetched: Lock::default(), is_other: AtomicBool::new(false) })
}

/// What arrives of these ranges, and how sending ended.
async fn sent(file: &Arc<FetchedFile>, ranges: &[Range<u64>]) -> (Vec<u8>, io::Result<()>) {
    sent_of(&FileRanges::new(Arc::clone(file) as Arc<dyn SentFile>, ranges.to_vec())).await
}

async fn sent_of(all: &FileRanges) -> (Vec<u8>, io::Result<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let mut peer = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
    let (stream, _) = listener.accept().await.expect("a connection");
    let send = async move { all.send(&stream.into(), &mut Pace::default()).await };
    let mut bytes = Vec::new();
    let (sent, _) = tokio::join!(send, peer.read_to_end(&mut bytes));
    (bytes, sent)
}

#[tokio::test]
async fn every_byte_is_fetched_and_arrives() {
    const MB: u64 = 1 << 20;
    for ranges in [
        vec![0..5 * MB, 5 * MB..5 * MB + 1],
        vec![7..8, 100..100, MB..3 * MB + 1],
        vec![3 * MB..4 * MB, 0..MB],
        (0..100).map(|at| at * 10_000..at * 10_000 + 9000).collect(),
    ] {
        let file = file(6 * MB);
        // As whoever made them has it.
        file.fetched.lock().extend(ranges.first().map(FileRanges::stretch));
        let (bytes, ended) = sent(&file, &ranges).await;
        ended.expect("sent");
        let expected: Vec<u8> = ranges.iter().cloned().flatten().map(byte).collect();
        assert!(bytes == expected, "{} bytes of {}", bytes.len(), expected.len());
        let fetched = file.fetched.lock().clone();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            for at in [range.start, range.end - 1] {
                assert!(fetched.iter().any(|it| it.contains(&at)), "{at} of {fetched:?}");
            }
        }
        assert!(fetched.iter().all(|it| it.end - it.start <= STRETCH));
    }
}

#[tokio::test]
async fn ranges_near_by_are_looked_for_together() {
    let file = file(1 << 20);
    let ranges: Vec<Range<u64>> = (0..50).map(|at| at * 10_000..at * 10_000 + 9000).collect();
    let (_, ended) = sent(&file, &ranges).await;
    ended.expect("sent");
    assert!(file.fetched.lock().len() <= 3, "{:?}", file.fetched.lock());
}

#[tokio::test]
async fn what_was_seen_long_ago_is_asked_for_again() {
    let file = file(1000);
    let mut all = FileRanges::new(Arc::clone(&file) as Arc<dyn SentFile>, vec![0..500, 500..1000]);
    let long_ago = Instant::now().checked_sub(2 * FRESH).expect("the machine has run that long");
    for (seen, fetched) in [(Instant::now(), 1), (long_ago, 2)] {
        all.seen = seen;
        let (bytes, ended) = sent_of(&all).await;
        ended.expect("sent");
        assert_eq!((bytes.len(), file.fetched.lock().len()), (1000, fetched));
    }
}

#[tokio::test]
async fn a_file_that_is_shorter_or_another_is_an_error() {
    let short = file(1000);
    let (bytes, ended) = sent(&short, std::slice::from_ref(&(500..2000))).await;
    assert_eq!((bytes.len(), ended.expect_err("it ends").kind()), (500, io::ErrorKind::UnexpectedEof));
    let other = file(1000);
    other.is_other.store(true, Relaxed);
    let (_, ended) = sent(&other, std::slice::from_ref(&(0..1000))).await;
    ended.expect_err("it is noticed at the end");
}
