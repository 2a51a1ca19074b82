//! A picture wherever there is sound: players wait for both, and seek to segments that have both. Sans-IO.
//!
//! * Sound that goes on after the last picture: that picture is held. If it is for longer than half a segment, the group of
//!   pictures that it ends is there again for each segment, each picture shown for one tick and the last one held, so that a
//!   player can begin anywhere. A group of too many pictures or bytes is not: then the last picture is one long sample.
//! * A picture that begins after the sound: where pictures are sent alone (DASH, and HLS with several sounds), the first is
//!   shown from the beginning on ([`MovieTrack::early`]). If it is late by more than a segment, it is there once for each.

use super::edits::FINE;
use super::movie::Movie;
use super::samples::{Sample, SampleTable};
use super::ticks::{UNNOTICED_MS, rescale};
use super::track::MovieTrack;

/// Most pictures of a group that is repeated, and most bytes.
const GROUP_MAX: u32 = 600;
const GROUP_BYTES_MAX: u64 = 8 << 20;
/// Most repetitions: of a week, in segments of six seconds; and most pictures of all of them.
const REPEATS_MAX: usize = 100_000;
const REPEATED_MAX: usize = 2_000_000;

impl Movie {
    /// Holds the first and the last picture as long as there is sound beside them, in pieces of about `target_ms`. To be
    /// called once, after [`Movie::finish`].
    pub fn hold_pictures(&mut self, target_ms: u32) {
        let first = self.audio.iter().map(|track| track.nanos(track.shown_at(track.begin).max(0))).min();
        let until = self.audio.iter().map(|track| track.nanos(track.shown_until())).max();
        let (Some(first), Some(until), Some(video)) = (first, until, &mut self.video) else { return };
        let ticks = |ms: i64| rescale(ms, 1000, video.timescale).max(1);
        let (target, unnoticed) = (ticks(target_ms.max(100).into()), ticks(UNNOTICED_MS));
        let late = video.shown_at(video.begin);
        let late = if late - video.ticks(first).max(0) > unnoticed / 2 { late } else { 0 };
        if late > 0 {
            decode_later(video);
        }
        let after = video.ticks(until) - video.shown_until();
        let after = if after > unnoticed { after } else { 0 };
        let copies: Vec<i64> = match late {
            _ if late <= target => Vec::new(),
            _ => multiples(0, target)
                .take_while(|place| *place <= late - target / 2)
                .take(REPEATS_MAX)
                .collect(),
        };
        video.early = if copies.is_empty() { late } else { 0 };
        if copies.is_empty() && after == 0 {
            return;
        }
        let group = last_group(video);
        let places = group.as_ref().map_or_else(Vec::new, |_| places(video.shown_until(), after, target));
        let is_too_much = |group: &Vec<_>| places.len().saturating_mul(group.len()) > REPEATED_MAX;
        let group = group.filter(|group| !is_too_much(group));
        let places = if group.is_some() { places } else { Vec::new() };
        let is_fine = group.as_ref().is_none_or(|group| group.len() < 2) || places.is_empty();
        let scale = if is_fine { 1 } else { FINE.div_ceil(video.timescale.max(1)) };
        let mut held = HeldPictures::begin(video, scale, late, &copies);
        held.end(video, &group.unwrap_or_default(), after, &places);
        held.finish(video);
    }
}

/// Takes from the composition offsets what all have in common: pictures are decoded later by so much. A picture is not shown
/// before its decode time, so the first one could not be shown earlier.
fn decode_later(video: &mut MovieTrack) {
    let old = &video.samples;
    let common = (0..old.count()).map(|index| old.composition(index)).min().unwrap_or(0);
    if common <= 0 {
        return;
    }
    let mut samples = SampleTable::default();
    for index in 0..old.count() {
        let Some(sample) = old.get(index) else { return };
        samples.resume_at(old.decode_time(index));
        samples.push(Sample { composition: sample.composition - common, ..sample });
    }
    samples.shrink();
    video.samples = samples;
    video.origin -= i64::from(common);
}

/// Where segments begin, from number `first` on.
fn multiples(first: i64, target: i64) -> impl Iterator<Item = i64> {
    (first..).map(move |number| number.saturating_mul(target))
}

/// How many ticks after the last picture, which ends at `ended`, its group is repeated: at once, and then wherever segments
/// begin, at multiples of `target`.
fn places(ended: i64, after: i64, target: i64) -> Vec<i64> {
    if after <= target / 2 {
        return Vec::new();
    }
    let first = ended.div_euclid(target) + 1;
    let boundaries = multiples(first, target).map(|boundary| boundary - ended);
    let boundaries = boundaries.take_while(|place| *place <= after - target / 2).take(REPEATS_MAX);
    std::iter::once(0).chain(boundaries.filter(|place| *place >= target / 2)).collect()
}

/// The last group of pictures with the order in which they are shown; `None` if it is too large to be repeated.
fn last_group(video: &MovieTrack) -> Option<Vec<(Sample, i64)>> {
    let samples = &video.samples;
    let places = (0..samples.sync_count()).rev();
    let first =
        places.filter_map(|place| samples.sync(place)).find(|sync| *sync < video.end)?.max(video.begin);
    let range = first..video.end;
    if range.len() as u32 > GROUP_MAX || samples.bytes(first, video.end) > GROUP_BYTES_MAX {
        return None;
    }
    let mut order: Vec<(i64, u32)> = range.clone().map(|index| (samples.media_time(index), index)).collect();
    order.sort_unstable();
    let mut ranks = vec![0; order.len()];
    for (rank, (_, index)) in (0..).zip(&order) {
        if let Some(place) = ranks.get_mut((index - first) as usize) {
            *place = rank;
        }
    }
    range.zip(ranks).map(|(index, rank)| Some((samples.get(index)?, rank))).collect()
}

/// The table of samples with the pictures that are held.
struct HeldPictures {
    samples: SampleTable,
    scale: i64,
    /// Is added to media times of before, after they were scaled.
    shift: i64,
}

impl HeldPictures {
    /// The first picture at each of `copies` within `late` ticks, then the samples of `video` that are sent.
    fn begin(video: &MovieTrack, scale: u32, late: i64, copies: &[i64]) -> Self {
        let (old, scale) = (&video.samples, i64::from(scale));
        let mut samples = SampleTable::default();
        let scaled = |composition: i32| i32::try_from(i64::from(composition) * scale).unwrap_or(0);
        let lead = if copies.is_empty() { 0 } else { late.saturating_mul(scale) };
        for copy in copies {
            let Some(first) = old.get(video.begin) else { continue };
            samples.resume_at(wide(copy.saturating_mul(scale)));
            samples.push(Sample { composition: scaled(first.composition), ..first });
        }
        let begun = old.decode_time(video.begin) as i64;
        let shift = lead.saturating_sub(begun.saturating_mul(scale));
        for index in video.begin..video.end {
            let Some(sample) = old.get(index) else { continue };
            samples
                .resume_at(wide((old.decode_time(index) as i64).saturating_mul(scale).saturating_add(shift)));
            let duration = u32::try_from(i64::from(sample.duration) * scale).unwrap_or(u32::MAX);
            samples.push(Sample { duration, composition: scaled(sample.composition), ..sample });
        }
        Self { samples, scale, shift }
    }

    /// The last picture for `after` ticks more; its group is repeated at each of `places`.
    fn end(&mut self, video: &MovieTrack, group: &[(Sample, i64)], after: i64, places: &[i64]) {
        if after == 0 {
            return;
        }
        let ended = video.shown_until().saturating_add(video.origin);
        let ended = ended.saturating_mul(self.scale).saturating_add(self.shift);
        let after = after.saturating_mul(self.scale);
        let reordered =
            group.iter().map(|(sample, _)| i64::from(sample.composition)).max().unwrap_or(0).max(0);
        for place in places {
            let at = ended.saturating_add(place.saturating_mul(self.scale));
            let mut decoded = at - reordered.saturating_mul(self.scale);
            for (sample, rank) in group {
                decoded = decoded.max(self.samples.last_start() as i64 + 1);
                self.samples.resume_at(wide(decoded));
                let composition = i32::try_from(at + rank - decoded).unwrap_or(0);
                self.samples.push(Sample { duration: 1, composition, ..*sample });
            }
        }
        let last = self.samples.composition(self.samples.count().saturating_sub(1));
        let end = wide(ended.saturating_add(after).saturating_sub(last.into()));
        self.samples.resume_at(end.max(self.samples.end()));
    }

    fn finish(mut self, video: &mut MovieTrack) {
        self.samples.shrink();
        video.timescale = video.timescale.saturating_mul(self.scale as u32);
        video.origin = video.origin.saturating_mul(self.scale).saturating_add(self.shift);
        (video.begin, video.end) = (0, self.samples.count());
        video.lift = self.samples.negative_composition();
        video.early = video.early.saturating_mul(self.scale);
        video.samples = self.samples;
    }
}

fn wide(ticks: i64) -> u64 {
    u64::try_from(ticks).unwrap_or(0)
}
