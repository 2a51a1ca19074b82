//! Resamples PCM from the source's rate to the ladder's, at a speed that can be trimmed. Wraps `rubato`.
//!
//! The caller pushes samples and asks for blocks of 1024; [`Stretcher::ahead`] says to a fraction of a sample
//! which input the next block begins with, so the caller alone decides what time that is.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler, ResamplerConstructionError, SincInterpolationParameters,
    WindowFunction,
};

use amphi_media::AAC_FRAME_SAMPLES;

const BLOCK: usize = AAC_FRAME_SAMPLES as usize;
/// Taps of the filter, in samples of the input. With 128 the pass band ends at 0.9 of Nyquist.
const TAPS: usize = 128;
/// Filters between two samples; interpolated, so more would only cost cache.
const PHASES: usize = 128;
/// The greatest change of speed, as a share of the nominal one.
pub(super) const TRIM: f64 = 0.005;

/// A resampler with its queue.
pub(super) struct Stretcher {
    inner: Async<f32>,
    channels: usize,
    /// Output samples per input sample at speed 1.
    nominal: f64,
    /// Interleaved input not yet consumed.
    queue: Vec<f32>,
    /// Where the last output sample lay, in samples from the start of the queue.
    position: f64,
    block: Vec<f32>,
}

impl Stretcher {
    /// A resampler before its first sample.
    pub(super) fn new(
        from_rate: u32,
        to_rate: u32,
        channels: u8,
    ) -> Result<Self, ResamplerConstructionError> {
        let nominal = f64::from(to_rate) / f64::from(from_rate);
        let channels = usize::from(channels);
        let parameters = SincInterpolationParameters::new(TAPS, WindowFunction::BlackmanHarris2)
            .oversampling_factor(PHASES);
        let inner =
            Async::new_sinc(nominal, 1.0 + 2.0 * TRIM, &parameters, BLOCK, channels, FixedAsync::Output)?;
        Ok(Self {
            inner,
            channels,
            nominal,
            queue: Vec::new(),
            position: Self::START,
            block: vec![0.0; BLOCK * channels],
        })
    }

    /// The filter is centred half its length before the first sample, and one phase late (rubato 5.0.1,
    /// `InnerSinc::init_last_index` and `make_sincs`; the test of an impulse holds it to that).
    const START: f64 = 1.0 / PHASES as f64 - (TAPS / 2) as f64;

    /// Appends samples at the source's rate, interleaved.
    pub(super) fn push(&mut self, samples: &[f32]) {
        self.queue.extend_from_slice(samples);
    }

    /// Appends `count` samples of silence per channel.
    pub(super) fn push_silence(&mut self, count: usize) {
        self.queue.resize(self.queue.len() + count * self.channels, 0.0);
    }

    /// Samples of the input from the first sample of the next block to the end of what was pushed.
    pub(super) fn ahead(&self) -> f64 {
        (self.queue.len() / self.channels) as f64 - self.position - 1.0 / self.nominal
    }

    /// Silence that has to follow a sample, at least, for all of its ringing to come out.
    pub(super) const RINGING: usize = 2 * TAPS;

    /// The next 1024 samples, interleaved, at `speed` times the nominal speed (within 1 ± [`TRIM`]); `None`
    /// while the input does not suffice.
    pub(super) fn block(&mut self, speed: f64) -> Option<&[f32]> {
        let ratio = self.nominal / speed.clamp(1.0 - TRIM, 1.0 + TRIM);
        self.inner.set_resample_ratio(ratio, false).ok()?;
        let input =
            InterleavedSlice::new(&self.queue, self.channels, self.queue.len() / self.channels).ok()?;
        let mut output = InterleavedSlice::new_mut(&mut self.block, self.channels, BLOCK).ok()?;
        // The only error that rubato gives here is too little input.
        let (consumed, made) = self.inner.process_into_buffer(&input, &mut output, None).ok()?;
        self.queue.drain(..consumed * self.channels);
        self.position += made as f64 / ratio - consumed as f64;
        Some(&self.block)
    }
}
