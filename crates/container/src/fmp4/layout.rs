//! The layout of a recording's segment before its samples are read: its head, and where in the file its samples are. Sans-IO.
//!
//! Sound that is not in the file, because it is coded here or is silence, is the end of the head.
//!
//! All times are those of the recording. An edit list takes away the priming of sound and the delay of B pictures.

use bytes::{Bytes, BytesMut};

use super::super::mp4::{Extent, MovieTrack, SampleInfo};
use super::fragment::{FragmentSample, TrackFragment, fragment_head};
use super::init::{InitTrack, init_section_of};

/// Some samples of a track. The part at index *i* of a segment becomes track *i* + 1.
#[derive(Clone, Copy, Debug)]
pub struct TrackPart<'a> {
    /// The track they belong to.
    pub track: &'a MovieTrack,
    /// Index of the first sample.
    pub from: u32,
    /// Index after the last sample.
    pub to: u32,
}

/// A segment that has not been read yet.
#[derive(Clone, Debug, Default)]
pub struct SegmentLayout {
    /// All bytes up to the first sample.
    pub head: Bytes,
    /// Where in the file the samples are, in order.
    pub extents: Vec<Extent>,
}

impl SegmentLayout {
    /// Size of the whole segment in bytes.
    pub fn total_len(&self) -> u64 {
        self.head.len() as u64 + self.extents.iter().map(|extent| extent.len).sum::<u64>()
    }

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.head.len() + self.extents.capacity() * size_of::<Extent>()
    }
}

/// The initialization section for segments of these tracks.
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
        // The fragments give all of it.
        default_duration: 0,
        default_flags: 0,
    }
}

/// The layout of the segment of these parts; `number` is its sequence number (§8.8.5).
pub fn layout(parts: &[TrackPart<'_>], number: u32) -> SegmentLayout {
    layout_with(parts, &[], number)
}

/// The same with the samples of some parts: `coded` has those of a part at the part's index, or nothing where they are in the
/// file. A part that [turns silent](TrackPart::turns_silent) must be there: Chromium takes the runs of a track in the order of
/// their data, not in the order of the boxes, and silence is before what is in the file.
pub fn layout_with(parts: &[TrackPart<'_>], coded: &[Vec<Bytes>], number: u32) -> SegmentLayout {
    let is_alone = parts.len() == 1;
    let coded_of = |index: usize| coded.get(index).map_or(&[][..], Vec::as_slice);
    let places = || parts.iter().enumerate();
    let tracks: Vec<_> =
        places().map(|(index, part)| part.fragment(index as u32 + 1, is_alone, coded_of(index))).collect();
    let mut head = fragment_head(number, tracks.iter());
    let frames: Vec<&Bytes> = places().flat_map(|(index, part)| part.made(coded_of(index))).collect();
    if !frames.is_empty() {
        let mut whole =
            BytesMut::with_capacity(head.len() + frames.iter().map(|frame| frame.len()).sum::<usize>());
        whole.extend_from_slice(&head);
        for frame in frames {
            whole.extend_from_slice(frame);
        }
        head = whole.freeze();
    }
    let in_file = places().filter(|(index, _)| coded_of(*index).is_empty());
    let extents = in_file.flat_map(|(_, part)| part.track.samples.extents(part.from, part.to)).collect();
    SegmentLayout { head, extents }
}

impl<'a> TrackPart<'a> {
    /// Whether it goes on from sound that is in the file to silence that is not.
    pub fn turns_silent(self) -> bool {
        let (before, after) = self.track.samples.silent(self.from, self.to);
        after > 0 && before + after < self.to.min(self.track.samples.count()) - self.from
    }

    /// Its samples that are not in the file.
    fn made(self, coded: &'a [Bytes]) -> impl Iterator<Item = &'a Bytes> {
        let TrackPart { track, from, to } = self;
        let (before, after) = if coded.is_empty() { track.samples.silent(from, to) } else { (0, 0) };
        coded.iter().chain(std::iter::repeat_n(&track.silence, (before + after) as usize))
    }

    fn fragment(
        self,
        track_id: u32,
        is_alone: bool,
        coded: &'a [Bytes],
    ) -> TrackFragment<impl Iterator<Item = FragmentSample> + Clone + 'a> {
        let TrackPart { track, from, to } = self;
        let lift = track.lift;
        let before_zero = track.origin.min(0).saturating_neg();
        let decode_time = track.samples.decode_time(from).saturating_add_signed(before_zero);
        // The first picture is decoded earlier; as far as that would be before zero, its composition offset is less.
        let early = if is_alone && from == track.begin { u32::try_from(track.early).unwrap_or(0) } else { 0 };
        let longer = u32::try_from(decode_time.min(early.into())).unwrap_or(0);
        let decode_time = decode_time.saturating_sub(longer.into());
        let sample = move |(index, SampleInfo { size, duration, composition, sync }): (usize, SampleInfo)| {
            let (longer, sooner) = if index == 0 { (longer, early - longer) } else { (0, 0) };
            FragmentSample {
                size: coded.get(index).map_or(size, |frame| frame.len() as u32),
                duration: duration.saturating_add(longer),
                composition_offset: ((i64::from(composition) + lift) as u32).saturating_sub(sooner),
                sync,
            }
        };
        let samples = track.samples.range(from, to).enumerate().map(sample);
        let (before, after) = match coded.len() {
            0 => track.samples.silent(from, to),
            count => (u32::try_from(count).unwrap_or(u32::MAX), 0),
        };
        TrackFragment::new(track_id, decode_time, samples).with_made(before as usize, after as usize)
    }
}

/// The part of the layout that covers `range` of the segment's bytes.
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
