//! Slide changes: the pictures that deserve an IDR of their own (sans-IO).
//!
//! Two pictures are compared on a coarse grid of luma samples, block by block. A slide change alters many blocks
//! by much; a speaker, a cursor or noise alters few blocks or by little; a fade alters all by little.

use crate::media::{Picture, PictureSize};

/// Blocks across and down.
const BLOCKS: (usize, usize) = (32, 18);
/// Samples taken from each block, across and down.
const SAMPLES: (usize, usize) = (8, 5);
/// Mean absolute difference of a block that counts as changed, in luma steps.
const BLOCK_CHANGED: u32 = 10;
/// A slide change alters at least this share of blocks, in per cent.
const SHARE_CHANGED: usize = 12;

/// Compares each picture with the one before.
#[derive(Debug, Default)]
pub struct SlideDetector {
    size: Option<PictureSize>,
    before: Vec<u8>,
    now: Vec<u8>,
}

impl SlideDetector {
    /// Whether `picture` shows another slide than the picture before. The first picture is no change.
    pub fn changed(&mut self, picture: &Picture) -> bool {
        std::mem::swap(&mut self.before, &mut self.now);
        self.sample(picture);
        if self.size.replace(picture.size()) != Some(picture.size()) {
            return false;
        }
        let per_block = SAMPLES.0 * SAMPLES.1;
        let changed = self
            .before
            .chunks_exact(per_block)
            .zip(self.now.chunks_exact(per_block))
            .filter(|(before, now)| {
                let sum: u32 = before.iter().zip(*now).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
                sum >= BLOCK_CHANGED * per_block as u32
            })
            .count();
        changed * 100 >= SHARE_CHANGED * BLOCKS.0 * BLOCKS.1
    }

    /// Takes the samples of each block, one block after the other.
    fn sample(&mut self, picture: &Picture) {
        let (width, height) = (picture.size().width as usize, picture.size().height as usize);
        let luma = picture.planes()[0];
        let (columns, rows) = (BLOCKS.0 * SAMPLES.0, BLOCKS.1 * SAMPLES.1);
        self.now.clear();
        for block_y in 0..BLOCKS.1 {
            for block_x in 0..BLOCKS.0 {
                for y in 0..SAMPLES.1 {
                    let row = (block_y * SAMPLES.1 + y) * height / rows;
                    let line = &luma[row * width..(row + 1) * width];
                    let x = |x: usize| (block_x * SAMPLES.0 + x) * width / columns;
                    self.now.extend((0..SAMPLES.0).map(|index| line[x(index)]));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: PictureSize = PictureSize { width: 1280, height: 720 };

    /// A page of text-like marks, different for each `seed`.
    fn slide(seed: u32) -> Picture {
        let mut picture = Picture::black(SIZE);
        let width = SIZE.width as usize;
        for (number, luma) in picture.planes_mut()[0].iter_mut().enumerate() {
            let (x, y) = (number % width, number / width);
            let mark =
                (x as u32 / 6).wrapping_mul(2_654_435_761) ^ (y as u32 / 20).wrapping_mul(40_503) ^ seed;
            *luma = if y % 40 < 20 && mark.wrapping_mul(2_246_822_519) >> 30 == 0 { 30 } else { 225 };
        }
        picture
    }

    fn with_patch(mut picture: Picture, left: usize, top: usize, edge: usize, luma: u8) -> Picture {
        let width = SIZE.width as usize;
        for row in picture.planes_mut()[0].chunks_exact_mut(width).skip(top).take(edge) {
            row[left..left + edge].fill(luma);
        }
        picture
    }

    #[test]
    fn a_new_slide_is_a_change_once() {
        let mut detector = SlideDetector::default();
        let shown = [1, 1, 2, 2].map(|seed| detector.changed(&slide(seed)));
        assert_eq!(shown, [false, false, true, false]);
    }

    #[test]
    fn a_moving_speaker_and_a_cursor_are_none() {
        let mut detector = SlideDetector::default();
        detector.changed(&slide(1));
        for step in 0..20 {
            let picture = with_patch(slide(1), 900 + step * 4, 400, 200, 90);
            assert!(!detector.changed(&with_patch(picture, step * 30, 100, 16, 0)));
        }
    }

    #[test]
    fn noise_and_a_slow_fade_are_none() {
        let mut detector = SlideDetector::default();
        detector.changed(&slide(1));
        for step in 1..30_u8 {
            let mut picture = slide(1);
            for (number, luma) in picture.planes_mut()[0].iter_mut().enumerate() {
                let noise =
                    ((number as u32).wrapping_mul(2_654_435_761).rotate_left(u32::from(step)) >> 29) as u8;
                *luma = luma.saturating_sub(step * 3 + noise);
            }
            assert!(!detector.changed(&picture));
        }
    }

    #[test]
    fn another_size_is_no_change() {
        let mut detector = SlideDetector::default();
        detector.changed(&slide(1));
        assert!(!detector.changed(&Picture::black(PictureSize { width: 16, height: 16 })));
    }
}
