//! AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1), read and written.

use bytes::{BufMut, Bytes, BytesMut};

use super::{NAL_PPS, NAL_SPS, ParameterSets, nal_type};

/// Why a record cannot be used. The file or the publisher is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvcError {
    /// It has another version than 1, or is shorter than its lengths say.
    #[error("its AVC configuration record is malformed")]
    Malformed,
    /// It has no SPS or no PPS; at least one of each is needed.
    #[error("it has {sps} sequence and {pps} picture parameter sets; one of each is the least")]
    Sets {
        /// Number of sequence parameter sets.
        sps: usize,
        /// Number of picture parameter sets.
        pps: usize,
    },
}

/// The fields of a record that are needed to decode its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvcConfiguration {
    /// Its sequence parameter sets, at least four bytes each.
    pub sps: Vec<Bytes>,
    /// Its picture parameter sets, none of them empty.
    pub pps: Vec<Bytes>,
    /// Size of the length prefix of each NAL unit in a sample, in bytes: 1 to 4.
    pub length_size: usize,
}

impl AvcConfiguration {
    /// Reads a record. The extensions of the High profiles at its end are not read.
    pub fn parse(record: &Bytes) -> Result<Self, AvcError> {
        let Some([1, _, _, _, lengths, sps_count]) = record.first_chunk() else {
            return Err(AvcError::Malformed);
        };
        let length_size = usize::from(lengths & 3) + 1;
        let mut rest = record.slice(6..);
        let sps = read_sets(&mut rest, usize::from(sps_count & 0x1f), NAL_SPS)?;
        let (&pps_count, _) = rest.split_first().ok_or(AvcError::Malformed)?;
        rest = rest.slice(1..);
        let pps = read_sets(&mut rest, usize::from(pps_count), NAL_PPS)?;
        Ok(Self { sps, pps, length_size })
    }

    /// The first set of each kind. A track of `avc3` may have none here and carry its sets in the samples.
    pub fn first_sets(&self) -> Result<ParameterSets, AvcError> {
        match (self.sps.first(), self.pps.first()) {
            (Some(sps), Some(pps)) => Ok(ParameterSets { sps: sps.clone(), pps: pps.clone() }),
            _ => Err(AvcError::Sets { sps: self.sps.len(), pps: self.pps.len() }),
        }
    }

    /// All sets but the first of each kind, sequence parameter sets first.
    pub fn further_sets(&self) -> impl Iterator<Item = &Bytes> {
        self.sps.iter().skip(1).chain(self.pps.iter().skip(1))
    }
}

fn read_sets(rest: &mut Bytes, count: usize, kind: u8) -> Result<Vec<Bytes>, AvcError> {
    let mut sets = Vec::with_capacity(count);
    for _ in 0..count {
        let length = rest.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)));
        let end = 2 + length.ok_or(AvcError::Malformed)?;
        // An SPS has its profile and level in its first four bytes.
        let least = if kind == NAL_SPS { 4 } else { 1 };
        if rest.len() < end || end < 2 + least || nal_type(&rest[2..]) != kind {
            return Err(AvcError::Malformed);
        }
        sets.push(rest.split_to(end).slice(2..));
    }
    Ok(sets)
}

/// Writes the record of `sets`, with the fields for High profiles where they apply. Ladders code 8 bits and 4:2:0 only
/// ([`Picture`](crate::Picture)), so those fields are constants.
pub fn avc_configuration(sets: &ParameterSets) -> BytesMut {
    let mut out = BytesMut::with_capacity(16 + sets.sps.len() + sets.pps.len());
    let profile: [u8; 3] =
        sets.sps.get(1..4).and_then(|bytes| bytes.try_into().ok()).unwrap_or([66, 0xc0, 31]);
    out.put_u8(1);
    out.put_slice(&profile);
    // Six bits set and lengthSizeMinusOne 3; three bits set and one SPS.
    out.put_slice(&[0xfc | 3, 0xe0 | 1]);
    out.put_u16(sets.sps.len() as u16);
    out.put_slice(&sets.sps);
    out.put_u8(1);
    out.put_u16(sets.pps.len() as u16);
    out.put_slice(&sets.pps);
    if matches!(profile[0], 100 | 110 | 122 | 144) {
        // chroma_format 1 (4:2:0), luma and chroma of 8 bits, no SPS extensions.
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
            let read = AvcConfiguration::parse(&record).expect("a record");
            assert_eq!((read.first_sets(), read.length_size), (Ok(sets(profile)), 4));
            assert_eq!(read.further_sets().count(), 0);
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
        let first = parse(&no_pps).and_then(|it| it.first_sets());
        assert_eq!(first, Err(AvcError::Sets { sps: 1, pps: 0 }));
        let two_pps = |record: &mut Vec<u8>| {
            record[13] = 2;
            record.extend([0, 2, 0x68, 8]);
        };
        assert_eq!(
            parse(&two_pps).map(|it| it.further_sets().cloned().collect()),
            Ok(vec![Bytes::from_static(&[0x68, 8])])
        );
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
