//! What the header of an MPEG audio frame says (ISO/IEC 11172-3 §2.4.1.3, 13818-3 §2.4.1.3, and "MPEG 2.5").

/// Samples per second of MPEG 1; half of it with MPEG 2, a quarter with MPEG 2.5.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];
const LAYER_III: u8 = 1;

/// Sample rate and channels of a frame of layer III; `None` if it is none.
pub(super) fn describe(frame: &[u8]) -> Option<(u32, u8)> {
    let [0xff, second, third, fourth] = *frame.first_chunk()? else { return None };
    let slower = match (second >> 5, (second >> 3) & 3) {
        (7, 3) => 0,
        (7, 2) => 1,
        (7, 0) => 2,
        _ => return None,
    };
    if (second >> 1) & 3 != LAYER_III || third >> 4 == 15 {
        return None;
    }
    let rate = RATES.get(usize::from((third >> 2) & 3))? >> slower;
    let mono = fourth >> 6 == 3;
    Some((rate, if mono { 1 } else { 2 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_channels_are_told() {
        assert_eq!(describe(&[0xff, 0xfb, 0x90, 0x44, 9]), Some((44_100, 2)));
        assert_eq!(describe(&[0xff, 0xfa, 0x94, 0xc0]), Some((48_000, 1)));
        assert_eq!(describe(&[0xff, 0xf3, 0x80, 0x00]), Some((22_050, 2)));
        assert_eq!(describe(&[0xff, 0xe3, 0x48, 0xc0]), Some((8_000, 1)));
        for other in [
            &[0xff_u8, 0xfb, 0x90][..],
            // Layer II, a reserved rate, a reserved version, an AAC unit, a bad bitrate.
            &[0xff, 0xfd, 0x90, 0x44],
            &[0xff, 0xfb, 0x9c, 0x44],
            &[0xff, 0xeb, 0x90, 0x44],
            &[0x21, 0x10, 4, 0x60],
            &[0xff, 0xfb, 0xf0, 0x44],
        ] {
            assert_eq!(describe(other), None, "{other:?}");
        }
    }
}
