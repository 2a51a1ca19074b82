//! Edit lists: which parts of a track's media are shown, and when (ISO/IEC 14496-12 §8.6.6). Sans-IO.
//!
//! Most lists say only when a track begins: some time that is empty, then one edit. [`EditList::first`] says that, and the
//! samples stay as they are. Any other list makes another table of samples ([`EditList::apply`]): those of each edit, at the
//! times at which the list shows them.
//!
//! **Cuts between sync samples.** A picture is decoded from the sync sample before it on. Pictures that an edit cuts out but
//! later ones need are kept, each shown for one tick, just before the first that is to be shown. So every picture of an edit
//! is shown at its time, give or take as many ticks.

use super::super::isobmff::{BoxFault, BoxRef};
use super::samples::{Sample, SampleTable};
use super::ticks::{FAR, rescale};

/// How many edits are read; the media goes on after the last one.
const EDITS_MAX: usize = 10_000;
/// How often the samples of a track are shown at most, all edits together; and how many samples that are.
const REPEATS_MAX: u64 = 4;
const SAMPLES_MAX: u64 = 4_000_000;
/// Frames of sound before the first edit that a decoder needs to be right at its beginning.
const PREROLL: u32 = 3;
/// Ticks per second of pictures that are shown for a tick.
pub(super) const FINE: u32 = 90_000;

/// One entry of an edit list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edit {
    /// In ticks of the movie; 0: up to the end of the media.
    duration: u64,
    /// Media time of its beginning in ticks of the track; `None` if it is empty.
    start: Option<i64>,
    /// The picture at `start` stays for the whole edit (`media_rate` 0).
    dwells: bool,
}

/// The edit list of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EditList {
    edits: Vec<Edit>,
    movie_timescale: u32,
}

/// Samples as an edit list shows them.
#[derive(Clone, Debug)]
pub(super) struct Edited {
    pub(super) samples: SampleTable,
    pub(super) timescale: u32,
    /// Media time at presentation time zero.
    pub(super) origin: i64,
    /// How many pictures are there only for decoding.
    pub(super) hidden: u32,
    /// Whether the list shows more samples than are taken.
    pub(super) is_cut: bool,
}

impl EditList {
    /// Reads the list of a `trak`; without one, all media is shown from presentation time zero on.
    pub(super) fn read(trak: &BoxRef<'_>, movie_timescale: u32) -> Result<Self, BoxFault> {
        let mut edits = Vec::new();
        if let Some(elst) = trak.child(*b"edts")?.map(|edts| edts.child(*b"elst")).transpose()?.flatten() {
            let mut full = elst.full()?;
            let long = full.version == 1;
            full.rest.u32().ok_or(elst.fault("it has no entry count"))?;
            let next = || {
                let duration = full.rest.word(long)?;
                let start = full.rest.word(long)?;
                let start = if long { (start as i64).min(FAR) } else { i64::from(start as u32 as i32) };
                let rate = full.rest.u32()?;
                let duration = duration.min(FAR as u64);
                Some(Edit { duration, start: (start >= 0).then_some(start), dwells: rate == 0 })
            };
            edits = std::iter::from_fn(next).take(EDITS_MAX).collect();
        }
        // What is empty after the last edit shows nothing.
        while edits.last().is_some_and(|last| last.start.is_none())
            && edits.iter().any(|it| it.start.is_some())
        {
            edits.pop();
        }
        Ok(Self { edits, movie_timescale })
    }

    /// Whether it says no more than when the track begins, and perhaps when it ends.
    pub(super) fn is_simple(&self) -> bool {
        let mut shown = self.edits.iter().skip_while(|edit| edit.start.is_none());
        shown.next().is_none_or(|edit| !edit.dwells) && shown.next().is_none()
    }

    /// How long it is empty before the first edit, in ticks of the track.
    pub(super) fn lead(&self, timescale: u32) -> i64 {
        let empty = self.edits.iter().take_while(|edit| edit.start.is_none());
        self.ticks(empty.map(|edit| edit.duration).fold(0, u64::saturating_add), timescale)
    }

    /// Media time at presentation time zero, and at the end of the edit if there is only one.
    pub(super) fn first(&self, timescale: u32) -> (i64, Option<i64>) {
        let lead = self.lead(timescale);
        let Some(edit) = self.edits.iter().find(|edit| edit.start.is_some()) else { return (-lead, None) };
        let start = edit.start.unwrap_or(0);
        let duration = self.ticks(edit.duration, timescale);
        let until = (duration > 0 && self.is_simple()).then(|| start.saturating_add(duration));
        (start - lead, until)
    }

    fn ticks(&self, movie_ticks: u64, timescale: u32) -> i64 {
        rescale(i64::try_from(movie_ticks).unwrap_or(FAR), self.movie_timescale, timescale).min(FAR)
    }

    /// The samples as the list shows them, `most` of them.
    pub(super) fn apply(&self, samples: &SampleTable, timescale: u32, is_video: bool, most: u32) -> Edited {
        let scale = if is_video { FINE.div_ceil(timescale.max(1)).max(1) } else { 1 };
        let fine = timescale.saturating_mul(scale);
        let scale = fine / timescale.max(1);
        let left = u64::from(samples.count()).saturating_mul(REPEATS_MAX).min(SAMPLES_MAX).min(most.into());
        let mut out = Splicing {
            samples,
            lift: samples.negative_composition(),
            scale: scale.into(),
            shown: -FAR,
            decoded: -FAR,
            out: Vec::new(),
            hidden: 0,
            left,
            is_cut: false,
        };
        let (mut passed, last) = (0_u64, self.edits.len().saturating_sub(1));
        for (index, edit) in self.edits.iter().enumerate() {
            let at = self.ticks(passed, fine);
            passed = passed.saturating_add(edit.duration);
            let Some(start) = edit.start else { continue };
            let duration = match edit.duration {
                0 if index == last => FAR,
                duration if edit.dwells => self.ticks(duration, timescale).min(1),
                duration => self.ticks(duration, timescale),
            };
            let part = start..start.saturating_add(duration);
            if is_video {
                out.pictures(part, at);
            } else if !edit.dwells {
                out.sound(part, at, index == 0);
            }
        }
        let end = self.edits.last().filter(|edit| edit.duration > 0);
        out.table(fine, end.map(|edit| (self.ticks(passed, fine), edit.dwells)))
    }
}

/// Samples with the times at which they are decoded and shown.
struct Splicing<'a> {
    samples: &'a SampleTable,
    /// No picture is shown by more than so many ticks before it is decoded.
    lift: i64,
    /// Ticks that are made of one.
    scale: i64,
    /// The last time at which a sample is shown, and decoded.
    shown: i64,
    decoded: i64,
    /// Each sample with its decode time and its presentation time.
    out: Vec<(Sample, i64, i64)>,
    hidden: u32,
    /// How many more samples may be taken.
    left: u64,
    /// Whether there are more.
    is_cut: bool,
}

impl Splicing<'_> {
    /// Shows the pictures of `part` of the media from `at` on.
    fn pictures(&mut self, part: std::ops::Range<i64>, at: i64) {
        let samples = self.samples;
        let place = samples.syncs_before(part.start.saturating_add(1)).saturating_sub(1);
        let Some(first) = samples.sync(place) else { return };
        let lift = self.lift;
        let within = |index: &u32| (samples.decode_time(*index) as i64).saturating_sub(lift) < part.end;
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let count = (first..samples.count()).take_while(within).take(most).count() as u32;
        self.is_cut |= count as usize == most && first + count < samples.count() && within(&(first + count));
        // What was looked at counts, also where none of it is shown.
        self.left = self.left.saturating_sub(u64::from(count).max(1));
        let is_shown = |index: &u32| samples.media_time(*index) < part.end;
        let Some(last) = (first..first + count).rev().find(is_shown) else { return };
        let kept = first..last + 1;
        let mut by_time: Vec<(i64, u32)> =
            kept.clone().map(|index| (samples.media_time(index), index)).collect();
        by_time.sort_unstable();
        // The picture that is there when the edit begins is shown from then on.
        let begun = by_time.partition_point(|(time, _)| *time <= part.start).saturating_sub(1);
        let mut shown = vec![0; by_time.len()];
        for (rank, (time, index)) in by_time.iter().enumerate() {
            let wanted = match *time {
                _ if rank < begun => at,
                time => at.saturating_add(
                    (time.clamp(part.start, part.end) - part.start).saturating_mul(self.scale),
                ),
            };
            self.hidden += u32::from(rank < begun || *time >= part.end);
            self.shown = wanted.max(self.shown.saturating_add(1));
            if let Some(place) = shown.get_mut((index - first) as usize) {
                *place = self.shown;
            }
        }
        let reordered = kept.clone().map(|index| samples.composition(index)).max().unwrap_or(0).max(0);
        let earliest = at.saturating_sub(i64::from(reordered).saturating_mul(self.scale));
        for (index, shown) in kept.zip(shown) {
            let Some(sample) = samples.get(index) else { continue };
            let since = (samples.decode_time(index) as i64 - part.start).saturating_mul(self.scale);
            self.push(sample, at.saturating_add(since).max(earliest), shown);
        }
    }

    /// Lets the frames of `part` of the media be heard from `at` on, to the nearest whole frame.
    fn sound(&mut self, part: std::ops::Range<i64>, at: i64, is_first: bool) {
        let samples = self.samples;
        let half = |index: u32| i64::from(samples.duration(index) / 2);
        let mut from = samples.first_at(part.start);
        if from > 0 && samples.media_time(from - 1) + half(from - 1) >= part.start {
            from -= 1;
        }
        if is_first && at == 0 {
            from = from.saturating_sub(PREROLL);
        }
        for index in from..samples.count() {
            let time = samples.media_time(index);
            if time.saturating_add(half(index)) >= part.end && time >= part.start {
                break;
            }
            if self.left == 0 {
                self.is_cut = true;
                break;
            }
            self.left -= 1;
            let Some(sample) = samples.get(index) else { continue };
            let wanted = at.saturating_add(time - part.start);
            if wanted > self.shown {
                self.shown = wanted;
                self.push(sample, wanted, wanted);
            }
        }
    }

    fn push(&mut self, sample: Sample, decoded: i64, shown: i64) {
        self.decoded = decoded.max(self.decoded.saturating_add(1));
        self.out.push((sample, self.decoded, shown));
    }

    /// The table, whose last sample ends at `end` at the latest, or lasts until then.
    fn table(self, timescale: u32, end: Option<(i64, bool)>) -> Edited {
        let base = self.out.first().map_or(0, |(_, decoded, _)| *decoded);
        let mut samples = SampleTable::default();
        for (sample, decoded, shown) in &self.out {
            samples.resume_at(u64::try_from(decoded.saturating_sub(base)).unwrap_or(0));
            let composition = i32::try_from(shown.saturating_sub(*decoded)).unwrap_or(0);
            let duration = i64::from(sample.duration).saturating_mul(self.scale);
            let duration = u32::try_from(duration).unwrap_or(u32::MAX);
            samples.push(Sample { duration, composition, ..*sample });
        }
        // The last picture that is shown ends with the edit.
        let last = self.out.iter().max_by_key(|(_, _, shown)| *shown);
        if let (Some((end, dwells)), Some((sample, _, shown))) = (end, last) {
            let natural = shown.saturating_add(i64::from(sample.duration).saturating_mul(self.scale));
            let too_long = natural.saturating_sub(end).max(if dwells { -FAR } else { 0 });
            let table_end = i64::try_from(samples.end()).unwrap_or(FAR).saturating_sub(too_long);
            samples.resume_at(u64::try_from(table_end).unwrap_or(0).max(samples.last_start()));
        }
        samples.shrink();
        let (hidden, is_cut) = (self.hidden, self.is_cut);
        Edited { samples, timescale, origin: base.saturating_neg(), hidden, is_cut }
    }
}
