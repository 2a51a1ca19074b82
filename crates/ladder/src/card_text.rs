//! Words on a picture: the sign that a waiting video carries.
//!
//! A [`CardText`] is laid out once for a picture size, as a mask of how much ink covers each sample of luma, and painted
//! onto any number of pictures: a dark band in the lower part, light letters upon it. The font is DejaVu Sans Bold
//! (its licence is in the same directory), cut down to Latin, Greek and some signs; a character it lacks shows as a box.
//!
//! What does not belong here: what the words are, and when they change.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};

use amphi_media::{Picture, PictureSize};

const FONT: &[u8] = include_bytes!("card_text/DejaVuSans-Bold.ttf");

/// Luma of full ink, and of the band behind it (limited range).
const INK: u32 = 235;
const BAND: u32 = 24;
/// How much of the picture shines through the band, in 256ths.
const THROUGH: u32 = 60;
/// Heights as shares of the picture's height.
const TITLE: f32 = 0.07;
const LINE: f32 = 0.05;
const MARGIN: f32 = 0.03;
/// Lines that a title may take.
const TITLE_LINES: usize = 2;

/// What a sign says. Empty parts are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// In large letters, over two lines if need be.
    pub title: String,
    /// In smaller letters beneath the title.
    pub line: String,
    /// At the right end of the line, e.g. the time of day.
    pub corner: String,
}

/// Words laid out for one picture size.
#[derive(Clone, Debug)]
pub struct CardText {
    size: PictureSize,
    /// The first row of the band.
    top: usize,
    /// Ink of each luma sample from `top` down.
    ink: Vec<u8>,
}

impl CardText {
    /// Lays `words` out for pictures of `size`; `None` when there is nothing to say.
    pub fn new(words: &Words, size: PictureSize) -> Option<Self> {
        let font = FontRef::try_from_slice(FONT).ok()?;
        let (width, height) = (size.width as f32, size.height as f32);
        let (title_px, line_px, margin) = (height * TITLE, height * LINE, height * MARGIN);
        let titles = wrapped(&font, &words.title, title_px, width - 2.0 * margin);
        let has_line = !(words.line.is_empty() && words.corner.is_empty());
        if titles.is_empty() && !has_line {
            return None;
        }
        let line_height = if has_line { line_px * 1.3 } else { 0.0 };
        let band = titles.len() as f32 * title_px * 1.2 + line_height + 2.0 * margin;
        // The lower third, so that what the video itself shows in the middle stays.
        let top = (height - band - margin).max(0.0) as usize;
        let rows = (band as usize).min(size.height as usize - top);
        let mut sign = Self { size, top, ink: vec![0; rows * size.width as usize] };
        let mut y = margin;
        for title in &titles {
            sign.write(&font, title, title_px, margin, y);
            y += title_px * 1.2;
        }
        let corner_width = text_width(&font, &words.corner, line_px);
        let room = width - 3.0 * margin - corner_width;
        let line = wrapped(&font, &words.line, line_px, room);
        sign.write(&font, line.first().map_or("", String::as_str), line_px, margin, y);
        sign.write(&font, &words.corner, line_px, width - margin - corner_width, y);
        Some(sign)
    }

    /// Paints the sign onto `picture`. One of another size is left as it is.
    pub fn paint(&self, picture: &mut Picture) {
        if picture.size() != self.size {
            return;
        }
        let width = self.size.width as usize;
        let [luma, u, v] = picture.planes_mut();
        for (sample, &ink) in luma.iter_mut().skip(self.top * width).zip(&self.ink) {
            let behind = (u32::from(*sample) * THROUGH + BAND * (256 - THROUGH)) / 256;
            let ink = u32::from(ink);
            *sample = ((INK * ink + behind * (255 - ink)) / 255) as u8;
        }
        let chroma = self.size.chroma().width as usize;
        let rows = self.ink.len() / width;
        for plane in [u, v] {
            for sample in plane.iter_mut().skip(self.top / 2 * chroma).take(rows / 2 * chroma) {
                *sample = ((u32::from(*sample) * THROUGH + 128 * (256 - THROUGH)) / 256) as u8;
            }
        }
    }

    /// Writes one line whose upper left corner is at `x`, `y` of the band.
    fn write(&mut self, font: &FontRef<'_>, text: &str, px: f32, x: f32, y: f32) {
        let scaled = font.as_scaled(PxScale::from(px));
        let width = self.size.width as usize;
        let rows = self.ink.len() / width.max(1);
        let mut caret = x;
        let mut before = None;
        for letter in text.chars() {
            let id = scaled.glyph_id(letter);
            caret += before.map_or(0.0, |before| scaled.kern(before, id));
            let glyph = id.with_scale_and_position(px, ab_glyph::point(caret, y + scaled.ascent()));
            caret += scaled.h_advance(id);
            before = Some(id);
            let Some(outlined) = font.outline_glyph(glyph) else { continue };
            let bounds = outlined.px_bounds();
            outlined.draw(|dx, dy, coverage| {
                let (column, row) =
                    (bounds.min.x as i64 + i64::from(dx), bounds.min.y as i64 + i64::from(dy));
                if (0..width as i64).contains(&column) && (0..rows as i64).contains(&row) {
                    let ink = &mut self.ink[row as usize * width + column as usize];
                    *ink = (*ink).max((coverage.clamp(0.0, 1.0) * 255.0) as u8);
                }
            });
        }
    }
}

fn text_width(font: &FontRef<'_>, text: &str, px: f32) -> f32 {
    let scaled = font.as_scaled(PxScale::from(px));
    text.chars().map(|letter| scaled.h_advance(scaled.glyph_id(letter))).sum()
}

/// `text` in lines no wider than `width`, at most [`TITLE_LINES`]; what does not fit ends in an ellipsis.
fn wrapped(font: &FontRef<'_>, text: &str, px: f32, width: f32) -> Vec<String> {
    let fits = |line: &str| text_width(font, line, px) <= width;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}")).filter(|line| fits(line));
        let room = lines.len() < TITLE_LINES;
        match (longer, lines.last_mut()) {
            (Some(longer), Some(line)) => *line = longer,
            (None, Some(line)) if !room => {
                line.push('…');
                break;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    for line in &mut lines {
        if !fits(line) {
            while !line.is_empty() && !fits(&format!("{line}…")) {
                line.pop();
            }
            line.push('…');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: PictureSize = PictureSize { width: 640, height: 360 };

    fn painted(words: &Words) -> Picture {
        let mut picture = Picture::black(SIZE);
        picture.planes_mut()[0].fill(120);
        CardText::new(words, SIZE).expect("words").paint(&mut picture);
        picture
    }

    fn words(title: &str) -> Words {
        Words { title: title.to_owned(), line: "Amphi A, 10:30".to_owned(), corner: "10:24".to_owned() }
    }

    #[test]
    fn light_letters_stand_on_a_dark_band_in_the_lower_part() {
        let picture = painted(&words("UE3 Biophysique"));
        let luma = picture.planes()[0];
        let (upper, lower) = luma.split_at(luma.len() / 2);
        assert!(upper.iter().all(|&sample| sample == 120), "the upper half is as it was");
        assert!(lower.iter().filter(|&&sample| sample > 220).count() > 500, "letters");
        assert!(lower.iter().filter(|&&sample| sample < 60).count() > lower.len() / 4, "a band");
    }

    #[test]
    fn other_words_look_otherwise_and_the_same_the_same() {
        assert_eq!(painted(&words("Anatomie")), painted(&words("Anatomie")));
        assert_ne!(painted(&words("Anatomie")), painted(&words("Anatomia")));
    }

    #[test]
    fn nothing_to_say_is_no_sign() {
        assert!(CardText::new(&Words::default(), SIZE).is_none());
    }

    proptest! {
        #[test]
        fn any_words_fit(title in "\\PC{0,120}", line in "\\PC{0,120}", corner in "[0-9:]{0,8}", big: bool) {
            let size = if big { PictureSize { width: 1280, height: 720 } } else { PictureSize { width: 64, height: 48 } };
            let words = Words { title, line, corner };
            if let Some(sign) = CardText::new(&words, size) {
                let mut picture = Picture::black(size);
                sign.paint(&mut picture);
            }
        }
    }
}
