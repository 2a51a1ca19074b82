//! The head of a media segment: `moof` and the header of `mdat` (ISO/IEC 14496-12 §8.8.4, §8.1.1).
//!
//! ```text
//! moof ─ mfhd                    sequence_number = k mod 2^32           §8.8.5
//!      ─ traf (picture)                                                 §8.8.6
//!          ─ tfhd                default-base-is-moof, default flags    §8.8.7
//!          ─ tfdt                version 1: 64-bit decode time          §8.8.12
//!          ─ trun                data offset, sizes, what varies        §8.8.8
//!      ─ traf (sound)            the same
//! mdat                           the picture's samples, then the sound's
//! ```
//!
//! What all samples of a track have in common stands in `tfhd`, so that a fragment is complete without the
//! defaults of `trex`; only what varies stands in `trun`.

use bytes::Bytes;

use super::{AUDIO_TRACK_ID, OTHER_SAMPLE, SYNC_SAMPLE, VIDEO_TRACK_ID};
use crate::container::isobmff::{BOX_HEADER, BoxWriter, FULL_BOX_HEADER};
use crate::media::{CellIndex, Segment, TrackCell};

/// `tfhd` flags: default-sample-duration-present, default-sample-flags-present, default-base-is-moof.
const TFHD_DURATION: u32 = 0x00_0008;
const TFHD_FLAGS: u32 = 0x00_0020;
const TFHD_BASE_IS_MOOF: u32 = 0x02_0000;

/// `trun` flags: data-offset-, first-sample-flags-, sample-duration-, sample-size-, sample-flags-present.
const TRUN_DATA_OFFSET: u32 = 0x001;
const TRUN_FIRST_FLAGS: u32 = 0x004;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;

const MFHD_SIZE: usize = FULL_BOX_HEADER + 4;
const TFDT_SIZE: usize = FULL_BOX_HEADER + 8;

/// The media segment of cell `k`: a new head before the tracks' own sample bytes.
pub fn segment(k: CellIndex, video: Option<&TrackCell>, audio: Option<&TrackCell>) -> Segment {
    Segment {
        head: segment_head(k, video, audio),
        video: video.map(|track| track.data.clone()),
        audio: audio.map(|track| track.data.clone()),
    }
}

/// Everything of the media segment of cell `k` that stands before its samples. The samples follow: those of
/// `video`, then those of `audio`.
pub fn segment_head(k: CellIndex, video: Option<&TrackCell>, audio: Option<&TrackCell>) -> Bytes {
    let video = video.map(|track| Fragment::new(VIDEO_TRACK_ID, track));
    let audio = audio.map(|track| Fragment::new(AUDIO_TRACK_ID, track));
    let fragments = || video.iter().chain(&audio);

    let moof = BOX_HEADER + MFHD_SIZE + fragments().map(Fragment::traf_size).sum::<usize>();
    let samples: usize = fragments().map(|fragment| fragment.track.data.len()).sum();
    let mut out = BoxWriter::new(moof + BOX_HEADER);
    out.header(*b"moof", moof);
    out.full_header(*b"mfhd", MFHD_SIZE, 0, 0);
    out.u32(k.0 as u32);
    let mut data_offset = moof + BOX_HEADER;
    for fragment in fragments() {
        fragment.write(&mut out, data_offset);
        data_offset += fragment.track.data.len();
    }
    out.header(*b"mdat", BOX_HEADER + samples);
    out.finish()
}

/// One `traf` to be written: a track's samples, and which of their fields vary.
struct Fragment<'a> {
    track_id: u32,
    track: &'a TrackCell,
    /// The one duration of all samples; `None` where they differ.
    duration: Option<u32>,
    flags: Flags,
}

/// How the sample flags are said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flags {
    /// All samples are sync samples.
    Sync,
    /// The first one alone is.
    FirstSync,
    /// Another pattern: a flag word for each.
    Each,
}

impl<'a> Fragment<'a> {
    fn new(track_id: u32, track: &'a TrackCell) -> Self {
        let first = track.samples.first();
        let duration =
            first.map(|first| first.duration).filter(|&d| track.samples.iter().all(|s| s.duration == d));
        let flags = match first {
            _ if track.samples.iter().all(|sample| sample.sync) => Flags::Sync,
            Some(first) if first.sync && !track.samples.iter().skip(1).any(|s| s.sync) => Flags::FirstSync,
            _ => Flags::Each,
        };
        Self { track_id, track, duration, flags }
    }

    fn traf_size(&self) -> usize {
        BOX_HEADER + self.tfhd_size() + TFDT_SIZE + self.trun_size()
    }

    fn tfhd_size(&self) -> usize {
        FULL_BOX_HEADER + 4 + 4 + if self.duration.is_some() { 4 } else { 0 }
    }

    fn trun_size(&self) -> usize {
        let first_flags = if self.flags == Flags::FirstSync { 4 } else { 0 };
        let fields = 1 + usize::from(self.duration.is_none()) + usize::from(self.flags == Flags::Each);
        FULL_BOX_HEADER + 4 + 4 + first_flags + self.track.samples.len() * fields * 4
    }

    /// Writes the `traf`; its first sample lies `data_offset` bytes behind the start of the `moof`.
    fn write(&self, out: &mut BoxWriter, data_offset: usize) {
        out.header(*b"traf", self.traf_size());
        self.write_tfhd(out);
        out.full_header(*b"tfdt", TFDT_SIZE, 1, 0);
        // Decode times are unix time: none lies before the epoch.
        out.u64(u64::try_from(self.track.start).unwrap_or(0));
        self.write_trun(out, data_offset);
    }

    fn write_tfhd(&self, out: &mut BoxWriter) {
        let duration_flag = if self.duration.is_some() { TFHD_DURATION } else { 0 };
        out.full_header(*b"tfhd", self.tfhd_size(), 0, TFHD_BASE_IS_MOOF | TFHD_FLAGS | duration_flag);
        out.u32(self.track_id);
        if let Some(duration) = self.duration {
            out.u32(duration);
        }
        out.u32(if self.flags == Flags::Sync { SYNC_SAMPLE } else { OTHER_SAMPLE });
    }

    fn write_trun(&self, out: &mut BoxWriter, data_offset: usize) {
        let mut flags = TRUN_DATA_OFFSET | TRUN_SIZE;
        if self.duration.is_none() {
            flags |= TRUN_DURATION;
        }
        flags |= match self.flags {
            Flags::Sync => 0,
            Flags::FirstSync => TRUN_FIRST_FLAGS,
            Flags::Each => TRUN_FLAGS,
        };
        out.full_header(*b"trun", self.trun_size(), 0, flags);
        out.u32(self.track.samples.len() as u32);
        out.u32(data_offset as u32);
        if self.flags == Flags::FirstSync {
            out.u32(SYNC_SAMPLE);
        }
        for sample in self.track.samples.iter() {
            if self.duration.is_none() {
                out.u32(sample.duration);
            }
            out.u32(sample.size);
            if self.flags == Flags::Each {
                out.u32(if sample.sync { SYNC_SAMPLE } else { OTHER_SAMPLE });
            }
        }
    }
}
