//! Checks what the decoder is given: nothing that would cost more memory or time than a lecture hall's stream, and nothing
//! that it does not decode exactly.
//!
//! Its DPB is as large as `max_num_ref_frames` says, whatever that is; it keeps every parameter set under its number for
//! ever; each slice costs it at least a pass over the picture; and where a slice begins in mid-row its pictures differ
//! slightly (59 dB at worst). What is refused here goes to OpenH264, which has bounds of its own.

use h264_reader::nal::sps::{FrameMbsFlags, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};

use amphi_media::h264::{NAL_IDR, NAL_PPS, NAL_SLICE, NAL_SPS, annex_b_nals, nal_type};

/// The largest picture, in macroblocks: 4096x2304, as for OpenH264.
const MAX_MBS: [u32; 2] = [256, 144];
/// Reference frames of any level (ITU-T H.264 §A.3.1).
const MAX_REFERENCES: u32 = 16;
/// Different parameter sets in a decoder's life. A source has one pair, and a new decoder with each new one.
const MAX_SETS: usize = 16;
/// Bytes of a parameter set; scaling lists take 400.
const MAX_SET_BYTES: usize = 1024;
const MAX_SLICES: usize = 512;

/// Remembers the parameter sets it has let through.
#[derive(Debug, Default)]
pub(super) struct ParameterSetGuard {
    /// Each set with its pictures' width in macroblocks, if it is an SPS.
    known: Vec<(Box<[u8]>, Option<u32>)>,
    /// Of the SPS that came last.
    width_mbs: u32,
}

/// An access unit that may be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    /// It is an IDR picture.
    pub(super) idr: bool,
    /// Coded slices in it.
    pub(super) slices: usize,
    /// It comes with an SPS, as pictures do where decoding may begin.
    pub(super) sets: bool,
    /// A slice begins in mid-row: the decoder's picture differs slightly.
    pub(super) inexact: bool,
}

impl ParameterSetGuard {
    /// What the access unit holds, or why it must not be decoded.
    pub(super) fn admit(&mut self, access_unit: &[u8]) -> Result<Admitted, &'static str> {
        let mut admitted = Admitted { idr: false, slices: 0, sets: false, inexact: false };
        for nal in annex_b_nals(access_unit) {
            match nal_type(nal) {
                kind @ (NAL_SPS | NAL_PPS) => {
                    self.admit_set(nal)?;
                    admitted.sets |= kind == NAL_SPS;
                }
                kind @ (NAL_SLICE | NAL_IDR) => {
                    admitted.idr |= kind == NAL_IDR;
                    admitted.slices += 1;
                    let first = first_macroblock(nal);
                    admitted.inexact |= first.is_none_or(|first| first % self.width_mbs.max(1) != 0);
                }
                _ => {}
            }
        }
        if admitted.slices > MAX_SLICES { Err("too many slices") } else { Ok(admitted) }
    }

    fn admit_set(&mut self, nal: &[u8]) -> Result<(), &'static str> {
        let known = self.known.iter().find(|(known, _)| **known == *nal);
        let width = match known {
            Some((_, width)) => *width,
            None if nal.len() > MAX_SET_BYTES => return Err("a parameter set of over 1024 bytes"),
            None if self.known.len() == MAX_SETS => return Err("too many different parameter sets"),
            None => {
                let width = if nal_type(nal) == NAL_SPS { Some(width_in_macroblocks(nal)?) } else { None };
                self.known.push((nal.into(), width));
                width
            }
        };
        self.width_mbs = width.unwrap_or(self.width_mbs);
        Ok(())
    }
}

/// `profile_idc` (ITU-T H.264 §A.2) of the profiles whose SPS our parser and the decoder's read alike. Of others it might
/// read other bounds.
const PROFILES: [u8; 6] = [66, 77, 88, 100, 110, 122];

/// What an SPS says of the width, if all that it says is within bounds.
fn width_in_macroblocks(nal: &[u8]) -> Result<u32, &'static str> {
    if !nal.get(1).is_some_and(|profile| PROFILES.contains(profile)) {
        return Err("a profile that is not known here");
    }
    let rbsp = decode_nal(nal).map_err(|_| "an SPS that cannot be read")?;
    let sps = SeqParameterSet::from_bits(BitReader::new(&*rbsp)).map_err(|_| "an SPS that cannot be read")?;
    let (width, height) = (sps.pic_width_in_mbs_minus1, sps.pic_height_in_map_units_minus1);
    // Where fields may be coded a map unit is two rows (§7.4.2.1.1). Frames of such a stream are decoded; a field is refused.
    let rows = match sps.frame_mbs_flags {
        FrameMbsFlags::Frames => u64::from(height) + 1,
        FrameMbsFlags::Fields { .. } => 2 * (u64::from(height) + 1),
    };
    if matches!(sps.frame_mbs_flags, FrameMbsFlags::Fields { mb_adaptive_frame_field_flag: true }) {
        Err("field coding")
    } else if sps.frame_cropping.is_some_and(|crop| crop.left_offset > 0 || crop.top_offset > 0) {
        Err("a picture cut at its left or upper edge")
    } else if width >= MAX_MBS[0] || rows > u64::from(MAX_MBS[1]) {
        Err("a picture of over 4096x2304")
    } else if sps.max_num_ref_frames > MAX_REFERENCES {
        Err("too many reference frames")
    } else {
        Ok(width + 1)
    }
}

/// `first_mb_in_slice`, the first Exp-Golomb code of a slice (ITU-T H.264 §7.3.3, §9.1). Fewer macroblocks than our
/// limit never make an emulation prevention byte there.
fn first_macroblock(nal: &[u8]) -> Option<u32> {
    let mut bytes = [0; 4];
    for (to, from) in bytes.iter_mut().zip(nal.get(1..)?) {
        *to = *from;
    }
    let bits = u32::from_be_bytes(bytes);
    let zeros = bits.leading_zeros();
    (zeros < 16).then(|| (bits >> (31 - 2 * zeros)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lecture::FPS;
    use crate::openh264::{Encoder, EncoderSettings};
    use amphi_media::PictureSize;

    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 1], *nal].concat()).collect()
    }

    const fn admitted(idr: bool, slices: usize, sets: bool) -> Admitted {
        Admitted { idr, slices, sets, inexact: false }
    }

    fn sps() -> Vec<u8> {
        let size = PictureSize { width: 426, height: 240 };
        let encoder = Encoder::new(EncoderSettings { size, fps: FPS, bitrate_bps: 300_000 });
        encoder.expect("an encoder").parameter_sets().sps.to_vec()
    }

    #[test]
    fn slices_are_told_by_their_first_macroblock() {
        // ue(v): 1, 010, 00100, and 0000001000000 for 63.
        assert_eq!(first_macroblock(&[0x65, 0x80]), Some(0));
        assert_eq!(first_macroblock(&[0x65, 0b0100_0000]), Some(1));
        assert_eq!(first_macroblock(&[0x65, 0b0010_0000]), Some(3));
        assert_eq!(first_macroblock(&[0x65, 0b0000_0010, 0b0000_0000]), Some(63));
        assert_eq!(first_macroblock(&[0x65]), None);
        assert_eq!(first_macroblock(&[0x65, 0, 0, 1]), None);
        let mut guard = ParameterSetGuard::default();
        // 427 samples are 27 macroblocks: ue(27) is 000011100.
        let second_row = [0x41, 0b0000_1110, 0];
        assert_eq!(guard.admit(&unit(&[&sps(), &[0x65, 0x80], &second_row])), Ok(admitted(true, 2, true)));
        assert_eq!(guard.admit(&unit(&[&second_row])), Ok(admitted(false, 1, false)));
        let mid_row = guard.admit(&unit(&[&[0x41, 0b0100_0000]])).expect("admitted");
        assert!(mid_row.inexact, "from the second macroblock on");
    }

    #[test]
    fn parameter_sets_without_end_and_pictures_without_measure_are_refused() {
        let mut guard = ParameterSetGuard::default();
        let pps = |n: u8| vec![0x68, 0x80, n, 1];
        for n in 0..16 {
            assert_eq!(guard.admit(&unit(&[&pps(n)])), Ok(admitted(false, 0, false)));
            assert_eq!(guard.admit(&unit(&[&pps(n)])), Ok(admitted(false, 0, false)), "nothing new");
        }
        assert!(guard.admit(&unit(&[&pps(16)])).is_err());
        assert!(ParameterSetGuard::default().admit(&unit(&[&[vec![0x68], vec![1; 2000]].concat()])).is_err());
        let slices: Vec<&[u8]> = vec![&[0x41, 0x80]; MAX_SLICES + 1];
        assert!(ParameterSetGuard::default().admit(&unit(&slices)).is_err());
        // Baseline, level 1, id 0, frame numbers of 4 bits, order of type 2 (011), then references, width, height.
        let baseline = |rest: &[u8]| [&[0x67, 66, 0, 10][..], rest].concat();
        // One reference, no gaps, 1x1 macroblock, frames only.
        let small = baseline(&[0b1101_1010, 0b0111_1001]);
        assert_eq!(ParameterSetGuard::default().admit(&unit(&[&small])), Ok(admitted(false, 0, true)));
        // 17 references: ue(17) is 000010010.
        let greedy = baseline(&[0b1101_1000, 0b0100_1001, 0b1110_0100]);
        assert_eq!(ParameterSetGuard::default().admit(&unit(&[&greedy])), Err("too many reference frames"));
        // 257 macroblocks in a row: ue(256) is 00000000100000001.
        let wide = baseline(&[0b1101_1010, 0b0000_0000, 0b0100_0000, 0b0111_1001]);
        assert_eq!(ParameterSetGuard::default().admit(&unit(&[&wide])), Err("a picture of over 4096x2304"));
        assert!(ParameterSetGuard::default().admit(&unit(&[&[0x67, 66]])).is_err());
        // The decoder reads more of this profile's SPS than our parser does.
        let foreign = [&[0x67, 118][..], &small[2..]].concat();
        assert_eq!(
            ParameterSetGuard::default().admit(&unit(&[&foreign])),
            Err("a profile that is not known here")
        );
    }
}
