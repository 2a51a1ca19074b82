//! Initialization sections and the heads of media segments (ISO/IEC 14496-12 §8.8, 23000-19 §7.3). Sans-IO.
//!
//! All times are those of the recording: an edit list takes away the priming of sound and the delay of B pictures.
//! Composition offsets are never negative, because ffmpeg would show such pictures late.

use bytes::{BufMut, Bytes};

use super::super::mp4::{Extent, Media, Track};
use crate::container::isobmff::{BOX_HEADER, BoxWriter, FULL_BOX_HEADER, put_box, put_full_box};

/// Sample flags of a sync sample, and of any other (§8.8.3.1).
const SYNC: u32 = 0x0200_0000;
const OTHER: u32 = 0x0101_0000;

/// Some samples of a track; its place among the parts of a segment is its track number, less one.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The track.
    pub track: &'a Track,
    /// The first sample.
    pub from: u32,
    /// The first one behind.
    pub to: u32,
}

/// A segment that was not read yet: a head, and where the rest stands in the file.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Up to the first sample.
    pub head: Bytes,
    /// The samples in order.
    pub extents: Vec<Extent>,
}

impl Layout {
    /// Bytes in all.
    pub fn total_len(&self) -> u64 {
        self.head.len() as u64 + self.extents.iter().map(|extent| extent.len).sum::<u64>()
    }

    /// Bytes that it takes in memory.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.head.len() + self.extents.capacity() * size_of::<Extent>()
    }
}

/// `ftyp` and `moov` for segments of these tracks.
pub fn init_section(tracks: &[&Track]) -> Bytes {
    let mut out = Vec::with_capacity(1500);
    put_box(&mut out, *b"ftyp", |out| out.put_slice(b"iso6\0\0\0\0iso6mp41"));
    put_box(&mut out, *b"moov", |out| {
        put_full_box(out, *b"mvhd", 0, 0, |out| {
            out.put_bytes(0, 8);
            out.put_u32(1000);
            out.put_u32(0);
            out.put_u32(0x0001_0000);
            out.put_u16(0x0100);
            out.put_bytes(0, 10);
            out.put_slice(&UNITY);
            out.put_bytes(0, 24);
            out.put_u32(tracks.len() as u32 + 1);
        });
        for (track, id) in tracks.iter().zip(1..) {
            put_track(out, track, id);
        }
        put_box(out, *b"mvex", |out| {
            for id in 1..=tracks.len() as u32 {
                put_full_box(out, *b"trex", 0, 0, |out| {
                    for field in [id, 1, 0, 0, 0] {
                        out.put_u32(field);
                    }
                });
            }
        });
    });
    out.into()
}

/// No transformation (§8.2.2).
const UNITY: [u8; 36] = {
    let mut matrix = [0; 36];
    (matrix[1], matrix[17], matrix[32]) = (1, 1, 0x40);
    matrix
};

fn put_track(out: &mut Vec<u8>, track: &Track, id: u32) {
    let (handler, is_video) = if track.is_video() { (b"vide", true) } else { (b"soun", false) };
    put_box(out, *b"trak", |out| {
        put_full_box(out, *b"tkhd", 0, 3, |out| {
            out.put_bytes(0, 8);
            out.put_u32(id);
            out.put_bytes(0, 16);
            out.put_u16(0);
            out.put_u16(u16::from(!is_video));
            out.put_u16(if is_video { 0 } else { 0x0100 });
            out.put_u16(0);
            out.put_slice(&track.matrix);
            match track.coding.media {
                Media::Video { width, height } => {
                    out.put_u32(u32::from(width) << 16);
                    out.put_u32(u32::from(height) << 16);
                }
                Media::Audio { .. } => out.put_u64(0),
            }
        });
        let edit = track.origin.max(0) + track.lift;
        if edit > 0 {
            put_box(out, *b"edts", |out| {
                put_full_box(out, *b"elst", 1, 0, |out| {
                    out.put_u32(1);
                    // In fragmented files: up to the end (§8.6.6.1).
                    out.put_u64(0);
                    out.put_i64(edit);
                    out.put_u32(0x0001_0000);
                });
            });
        }
        put_box(out, *b"mdia", |out| {
            put_full_box(out, *b"mdhd", 0, 0, |out| {
                out.put_bytes(0, 8);
                out.put_u32(track.timescale);
                out.put_u32(0);
                out.put_u16(packed(&track.language));
                out.put_u16(0);
            });
            put_full_box(out, *b"hdlr", 0, 0, |out| {
                out.put_u32(0);
                out.put_slice(handler);
                out.put_bytes(0, 13);
            });
            put_box(out, *b"minf", |out| put_media(out, track, is_video));
        });
    });
}

fn put_media(out: &mut Vec<u8>, track: &Track, is_video: bool) {
    if is_video {
        put_full_box(out, *b"vmhd", 0, 1, |out| out.put_bytes(0, 8));
    } else {
        put_full_box(out, *b"smhd", 0, 0, |out| out.put_bytes(0, 4));
    }
    put_box(out, *b"dinf", |out| {
        put_full_box(out, *b"dref", 0, 0, |out| {
            out.put_u32(1);
            put_full_box(out, *b"url ", 0, 1, |_| {});
        });
    });
    put_box(out, *b"stbl", |out| {
        put_full_box(out, *b"stsd", 0, 0, |out| {
            out.put_u32(1);
            out.put_slice(&track.coding.entry);
        });
        for table in [b"stts", b"stsc", b"stco"] {
            put_full_box(out, *table, 0, 0, |out| out.put_u32(0));
        }
        put_full_box(out, *b"stsz", 0, 0, |out| out.put_u64(0));
    });
}

/// Three letters in 15 bits (§8.4.2.3).
fn packed(language: &str) -> u16 {
    language.bytes().take(3).fold(0, |word, letter| word << 5 | u16::from(letter & 0x1f))
}

/// The segment of these parts; `number` is its sequence number.
pub fn layout(parts: &[Part<'_>], number: u32) -> Layout {
    let runs: Vec<Run<'_>> = parts.iter().zip(1..).map(|(part, id)| Run::new(*part, id)).collect();
    let moof = BOX_HEADER + FULL_BOX_HEADER + 4 + runs.iter().map(Run::traf_size).sum::<usize>();
    let samples: u64 = runs.iter().map(|run| run.bytes).sum();
    let mut out = BoxWriter::new(moof + BOX_HEADER);
    out.header(*b"moof", moof);
    out.full_header(*b"mfhd", FULL_BOX_HEADER + 4, 0, 0);
    out.u32(number);
    let mut data = (moof + BOX_HEADER) as u64;
    for run in &runs {
        run.write(&mut out, data);
        data += run.bytes;
    }
    out.header(*b"mdat", BOX_HEADER + samples as usize);
    let extents = parts.iter().flat_map(|part| part.track.samples.extents(part.from, part.to)).collect();
    Layout { head: out.finish(), extents }
}

/// One `traf`: what all its samples have in common stands in `tfhd`, the rest in one `trun`.
struct Run<'a> {
    part: Part<'a>,
    id: u32,
    bytes: u64,
    /// The one duration of all samples.
    duration: Option<u32>,
    flags: Flags,
    compositions: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flags {
    Sync,
    FirstSync,
    Each,
}

impl<'a> Run<'a> {
    fn new(part: Part<'a>, id: u32) -> Self {
        let Part { track, from, to } = part;
        let samples = &track.samples;
        let first = samples.duration(from);
        let duration = (from..to).all(|index| samples.duration(index) == first).then_some(first);
        let flags = if samples.all_sync() {
            Flags::Sync
        } else if samples.is_sync(from) && !(from + 1..to).any(|index| samples.is_sync(index)) {
            Flags::FirstSync
        } else {
            Flags::Each
        };
        let compositions = samples.has_compositions();
        Self { part, id, bytes: samples.bytes(from, to), duration, flags, compositions }
    }

    fn count(&self) -> usize {
        (self.part.to - self.part.from) as usize
    }

    fn tfhd_size(&self) -> usize {
        FULL_BOX_HEADER + 8 + if self.duration.is_some() { 4 } else { 0 }
    }

    fn trun_size(&self) -> usize {
        let first = if self.flags == Flags::FirstSync { 4 } else { 0 };
        let fields = 1
            + usize::from(self.duration.is_none())
            + usize::from(self.flags == Flags::Each)
            + usize::from(self.compositions);
        FULL_BOX_HEADER + 8 + first + self.count() * fields * 4
    }

    fn traf_size(&self) -> usize {
        BOX_HEADER + self.tfhd_size() + FULL_BOX_HEADER + 8 + self.trun_size()
    }

    fn write(&self, out: &mut BoxWriter, data: u64) {
        let Part { track, from, to } = self.part;
        let samples = &track.samples;
        out.header(*b"traf", self.traf_size());
        // default-base-is-moof, default-sample-flags, default-sample-duration (§8.8.7.1).
        let has_duration = if self.duration.is_some() { 8 } else { 0 };
        out.full_header(*b"tfhd", self.tfhd_size(), 0, 0x02_0020 | has_duration);
        out.u32(self.id);
        if let Some(duration) = self.duration {
            out.u32(duration);
        }
        out.u32(if self.flags == Flags::Sync { SYNC } else { OTHER });
        out.full_header(*b"tfdt", FULL_BOX_HEADER + 8, 1, 0);
        out.u64(samples.decode_time(from).saturating_add_signed(track.origin.min(0).saturating_neg()));
        let mut has = 0x201;
        for (is_there, flag) in [
            (self.flags == Flags::FirstSync, 4),
            (self.duration.is_none(), 0x100),
            (self.flags == Flags::Each, 0x400),
            (self.compositions, 0x800),
        ] {
            has |= if is_there { flag } else { 0 };
        }
        out.full_header(*b"trun", self.trun_size(), 0, has);
        out.u32(to - from);
        out.u32(data as u32);
        if self.flags == Flags::FirstSync {
            out.u32(SYNC);
        }
        for index in from..to {
            if self.duration.is_none() {
                out.u32(samples.duration(index));
            }
            out.u32(samples.size(index));
            if self.flags == Flags::Each {
                out.u32(if samples.is_sync(index) { SYNC } else { OTHER });
            }
            if self.compositions {
                out.u32((i64::from(samples.composition(index)) + track.lift) as u32);
            }
        }
    }
}

/// What `range` of a segment's bytes is: of its head, and of the file.
pub fn part_of(layout: &Layout, range: std::ops::Range<u64>) -> Layout {
    let head_len = layout.head.len() as u64;
    let head = layout.head.slice(range.start.min(head_len) as usize..range.end.min(head_len) as usize);
    let mut at = head_len;
    let mut extents = Vec::new();
    for extent in &layout.extents {
        let from = range.start.clamp(at, at + extent.len) - at;
        let to = range.end.clamp(at, at + extent.len) - at;
        if from < to {
            extents.push(Extent { offset: extent.offset + from, len: to - from });
        }
        at += extent.len;
    }
    Layout { head, extents }
}
