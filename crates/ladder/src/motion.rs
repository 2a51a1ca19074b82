//! Finds out whether something moves in the picture: somebody who walks, gestures, changes the slide.
//!
//! Not whether the picture is frozen (see `vitals.rs`): noise, a cursor and the digits of a clock are not movement here. Once
//! a second a picture is compared with the one of a second before, so that slow movement counts as well.

use std::time::Duration;

use super::scene::Blocks;
use amphi_media::{MediaTime, Picture};

/// The time between two pictures that are compared.
const EVERY: Duration = Duration::from_secs(1);
/// Blocks that must have changed, per mille of all. A person who walks changes 50 to 150 ‰, one who gestures 5 to 20 ‰.
const SHARE: u32 = 5;
/// And at least so many: a clock in a corner changes one or two.
const LEAST: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct MotionDetector {
    blocks: Blocks,
    looked: Option<MediaTime>,
}

impl MotionDetector {
    /// Whether something has moved since the picture of a second before. Most pictures are not compared and give `false`.
    pub(super) fn moved(&mut self, picture: &Picture, now: MediaTime) -> bool {
        if self.looked.is_some_and(|looked| looked <= now && now < looked + EVERY) {
            return false;
        }
        self.looked = Some(now);
        let Some((changed, all)) = self.blocks.changed(picture) else { return false };
        changed >= LEAST && changed * 1000 >= all * SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lecture::{Random, SyntheticLecture};
    use amphi_media::PictureSize;

    const SIZE: PictureSize = PictureSize { width: 1280, height: 720 };

    fn black() -> Picture {
        Picture::black(SIZE)
    }

    /// A grey box, as tall as a person far away, with its left edge at `x`.
    fn person(x: usize) -> Picture {
        let mut picture = black();
        for row in picture.planes_mut()[0].chunks_mut(1280).skip(200).take(240) {
            row[x..x + 80].fill(150);
        }
        picture
    }

    /// How many of the pictures, four a second, are called movement.
    fn movements(pictures: impl IntoIterator<Item = Picture>) -> usize {
        let mut detector = MotionDetector::default();
        let at = |n: usize| MediaTime::from_millis(1_795_000_000_000 + n as i64 * 250);
        pictures.into_iter().enumerate().filter(|(n, picture)| detector.moved(picture, at(*n))).count()
    }

    #[test]
    fn somebody_who_walks_slowly_is_seen_every_second() {
        assert_eq!(movements((0..41).map(|n| person(200 + 6 * n))), 10);
    }

    #[test]
    fn a_lecture_moves() {
        let mut lecture = SyntheticLecture::new(SIZE.width, SIZE.height);
        let mut picture = black();
        let seen = movements((0..60).map(|second| {
            lecture.draw(second * 15, picture.planes_mut());
            picture.clone()
        }));
        assert!(seen >= 5, "{seen}");
    }

    #[test]
    fn a_picture_that_stands_still_noise_and_a_clock_are_no_movement() {
        assert_eq!(movements((0..20).map(|_| person(300))), 0);
        let mut random = Random(3);
        assert_eq!(
            movements((0..20).map(|_| {
                let mut picture = person(300);
                for sample in picture.planes_mut()[0].iter_mut() {
                    let grain = (random.next() % 13 + random.next() % 13) as u8;
                    *sample = sample.saturating_add(grain).saturating_sub(12);
                }
                picture
            })),
            0
        );
        let clock = |n: usize| {
            let mut picture = person(300);
            for row in picture.planes_mut()[0].chunks_mut(1280).skip(8).take(20) {
                row[1210..1240].fill(if n.is_multiple_of(2) { 230 } else { 20 });
            }
            picture
        };
        assert_eq!(movements((0..20).map(clock)), 0);
    }
}
