//! What a mount remembers of subtitles: texts that somebody may be watching, what old names mean, what has been said.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::RecordingStream;
use crate::captions::Captions;
use crate::names::FileNames;
use amphi_container::webvtt::TimedText;

/// Memory for texts that somebody may be watching.
const KEPT_MEMORY: u64 = 32 << 20;
/// How long a text is kept after it was last asked for: a lecture with a break.
const KEPT: Duration = Duration::from_secs(6 * 3600);
/// How many names of earlier versions are remembered.
const NUMBERS: u64 = 10_000;
/// How many things that are said once are remembered.
const SAID: u64 = 10_000;

/// What is remembered of subtitles. Clones share everything.
#[derive(Clone, Debug)]
pub(super) struct KeptTexts {
    /// Each is kept beneath the stream by which it was found: whoever may not see the one may not have its text by the other.
    texts: Cache<(RecordingStream, FileNames), Arc<TimedText>>,
    /// The keys that numbers mean.
    numbers: Cache<(RecordingStream, usize), String>,
    said: Cache<String, ()>,
}

impl Default for KeptTexts {
    fn default() -> Self {
        let weigh = |_: &(RecordingStream, FileNames), text: &Arc<TimedText>| {
            u32::try_from(text.memory()).unwrap_or(u32::MAX)
        };
        Self {
            texts: Cache::builder().weigher(weigh).max_capacity(KEPT_MEMORY).time_to_idle(KEPT).build(),
            numbers: Cache::builder().max_capacity(NUMBERS).time_to_idle(KEPT * 2).build(),
            said: Cache::new(SAID),
        }
    }
}

impl KeptTexts {
    /// Keeps a text for those who begin to watch it now.
    pub(super) async fn keep(&self, stream: &RecordingStream, names: &FileNames, text: &Arc<TimedText>) {
        self.texts.insert((stream.clone(), names.clone()), Arc::clone(text)).await;
    }

    /// The text that these names meant.
    pub(super) async fn get(&self, stream: &RecordingStream, names: &FileNames) -> Option<Captions> {
        let text = self.texts.get(&(stream.clone(), names.clone())).await?;
        Some(Captions { text, version: format!("{} {}", names.key, names.tag) })
    }

    /// The key that a number means.
    pub(super) async fn of_number(&self, stream: &RecordingStream, number: usize) -> Option<String> {
        self.numbers.get(&(stream.clone(), number)).await
    }

    /// Remembers the key that a number means.
    pub(super) async fn number(&self, stream: &RecordingStream, number: usize, key: &str) {
        self.numbers.insert((stream.clone(), number), key.to_owned()).await;
    }

    /// Whether this has not been said yet.
    pub(super) async fn is_new(&self, what: String) -> bool {
        self.said.entry(what).or_insert(()).await.is_fresh()
    }

    /// Lets it be said again.
    pub(super) async fn forget(&self, what: &str) {
        if self.said.contains_key(what) {
            self.said.invalidate(what).await;
        }
    }
}
