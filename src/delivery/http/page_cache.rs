//! Segments as pages of the kernel, for as long as they are asked for.
//!
//! A live segment is asked for by all viewers of its rung within a few seconds. The first request has it copied into pages
//! that all others are sent. A segment is identified by the address of its head in memory, which stays its own for as long as
//! this cache keeps the head. If descriptors, memory or places are lacking, the segment is written from its own memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::DashMap;
use tokio::sync::Semaphore;

use amphi_http::MemoryFile;
use amphi_media::Segment;

/// The smallest segment that is kept in pages. Below that two system calls cost more than the copy.
const LEAST: usize = 32 * 1024;
/// How long pages are kept after they were made. A later request has new ones made.
const KEEP: Duration = Duration::from_secs(20);
/// Segments in pages at a time, including those that only slow viewers still hold. Each takes a file descriptor away from
/// connections.
const MOST: usize = 2048;

#[derive(Debug)]
pub(super) struct PageCache {
    by_head: DashMap<usize, CachedPages>,
    places: Arc<Semaphore>,
}

impl Default for PageCache {
    fn default() -> Self {
        Self::new(MOST)
    }
}

#[derive(Debug)]
struct CachedPages {
    /// Keeps its memory from being used for another segment's head.
    _head: Bytes,
    pages: Option<Arc<MemoryFile>>,
    made: Instant,
}

impl PageCache {
    /// A cache for `most` segments at a time.
    pub(super) fn new(most: usize) -> Self {
        Self { by_head: DashMap::new(), places: Arc::new(Semaphore::new(most)) }
    }

    /// The pages of a segment; `None` if it is too small, or if there are none to be had.
    pub(super) fn pages(&self, segment: &Segment, now: Instant) -> Option<Arc<MemoryFile>> {
        if segment.len() < LEAST || segment.head.is_empty() {
            return None;
        }
        let place = segment.head.as_ptr() as usize;
        if let Some(kept) = self.by_head.get(&place) {
            return kept.pages.clone();
        }
        self.by_head.retain(|_, kept| now.saturating_duration_since(kept.made) < KEEP);
        let make = || CachedPages { _head: segment.head.clone(), pages: self.make(segment), made: now };
        self.by_head.entry(place).or_insert_with(make).pages.clone()
    }

    fn make(&self, segment: &Segment) -> Option<Arc<MemoryFile>> {
        // Without a place the segment is served from its own memory.
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let pages = MemoryFile::new(&segment.pieces(), place).inspect_err(|error| {
            tracing::warn!(%error, "no pages for a segment; it is copied for every viewer");
        });
        pages.ok().map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(tag: u8, len: usize) -> Segment {
        Segment { head: vec![tag; 10].into(), video: Some(vec![tag; len].into()), audio: None }
    }

    #[test]
    fn a_segment_has_its_pages_once_and_for_a_while() {
        let (page_cache, now) = (PageCache::default(), Instant::now());
        let (one, other) = (segment(1, LEAST), segment(2, LEAST));
        let pages = page_cache.pages(&one, now).expect("it is large");
        assert_eq!(pages.len(), one.len());
        assert!(Arc::ptr_eq(&pages, &page_cache.pages(&one.clone(), now).expect("the same")));
        assert!(!Arc::ptr_eq(&pages, &page_cache.pages(&other, now + KEEP).expect("others")));
        assert_eq!(page_cache.by_head.len(), 1, "the first is forgotten when another comes");
        assert!(page_cache.pages(&segment(3, 100), now).is_none(), "too small");
    }

    #[test]
    fn a_place_is_free_again_when_the_last_viewer_has_let_go() {
        let (page_cache, now) = (PageCache::new(1), Instant::now());
        let held = page_cache.pages(&segment(1, LEAST), now).expect("the only place");
        assert!(page_cache.pages(&segment(2, LEAST), now + KEEP).is_none(), "a slow viewer holds it");
        drop(held);
        assert!(page_cache.pages(&segment(3, LEAST), now + 2 * KEEP).is_some());
    }
}
