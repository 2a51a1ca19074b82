//! H.264 bytes: NAL units, parameter sets, and both ways of storing them (Annex B of ITU-T H.264 and length prefixes,
//! ISO/IEC 14496-15 §5.3).

mod bits;
mod configuration;
mod entry;
mod sps;

use bytes::{Bytes, BytesMut};

pub use configuration::{AvcConfiguration, AvcError, avc_configuration};
pub use entry::{EntryPoint, frame_num, is_entry, is_idr, is_intra, recovery_point};
pub use sps::{Chroma, LARGEST, VideoDescription, describe};

/// `nal_unit_type` of a coded slice of a non-IDR picture (ITU-T H.264 table 7-1).
pub const NAL_SLICE: u8 = 1;
/// `nal_unit_type` of a coded slice of an IDR picture (ITU-T H.264 table 7-1).
pub const NAL_IDR: u8 = 5;
/// `nal_unit_type` of supplemental enhancement information.
pub const NAL_SEI: u8 = 6;
/// `nal_unit_type` of a sequence parameter set.
pub const NAL_SPS: u8 = 7;
/// `nal_unit_type` of a picture parameter set.
pub const NAL_PPS: u8 = 8;
/// `nal_unit_type` of an access unit delimiter.
pub const NAL_AUD: u8 = 9;

/// One sequence and one picture parameter set, without start codes or lengths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParameterSets {
    /// Sequence parameter set (ITU-T H.264 §7.3.2.1), with its NAL unit header.
    pub sps: Bytes,
    /// Picture parameter set (ITU-T H.264 §7.3.2.2), with its NAL unit header.
    pub pps: Bytes,
}

impl ParameterSets {
    /// Codec string (RFC 6381 §3.3): `avc1.` and profile, constraints and level in hexadecimal.
    pub fn codec_string(&self) -> String {
        match self.sps.get(1..4) {
            Some([profile, constraints, level]) => format!("avc1.{profile:02X}{constraints:02X}{level:02X}"),
            _ => "avc1".to_owned(),
        }
    }
}

/// `nal_unit_type` (ITU-T H.264 §7.3.1); 0, which is unspecified, for empty bytes.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |byte| byte & 0x1f)
}

/// The NAL units of a byte stream (ITU-T H.264 Annex B), without start codes and trailing zero bytes.
pub fn annex_b_nals(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        let current = rest?;
        let end = find_start_code(current).unwrap_or(current.len());
        rest = after_start_code(&current[end..]);
        let nal = &current[..end];
        let trailing = nal.iter().rev().take_while(|&&byte| byte == 0).count();
        Some(&nal[..nal.len() - trailing])
    })
    .filter(|nal| !nal.is_empty())
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| window == [0, 0, 1])
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    find_start_code(bytes).map(|at| &bytes[at + 3..])
}

/// The NAL units of a sample with 4-byte length prefixes. Stops at the first length that goes past the end.
pub fn sample_nals(sample: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = sample;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let nal = tail.get(..u32::from_be_bytes(*length) as usize)?;
        rest = &tail[nal.len()..];
        Some(nal)
    })
}

/// Appends `nal` with a 4-byte length prefix.
pub fn push_sample_nal(out: &mut BytesMut, nal: &[u8]) {
    out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    out.extend_from_slice(nal);
}

/// Rewrites a length-prefixed sample as an Annex B access unit, after the given parameter sets. `out` is cleared first.
pub fn to_annex_b(sample: &[u8], parameter_sets: Option<&ParameterSets>, out: &mut Vec<u8>) {
    const START: [u8; 4] = [0, 0, 0, 1];
    out.clear();
    let sets = parameter_sets.into_iter().flat_map(|sets| [&sets.sps[..], &sets.pps[..]]);
    for nal in sets.chain(sample_nals(sample)) {
        out.extend_from_slice(&START);
        out.extend_from_slice(nal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn annex_b_is_cut_at_both_kinds_of_start_code() {
        let stream = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 4];
        let nals: Vec<_> = annex_b_nals(&stream).collect();
        assert_eq!(nals, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 4]]);
    }

    #[test]
    fn a_lying_length_ends_the_sample() {
        assert_eq!(sample_nals(&[0, 0, 0, 1, 0x65, 0, 0, 0, 9, 1]).collect::<Vec<_>>(), [&[0x65][..]]);
    }

    proptest! {
        #[test]
        fn samples_survive_the_way_through_annex_b(
            nals in prop::collection::vec(prop::collection::vec(1_u8..=255, 1..40), 1..6)
        ) {
            let mut sample = BytesMut::new();
            for nal in &nals { push_sample_nal(&mut sample, nal); }
            let mut annex_b = Vec::new();
            to_annex_b(&sample, None, &mut annex_b);
            let back: Vec<Vec<u8>> = annex_b_nals(&annex_b).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(back, nals);
        }

        #[test]
        fn no_bytes_make_the_cutters_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = annex_b_nals(&bytes).count();
            let _ = sample_nals(&bytes).count();
        }
    }
}
