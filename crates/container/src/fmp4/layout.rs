//! The layout of a recording's segment before its samples are read: its head, and where in the file its samples are. Sans-IO.
//!
//! Which ranges of the file they are, `placing.rs` says. Sound that is not in the file, because it is coded here
//! or is silence, is the end of the head.
//!
//! All times are those of the recording. An edit list takes away the priming of sound and the delay of B pictures.

use bytes::{Bytes, BytesMut};

use super::super::mp4::{Extent, MovieTrack, SampleInfo, SampleRun};
use super::fragment::{FragmentSample, TrackFragment, TrackRun, fragment_head_of};
use super::init::{InitTrack, init_section_of};
use super::placing::{self, Placing};

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
    /// Which ranges of the file follow it.
    pub extents: Vec<Extent>,
}

impl SegmentLayout {
    /// Size of the whole segment in bytes.
    pub fn total_len(&self) -> u64 {
        self.head.len() as u64 + self.extents.iter().map(|extent| extent.len).sum::<u64>()
    }

    /// Whether its ranges are so long that each is worth a call of its own, so that they can be sent from the file.
    pub fn has_long_ranges(&self) -> bool {
        placing::are_long(&self.extents)
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
    let made: Vec<MadeSamples<'_>> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| part.made(coded.get(index).map_or(&[][..], Vec::as_slice)))
        .collect();
    let in_file: Vec<_> = parts.iter().zip(&made).map(|(part, made)| part.runs(made)).collect();
    let Placing { extents, runs } = Placing::of(&in_file);
    let made_len = made.iter().map(MadeSamples::bytes).sum::<usize>();
    let mut at = 0;
    let tracks: Vec<_> = (1..)
        .zip(parts.iter().zip(&made))
        .zip(runs)
        .map(|((track_id, (part, made)), runs)| {
            let runs = made.around(runs, at, made_len);
            at += made.bytes();
            part.fragment(track_id, is_alone, made.coded).with_runs(runs)
        })
        .collect();
    let in_file: u64 = extents.iter().map(|extent| extent.len).sum();
    let mut head = fragment_head_of(number, tracks.iter(), made_len + in_file as usize);
    if made_len > 0 {
        let mut whole = BytesMut::with_capacity(head.len() + made_len);
        whole.extend_from_slice(&head);
        for frame in made.iter().flat_map(MadeSamples::frames) {
            whole.extend_from_slice(frame);
        }
        head = whole.freeze();
    }
    SegmentLayout { head, extents }
}

/// Samples of a part that are not in the file: all of them, or the first and the last ones.
#[derive(Clone, Copy, Debug)]
struct MadeSamples<'a> {
    coded: &'a [Bytes],
    silence: &'a Bytes,
    /// How many of the first samples, and how many of the last ones.
    count: (usize, usize),
}

impl<'a> MadeSamples<'a> {
    fn frames(&self) -> impl Iterator<Item = &'a Bytes> + use<'a> {
        let silent = if self.coded.is_empty() { self.count.0 + self.count.1 } else { 0 };
        self.coded.iter().chain(std::iter::repeat_n(self.silence, silent))
    }

    fn bytes(&self) -> usize {
        self.frames().map(Bytes::len).sum()
    }

    /// The runs of the part whose samples in the file are in `runs`, after `made_len` bytes of made samples; its own of these
    /// begin `at` bytes after the first.
    fn around(&self, runs: Vec<TrackRun>, at: usize, made_len: usize) -> Vec<TrackRun> {
        let (before, after) = self.count;
        let in_file = runs.into_iter().map(|run| TrackRun { at: run.at + made_len, ..run });
        let before_len = if self.coded.is_empty() { before * self.silence.len() } else { 0 };
        let before = (before > 0).then_some(TrackRun { count: before, at });
        let after = (after > 0).then_some(TrackRun { count: after, at: at + before_len });
        before.into_iter().chain(in_file).chain(after).collect()
    }
}

impl<'a> TrackPart<'a> {
    /// Whether it goes on from sound that is in the file to silence that is not.
    pub fn turns_silent(self) -> bool {
        let (before, after) = self.track.samples.silent(self.from, self.to);
        after > 0 && before + after < self.to.min(self.track.samples.count()) - self.from
    }

    /// Its samples that are not in the file; `coded` has all of them, or none.
    fn made(self, coded: &'a [Bytes]) -> MadeSamples<'a> {
        let TrackPart { track, from, to } = self;
        let (before, after) = track.samples.silent(from, to);
        let count = if coded.is_empty() { (before as usize, after as usize) } else { (coded.len(), 0) };
        MadeSamples { coded, silence: &track.silence, count }
    }

    /// Where its samples are in the file.
    fn runs(self, made: &MadeSamples<'_>) -> Vec<SampleRun> {
        let TrackPart { track, from, to } = self;
        if made.coded.is_empty() { track.samples.runs(from, to) } else { Vec::new() }
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
        TrackFragment::new(track_id, decode_time, samples)
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
