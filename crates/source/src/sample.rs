//! Samples as the rest of the server takes them: which NAL units stay in an access unit.

use bytes::{Bytes, BytesMut};

use amphi_media::h264::{self, NAL_AUD};

/// `nal_unit_type` of filler data (ITU-T H.264 table 7-1).
const NAL_FILLER: u8 = 12;
/// The highest `nal_unit_type` of a coded slice, except for extensions (ITU-T H.264 table 7-1).
const LAST_SLICE: u8 = 5;

/// An access unit without delimiters and filler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccessUnit {
    pub(super) data: Bytes,
    /// It holds an IDR slice, or a recovery point that serves as one: decoding can begin with it.
    pub(super) idr: bool,
}

/// Takes access unit delimiters (ISO/IEC 14496-15 §5.3.2 advises against them in samples) and filler out of
/// a length-prefixed access unit. `None` if it has no slice. Copies only if something inside must go; a
/// delimiter at the beginning, where it belongs, is cut off.
pub(super) fn clean(data: &Bytes) -> Option<AccessUnit> {
    let (mut idr, mut slices, mut leading, mut inside) = (false, 0, 0, false);
    for (index, nal) in h264::sample_nals(data).enumerate() {
        match h264::nal_type(nal) {
            NAL_AUD if index == 0 => leading = 4 + nal.len(),
            NAL_AUD | NAL_FILLER => inside = true,
            1..=LAST_SLICE => slices += 1,
            _ => {}
        }
        idr |= h264::is_entry(nal);
    }
    if slices == 0 {
        return None;
    }
    if !inside {
        return Some(AccessUnit { data: data.slice(leading..), idr });
    }
    let mut kept = BytesMut::with_capacity(data.len());
    for nal in h264::sample_nals(data) {
        if !matches!(h264::nal_type(nal), NAL_AUD | NAL_FILLER) {
            h264::push_sample_nal(&mut kept, nal);
        }
    }
    Some(AccessUnit { data: kept.freeze(), idr })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(nals: &[&[u8]]) -> Bytes {
        let mut out = BytesMut::new();
        for nal in nals {
            h264::push_sample_nal(&mut out, nal);
        }
        out.freeze()
    }

    #[test]
    fn a_leading_delimiter_is_cut_off_without_copying() {
        let whole = sample(&[&[9, 0xf0], &[6, 1], &[0x65, 2, 3]]);
        let picture = clean(&whole).unwrap();
        assert!(picture.idr);
        assert_eq!(picture.data, sample(&[&[6, 1], &[0x65, 2, 3]]));
        assert_eq!(picture.data.as_ptr(), whole[6..].as_ptr());
    }

    #[test]
    fn filler_and_late_delimiters_go() {
        let picture = clean(&sample(&[&[6, 1], &[9, 0xf0], &[0x41, 2], &[12, 0xff], &[0x41, 3]])).unwrap();
        assert!(!picture.idr);
        assert_eq!(picture.data, sample(&[&[6, 1], &[0x41, 2], &[0x41, 3]]));
    }

    #[test]
    fn a_recovery_point_is_a_place_to_begin() {
        let recovery = [6, 6, 1, 0xc4, 0x80];
        assert!(clean(&sample(&[&recovery, &[0x41, 2]])).unwrap().idr);
        assert!(!clean(&sample(&[&[6, 1, 1, 0x84, 0x80], &[0x41, 2]])).unwrap().idr);
    }

    #[test]
    fn units_without_a_slice_are_no_pictures() {
        assert_eq!(clean(&sample(&[&[9, 0xf0], &[6, 1]])), None);
        assert_eq!(clean(&Bytes::new()), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_only_delimiters_and_filler_go(
            nals in prop::collection::vec(prop::collection::vec(0_u8..=31, 1..5), 0..8)
        ) {
            let refs: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
            let kept: Vec<&[u8]> =
                refs.iter().copied().filter(|nal| !matches!(h264::nal_type(nal), NAL_AUD | NAL_FILLER)).collect();
            if let Some(picture) = clean(&sample(&refs)) {
                prop_assert_eq!(picture.data, sample(&kept));
            } else {
                prop_assert!(!kept.iter().any(|nal| (1..=5).contains(&h264::nal_type(nal))));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = clean(&bytes.into());
        }
    }
}
