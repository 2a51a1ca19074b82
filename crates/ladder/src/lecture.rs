//! A synthetic lecture for tests and benchmarks: slides of text-like marks that change every six seconds,
//! and in a corner a "camera" with a moving speaker and sensor noise. Needs nothing of the crate, so that
//! `benches/` can include the file.

pub(crate) const FPS: u32 = 15;
/// Pictures per slide. The first change falls into the middle of a 30-picture cell.
pub(crate) const SLIDE: u64 = 6 * FPS as u64;
/// How far the first change is moved from the start of a cell.
pub(crate) const PHASE: u64 = 14;

/// The lecture in one picture size.
#[derive(Debug)]
pub(crate) struct SyntheticLecture {
    width: usize,
    height: usize,
    slide: Option<(u64, Vec<u8>)>,
}

impl SyntheticLecture {
    /// A lecture of `width` x `height` luma samples, both even.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self { width: width as usize, height: height as usize, slide: None }
    }

    /// Whether picture `number` begins a slide.
    pub(crate) const fn slide_begins(number: u64) -> bool {
        number > 0 && (number + SLIDE - PHASE).is_multiple_of(SLIDE)
    }

    /// Draws picture `number` into Y, U, V planes without padding.
    pub(crate) fn draw(&mut self, number: u64, [y, u, v]: [&mut [u8]; 3]) {
        let slide = (number + SLIDE - PHASE) / SLIDE;
        if self.slide.as_ref().is_none_or(|(drawn, _)| *drawn != slide) {
            self.slide = Some((slide, self.slide_luma(slide)));
        }
        if let Some((_, luma)) = &self.slide {
            y.copy_from_slice(luma);
        }
        u.fill(128);
        v.fill(128);
        let header = self.width / 2 * (self.height / 16);
        u[..header].fill(150);
        v[..header].fill(110);
        self.draw_camera(number, [y, u, v]);
    }

    fn slide_luma(&self, slide: u64) -> Vec<u8> {
        let mut luma = vec![225; self.width * self.height];
        luma[..self.width * (self.height / 8)].fill(70);
        let (glyph, line) = (8, 20);
        for row in (self.height / 8 + line..self.height.saturating_sub(line)).step_by(line) {
            let mut words = Random(slide * 7919 + row as u64);
            let end = self.width / 8 + (words.next() as usize % (self.width * 3 / 4));
            for left in (self.width / 12..end).step_by(glyph + 2) {
                let strokes = words.next();
                if !strokes.is_multiple_of(6) {
                    self.draw_glyph(&mut luma, left, row, strokes);
                }
            }
        }
        luma
    }

    /// A mark of 8x12 samples whose strokes are two samples wide with grey edges.
    fn draw_glyph(&self, luma: &mut [u8], left: usize, top: usize, strokes: u64) {
        for y in 0..12 {
            for x in 0..8 {
                let on = strokes >> (y / 2 * 4 + x / 2) & 1 == 1;
                let edge = x % 2 == 1 && strokes >> (y / 2 * 4 + (x / 2 + 1) % 4) & 1 == 0;
                if on && left + x < self.width {
                    luma[(top + y) * self.width + left + x] = if edge { 120 } else { 35 };
                }
            }
        }
    }

    fn draw_camera(&self, number: u64, [y, u, v]: [&mut [u8]; 3]) {
        let (width, height) = (self.width * 3 / 10 / 2 * 2, self.height * 3 / 10 / 2 * 2);
        let (left, top) = (self.width - width, self.height - height);
        let mut noise = Random(number * 104_729 + 1);
        let swing = (number as f32 / 12.0).sin() * 0.25 + 0.5;
        let (head_x, head_y) = (width as f32 * swing, height as f32 * 0.45);
        for row in 0..height {
            for column in 0..width {
                let wall = 90 + column * 60 / width + (row / 12 % 2) * 8;
                let (dx, dy) = ((column as f32 - head_x) / 40.0, (row as f32 - head_y) / 70.0);
                let speaker = dx * dx + dy * dy < 1.0;
                let base = if speaker { 150 - (row * 90 / height) + (column & 4) * 3 } else { wall };
                let grain = noise.next() % 11;
                y[(top + row) * self.width + left + column] = (base as u64 + grain) as u8;
                if row % 2 == 0 && column % 2 == 0 {
                    let at = usize::midpoint(top, row) * (self.width / 2) + usize::midpoint(left, column);
                    (u[at], v[at]) = if speaker { (110, 155) } else { (124, 132) };
                }
            }
        }
    }
}

/// A small generator of repeatable noise (xorshift64*).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next 32 pseudo-random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = (self.0 ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0x2545_f491_4f6c_dd1d);
        self.0 ^= self.0 >> 29;
        self.0 >> 16 & 0xffff_ffff
    }
}
