//! AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1), read and written.

use bytes::{BufMut, Bytes, BytesMut};

use crate::media::ParameterSets;
use crate::media::h264::{NAL_PPS, NAL_SPS, nal_type};

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvcError {
    /// Not version 1, or too short for what it announces.
    #[error("its AVC configuration record is malformed")]
    Malformed,
    /// One of each is the least.
    #[error("it has {sps} sequence and {pps} picture parameter sets; one of each is the least")]
    Sets {
        /// Sequence parameter sets.
        sps: usize,
        /// Picture parameter sets.
        pps: usize,
    },
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AvcConfiguration {
    /// The first of each kind.
    pub(super) sets: ParameterSets,
    /// All others.
    pub(super) further: Vec<Bytes>,
    /// Bytes of the length in front of each NAL unit of a sample: 1 to 4.
    pub(super) length_size: usize,
}

impl AvcConfiguration {
    /// Reads a record; what extensions of the High profiles follow is not needed.
    pub(super) fn parse(record: &Bytes) -> Result<Self, AvcError> {
        let Some([1, _, _, _, lengths, sps_count]) = record.first_chunk() else {
            return Err(AvcError::Malformed);
        };
        let length_size = usize::from(lengths & 3) + 1;
        let mut rest = record.slice(6..);
        let sps = read_sets(&mut rest, usize::from(sps_count & 0x1f), NAL_SPS)?;
        let (&pps_count, _) = rest.split_first().ok_or(AvcError::Malformed)?;
        rest = rest.slice(1..);
        let pps = read_sets(&mut rest, usize::from(pps_count), NAL_PPS)?;
        match (&sps[..], &pps[..]) {
            ([sps, more @ ..], [pps, others @ ..]) => {
                let sets = ParameterSets { sps: sps.clone(), pps: pps.clone() };
                Ok(Self { sets, further: [more, others].concat(), length_size })
            }
            _ => Err(AvcError::Sets { sps: sps.len(), pps: pps.len() }),
        }
    }
}

fn read_sets(rest: &mut Bytes, count: usize, kind: u8) -> Result<Vec<Bytes>, AvcError> {
    let mut sets = Vec::with_capacity(count);
    for _ in 0..count {
        let length = rest.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)));
        let end = 2 + length.ok_or(AvcError::Malformed)?;
        // The profile and level of an SPS stand in its first four bytes.
        let least = if kind == NAL_SPS { 4 } else { 1 };
        if rest.len() < end || end < 2 + least || nal_type(&rest[2..]) != kind {
            return Err(AvcError::Malformed);
        }
        sets.push(rest.split_to(end).slice(2..));
    }
    Ok(sets)
}

/// The record of `sets`, with the fields that the High profiles add: our ladders code pictures of 4:2:0 and
/// 8 bits.
pub(in crate::rtmp) fn avc_configuration(sets: &ParameterSets) -> BytesMut {
    let mut out = BytesMut::with_capacity(16 + sets.sps.len() + sets.pps.len());
    let profile: [u8; 3] =
        sets.sps.get(1..4).and_then(|bytes| bytes.try_into().ok()).unwrap_or([66, 0xc0, 31]);
    out.put_u8(1);
    out.put_slice(&profile);
    // Six bits set and lengths of 4 bytes; three bits set and one SPS.
    out.put_slice(&[0xfc | 3, 0xe0 | 1]);
    out.put_u16(sets.sps.len() as u16);
    out.put_slice(&sets.sps);
    out.put_u8(1);
    out.put_u16(sets.pps.len() as u16);
    out.put_slice(&sets.pps);
    if matches!(profile[0], 100 | 110 | 122 | 144) {
        // 4:2:0, luma and chroma of 8 bits, no SPS extensions.
        out.put_slice(&[0xfc | 1, 0xf8, 0xf8, 0]);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sets(profile: u8) -> ParameterSets {
        ParameterSets { sps: vec![0x67, profile, 0, 41, 9].into(), pps: vec![0x68, 7].into() }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for (profile, length) in [(66, 18), (100, 22)] {
            let record = avc_configuration(&sets(profile)).freeze();
            assert_eq!(record.len(), length);
            let expected = AvcConfiguration { sets: sets(profile), further: vec![], length_size: 4 };
            assert_eq!(AvcConfiguration::parse(&record), Ok(expected));
        }
    }

    #[test]
    fn what_we_cannot_carry_is_said() {
        let parse = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut record = avc_configuration(&sets(66)).to_vec();
            change(&mut record);
            AvcConfiguration::parse(&record.into())
        };
        assert_eq!(parse(&|record| record[0] = 2), Err(AvcError::Malformed));
        assert_eq!(parse(&|record| record.truncate(17)), Err(AvcError::Malformed));
        assert_eq!(parse(&|record| record[8] = 0x68), Err(AvcError::Malformed));
        let no_pps = |record: &mut Vec<u8>| {
            record.truncate(14);
            record[13] = 0;
        };
        assert_eq!(parse(&no_pps), Err(AvcError::Sets { sps: 1, pps: 0 }));
        let two_pps = |record: &mut Vec<u8>| {
            record[13] = 2;
            record.extend([0, 2, 0x68, 8]);
        };
        assert_eq!(parse(&two_pps).map(|it| it.further), Ok(vec![Bytes::from_static(&[0x68, 8])]));
    }

    proptest! {
        #[test]
        fn no_record_makes_it_panic(
            record in prop::collection::vec(any::<u8>(), 0..60), real: bool, place in 0..18_usize, byte: u8,
        ) {
            let mut record = if real { avc_configuration(&sets(66)).to_vec() } else { record };
            if let Some(place) = record.get_mut(place) { *place = byte; }
            let _ = AvcConfiguration::parse(&record.into());
        }
    }
}
