//! One playlist that a player of HLS follows, and where the player is in it.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::fragment::Continuity;
use super::library::Read;
use amphi_container::hls::{MediaPlaylist, MediaSegment};

/// A playlist that is being followed.
pub(super) struct FollowedPlaylist {
    pub(super) url: Url,
    pub(super) read: Arc<Read>,
    /// The media sequence number of the next segment.
    pub(super) next: u64,
    pub(super) init: Option<String>,
    pub(super) continuity: Continuity,
    /// Duration of the media received from it.
    pub(super) received: Duration,
}

impl FollowedPlaylist {
    pub(super) fn media(&self) -> Option<&MediaPlaylist> {
        match &*self.read {
            Read::Media(media) => Some(media),
            Read::Multivariant(_) => None,
        }
    }

    /// The next segment, if it is listed.
    pub(super) fn listed(&self) -> Option<MediaSegment> {
        let media = self.media()?;
        media.segments.get(usize::try_from(self.next.checked_sub(media.media_sequence)?).ok()?).cloned()
    }

    /// The media sequence number after the last listed segment.
    pub(super) fn end(&self) -> u64 {
        self.media().map_or(0, |media| media.media_sequence + media.segments.len() as u64)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.media().is_some_and(|media| media.is_ended)
    }
}

/// The segment of `audio` in which the next segment of `main` begins.
pub(super) fn same_place(main: &FollowedPlaylist, audio: &FollowedPlaylist) -> u64 {
    let (Some(pictures), Some(sound)) = (main.media(), audio.media()) else { return 0 };
    let before = pictures.segments.iter().take((main.next - pictures.media_sequence) as usize);
    let mut left: Duration = before.map(|it| it.duration).sum();
    let mut next = sound.media_sequence;
    for segment in &sound.segments {
        // A tenth of a second is allowed, since sound is cut where its frames end.
        if left < segment.duration.saturating_sub(Duration::from_millis(100)) {
            break;
        }
        left = left.saturating_sub(segment.duration);
        next += 1;
    }
    next.min(audio.end().saturating_sub(1))
}
