//! A picture of a recording or a source as JPEG (ISO/IEC 10918-1): decoded, scaled down, coded. Called in the workshop.

use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor};

use amphi_ladder::openh264::{Decoder, PictureView};
use amphi_ladder::scale::Scaler;
use amphi_media::{MediaTime, Picture, PictureSize};

/// JPEG quality of posters, of 100. Text on slides shows ringing below 80.
const QUALITY: u8 = 82;
/// JPEG quality of thumbnails: 320 x 180 takes some 6 KB, and its text is too small to read.
const THUMBNAIL_QUALITY: u8 = 72;

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PosterError {
    /// The file is damaged, or its codec is not supported.
    #[error("the picture cannot be decoded: {0}")]
    Decode(String),
    /// A fault of the server, or a picture without a size.
    #[error("the picture cannot be coded: {0}")]
    Encode(String),
}

/// The JPEG of an access unit (ITU-T H.264 Annex B, parameter sets in band), at most `width` pixels wide.
pub fn poster(access_unit: &[u8], width: u32) -> Result<Vec<u8>, PosterError> {
    let decode = |error: &dyn std::fmt::Display| PosterError::Decode(error.to_string());
    let mut decoder = Decoder::new().map_err(|error| decode(&error))?;
    let mut picture = None;
    let mut show = |_: MediaTime, view: PictureView<'_>| {
        picture.get_or_insert_with(|| fitted(view, width));
    };
    let decoded = decoder.decode(access_unit, MediaTime::default(), &mut show);
    let flushed = decoder.flush(&mut show);
    match (picture, decoded.and(flushed)) {
        (Some(picture), _) => code(&picture?, QUALITY),
        (None, Err(error)) => Err(decode(&error)),
        (None, Ok(())) => Err(PosterError::Decode("there is no picture at this time".to_owned())),
    }
}

/// The JPEG of a decoded picture, at most `width` pixels wide; small rather than good.
pub fn thumbnail(picture: &Picture, width: u32) -> Result<Vec<u8>, PosterError> {
    code(&fitted(picture.into(), width)?, THUMBNAIL_QUALITY)
}

/// Scales a picture to at most `width`, keeping its shape, with even sides.
fn fitted(view: PictureView<'_>, width: u32) -> Result<Picture, PosterError> {
    let even = |side: u32| (side & !1).max(2);
    let shown = view.shown_size();
    let width = even(width.min(shown.width));
    let height = u64::from(shown.height) * u64::from(width) / u64::from(shown.width.max(1));
    let size = PictureSize { width, height: even(height as u32) };
    let mut picture = Picture::black(size);
    Scaler::new(size).fit(view, &mut picture).map_err(|error| PosterError::Decode(error.to_string()))?;
    Ok(picture)
}

fn code(picture: &Picture, quality: u8) -> Result<Vec<u8>, PosterError> {
    let mut out = Vec::with_capacity(64 << 10);
    let mut encoder = Encoder::new(&mut out, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_optimized_huffman_tables(true);
    encoder.encode_image(FullRange(picture)).map_err(|error| PosterError::Encode(error.to_string()))?;
    Ok(out)
}

/// JPEG samples are full range, 0 to 255 (JFIF 1.02, "Conversion to and from RGB"); video luma is 16 to 235, chroma 16 to 240
/// (ITU-T H.273 §8.3).
struct FullRange<'a>(&'a Picture);

impl ImageBuffer for FullRange<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.0.size().width as u16
    }

    fn height(&self) -> u16 {
        self.0.size().height as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let planes = self.0.planes();
        let row = |plane: usize, y: usize| {
            let width = self.0.plane_size(plane).width as usize;
            planes[plane].get(y * width..(y + 1) * width).unwrap_or_default()
        };
        let y = usize::from(y);
        let luma = |sample: u8| ((i32::from(sample) - 16) * 255 + 109) / 219;
        let chroma = |sample: u8| ((i32::from(sample) - 128) * 255 + 112).div_euclid(224) + 128;
        let byte = |value: i32| value.clamp(0, 255) as u8;
        buffers[0].extend(row(0, y).iter().map(|&sample| byte(luma(sample))));
        for plane in [1, 2] {
            // The encoder wants chroma at full width, and subsamples it again itself.
            let pairs = row(plane, y / 2).iter().flat_map(|&sample| [byte(chroma(sample)); 2]);
            buffers[plane].extend(pairs.take(self.0.size().width as usize));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_says_so() {
        for bytes in [&b""[..], b"\0\0\0\x01\x65\x88", &[0; 100]] {
            let error = poster(bytes, 640).expect_err("no picture").to_string();
            assert!(error.starts_with("the picture cannot be decoded"), "{error}");
        }
    }
}
