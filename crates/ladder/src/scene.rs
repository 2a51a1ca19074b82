//! Finds slide changes, so that the encoders start a new slide with an IDR picture.
//!
//! An IDR picture at a slide change costs no bits in the mean and gains 1.7 dB. A wrong one costs bits, so
//! the detector wants a cut: many blocks of the picture change from one picture to the next, after pictures
//! in which few did. A speaker in a corner, noise, a cursor, another line of text, a fade, a pan (after its
//! first picture) are no cuts. What does *not* belong here: when IDR pictures are due anyway.

use amphi_media::{Picture, PictureSize};

/// Every `STEP`-th sample of every `STEP`-th row is looked at: 57 600 of a 720p picture.
const STEP: usize = 4;
/// Looked-at samples along a block's side: blocks of 32x32 luma samples.
const BLOCK: usize = 8;
/// A block has changed when its samples differ by this much in the mean. Sensor noise with a deviation of
/// 5 makes 5.6, a line of text in a block 15 to 40.
const CHANGED: u32 = 9;
/// A cut changes at least this share of the blocks, per mille.
const CUT: u32 = 200;
/// ... and this many times the largest share of the pictures before, which fades by an eighth per picture.
const CUT_AGAINST_BEFORE: u32 = 2;

/// Compares each picture with the one before it.
#[derive(Debug, Default)]
pub struct SlideDetector {
    blocks: Blocks,
    /// The largest changed share of recent pictures, per mille, fading.
    activity: u32,
}

impl SlideDetector {
    /// A detector that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `picture` begins another slide. The first picture, and the first of another size, do not.
    pub fn changed(&mut self, picture: &Picture) -> bool {
        let Some((changed, blocks)) = self.blocks.changed(picture) else {
            self.activity = 0;
            return false;
        };
        let share = changed * 1000 / blocks.max(1);
        let cut = share >= CUT && share >= CUT_AGAINST_BEFORE * self.activity;
        // A cut counts itself, so that the next one can come after six pictures at the earliest.
        self.activity = share.max(self.activity * 7 / 8);
        cut
    }
}

/// Compares pictures block by block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    size: Option<PictureSize>,
    /// The looked-at samples of the picture before, row by row.
    before: Vec<u8>,
    /// Sums of differences, one per block of the present row of blocks.
    sums: Vec<u32>,
}

impl Blocks {
    /// Blocks that differ from the picture handed over before, and all blocks; `None` for the first picture and the first
    /// of another size. Remembers `picture`.
    pub(super) fn changed(&mut self, picture: &Picture) -> Option<(u32, u32)> {
        if self.size == Some(picture.size()) {
            return Some(self.compare(picture));
        }
        self.size = Some(picture.size());
        self.before.clear();
        self.before.extend(looked_at_rows(picture).flatten());
        None
    }

    fn compare(&mut self, picture: &Picture) -> (u32, u32) {
        let columns = (picture.size().width as usize).div_ceil(STEP).max(1);
        let (mut blocks, mut changed) = (0, 0);
        let mut rows = looked_at_rows(picture);
        for band in self.before.chunks_mut(columns * BLOCK) {
            self.sums.clear();
            self.sums.resize(columns.div_ceil(BLOCK), 0);
            for (before, now) in band.chunks_mut(columns).zip(&mut rows) {
                for (x, (before, now)) in before.iter_mut().zip(now).enumerate() {
                    if let Some(sum) = self.sums.get_mut(x / BLOCK) {
                        *sum += u32::from(before.abs_diff(now));
                    }
                    *before = now;
                }
            }
            // Blocks at the right and lower edge have fewer samples, so they reach the limit less easily.
            blocks += self.sums.len() as u32;
            changed +=
                self.sums.iter().filter(|&&sum| sum >= CHANGED * (BLOCK * BLOCK) as u32).count() as u32;
        }
        (changed, blocks)
    }
}

/// The looked-at samples of each looked-at row of luma.
fn looked_at_rows(picture: &Picture) -> impl Iterator<Item = impl Iterator<Item = u8>> {
    let width = picture.size().width.max(1) as usize;
    let rows = picture.planes()[0].chunks_exact(width).step_by(STEP);
    rows.map(|row| row.iter().step_by(STEP).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lecture::{Random, SyntheticLecture};

    const SIZE: PictureSize = PictureSize { width: 1280, height: 720 };

    fn lecture(number: u64) -> Picture {
        let mut picture = Picture::black(SIZE);
        SyntheticLecture::new(SIZE.width, SIZE.height).draw(number, picture.planes_mut());
        picture
    }

    /// The numbers of the pictures that the detector calls cuts.
    fn cuts(pictures: impl IntoIterator<Item = Picture>) -> Vec<usize> {
        let mut detector = SlideDetector::new();
        pictures
            .into_iter()
            .enumerate()
            .filter_map(|(n, picture)| detector.changed(&picture).then_some(n))
            .collect()
    }

    #[test]
    fn slide_changes_and_nothing_else_of_a_lecture_are_cuts() {
        let mut lecture = SyntheticLecture::new(SIZE.width, SIZE.height);
        let mut picture = Picture::black(SIZE);
        let found = cuts((0..300).map(|number| {
            lecture.draw(number, picture.planes_mut());
            picture.clone()
        }));
        assert_eq!(found, [14, 104, 194, 284]);
    }

    #[test]
    fn noise_is_no_cut() {
        let still = lecture(0);
        let mut noise = Random(7);
        let noisy = (0..20).map(|_| {
            let mut picture = still.clone();
            for sample in picture.planes_mut()[0].iter_mut() {
                // Triangular, with a standard deviation of about 5.
                let grain = (noise.next() % 13 + noise.next() % 13) as u8;
                *sample = sample.saturating_add(grain).saturating_sub(12);
            }
            picture
        });
        assert!(cuts(noisy).is_empty());
    }

    #[test]
    fn a_cursor_is_no_cut() {
        let still = lecture(0);
        assert!(
            cuts((0..40).map(|number| {
                let mut picture = still.clone();
                for row in picture.planes_mut()[0].chunks_mut(1280).skip(200 + 5 * number).take(32) {
                    row[300 + 10 * number..332 + 10 * number].fill(0);
                }
                picture
            }))
            .is_empty()
        );
    }

    #[test]
    fn a_new_line_of_text_is_no_cut() {
        let still = lecture(0);
        let mut more = still.clone();
        more.planes_mut()[0].chunks_mut(1280).skip(600).take(24).for_each(|row| row[100..800].fill(40));
        assert!(cuts([still.clone(), still, more.clone(), more]).is_empty());
    }

    #[test]
    fn a_fade_is_no_cut() {
        let (from, to) = (lecture(0), lecture(20));
        let faded = (0..=15_u32).map(|step| {
            let mut picture = from.clone();
            for (sample, &goal) in picture.planes_mut()[0].iter_mut().zip(to.planes()[0]) {
                *sample = ((u32::from(*sample) * (15 - step) + u32::from(goal) * step) / 15) as u8;
            }
            picture
        });
        assert!(cuts(faded).is_empty());
    }

    #[test]
    fn a_pan_is_one_cut_at_most() {
        let still = lecture(0);
        let panned = (0..40).map(|number| {
            let mut picture = still.clone();
            let [y, _, _] = picture.planes_mut();
            y.chunks_mut(1280).for_each(|row| row.rotate_left(12 * number));
            picture
        });
        let found = cuts(panned);
        assert!(found.len() <= 1, "{found:?}");
    }

    #[test]
    fn another_size_starts_anew() {
        let small = Picture::black(PictureSize { width: 34, height: 18 });
        let mut white = small.clone();
        white.planes_mut()[0].fill(235);
        assert_eq!(cuts([small.clone(), lecture(0), small, white]), [3]);
    }
}
