//! Sound that no browser decodes, as a track of AAC-LC on a lattice. Sans-IO.
//!
//! The track that viewers are offered has a frame for every 1024 samples from presentation time zero on, at the rate of the
//! source; what its frames hold is made when somebody asks for them ([`amphi_sound::code_block`]), a block at a time. Frame
//! number 0 has one before it, which a decoder needs to be right, and which the edit list takes away. Where the source begins
//! late or ends before the presentation, there are silent frames. Times of the source are those of its track: a packet begins
//! where the one before it ends, unless its track says something else by more than 20 ms.

use std::ops::Range;
use std::sync::Arc;

use super::Track;
use amphi_container::mp4::{
    Coding, DolbySound, Extent, LeftOut, Movie, Sample, SampleTable, TrackKind, UNNOTICED_MS, rescale,
};
use amphi_media::{AAC_FRAME_SAMPLES, AudioTrack, PacketSound};
use amphi_sound::{
    BlockJob, CodedFrames, CodingError, PacketDecoder, PlacedPacket, RATES, code_block, coded_track, needed,
};

/// Frames that are coded at once: 2.7 s at 48 kHz.
pub(super) const BLOCK: u32 = 128;
/// Most frames of a track: two days at 48 kHz.
const FRAMES_MAX: i64 = 8_000_000;
/// Most bytes of the packets of a block.
const BYTES_MAX: u64 = 32 << 20;
/// Most packets of a block, where to decode one takes as long however few bytes it has.
const PACKETS_MAX: u32 = 16_384;
/// The same where packets may be single samples.
const UNITS_MAX: u32 = 2 << 20;
/// Samples of a packet of AC-3 (ETSI TS 102 366 §4.1).
const AC3_SAMPLES: u32 = 1536;
const FRAME: i64 = AAC_FRAME_SAMPLES as i64;

/// The source of a track that is coded here.
#[derive(Debug)]
pub(super) struct SoundSource {
    track: Track,
    sound: PacketSound,
    /// Samples per second in which packets are placed.
    sample_rate: u32,
    runs: Vec<PacketRun>,
    target: AudioTrack,
    /// Number of the frame that is the first sample of the track that is offered.
    first_frame: i64,
    /// What it says of itself, if some players decode it as it is in the file.
    dolby: Option<DolbySound>,
}

/// Packets of the same length that follow each other.
#[derive(Clone, Copy, Debug)]
struct PacketRun {
    /// The first packet.
    first: u32,
    /// Number of its first sample, counted from presentation time zero.
    at: i64,
    /// Samples in a packet.
    samples: u32,
}

/// What is read before a block can be made.
#[derive(Debug)]
pub(super) struct BlockPlan {
    source: Arc<SoundSource>,
    frames: Range<i64>,
    packets: Vec<PlacedPacket>,
    /// Where in the file the packets are, one after the other.
    pub extents: Vec<Extent>,
}

/// Replaces every track whose sound no browser decodes by the one that is offered instead; one for which that cannot be done is
/// left out. The result has the source of each sound track, `None` for those that are sent as they are. If `is_filled`, there is
/// silence where a source begins late or ends before the presentation.
pub(super) fn sources(movie: &mut Movie, is_filled: bool) -> Vec<Option<Arc<SoundSource>>> {
    let mut sources = Vec::with_capacity(movie.audio.len());
    let until = movie.duration_nanos();
    let filled = is_filled.then_some(until);
    for mut track in std::mem::take(&mut movie.audio) {
        let source = track.coding.packets.clone().map(|sound| offered(&mut track, sound, filled)).transpose();
        match source {
            Ok(source) => {
                let source =
                    source.map(|it| SoundSource { dolby: it.dolby.filter(|_| it.is_whole(until)), ..it });
                sources.push(source.map(Arc::new));
                movie.audio.push(track);
            }
            Err(reason) => {
                movie.left_out.push(LeftOut { track_id: track.id, kind: TrackKind::Sound, reason });
            }
        }
    }
    sources
}

/// Makes `track` the one that is offered instead of `sound`, filled up to `until` nanoseconds, or says why there is none.
fn offered(track: &mut Track, mut sound: PacketSound, until: Option<i64>) -> Result<SoundSource, String> {
    PacketDecoder::new(&sound).map_err(|error| format!("its {} cannot be decoded: {error}", sound.name()))?;
    let said = sample_rate(&sound, track.timescale);
    let pace = Pace::of(track, &sound, said);
    let sample_rate = if let Pace::Rate(rate) = pace { rate } else { said };
    if sample_rate != said {
        sound.sample_rate = sample_rate;
    }
    let target = coded_track(sample_rate, sound.channels);
    let runs = runs(track, &sound, sample_rate, pace == Pace::Times);
    let rate = target.format.sample_rate;
    let start = rescale(track.shown_at(track.begin).max(0), track.timescale, rate);
    let end = rescale(track.shown_until(), track.timescale, rate);
    let (_, count) = frames(start, end);
    if !(2..=FRAMES_MAX).contains(&count) {
        let long = FRAMES_MAX * FRAME / i64::from(rate.max(1)) / 3600;
        return Err(match count {
            ..2 => "nothing of its sound is within the presentation".to_owned(),
            _ => format!("it lasts longer than the {long} hours for which its {} is decoded", sound.name()),
        });
    }
    let (start, end) =
        until.map_or((start, end), |until| filled(start, end, rescale(until, 1_000_000_000, rate), rate));
    let (first_frame, count) = frames(start, end);
    let dolby = dolby(track, pace);
    let mut samples = SampleTable::default();
    let size =
        (u64::from(target.bitrate_bps) * u64::from(AAC_FRAME_SAMPLES)).div_ceil(u64::from(rate.max(1)) * 8);
    let mut offset = 0;
    for index in 0..count {
        let left = end - (first_frame + index) * FRAME;
        let duration = left.clamp(1, FRAME) as u32;
        samples.push(Sample { offset, size: size as u32, duration, composition: 0, sync: true });
        offset += size;
    }
    let in_file = std::mem::take(&mut track.samples);
    let mut source = track.clone();
    source.samples = in_file;
    track.samples = samples;
    track.coding = Coding::of_track(target);
    track.timescale = rate;
    track.origin = -first_frame * FRAME;
    (track.lift, track.begin, track.end) = (0, 0, count as u32);
    Ok(SoundSource { track: source, sound, sample_rate, runs, target, first_frame, dolby })
}

/// What a track says of itself that players of AC-3 and E-AC-3 can have as it is: its packets last as long as it says, and of
/// AC-3 they are as large.
fn dolby(track: &Track, pace: Pace) -> Option<DolbySound> {
    let dolby = track.coding.dolby().filter(|_| pace == Pace::Said)?;
    let count = track.samples.count();
    let bits = track.samples.bytes(0, count) as f64 * 8.0;
    let seconds = f64::from(count) * f64::from(AC3_SAMPLES) / f64::from(dolby.sample_rate);
    let is_right = |said: u32| (bits - f64::from(said) * seconds).abs() <= bits * 0.02;
    dolby.bitrate_bps.is_none_or(is_right).then_some(dolby)
}

/// The first frame of a track from sample `start` to `end`, which is the one before them, and how many there are.
fn frames(start: i64, end: i64) -> (i64, i64) {
    let first_frame = start.div_euclid(FRAME) - 1;
    (first_frame, -(-end).div_euclid(FRAME) - first_frame)
}

/// From where to where a track is offered that has sound from `start` to `end`, in a presentation from zero to `until`.
fn filled(start: i64, end: i64, until: i64, rate: u32) -> (i64, i64) {
    let unnoticed = rescale(UNNOTICED_MS, 1000, rate);
    let all = (if start > unnoticed { 0 } else { start }, if until - end > unnoticed { until } else { end });
    if frames(all.0, all.1).1 <= FRAMES_MAX { all } else { (start, end) }
}

/// Samples per second as the file says them, or its times do.
fn sample_rate(sound: &PacketSound, timescale: u32) -> u32 {
    let is_rate = |rate: &u32| PacketSound::SAMPLE_RATES.contains(rate);
    [sound.sample_rate, timescale].into_iter().find(is_rate).unwrap_or(48_000)
}

/// Where packets have another rate than the file says, the times of the track tell: what they are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// The rate that is said is right.
    Said,
    /// They have this rate, by how long they last.
    Rate(u32),
    /// They last as long as the track says.
    Times,
}

impl Pace {
    /// The pace of a whole track of packets that say `said` samples per second.
    fn of(track: &Track, sound: &PacketSound, said: u32) -> Self {
        if sound.unit().is_some() {
            return Self::Said;
        }
        let count = f64::from(track.samples.count().max(1));
        let mean = track.samples.end() as f64 / count * f64::from(said) / f64::from(track.timescale.max(1));
        let nominal = f64::from(sound.samples_of(0, mean.round() as u32));
        if (mean - nominal).abs() <= nominal * 0.05 {
            return Self::Said;
        }
        // Gaps between packets make the mean longer, but not what each of them lasts.
        let ticks = track.samples.end() as f64 / count;
        let is_usual = |lasts: u32| (f64::from(lasts) - ticks).abs() <= ticks * 0.03 + 1.0;
        let usual = track.samples.range(0, u32::MAX).filter(|it| is_usual(it.duration)).count();
        if (usual as f64) < count / 2.0 {
            return Self::Said;
        }
        let meant = f64::from(said) * nominal / mean.max(1.0);
        let rate = RATES.into_iter().find(|&rate| (f64::from(rate) - meant).abs() <= meant * 0.01);
        rate.map_or(Self::Times, Self::Rate)
    }
}

/// The packets of `track` in runs; each lasts as its coding says, or as `by_times` the track does.
fn runs(track: &Track, sound: &PacketSound, sample_rate: u32, by_times: bool) -> Vec<PacketRun> {
    let tolerance = u64::from(sample_rate / 50);
    let mut runs: Vec<PacketRun> = Vec::new();
    let mut next = 0;
    for (index, it) in (0..).zip(track.samples.range(0, u32::MAX)) {
        let lasts = rescale(i64::from(it.duration), track.timescale, sample_rate);
        let lasts = u32::try_from(lasts).unwrap_or(0);
        let samples = if by_times { lasts } else { sound.samples_of(it.size, lasts) };
        let said = rescale(track.shown_at(index), track.timescale, sample_rate);
        let is_elsewhere = said.abs_diff(next) > tolerance || runs.is_empty();
        if is_elsewhere {
            next = said;
        }
        if is_elsewhere || runs.last().is_some_and(|run| run.samples != samples) {
            runs.push(PacketRun { first: index, at: next, samples });
        }
        next += i64::from(samples);
    }
    runs.shrink_to_fit();
    runs
}

impl SoundSource {
    /// How its sound is coded in the file.
    pub(super) const fn sound(&self) -> &PacketSound {
        &self.sound
    }

    /// Whether there is sound from the beginning to `until`, in nanoseconds: where one of two buffers is empty, players stand
    /// still.
    fn is_whole(&self, until: i64) -> bool {
        let Self { track, runs, sample_rate, .. } = self;
        let unnoticed = UNNOTICED_MS * 1_000_000;
        let has_gap = runs.iter().zip(runs.iter().skip(1)).any(|(run, next)| {
            let end = run.at + i64::from(next.first - run.first) * i64::from(run.samples);
            rescale(next.at - end, *sample_rate, 1_000_000_000) > unnoticed
        });
        let begins_late = track.nanos(track.shown_at(track.begin)) > unnoticed;
        !begins_late && !has_gap && until - track.nanos(track.shown_until()) <= unnoticed
    }

    /// Its track as it is in the file, and what that says, if some players decode it.
    pub(super) fn in_file(&self) -> Option<(&Track, DolbySound)> {
        self.dolby.map(|dolby| (&self.track, dolby))
    }

    /// Memory that it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.track.samples.memory() + self.runs.capacity() * size_of::<PacketRun>()
    }

    /// Where a packet begins, in samples from presentation time zero.
    fn at(&self, index: u32) -> i64 {
        let after = self.runs.partition_point(|run| run.first <= index);
        let run = after.checked_sub(1).and_then(|place| self.runs.get(place));
        run.map_or(0, |run| run.at + i64::from(index - run.first) * i64::from(run.samples))
    }

    /// The first packet that begins at `at` or later.
    fn first_from(&self, at: i64) -> u32 {
        let (mut low, mut high) = (0, self.track.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at(middle) < at { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// What is needed for block number `block` of a track of `count` frames. `None` if there is no such block, or its packets
    /// are too large. Of too many packets at one time the rest are silent.
    pub(super) fn plan(self: &Arc<Self>, block: u32, count: u32) -> Option<BlockPlan> {
        let from = block.checked_mul(BLOCK)?;
        let to = from.checked_add(BLOCK)?.min(count);
        if from >= to {
            return None;
        }
        let frames = self.first_frame + i64::from(from)..self.first_frame + i64::from(to);
        let needed = needed(&frames, self.target, self.sample_rate);
        // The packet that begins before may reach into it.
        let first = self.first_from(needed.start).saturating_sub(1 + self.sound.run_up());
        let most = if self.sound.unit().is_some() { UNITS_MAX } else { PACKETS_MAX };
        let last = self.first_from(needed.end).clamp(first, first.saturating_add(most));
        if self.track.samples.bytes(first, last) > BYTES_MAX {
            return None;
        }
        let mut place = 0;
        let packets = (first..last).map(|index| {
            let begin = place;
            place += self.track.samples.size(index) as usize;
            PlacedPacket { at: self.at(index), place: begin..place }
        });
        let packets = packets.collect();
        let extents = self.track.samples.extents(first, last);
        Some(BlockPlan { source: Arc::clone(self), frames, packets, extents })
    }
}

impl BlockPlan {
    /// Makes the block of the bytes that were read.
    pub(super) fn code(&self, bytes: &[u8]) -> Result<CodedFrames, CodingError> {
        let SoundSource { track, sound, sample_rate, target, .. } = &*self.source;
        let end = rescale(track.shown_until(), track.timescale, *sample_rate);
        let job = BlockJob {
            sound,
            sample_rate: *sample_rate,
            packets: &self.packets,
            bytes,
            heard: i64::MIN..end,
            target: *target,
            frames: self.frames.clone(),
        };
        code_block(&job)
    }
}

#[cfg(test)]
mod tests;
