//! A synthetic camera, to go with the synthetic lecture of `crates/ladder/src/lecture.rs`.

use crate::lecture::Random;

/// A full-frame camera: a room with texture, a speaker who walks and gestures, and sensor noise.
#[derive(Debug)]
pub(crate) struct Camera {
    width: usize,
    height: usize,
    /// Luma of the room, twice as wide as the picture.
    room: Vec<u8>,
    /// The camera turns with the speaker, so that a room full of people passes by. Otherwise it stands still before a wall.
    follows: bool,
}

/// How many steps the room moves between two samples.
const STEPS: usize = 8;

impl Camera {
    /// A camera with `width` x `height` luma samples, both even.
    pub(crate) fn new(width: u32, height: u32, follows: bool) -> Self {
        let (width, height) = (width as usize, height as usize);
        let wide = 2 * width;
        let mut room = vec![0; wide * height];
        // Value noise in four octaves: a rough wall with smooth shadows, or rows full of people.
        let [medium, fine] = if follows { [30.0, 40.0] } else { [12.0, 6.0] };
        for (octave, amplitude) in [(128, 60.0), (48, 24.0), (14, medium), (4, fine)] {
            let lattice =
                |x: usize, y: usize| (Random((y * 4099 + x + octave) as u64 + 1).next() % 256) as f32 / 255.0;
            for y in 0..height {
                let (row, v) = (y / octave, (y % octave) as f32 / octave as f32);
                for x in 0..wide {
                    let (column, h) = (x / octave, (x % octave) as f32 / octave as f32);
                    let upper = lattice(column, row) * (1.0 - h) + lattice(column + 1, row) * h;
                    let lower = lattice(column, row + 1) * (1.0 - h) + lattice(column + 1, row + 1) * h;
                    room[y * wide + x] += (amplitude * (upper * (1.0 - v) + lower * v)) as u8 + 10;
                }
            }
        }
        Self { width, height, room, follows }
    }

    /// Draws picture `number` into the planes Y, U and V, without padding.
    pub(crate) fn draw(&mut self, number: u64, [y, u, v]: [&mut [u8]; 3]) {
        let (width, height) = (self.width, self.height);
        let mut noise = Random(number * 7_368_787 + 5);
        let time = number as f32 / 15.0;
        let walked = width as f32 * 0.25 * (time * 0.35).sin();
        let (walked, turned) = if self.follows { (0.0, width as f32 / 2.0 + walked) } else { (walked, 0.0) };
        let (turned, part) = (turned as usize, (turned.fract() * STEPS as f32) as usize);
        let body = (width as f32 / 2.0 + walked, height as f32 * 0.75);
        let hand = (body.0 + 150.0 * (time * 1.7).sin(), body.1 - 120.0 + 70.0 * (time * 2.3).cos());
        let inside = |x: usize, y: usize, (cx, cy): (f32, f32), rx: f32, ry: f32| {
            let (dx, dy) = ((x as f32 - cx) / rx, (y as f32 - cy) / ry);
            dx * dx + dy * dy < 1.0
        };
        for row in 0..height {
            for column in 0..width {
                let head = inside(column, row, (body.0, body.1 - 250.0), 60.0, 80.0);
                let arm = inside(column, row, hand, 35.0, 35.0);
                let torso = inside(column, row, body, 110.0, 200.0);
                let at = row * width + column;
                let base = if head || arm {
                    165 - (row % 16) as i32
                } else if torso {
                    // Clothes with a pattern that moves with the speaker.
                    60 + ((column + 10_000 - body.0 as usize) / 6 % 3 * 8) as i32
                } else {
                    let at = row * 2 * width + column + turned;
                    let [left, right] = [self.room[at], self.room[at + 1]].map(usize::from);
                    ((left * (STEPS - part) + right * part) / STEPS) as i32
                };
                let random = noise.next();
                let grain = (random % 5 + random / 8 % 5) as i32 - 4;
                y[at] = (base + grain).clamp(16, 235) as u8;
                if row % 2 == 0 && column % 2 == 0 {
                    let at = row / 2 * (width / 2) + column / 2;
                    (u[at], v[at]) = if head || arm {
                        (108, 156)
                    } else if torso {
                        (140, 118)
                    } else {
                        (126, 131)
                    };
                }
            }
        }
    }
}
