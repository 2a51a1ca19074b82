//! The head of a media segment: `moof` and the header of `mdat` (ISO/IEC 14496-12 §8.8.4, §8.1.1).
//!
//! ```text
//! moof ─ mfhd                    sequence_number                       §8.8.5
//!      ─ traf (first track)                                             §8.8.6
//!          ─ tfhd                default-base-is-moof, default flags    §8.8.7
//!          ─ tfdt                version 1: 64-bit decode time          §8.8.12
//!          ─ trun                data offset, sizes, what varies        §8.8.8
//!      ─ traf (second track)     the same
//! mdat                           the first track's samples, then the second's
//! ```
//!
//! Samples that are made here, and not read from a recording's file, stand in `mdat` before all others. A track that has
//! some of both has a `trun` for each run of one kind.
//!
//! Values that all samples of a track share stand in `tfhd`, so a fragment does not depend on the defaults of `trex`. Only
//! values that vary stand in `trun`.

use std::ops::Range;

use bytes::Bytes;

use super::super::isobmff::{BOX_HEADER, BoxWriter, FULL_BOX_HEADER};
use super::{AUDIO_TRACK_ID, OTHER_SAMPLE, SYNC_SAMPLE, VIDEO_TRACK_ID};
use amphi_media::{CellIndex, SampleEntry, Segment, TrackCell};

/// `tfhd` flags: default-sample-duration-present, default-sample-flags-present, default-base-is-moof.
const TFHD_DURATION: u32 = 0x00_0008;
const TFHD_FLAGS: u32 = 0x00_0020;
const TFHD_BASE_IS_MOOF: u32 = 0x02_0000;

/// `trun` flags: data-offset-, first-sample-flags-, sample-duration-, sample-size-, sample-flags-,
/// sample-composition-time-offsets-present.
const TRUN_DATA_OFFSET: u32 = 0x001;
const TRUN_FIRST_FLAGS: u32 = 0x004;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_COMPOSITION: u32 = 0x800;

const MFHD_SIZE: usize = FULL_BOX_HEADER + 4;
const TFDT_SIZE: usize = FULL_BOX_HEADER + 8;

/// The media segment of cell `k`: a new head and the tracks' own sample bytes. Its sequence number is `k` mod 2^32.
pub fn segment(k: CellIndex, video: Option<&TrackCell>, audio: Option<&TrackCell>) -> Segment {
    Segment {
        head: segment_head(k, video, audio),
        video: video.map(|track| track.data.clone()),
        audio: audio.map(|track| track.data.clone()),
    }
}

/// The head of the media segment of cell `k`: all bytes up to its first sample. The samples of `video` follow it, then
/// those of `audio`.
pub fn segment_head(k: CellIndex, video: Option<&TrackCell>, audio: Option<&TrackCell>) -> Bytes {
    let video = video.map(|track| of_cell(VIDEO_TRACK_ID, track));
    let audio = audio.map(|track| of_cell(AUDIO_TRACK_ID, track));
    fragment_head(k.0 as u32, video.iter().chain(&audio))
}

fn of_cell(
    track_id: u32,
    track: &TrackCell,
) -> TrackFragment<impl Iterator<Item = FragmentSample> + Clone + '_> {
    let sample = |&SampleEntry { size, duration, sync }: &SampleEntry| FragmentSample {
        size,
        duration,
        composition_offset: 0,
        sync,
    };
    // Decode times are unix time; none is before the epoch.
    TrackFragment::new(track_id, u64::try_from(track.start).unwrap_or(0), track.samples.iter().map(sample))
}

/// `moof` of these tracks and the header of the `mdat` with their samples, one track after the other: first those that are
/// made, then the others.
pub fn fragment_head<'a, I>(
    sequence_number: u32,
    tracks: impl Iterator<Item = &'a TrackFragment<I>> + Clone,
) -> Bytes
where
    I: Iterator<Item = FragmentSample> + Clone + 'a,
{
    let moof = BOX_HEADER + MFHD_SIZE + tracks.clone().map(TrackFragment::traf_size).sum::<usize>();
    let mut out = BoxWriter::new(moof + BOX_HEADER);
    out.header(*b"moof", moof);
    out.full_header(*b"mfhd", MFHD_SIZE, 0, 0);
    out.u32(sequence_number);
    let mut made_offset = moof + BOX_HEADER;
    let mut data_offset = made_offset + tracks.clone().map(|track| track.made_bytes).sum::<usize>();
    for track in tracks {
        track.write(&mut out, made_offset, data_offset);
        made_offset += track.made_bytes;
        data_offset += track.bytes - track.made_bytes;
    }
    out.header(*b"mdat", data_offset - moof);
    out.finish()
}

/// One sample as a `trun` describes it (§8.8.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentSample {
    /// Size in bytes.
    pub size: u32,
    /// Duration in ticks of the track's timescale.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks. Not negative, because ffmpeg would show such pictures late.
    pub composition_offset: u32,
    /// It is a sync sample: decoding can start here.
    pub sync: bool,
}

/// The samples of one track in a movie fragment (`traf`, §8.8.6), and which of their fields vary.
#[derive(Clone, Debug)]
pub struct TrackFragment<I> {
    track_id: u32,
    decode_time: u64,
    samples: I,
    count: usize,
    bytes: usize,
    /// How many of the first samples are made, and how many of the last ones.
    made: (usize, usize),
    /// Size of those together.
    made_bytes: usize,
    /// The duration of each sample, if all are the same.
    duration: Option<u32>,
    flags: SampleFlags,
    has_composition_offsets: bool,
}

/// Where the flags of the samples stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SampleFlags {
    /// All are sync samples: in `tfhd`.
    Sync,
    /// Only the first is a sync sample: in `tfhd`, and first-sample-flags in `trun`.
    FirstSync,
    /// Any other pattern: in `trun`, for each sample.
    Each,
}

impl<I: Iterator<Item = FragmentSample> + Clone> TrackFragment<I> {
    /// The track fragment of `samples`, the first of which has the decode time `decode_time` in ticks.
    pub fn new(track_id: u32, decode_time: u64, samples: I) -> Self {
        let first = samples.clone().next();
        let (mut count, mut bytes, mut syncs, mut is_one_duration) = (0, 0, 0, true);
        let mut has_composition_offsets = false;
        for sample in samples.clone() {
            count += 1;
            bytes += sample.size as usize;
            syncs += usize::from(sample.sync);
            is_one_duration &= first.is_some_and(|first| first.duration == sample.duration);
            has_composition_offsets |= sample.composition_offset != 0;
        }
        let flags = match first {
            _ if syncs == count => SampleFlags::Sync,
            Some(first) if first.sync && syncs == 1 => SampleFlags::FirstSync,
            _ => SampleFlags::Each,
        };
        let duration = first.map(|first| first.duration).filter(|_| is_one_duration);
        Self {
            track_id,
            decode_time,
            samples,
            count,
            bytes,
            made: (0, 0),
            made_bytes: 0,
            duration,
            flags,
            has_composition_offsets,
        }
    }

    /// The same, but so many of the first samples and of the last ones are made.
    #[must_use]
    pub fn with_made(self, before: usize, after: usize) -> Self {
        let before = before.min(self.count);
        let made = (before, after.min(self.count - before));
        let mut it = Self { made, ..self };
        it.made_bytes = it.runs().filter(|(_, is_made)| *is_made).map(|(run, _)| it.bytes_of(run)).sum();
        it
    }

    /// The runs of samples that stand together, and whether they are made.
    fn runs(&self) -> impl Iterator<Item = (Range<usize>, bool)> + use<I> {
        let (before, after) = self.made;
        let last = self.count - after;
        let runs = [(0..before, true), (before..last, false), (last..self.count, true)];
        let is_empty = self.count == 0;
        runs.into_iter().filter(move |(run, is_made)| !run.is_empty() || is_empty && !is_made)
    }

    fn of(&self, run: Range<usize>) -> impl Iterator<Item = FragmentSample> {
        self.samples.clone().skip(run.start).take(run.len())
    }

    fn bytes_of(&self, run: Range<usize>) -> usize {
        self.of(run).map(|sample| sample.size as usize).sum()
    }

    fn traf_size(&self) -> usize {
        let runs: usize = self.runs().map(|(run, _)| self.trun_size(run.start == 0, run.len())).sum();
        BOX_HEADER + self.tfhd_size() + TFDT_SIZE + runs
    }

    fn tfhd_size(&self) -> usize {
        FULL_BOX_HEADER + 4 + 4 + if self.duration.is_some() { 4 } else { 0 }
    }

    fn trun_size(&self, is_first: bool, count: usize) -> usize {
        let first_flags = if is_first && self.flags == SampleFlags::FirstSync { 4 } else { 0 };
        let fields = 1
            + usize::from(self.duration.is_none())
            + usize::from(self.flags == SampleFlags::Each)
            + usize::from(self.has_composition_offsets);
        FULL_BOX_HEADER + 4 + 4 + first_flags + count * fields * 4
    }

    /// Writes the `traf`. Its first sample that is made is `made_offset` bytes after the start of the `moof`, its first other
    /// one `data_offset` bytes.
    fn write(&self, out: &mut BoxWriter, mut made_offset: usize, data_offset: usize) {
        out.header(*b"traf", self.traf_size());
        self.write_tfhd(out);
        out.full_header(*b"tfdt", TFDT_SIZE, 1, 0);
        out.u64(self.decode_time);
        for (run, is_made) in self.runs() {
            self.write_trun(out, if is_made { made_offset } else { data_offset }, run.clone());
            made_offset += if is_made { self.bytes_of(run) } else { 0 };
        }
    }

    fn write_tfhd(&self, out: &mut BoxWriter) {
        let duration_flag = if self.duration.is_some() { TFHD_DURATION } else { 0 };
        out.full_header(*b"tfhd", self.tfhd_size(), 0, TFHD_BASE_IS_MOOF | TFHD_FLAGS | duration_flag);
        out.u32(self.track_id);
        if let Some(duration) = self.duration {
            out.u32(duration);
        }
        out.u32(if self.flags == SampleFlags::Sync { SYNC_SAMPLE } else { OTHER_SAMPLE });
    }

    fn write_trun(&self, out: &mut BoxWriter, data_offset: usize, run: Range<usize>) {
        let has_first_flags = run.start == 0 && self.flags == SampleFlags::FirstSync;
        let mut flags = TRUN_DATA_OFFSET | TRUN_SIZE;
        for (is_there, flag) in [
            (has_first_flags, TRUN_FIRST_FLAGS),
            (self.duration.is_none(), TRUN_DURATION),
            (self.flags == SampleFlags::Each, TRUN_FLAGS),
            (self.has_composition_offsets, TRUN_COMPOSITION),
        ] {
            flags |= if is_there { flag } else { 0 };
        }
        out.full_header(*b"trun", self.trun_size(run.start == 0, run.len()), 0, flags);
        out.u32(run.len() as u32);
        out.u32(data_offset as u32);
        if has_first_flags {
            out.u32(SYNC_SAMPLE);
        }
        for sample in self.of(run) {
            if self.duration.is_none() {
                out.u32(sample.duration);
            }
            out.u32(sample.size);
            if self.flags == SampleFlags::Each {
                out.u32(if sample.sync { SYNC_SAMPLE } else { OTHER_SAMPLE });
            }
            if self.has_composition_offsets {
                out.u32(sample.composition_offset);
            }
        }
    }
}
