//! The head of a segment: `moof` (ISO/IEC 14496-12 §8.8.4) and the header of `mdat`, written into one
//! allocation of known size.

use bytes::{BufMut, Bytes, BytesMut};

use crate::media::{CellIndex, SampleEntry, TrackCell};

use super::{AUDIO_TRACK, VIDEO_TRACK};

/// `sample_depends_on` = 2: a sync sample (§8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// `sample_depends_on` = 1 and `sample_is_non_sync_sample`.
const NON_SYNC: u32 = 0x0101_0000;

const BOX: usize = 8;
const FULL_BOX: usize = 12;
const MFHD: usize = FULL_BOX + 4;
/// track_ID, default_sample_duration, default_sample_flags.
const TFHD: usize = FULL_BOX + 4 + 4 + 4;
/// 64-bit baseMediaDecodeTime.
const TFDT: usize = FULL_BOX + 8;
/// sample_count, data_offset.
const TRUN: usize = FULL_BOX + 4 + 4;

/// tfhd: default-base-is-moof, default-sample-duration-present, default-sample-flags-present (§8.8.7).
const TFHD_FLAGS: u32 = 0x02_0000 | 0x08 | 0x20;
/// trun: data-offset-present, sample-size-present (§8.8.8).
const TRUN_FLAGS: u32 = 0x01 | 0x200;
/// trun: sample-flags-present, where samples differ.
const TRUN_SAMPLE_FLAGS: u32 = 0x400;

struct Run<'a> {
    track: u32,
    cell: &'a TrackCell,
    /// Sound samples are all sync samples and need no flags of their own.
    flagged: bool,
}

impl Run<'_> {
    fn trun_len(&self) -> usize {
        TRUN + self.cell.samples.len() * if self.flagged { 8 } else { 4 }
    }

    fn traf_len(&self) -> usize {
        BOX + TFHD + TFDT + self.trun_len()
    }

    fn write(&self, out: &mut BytesMut, data_offset: usize) {
        let samples: &[SampleEntry] = &self.cell.samples;
        box_header(out, self.traf_len(), *b"traf");

        full_box_header(out, TFHD, *b"tfhd", 0, TFHD_FLAGS);
        out.put_u32(self.track);
        out.put_u32(samples.first().map_or(0, |sample| sample.duration));
        out.put_u32(if self.flagged { NON_SYNC } else { SYNC });

        full_box_header(out, TFDT, *b"tfdt", 1, 0);
        out.put_i64(self.cell.start);

        let flags = TRUN_FLAGS | if self.flagged { TRUN_SAMPLE_FLAGS } else { 0 };
        full_box_header(out, self.trun_len(), *b"trun", 0, flags);
        out.put_u32(samples.len() as u32);
        out.put_u32(data_offset as u32);
        for sample in samples {
            out.put_u32(sample.size);
            if self.flagged {
                out.put_u32(if sample.sync { SYNC } else { NON_SYNC });
            }
        }
    }
}

/// The head of cell `k`. `mfhd.sequence_number` is the low 32 bits of *k* (§8.8.5: it rises; nothing reads it).
pub(super) fn head(k: CellIndex, video: Option<&TrackCell>, audio: Option<&TrackCell>) -> Bytes {
    let video = video.map(|cell| Run { track: VIDEO_TRACK, cell, flagged: true });
    let audio = audio.map(|cell| Run { track: AUDIO_TRACK, cell, flagged: false });
    let runs = [video, audio];
    let moof_len = BOX + MFHD + runs.iter().flatten().map(Run::traf_len).sum::<usize>();
    let data_len: usize = runs.iter().flatten().map(|run| run.cell.data.len()).sum();
    let mut out = BytesMut::with_capacity(moof_len + BOX);

    box_header(&mut out, moof_len, *b"moof");
    full_box_header(&mut out, MFHD, *b"mfhd", 0, 0);
    out.put_u32(k.0 as u32);
    // data_offset counts from the first byte of moof.
    let mut data_offset = moof_len + BOX;
    for run in runs.iter().flatten() {
        run.write(&mut out, data_offset);
        data_offset += run.cell.data.len();
    }
    box_header(&mut out, BOX + data_len, *b"mdat");
    out.freeze()
}

fn box_header(out: &mut BytesMut, size: usize, kind: [u8; 4]) {
    out.put_u32(size as u32);
    out.put_slice(&kind);
}

fn full_box_header(out: &mut BytesMut, size: usize, kind: [u8; 4], version: u8, flags: u32) {
    box_header(out, size, kind);
    out.put_u32(u32::from(version) << 24 | flags);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mp4_atom::{Decode, Moof};

    use super::*;

    fn cell(start: i64, duration: u32, samples: &[(u32, bool)]) -> TrackCell {
        let samples: Arc<[_]> =
            samples.iter().map(|&(size, sync)| SampleEntry { size, duration, sync }).collect();
        let len: u32 = samples.iter().map(|sample| sample.size).sum();
        TrackCell { start, data: vec![7; len as usize].into(), samples }
    }

    #[test]
    fn another_reader_finds_every_sample() {
        let video = cell(160_000_000_000_000, 6000, &[(500, true), (20, false), (30, false)]);
        let audio = cell(85_333_333_333_504, 1024, &[(180, true), (190, true)]);
        let k = CellIndex(0x1_0000_0005);
        let bytes = head(k, Some(&video), Some(&audio));
        let moof = Moof::decode(&mut &bytes[..]).expect("a sound moof");
        assert_eq!(moof.mfhd.sequence_number, 5);
        let moof_len = bytes.len() - 8;
        for (traf, cell, track) in [(&moof.traf[0], &video, 1), (&moof.traf[1], &audio, 2)] {
            assert_eq!(traf.tfhd.track_id, track);
            assert_eq!(traf.tfdt.as_ref().expect("tfdt").base_media_decode_time as i64, cell.start);
            assert_eq!(traf.tfhd.default_sample_duration, Some(cell.samples[0].duration));
            let trun = &traf.trun[0];
            let offset = if track == 1 { bytes.len() } else { bytes.len() + video.data.len() };
            assert_eq!(trun.data_offset, Some(offset as i32));
            let sizes: Vec<_> = trun.samples.iter().filter_map(|entry| entry.size).collect();
            assert_eq!(sizes, cell.samples.iter().map(|sample| sample.size).collect::<Vec<_>>());
        }
        let flags: Vec<_> = moof.traf[0].trun[0].samples.iter().filter_map(|entry| entry.flags).collect();
        assert_eq!(flags, [SYNC, NON_SYNC, NON_SYNC]);
        let mdat = &bytes[moof_len..];
        assert_eq!(mdat, [&(8 + 550 + 370_u32).to_be_bytes()[..], b"mdat"].concat());
    }
}
