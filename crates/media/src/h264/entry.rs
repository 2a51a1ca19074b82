//! Where decoding may begin: at IDR pictures, recovery points (ITU-T H.264 §D.1.8, §D.2.8) and pictures of I slices only.
//!
//! [`EntryPoint`] prepares a recovery point for a decoder that has seen nothing before it. Its pictures refer to earlier ones
//! that the decoder never got. So the parameter set is changed to allow gaps in frame numbers (§8.2.5.2): the decoder then fills
//! the gap with pictures of its own, and the result is right, or nearly, once the recovery is complete.

use super::bits::{RbspBits, nal, overwrite, payload};
use super::sps::{VideoDescription, describe};
use super::{NAL_IDR, NAL_PPS, NAL_SEI, NAL_SLICE, NAL_SPS, annex_b_nals, nal_type, sample_nals};

/// How much of an SEI NAL unit is read. Encoders write their settings into one, about 700 bytes.
const SEI_BYTES: usize = 4096;
/// Bytes of a slice header that are needed to read up to `pic_order_cnt_lsb`.
const HEAD_BYTES: usize = 32;
/// Recovery points that take more pictures than this are ignored.
const MOST_FRAMES: u32 = 1024;

/// `recovery_frame_cnt` of the recovery point in an SEI NAL unit; `None` if there is none.
pub fn recovery_point(nal: &[u8]) -> Option<u32> {
    const RECOVERY_POINT: usize = 6;
    if nal_type(nal) != NAL_SEI {
        return None;
    }
    let payload = payload(nal, SEI_BYTES);
    let mut rest = &payload[..];
    // After the last message only the byte with the stop bit is left (§7.3.2.3.1).
    while rest.len() > 2 {
        let kind = sei_number(&mut rest)?;
        let size = sei_number(&mut rest)?;
        let (message, behind) = rest.split_at(size.min(rest.len()));
        if kind == RECOVERY_POINT {
            return RbspBits::new(message).unsigned().filter(|frames| *frames <= MOST_FRAMES);
        }
        rest = behind;
    }
    None
}

/// A payload type or size (§7.3.2.3.1): any number of bytes of 255 and one smaller byte, added up.
fn sei_number(rest: &mut &[u8]) -> Option<usize> {
    let mut sum = 0;
    loop {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        sum += usize::from(byte);
        if byte != 255 {
            return Some(sum);
        }
    }
}

/// Whether decoding may begin with the picture of this NAL unit: it is an IDR slice or has a recovery point.
pub fn is_entry(nal: &[u8]) -> bool {
    nal_type(nal) == NAL_IDR || recovery_point(nal).is_some()
}

/// Whether a length-prefixed sample is an IDR picture.
pub fn is_idr(sample: &[u8]) -> bool {
    sample_nals(sample).any(|nal| nal_type(nal) == NAL_IDR)
}

/// Whether a length-prefixed sample has slices and all of them are I slices (`slice_type` 2 or 7, table 7-6).
pub fn is_intra(sample: &[u8]) -> bool {
    let mut slices =
        sample_nals(sample).filter(|nal| matches!(nal_type(nal), NAL_SLICE | NAL_IDR)).peekable();
    slices.peek().is_some()
        && slices.all(|nal| {
            let head = payload(nal, 8);
            let mut bits = RbspBits::new(&head);
            bits.unsigned().and_then(|_| bits.unsigned()).is_some_and(|kind| matches!(kind, 2 | 7))
        })
}

/// The beginning of a slice header (§7.3.3). Positions are in bits of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SliceHead {
    frame_num: u32,
    frame_num_at: usize,
    /// `pic_order_cnt_lsb` and its position, if the SPS says that slices have it.
    order: Option<(u32, usize)>,
}

impl SliceHead {
    fn read(nal: &[u8], sps: &VideoDescription) -> Option<Self> {
        let head = payload(nal, HEAD_BYTES);
        let mut bits = RbspBits::new(&head);
        // first_mb_in_slice, slice_type, pic_parameter_set_id.
        bits.unsigned()?;
        bits.unsigned()?;
        bits.unsigned()?;
        if sps.separate_planes {
            bits.fixed(2)?;
        }
        let frame_num_at = bits.position();
        let frame_num = bits.fixed(sps.frame_num_bits)?;
        if sps.interlaced && bits.flag()? {
            bits.flag()?;
        }
        if nal_type(nal) == NAL_IDR {
            bits.unsigned()?;
        }
        let order_at = bits.position();
        let order = if sps.order_bits > 0 { Some((bits.fixed(sps.order_bits)?, order_at)) } else { None };
        Some(Self { frame_num, frame_num_at, order })
    }
}

/// `frame_num` of the first slice of an Annex B access unit.
pub fn frame_num(unit: &[u8], sps: &VideoDescription) -> Option<u32> {
    let slice = annex_b_nals(unit).find(|nal| matches!(nal_type(nal), NAL_SLICE | NAL_IDR))?;
    SliceHead::read(slice, sps).map(|head| head.frame_num)
}

/// An access unit in Annex B, with its parameter sets, at which decoding begins although it is not an IDR picture.
#[derive(Clone, Debug)]
pub struct EntryPoint {
    /// How many frames it takes until pictures are right (`recovery_frame_cnt`).
    pub frames: u32,
    /// `frame_num` of its picture.
    pub frame_num: u32,
    /// What its sequence parameter set says.
    pub sps: VideoDescription,
    order: Option<u32>,
    unit: Vec<u8>,
}

impl EntryPoint {
    /// Reads an Annex B access unit; `None` if it lacks an SPS, or its SPS or slice header cannot be read.
    pub fn of(unit: &[u8]) -> Option<Self> {
        let set = annex_b_nals(unit).find(|nal| nal_type(nal) == NAL_SPS)?;
        let sps = describe(set)?;
        let slice = annex_b_nals(unit).find(|nal| nal_type(nal) == NAL_SLICE)?;
        let head = SliceHead::read(slice, &sps)?;
        let frames = annex_b_nals(unit).find_map(recovery_point).unwrap_or(0);
        let mut start = Self {
            frames,
            frame_num: head.frame_num,
            order: head.order.map(|(order, _)| order),
            unit: Vec::with_capacity(unit.len() + 16),
            sps,
        };
        for nal in annex_b_nals(unit) {
            if nal_type(nal) == NAL_SPS {
                push(&mut start.unit, &with_gaps(nal, &start.sps));
            } else {
                push(&mut start.unit, nal);
            }
        }
        Some(start)
    }

    /// The access unit in Annex B, its SPS changed to allow gaps in frame numbers.
    pub fn unit(&self) -> &[u8] {
        &self.unit
    }

    /// A copy of the access unit that stands for the pictures before it: it is to be decoded first and not shown. `None` if the
    /// gap in frame numbers is enough. A `frame_num` shortly after zero, where a decoder begins, leaves no gap to be filled. A
    /// picture order count in the second half of its range would be taken for one before zero.
    pub fn before(&self) -> Option<Vec<u8>> {
        let near = (1..=self.sps.references.max(1)).contains(&self.frame_num);
        let half = (1 << self.sps.order_bits) / 2;
        let late = self.order.is_some_and(|order| order >= half);
        if !near && !late {
            return None;
        }
        let mut copy = Vec::with_capacity(self.unit.len() + 16);
        for unit in annex_b_nals(&self.unit) {
            match (nal_type(unit), SliceHead::read(unit, &self.sps)) {
                (NAL_SLICE, Some(head)) => {
                    let mut payload = payload(unit, usize::MAX);
                    let number =
                        head.frame_num.wrapping_add(self.sps.frame_nums() / 2) % self.sps.frame_nums();
                    overwrite(&mut payload, head.frame_num_at, self.sps.frame_num_bits, number);
                    if let Some((order, at)) = head.order {
                        overwrite(&mut payload, at, self.sps.order_bits, order.min(half - 1));
                    }
                    push(&mut copy, &nal(unit.first().copied().unwrap_or(0), &payload));
                }
                (NAL_SPS | NAL_PPS, _) => push(&mut copy, unit),
                _ => {}
            }
        }
        Some(copy)
    }
}

fn push(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(nal);
}

/// The SPS with `gaps_in_frame_num_value_allowed_flag` set.
fn with_gaps(set: &[u8], sps: &VideoDescription) -> Vec<u8> {
    let mut payload = payload(set, usize::MAX);
    overwrite(&mut payload, sps.gaps_bit, 1, 1);
    nal(set.first().copied().unwrap_or(0), &payload)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::super::push_sample_nal;
    use super::*;

    /// As x264 writes it: user data, then a recovery point with `recovery_frame_cnt` 0 and an exact match, then the stop bit.
    const SEI: [u8; 9] = [6, 5, 2, 0xaa, 0xbb, 6, 1, 0xc4, 0x80];
    const SPS: [u8; 24] = [
        0x67, 0x64, 0x00, 0x1e, 0xac, 0x6d, 0x01, 0x40, 0x5f, 0xf2, 0xe0, 0x22, 0, 0, 3, 0, 2, 0, 0, 3, 0,
        0x64, 0x1e, 0x2c,
    ];

    #[test]
    fn a_recovery_point_is_found_among_other_messages() {
        assert_eq!(recovery_point(&SEI), Some(0));
        // ue(39) is 00000101000.
        assert_eq!(recovery_point(&[6, 6, 2, 0b0000_0101, 0b0001_0000, 0x80]), Some(39));
        assert_eq!(recovery_point(&[6, 5, 200, 6, 1, 0x80]), None, "a message that is longer than it is");
        assert_eq!(recovery_point(&[6, 1, 1, 0x84, 0x80]), None, "another message");
        assert_eq!(recovery_point(&[7, 6, 1, 0xc4, 0x80]), None, "no SEI");
        assert!(is_entry(&SEI) && is_entry(&[0x65, 1]) && !is_entry(&[0x41, 1]));
    }

    #[test]
    fn pictures_of_i_slices_are_told_from_others() {
        let sample = |nals: &[&[u8]]| {
            let mut out = BytesMut::new();
            for nal in nals {
                push_sample_nal(&mut out, nal);
            }
            out
        };
        // ue: 0 is 1, 7 is 0001000, 2 is 011, 5 is 00110.
        let (i_all, i_one, p) = ([0x41, 0b1000_1000, 0x80], [0x41, 0b1011_1000], [0x41, 0b1001_1010]);
        assert!(is_intra(&sample(&[&SEI, &i_all])) && is_intra(&sample(&[&i_one, &i_one])));
        assert!(!is_intra(&sample(&[&i_one, &p])) && !is_intra(&sample(&[&SEI])) && !is_intra(&[]));
    }

    #[test]
    fn a_start_allows_gaps_and_knows_its_place() {
        // A slice header for this SPS: three ue(v) of one bit each, frame_num 1, pic_order_cnt_lsb 6.
        let sps = describe(&SPS).expect("a set");
        let mut payload = vec![0xe0; 40];
        payload[0] = 0b1111_1000;
        overwrite(&mut payload, 3, sps.frame_num_bits, 1);
        overwrite(&mut payload, 3 + sps.frame_num_bits as usize, sps.order_bits, 6);
        let mut unit = Vec::new();
        for part in [&SPS[..], &[0x68, 0xee], &SEI, &nal(0x41, &payload)] {
            push(&mut unit, part);
        }
        let start = EntryPoint::of(&unit).expect("a start");
        assert_eq!((start.frames, start.frame_num), (0, 1));
        let set = annex_b_nals(start.unit()).next().expect("a set");
        assert_ne!(set, SPS);
        assert_eq!(
            describe(set).map(|set| (set.width, set.height, set.gaps_bit)),
            Some((640, 360, sps.gaps_bit))
        );
        let before = start.before().expect("a number shortly after zero");
        let wanted = (1 + start.sps.frame_nums() / 2) % start.sps.frame_nums();
        assert_eq!(frame_num(&before, &sps), Some(wanted));
        assert_eq!(frame_num(start.unit(), &sps), Some(1));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            set in prop::collection::vec(any::<u8>(), 0..40), slice in prop::collection::vec(any::<u8>(), 0..80)
        ) {
            let _ = (recovery_point(&slice), is_entry(&slice), is_intra(&slice));
            let mut unit = Vec::new();
            for part in [&SPS[..], &[&[0x67][..], &set].concat(), &[&[6][..], &slice].concat(), &[&[0x41][..], &slice].concat()] {
                let set_first = unit.clone();
                push(&mut unit, part);
                for unit in [&unit, &set_first] {
                    if let Some(start) = EntryPoint::of(unit) {
                        let _ = (start.before(), start.unit().len());
                    }
                }
            }
        }
    }
}
