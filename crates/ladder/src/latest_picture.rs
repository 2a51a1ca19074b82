//! The newest picture of a source for those who look at it: one shared picture, replaced once a second.
//!
//! Costs the decoding thread nothing: the picture is shared, not copied, and while a reader takes it the update is
//! skipped.

use std::sync::Arc;

use amphi_media::{Lock, MediaTime, Picture};

/// The shortest time between two pictures, in nanoseconds.
const EVERY: i64 = 1_000_000_000;

/// Where the newest picture is kept; empty before the first.
#[derive(Debug, Default)]
pub struct LatestPicture(Lock<Option<(MediaTime, Arc<Picture>)>>);

impl LatestPicture {
    /// The newest picture and when it came; `None` before the first.
    pub fn look(&self) -> Option<(MediaTime, Arc<Picture>)> {
        self.0.lock().clone()
    }

    pub(super) fn show(&self, picture: &Arc<Picture>, now: MediaTime) {
        let Some(mut kept) = self.0.try_lock() else { return };
        if kept.as_ref().is_none_or(|(at, _)| now.nanos_since(*at) >= EVERY) {
            *kept = Some((now, Arc::clone(picture)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_media::PictureSize;

    #[test]
    fn one_picture_a_second_is_kept() {
        let latest_picture = LatestPicture::default();
        assert_eq!(latest_picture.look(), None);
        let picture = Arc::new(Picture::black(PictureSize { width: 2, height: 2 }));
        let at = |ms: i64| MediaTime::from_millis(1_795_000_000_000 + ms);
        for ms in [0, 999, 1000, 1500] {
            latest_picture.show(&picture, at(ms));
        }
        assert_eq!(latest_picture.look().map(|(came, _)| came), Some(at(1000)));
        assert_eq!(Arc::strong_count(&picture), 2, "shared, and once");
    }
}
