//! Fits decoded units into PCM blocks on the lattice: holes, overlaps, and the speed that follows a skew.
//!
//! Push units, then ask for blocks until there is none. Block *n* holds the 1024 samples that are heard from
//! n·1024/rate on; numbers are consecutive. A unit too far away ([`Fitter::is_jump`]) must not be pushed: it
//! needs a new fitter, and so does another sample rate.
//!
//! Two loops follow the source's clock. The first smooths its time stamps and moves the time at which the
//! samples pushed so far end. The second compares the time of the next block's samples with the lattice, and
//! trims the resampler's speed so that the difference dies away over [`FOLLOWED_S`] seconds.

use super::decoder::AudioDecoder;
use super::follower::{Follower, TimestampStep};
use super::stretcher::Stretcher;
use super::{AudioCounts, is_jump};
use amphi_media::{AAC_FRAME_SAMPLES, AudioFormat, MediaTime, Timescale};

const SAMPLES: usize = AAC_FRAME_SAMPLES as usize;
/// Seconds: the time constant of removing an error of time by stretching. A skew of 300 ppm leaves an error of 1.2 ms;
/// time stamps that jitter by ±20 ms change the pitch by less than a hundredth of a semitone.
const FOLLOWED_S: f64 = 4.0;
/// Units of G.711 may be as short as 5 ms, which is less than jitter.
const LEAST_FRAME_S: f64 = 0.02;

/// The PCM side of a transcoder.
pub(super) struct Fitter {
    follower: Follower,
    stretcher: Stretcher,
    from: Timescale,
    to: Timescale,
    channels: u8,
    /// What the follower takes for a frame: the first unit, but no less than 20 ms.
    frame_s: f64,
    /// When the first sample of the first unit is heard, as far as is known now.
    origin: MediaTime,
    /// Samples per channel pushed since then; those that the decoder gives before the first unit's are not counted.
    pushed: i64,
    /// Samples per channel by which the decoder's output is later than its input.
    delay: i64,
    /// Samples per channel still to come from the decoder that are from before the first unit.
    early: usize,
    /// The number of the next block.
    next: i64,
    pcm: Vec<f32>,
    block: Vec<i16>,
}

impl Fitter {
    /// A fitter whose first unit is the one just decoded by `decoder`, and is heard at `pts`. Its first block is the first
    /// that has something of it.
    pub(super) fn new(decoder: &AudioDecoder, to: AudioFormat, pts: MediaTime) -> Result<Self, String> {
        let AudioFormat { sample_rate, channels } = decoder.format();
        let mut stretcher = Stretcher::new(sample_rate, to.sample_rate, to.channels)
            .map_err(|_| "its sample rate cannot be converted".to_owned())?;
        let samples = decoder.pcm().len() / usize::from(channels.max(1));
        let (from, channels, to) = (Timescale(sample_rate), to.channels, Timescale(to.sample_rate));
        // The resampler's filter begins to ring before the first unit. Zeros before it fill up the block.
        let ringing_s = stretcher.ahead() / f64::from(from.0);
        let first = pts.offset_nanos(-(ringing_s * 1e9) as i64);
        let next = first.to_ticks(to).div_euclid(SAMPLES as i64);
        let lead_s = seconds_between(block_start(next, to), first);
        stretcher.push_silence((lead_s * f64::from(from.0)).round() as usize);
        Ok(Self {
            follower: Follower::new(),
            stretcher,
            from,
            to,
            channels,
            frame_s: (samples as f64 / f64::from(from.0)).max(LEAST_FRAME_S),
            origin: pts,
            pushed: -(decoder.delay() as i64),
            delay: decoder.delay() as i64,
            early: decoder.delay(),
            next,
            pcm: Vec::new(),
            block: Vec::new(),
        })
    }

    /// The number of the next block.
    pub(super) const fn next(&self) -> i64 {
        self.next
    }

    /// The sample rate of what is pushed, in hertz.
    pub(super) const fn rate(&self) -> u32 {
        self.from.0
    }

    /// Whether a unit heard at `pts` is too far from the unit before.
    pub(super) const fn is_jump(&self, pts: MediaTime) -> bool {
        is_jump(pts, self.time(self.pushed + self.delay))
    }

    /// When the sample that comes `samples` after the first is heard, as far as is known now.
    const fn time(&self, samples: i64) -> MediaTime {
        self.origin.offset_nanos(MediaTime::from_ticks(samples, self.from).as_nanos())
    }

    /// Appends what `decoder` has just made of a unit that is heard at `pts`.
    pub(super) fn push(&mut self, pts: MediaTime, decoder: &AudioDecoder, counts: &mut AudioCounts) {
        let channels = usize::from(self.channels);
        self.pcm.clear();
        decoder.copy_to(self.channels, &mut self.pcm);
        let samples = self.pcm.len() / channels;
        let distance = seconds_between(self.time(self.pushed + self.delay), pts) / self.frame_s;
        let in_samples = |frames: f64| (frames * self.frame_s * f64::from(self.from.0)).round();
        let cut = match self.follower.observe(distance) {
            TimestampStep::Steady => {
                // The better estimate holds for the time of all samples, not only of this unit's.
                let error = self.follower.error();
                self.follower.shift(error);
                self.origin = self.origin.offset_nanos((error * self.frame_s * 1e9) as i64);
                0
            }
            TimestampStep::Hole(length) => {
                let missing = in_samples(length);
                self.stretcher.push_silence(missing as usize);
                self.pushed += missing as i64;
                0
            }
            TimestampStep::Overlap(length) => (in_samples(length) as usize).min(samples),
        };
        let early = self.early.min(samples - cut);
        self.early -= early;
        self.stretcher.push(self.pcm.get((cut + early) * channels..).unwrap_or_default());
        self.pushed += (samples - cut) as i64;
        if cut == samples {
            counts.dropped += 1;
        }
    }

    /// Appends silence, so that everything pushed comes out in blocks.
    pub(super) fn pad(&mut self) {
        let block = SAMPLES as f64 * f64::from(self.from.0) / f64::from(self.to.0);
        // What is still in the decoder will not come.
        let padding = block.ceil() as usize + Stretcher::RINGING + self.delay as usize;
        self.stretcher.push_silence(padding);
        self.pushed += padding as i64;
    }

    /// The next block and its number, interleaved; `None` until more units are pushed.
    pub(super) fn block(&mut self) -> Option<(i64, &[i16])> {
        if self.early > 0 {
            return None;
        }
        let ahead_s = self.stretcher.ahead() / f64::from(self.from.0);
        // Positive: the next samples belong to an earlier time than the block, so go faster.
        let late_s = seconds_between(self.time(self.pushed), block_start(self.next, self.to)) + ahead_s;
        let made = self.stretcher.block(1.0 + late_s / FOLLOWED_S)?;
        self.block.clear();
        self.block.extend(made.iter().map(|&sample| (sample * 32_768.0).round() as i16));
        self.next += 1;
        Some((self.next - 1, &self.block))
    }
}

const fn block_start(n: i64, scale: Timescale) -> MediaTime {
    MediaTime::from_ticks(n * SAMPLES as i64, scale)
}

const fn seconds_between(from: MediaTime, to: MediaTime) -> f64 {
    to.as_nanos().saturating_sub(from.as_nanos()) as f64 / 1e9
}
