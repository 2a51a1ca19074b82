//! What a sequence parameter set says about the pictures (ITU-T H.264 §7.3.2.1.1, §E.1.1), in numbers and for people.
//!
//! [`describe`] reads any bytes and never panics. If the VUI is damaged, what was read of it before the damage is used.
//! [`VideoDescription::limits`] says why pictures like these cannot be decoded here.
//!
//! What does not belong here: decoders and what they need besides.

use std::fmt;

use super::bits::{RbspBits, payload};
use super::{NAL_SPS, nal_type};
use crate::{PictureSize, SampleAspect};

/// How much of a set is read: scaling lists and a full VUI take about 600 bytes.
const MAX_BYTES: usize = 4096;
/// The largest picture size that is decoded.
pub const LARGEST: PictureSize = PictureSize { width: 4096, height: 2304 };

/// `chroma_format_idc` (ITU-T H.264 table 6-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// 4:0:0: luma alone.
    Monochrome,
    /// 4:2:0: chroma has half the width and half the height of luma.
    Yuv420,
    /// 4:2:2: chroma has half the width of luma.
    Yuv422,
    /// 4:4:4: chroma has as many samples as luma.
    Yuv444,
}

impl fmt::Display for Chroma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monochrome => "4:0:0",
            Self::Yuv420 => "4:2:0",
            Self::Yuv422 => "4:2:2",
            Self::Yuv444 => "4:4:4",
        })
    }
}

/// The pictures of a source, as their sequence parameter set describes them.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoDescription {
    /// `profile_idc` (ITU-T H.264 §A.2), e.g. 100 for High.
    pub profile_idc: u8,
    /// The byte of constraint flags, `constraint_set0_flag` in its highest bit.
    pub constraints: u8,
    /// `level_idc`: ten times the level.
    pub level_idc: u8,
    /// Luma samples per row, after cropping.
    pub width: u32,
    /// Rows of luma samples, after cropping.
    pub height: u32,
    /// Shape of one sample; square if the VUI does not say.
    pub sar: SampleAspect,
    /// Pictures per second, if the VUI says so.
    pub fps: Option<f64>,
    /// Bits per sample, the larger of luma and chroma.
    pub bit_depth: u32,
    /// How chroma is sampled against luma.
    pub chroma: Chroma,
    /// Fields may be coded (`frame_mbs_only_flag` is 0).
    pub interlaced: bool,
    /// Fields may be coded macroblock by macroblock (`mb_adaptive_frame_field_flag`).
    pub mbaff: bool,
    /// Samples have the full range of 0 to 255, not 16 to 235.
    pub full_range: bool,
    /// `matrix_coefficients` (ITU-T H.264 table E-5); 2 is unspecified.
    pub matrix: u8,
    /// Position of the top left luma sample that is shown, in luma samples across and down.
    pub offset: (u32, u32),
    /// Size of `frame_num` in bits.
    pub(super) frame_num_bits: u32,
    /// Size of `pic_order_cnt_lsb` in bits; 0 if `pic_order_cnt_type` is not 0.
    pub(super) order_bits: u32,
    /// `max_num_ref_frames`: how many reference pictures are kept at most.
    pub references: u32,
    /// Colour planes are coded apart (`separate_colour_plane_flag`).
    pub(super) separate_planes: bool,
    /// Position of `gaps_in_frame_num_value_allowed_flag`, in bits of the payload.
    pub(super) gaps_bit: usize,
}

/// Reads a sequence parameter set. `None` if it is none, ends too early before the VUI, or gives its pictures no size.
pub fn describe(sps: &[u8]) -> Option<VideoDescription> {
    if nal_type(sps) != NAL_SPS {
        return None;
    }
    let payload = payload(sps, MAX_BYTES);
    let mut bits = RbspBits::new(&payload);
    let bits = &mut bits;
    let [profile_idc, constraints, level_idc] =
        [bits.fixed(8)?, bits.fixed(8)?, bits.fixed(8)?].map(|n| n as u8);
    set_id(bits)?;
    let samples = Samples::read(bits, profile_idc)?;
    let frame_num_bits = below(bits.unsigned()?, 13)? + 4;
    let order_bits = order_bits(bits)?;
    let references = bits.unsigned()?;
    let gaps_bit = bits.position();
    bits.flag()?;
    let geometry = Geometry::read(bits, samples.chroma, samples.separate_planes)?;
    let vui = if bits.flag()? { Vui::read(bits) } else { Vui::default() };
    Some(VideoDescription {
        profile_idc,
        constraints,
        level_idc,
        width: geometry.width,
        height: geometry.height,
        sar: vui.sar,
        fps: vui.fps,
        bit_depth: samples.bit_depth,
        chroma: samples.chroma,
        interlaced: geometry.interlaced,
        mbaff: geometry.mbaff,
        full_range: vui.full_range,
        matrix: vui.matrix,
        offset: geometry.offset,
        frame_num_bits,
        order_bits,
        references,
        separate_planes: samples.separate_planes,
        gaps_bit,
    })
}

fn below(value: u32, end: u32) -> Option<u32> {
    (value < end).then_some(value)
}

/// `seq_parameter_set_id`.
fn set_id(bits: &mut RbspBits<'_>) -> Option<u32> {
    below(bits.unsigned()?, 32)
}

/// `pic_order_cnt_type` and its fields. Returns the size of `pic_order_cnt_lsb` in bits, 0 if there is none.
fn order_bits(bits: &mut RbspBits<'_>) -> Option<u32> {
    match bits.unsigned()? {
        0 => Some(below(bits.unsigned()?, 13)? + 4),
        1 => {
            bits.flag()?;
            bits.signed()?;
            bits.signed()?;
            for _ in 0..below(bits.unsigned()?, 256)? {
                bits.signed()?;
            }
            Some(0)
        }
        2 => Some(0),
        _ => None,
    }
}

/// Chroma format, bit depth and planes of the samples.
struct Samples {
    chroma: Chroma,
    bit_depth: u32,
    separate_planes: bool,
}

impl Samples {
    /// Profiles whose sets have these fields (§7.3.2.1.1); in all others samples are 4:2:0 of 8 bits.
    const TOLD_BY: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

    fn read(bits: &mut RbspBits<'_>, profile_idc: u8) -> Option<Self> {
        let mut samples = Self { chroma: Chroma::Yuv420, bit_depth: 8, separate_planes: false };
        if !Self::TOLD_BY.contains(&profile_idc) {
            return Some(samples);
        }
        let format = bits.unsigned()?;
        samples.chroma = match format {
            0 => Chroma::Monochrome,
            1 => Chroma::Yuv420,
            2 => Chroma::Yuv422,
            3 => Chroma::Yuv444,
            _ => return None,
        };
        samples.separate_planes = format == 3 && bits.flag()?;
        let depths = [below(bits.unsigned()?, 7)?, below(bits.unsigned()?, 7)?];
        samples.bit_depth = 8 + depths[0].max(depths[1]);
        // qpprime_y_zero_transform_bypass_flag.
        bits.flag()?;
        if bits.flag()? {
            for list in 0..if format == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(samples)
    }
}

/// Skips a scaling list (ITU-T H.264 §7.3.2.1.1.1).
fn skip_scaling_list(bits: &mut RbspBits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8_i32, 8_i32);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?.rem_euclid(256)).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// Coded size and cropping.
struct Geometry {
    width: u32,
    height: u32,
    offset: (u32, u32),
    interlaced: bool,
    mbaff: bool,
}

impl Geometry {
    /// Most macroblocks per row or column; level 6.2 allows 1055. A larger number is damage or an attack.
    const MOST: u32 = 4096;

    fn read(bits: &mut RbspBits<'_>, chroma: Chroma, separate: bool) -> Option<Self> {
        let width = 16 * (below(bits.unsigned()?, Self::MOST)? + 1);
        let units = below(bits.unsigned()?, Self::MOST)? + 1;
        let interlaced = !bits.flag()?;
        let mbaff = interlaced && bits.flag()?;
        let fields = 1 + u32::from(interlaced);
        let height = 16 * units * fields;
        // direct_8x8_inference_flag.
        bits.flag()?;
        let mut whole = Self { width, height, offset: (0, 0), interlaced, mbaff };
        if !bits.flag()? {
            return Some(whole);
        }
        // CropUnitX and CropUnitY (equations 7-19 to 7-22).
        let (across, down) = match chroma {
            Chroma::Yuv420 => (2, 2),
            Chroma::Yuv422 => (2, 1),
            Chroma::Monochrome | Chroma::Yuv444 => (1, 1),
        };
        let (across, down) = if separate { (1, fields) } else { (across, down * fields) };
        let [left, right, top, bottom] =
            [bits.unsigned()?, bits.unsigned()?, bits.unsigned()?, bits.unsigned()?].map(u64::from);
        let cut = |length: u32, unit: u32, from: u64, to: u64| {
            let away = u64::from(unit) * (from + to);
            u32::try_from(u64::from(length).checked_sub(away)?).ok().filter(|length| *length > 0)
        };
        whole.width = cut(width, across, left, right)?;
        whole.height = cut(height, down, top, bottom)?;
        whole.offset = (left as u32 * across, top as u32 * down);
        Some(whole)
    }
}

/// The fields of the VUI that are used (ITU-T H.264 §E.1.1).
struct Vui {
    sar: SampleAspect,
    full_range: bool,
    matrix: u8,
    fps: Option<f64>,
}

impl Default for Vui {
    fn default() -> Self {
        Self { sar: SampleAspect::SQUARE, full_range: false, matrix: UNSPECIFIED, fps: None }
    }
}

/// `matrix_coefficients` for "unspecified" (ITU-T H.264 table E-5).
pub(super) const UNSPECIFIED: u8 = 2;

impl Vui {
    fn read(bits: &mut RbspBits<'_>) -> Self {
        let mut vui = Self::default();
        // On damage, what was read before it stands.
        let _ = vui.read_all(bits);
        vui
    }

    fn read_all(&mut self, bits: &mut RbspBits<'_>) -> Option<()> {
        const EXTENDED_SAR: u32 = 255;
        if bits.flag()? {
            let sar = match bits.fixed(8)? {
                EXTENDED_SAR => (bits.fixed(16)?, bits.fixed(16)?),
                idc => ASPECTS.get(idc as usize).copied().unwrap_or((0, 0)),
            };
            self.sar = SampleAspect::new(sar.0, sar.1);
        }
        // overscan_info_present_flag.
        if bits.flag()? {
            bits.flag()?;
        }
        // video_signal_type_present_flag.
        if bits.flag()? {
            bits.fixed(3)?;
            self.full_range = bits.flag()?;
            if bits.flag()? {
                bits.fixed(16)?;
                self.matrix = bits.fixed(8)? as u8;
            }
        }
        // chroma_loc_info_present_flag.
        if bits.flag()? {
            bits.unsigned()?;
            bits.unsigned()?;
        }
        // timing_info_present_flag: a frame lasts two ticks.
        if bits.flag()? {
            let (units, scale) = (bits.fixed(32)?, bits.fixed(32)?);
            let fps = f64::from(scale) / (2.0 * f64::from(units.max(1)));
            self.fps = (units > 0 && (0.01..=1000.0).contains(&fps)).then_some(fps);
        }
        Some(())
    }
}

/// Sample aspect ratios by `aspect_ratio_idc` (ITU-T H.264 table E-1).
const ASPECTS: [(u32, u32); 17] = [
    (0, 0),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

impl VideoDescription {
    /// `MaxFrameNum` (ITU-T H.264 §7.4.2.1.1).
    pub const fn frame_nums(&self) -> u32 {
        1 << self.frame_num_bits
    }

    /// Name of the profile as encoders' menus have it (ITU-T H.264 §A.2).
    pub fn profile(&self) -> &'static str {
        let intra = self.constraints & 0x10 != 0;
        match (self.profile_idc, intra) {
            (66, _) if self.constraints & 0x40 != 0 => "Constrained Baseline",
            (66, _) => "Baseline",
            (77, _) => "Main",
            (88, _) => "Extended",
            (100, _) => "High",
            (110, false) => "High 10",
            (110, true) => "High 10 Intra",
            (122, false) => "High 4:2:2",
            (122, true) => "High 4:2:2 Intra",
            (244, false) => "High 4:4:4 Predictive",
            (244, true) => "High 4:4:4 Intra",
            (44, _) => "CAVLC 4:4:4 Intra",
            (83 | 86, _) => "a scalable profile",
            (118 | 128 | 134 | 138 | 139, _) => "a profile of several views",
            _ => "a profile unknown here",
        }
    }

    /// The level as people write it, e.g. `4.1`.
    pub fn level(&self) -> String {
        // Level 1b of the older profiles is 11 with constraint_set3_flag (ITU-T H.264 §A.3.1).
        if self.level_idc == 9
            || (self.level_idc == 11 && self.constraints & 0x10 != 0 && self.profile_idc < 100)
        {
            return "1b".to_owned();
        }
        match (self.level_idc / 10, self.level_idc % 10) {
            (whole, 0) => whole.to_string(),
            (whole, part) => format!("{whole}.{part}"),
        }
    }

    /// Why pictures like these cannot be decoded here and what to do about it, for operators; `None` if they can be.
    pub fn limits(&self) -> Option<String> {
        let profile = self.profile();
        if self.bit_depth > 8 {
            return Some(format!(
                "the source sends {}-bit H.264 ({profile}); 8 bits and 4:2:0 are needed: set the encoder to High or Main \
                 profile, 8 bit",
                self.bit_depth
            ));
        }
        if matches!(self.chroma, Chroma::Yuv422 | Chroma::Yuv444) {
            return Some(format!(
                "the source sends {} H.264 ({profile}); 4:2:0 is needed: set the encoder to High or Main profile, \
                 colour format NV12 or I420",
                self.chroma
            ));
        }
        if self.mbaff {
            return Some(format!(
                "the source sends interlaced H.264 ({profile}, MBAFF); progressive pictures are needed: set the encoder \
                 to progressive, or let it deinterlace"
            ));
        }
        if self.width > LARGEST.width || self.height > LARGEST.height {
            return Some(format!(
                "the source sends pictures of {}x{}; up to {LARGEST} are taken: set a smaller size in the encoder",
                self.width, self.height
            ));
        }
        if self.width < 2 || self.height < 2 || self.width % 2 == 1 || self.height % 2 == 1 {
            return Some(format!(
                "the source sends pictures of {}x{}; even sizes are needed: set another size in the encoder",
                self.width, self.height
            ));
        }
        None
    }

    /// What is unusual and may be the reason why decoding fails; `None` for plain progressive pictures.
    pub fn oddities(&self) -> Option<String> {
        let mut odd = Vec::new();
        if self.interlaced {
            odd.push("interlaced".to_owned());
        }
        if !matches!(self.profile_idc, 66 | 77 | 100) {
            odd.push(self.profile().to_owned());
        }
        if self.chroma == Chroma::Monochrome {
            odd.push("monochrome".to_owned());
        }
        (!odd.is_empty()).then(|| odd.join(", "))
    }
}

impl fmt::Display for VideoDescription {
    /// For people: `High 4.1, 1920x1080, 25 per second`, and whatever is unusual.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}x{}", self.profile(), self.level(), self.width, self.height)?;
        if let Some(fps) = self.fps {
            write!(f, ", {} per second", (fps * 100.0).round() / 100.0)?;
        }
        if !self.sar.is_square() {
            write!(f, ", samples {}", self.sar)?;
        }
        if self.interlaced {
            f.write_str(", interlaced")?;
        }
        if self.chroma != Chroma::Yuv420 {
            write!(f, ", {}", self.chroma)?;
        }
        if self.bit_depth != 8 {
            write!(f, ", {} bit", self.bit_depth)?;
        }
        if self.full_range {
            f.write_str(", full range")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
