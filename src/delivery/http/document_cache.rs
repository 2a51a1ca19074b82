//! Answers that take computing: made once for all viewers, in the workshop, and kept.
//!
//! An answer's name contains the version of everything that it is made of, so it never means other bytes. Requests that come
//! while it is being made wait for the same one. In front of it, answers are kept by path for a second: hundreds of requests
//! for the same path in one second cost one look at the files.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::request::Parts;
use moka::future::Cache;

use super::answer::Answer;
use super::query::asked_for;
use crate::delivery::AnswerKind;
use amphi_http::{ContentMetadata, ETag, content};
use amphi_media::Segment;
use amphi_media::meter::Counter;
use amphi_vod::{Mount, VodFault};

/// Memory for answers, in bytes: some thousand playlists, or ten thousand small pictures.
const MEMORY: u64 = 64 << 20;
/// Memory for answers by path, in bytes.
const FRESH_MEMORY: u64 = 16 << 20;
/// How long answers are kept by path. Files are looked at every two seconds, so an answer is three seconds old at most.
const FRESH: Duration = Duration::from_secs(1);
/// What an entry takes beside name and content, in bytes.
const ENTRY: usize = 256;

/// The content of an answer, and its `ETag`.
#[derive(Clone, Debug)]
pub(super) struct StoredDocument {
    bytes: Bytes,
    etag: ETag,
}

impl StoredDocument {
    /// Hashes the content for its `ETag`, so call it in the workshop.
    pub(super) fn of(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { etag: ETag::of(&bytes), bytes }
    }

    /// The content.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A document, and the header fields of its answer.
#[derive(Clone, Debug)]
pub(super) struct FoundDocument {
    pub(super) kind: AnswerKind,
    pub(super) document: StoredDocument,
    pub(super) content_type: HeaderValue,
    pub(super) cache_control: HeaderValue,
}

impl FoundDocument {
    /// The answer to a GET or HEAD.
    pub(super) fn answer(self, request: &Parts) -> Answer {
        let Self { kind, document: StoredDocument { bytes, etag }, content_type, cache_control } = self;
        let description = ContentMetadata { content_type, cache_control, etag: Some(&etag) };
        (kind, content(request, &Segment::from(bytes), description))
    }
}

/// The documents that are kept. Clones share everything.
#[derive(Clone, Debug)]
pub(super) struct DocumentCache {
    kept: Cache<String, StoredDocument>,
    fresh: Cache<String, FoundDocument>,
    count: std::sync::Arc<Counter>,
}

impl Default for DocumentCache {
    fn default() -> Self {
        Self::within(MEMORY)
    }
}

impl DocumentCache {
    fn within(memory: u64) -> Self {
        let weigh = |name: &String, bytes: &Bytes| {
            u32::try_from(ENTRY + name.len() + bytes.len()).unwrap_or(u32::MAX)
        };
        let weigh_kept = move |name: &String, document: &StoredDocument| weigh(name, &document.bytes);
        let weigh_fresh = move |name: &String, found: &FoundDocument| weigh(name, &found.document.bytes);
        Self {
            kept: Cache::builder().weigher(weigh_kept).max_capacity(memory).build(),
            fresh: Cache::builder()
                .weigher(weigh_fresh)
                .max_capacity(FRESH_MEMORY)
                .time_to_live(FRESH)
                .build(),
            count: std::sync::Arc::default(),
        }
    }

    /// The document of that name. It is made if it is not there, once for all that ask. A failure is not kept.
    pub(super) async fn get(
        &self,
        name: String,
        make: impl Future<Output = Result<StoredDocument, VodFault>>,
    ) -> Result<StoredDocument, VodFault> {
        let counted = async {
            let document = make.await?;
            self.count.increment();
            Ok(document)
        };
        self.kept
            .try_get_with(name, counted)
            .await
            .map_err(|fault: std::sync::Arc<VodFault>| (*fault).clone())
    }

    /// What was found within the last second for the same path and query.
    pub(super) async fn fresh(&self, mount: &Mount, request: &Parts) -> Option<FoundDocument> {
        self.fresh.get(&question(mount, request)).await
    }

    /// Keeps it for a second.
    pub(super) async fn remember(&self, mount: &Mount, request: &Parts, found: &FoundDocument) {
        self.fresh.insert(question(mount, request), found.clone()).await;
    }

    /// Documents made, since start.
    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.count.get()
    }
}

/// What an answer depends on.
fn question(mount: &Mount, request: &Parts) -> String {
    format!("{} {} {}", mount.serial(), request.uri.path(), asked_for(request))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn what_many_ask_for_at_once_is_made_once() {
        let (made, calls) = (DocumentCache::default(), AtomicU32::new(0));
        let make = || async {
            calls.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(StoredDocument::of("text"))
        };
        let all = join_all((0..300).map(|_| made.get("a 1".to_owned(), make()))).await;
        assert!(all.iter().all(|one| one.as_ref().is_ok_and(|one| one.bytes == "text")));
        assert_eq!((calls.load(Ordering::Relaxed), made.count()), (1, 1));
        made.get("a 2".to_owned(), make()).await.expect("another version");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_refusal_is_not_kept() {
        let made = DocumentCache::default();
        let refused = async { Err(VodFault::Slow) };
        assert_eq!(made.get("a".to_owned(), refused).await.err(), Some(VodFault::Slow));
        made.get("a".to_owned(), async { Ok(StoredDocument::of("text")) }).await.expect("made");
    }

    #[tokio::test]
    async fn no_more_bytes_are_kept_than_there_is_memory_for() {
        let made = DocumentCache::within(100_000);
        for number in 0..500_usize {
            let bytes = vec![0; 100 + number * 37 % 4000];
            made.get(format!("{number}"), async { Ok(StoredDocument::of(bytes)) }).await.expect("made");
        }
        made.get("huge".to_owned(), async { Ok(StoredDocument::of(vec![0; 200_000])) }).await.expect("made");
        made.kept.run_pending_tasks().await;
        let bytes: usize = made.kept.iter().map(|(name, it)| ENTRY + name.len() + it.bytes.len()).sum();
        assert!(bytes <= 100_000 && made.kept.entry_count() > 5, "{bytes} bytes are kept");
        assert_eq!(made.kept.weighted_size(), bytes as u64);
    }
}
