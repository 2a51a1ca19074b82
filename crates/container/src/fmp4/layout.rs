//! A segment of a recording that was not read yet: its head, and where its samples stand in the file. Sans-IO.
//!
//! All times are those of the recording: an edit list takes away the priming of sound and the delay of B pictures.

use bytes::Bytes;

use super::super::mp4::{Extent, MovieTrack, SampleInfo};
use super::fragment::{FragmentSample, TrackFragment, fragment_head};
use super::init::{InitTrack, init_section_of};

/// Some samples of a track; its place among the parts of a segment is its track number, less one.
#[derive(Clone, Copy, Debug)]
pub struct TrackPart<'a> {
    /// The track.
    pub track: &'a MovieTrack,
    /// The first sample.
    pub from: u32,
    /// The first one behind.
    pub to: u32,
}

/// A segment that was not read yet: a head, and where the rest stands in the file.
#[derive(Clone, Debug, Default)]
pub struct SegmentLayout {
    /// Up to the first sample.
    pub head: Bytes,
    /// The samples in order.
    pub extents: Vec<Extent>,
}

impl SegmentLayout {
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
pub fn init_of(tracks: &[&MovieTrack]) -> Bytes {
    init_section_of(&tracks.iter().zip(1..).map(|(track, id)| described(track, id)).collect::<Vec<_>>())
}

fn described(track: &MovieTrack, track_id: u32) -> InitTrack<'_> {
    InitTrack {
        track_id,
        timescale: track.timescale,
        language: &track.language,
        media: track.coding.media,
        sample_entry: &track.coding.entry,
        matrix: Some(&track.matrix),
        edit_start: track.origin.max(0) + track.lift,
        // Fragments say all of it themselves.
        default_duration: 0,
        default_flags: 0,
    }
}

/// The segment of these parts; `number` is its sequence number.
pub fn layout(parts: &[TrackPart<'_>], number: u32) -> SegmentLayout {
    let tracks: Vec<_> = parts.iter().zip(1..).map(|(part, id)| part.fragment(id)).collect();
    let extents = parts.iter().flat_map(|part| part.track.samples.extents(part.from, part.to)).collect();
    SegmentLayout { head: fragment_head(number, tracks.iter()), extents }
}

impl<'a> TrackPart<'a> {
    fn fragment(self, track_id: u32) -> TrackFragment<impl Iterator<Item = FragmentSample> + Clone + 'a> {
        let TrackPart { track, from, to } = self;
        let lift = track.lift;
        let sample = move |SampleInfo { size, duration, composition, sync }| FragmentSample {
            size,
            duration,
            composition_offset: (i64::from(composition) + lift) as u32,
            sync,
        };
        let before_zero = track.origin.min(0).saturating_neg();
        let decode_time = track.samples.decode_time(from).saturating_add_signed(before_zero);
        TrackFragment::new(track_id, decode_time, track.samples.range(from, to).map(sample))
    }
}

/// What `range` of a segment's bytes is: of its head, and of the file.
pub fn part_of(layout: &SegmentLayout, range: std::ops::Range<u64>) -> SegmentLayout {
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
    SegmentLayout { head, extents }
}
