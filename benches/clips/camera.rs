//! A synthetic camera, beside the synthetic lecture of `src/ladder/lecture.rs`.

use crate::lecture::Random;

/// A full-frame camera: a room with texture that stands still, a speaker who walks and gestures, sensor noise.
#[derive(Debug)]
pub(crate) struct Camera {
    width: usize,
    height: usize,
    room: Vec<u8>,
}

impl Camera {
    /// A camera of `width` x `height` luma samples, both even.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        let mut room = vec![0; width * height];
        // Value noise in four octaves: as rough as a wall, as smooth as its shadows.
        for (octave, amplitude) in [(128, 60.0), (48, 24.0), (14, 12.0), (4, 6.0)] {
            let lattice =
                |x: usize, y: usize| (Random((y * 4099 + x + octave) as u64 + 1).next() % 256) as f32 / 255.0;
            for y in 0..height {
                let (row, v) = (y / octave, (y % octave) as f32 / octave as f32);
                for x in 0..width {
                    let (column, h) = (x / octave, (x % octave) as f32 / octave as f32);
                    let upper = lattice(column, row) * (1.0 - h) + lattice(column + 1, row) * h;
                    let lower = lattice(column, row + 1) * (1.0 - h) + lattice(column + 1, row + 1) * h;
                    room[y * width + x] += (amplitude * (upper * (1.0 - v) + lower * v)) as u8 + 10;
                }
            }
        }
        Self { width, height, room }
    }

    /// Draws picture `number` into Y, U, V planes without padding.
    pub(crate) fn draw(&mut self, number: u64, [y, u, v]: [&mut [u8]; 3]) {
        let (width, height) = (self.width, self.height);
        let mut noise = Random(number * 7_368_787 + 5);
        let time = number as f32 / 15.0;
        let body = (width as f32 * (0.5 + 0.25 * (time * 0.35).sin()), height as f32 * 0.75);
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
                    // Cloth that moves with its wearer.
                    60 + ((column + 10_000 - body.0 as usize) / 6 % 3 * 8) as i32
                } else {
                    i32::from(self.room[at])
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
