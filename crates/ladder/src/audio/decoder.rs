//! Decodes every kind of sound that sources send to PCM. Knows nothing of time.
//!
//! AAC goes through `fdk-aac`: LC, HE-AAC v1 and v2, up to 7.1. It is strict: a unit whose elements do not parse, or that
//! is longer or shorter than its elements, is an error. Units that pass through untouched (`passthrough`) are checked with it.
//! MP3 and G.711 are decoded by [`amphi_sound`]. More than two channels are mixed to two by the decoder:
//! centre and surround at -3 dB, no LFE (ITU-R BS.775-3 annex 4), and its limiter keeps the sum from clipping.

use std::fmt;

use amphi_media::{AudioFormat, AudioSpecificConfig, G711Law, TrackFormat};
use amphi_sound::{MpegDecoder, g711};

/// Most bytes of a unit of MP3: four frames of 320 kbit/s at 32 kHz.
const MOST_MP3_BYTES: usize = 4 * 1441;

/// Sample rates that the resampler converts from, in hertz.
const RATES: std::ops::RangeInclusive<u32> = 7350..=96_000;
/// An access unit holds at most 6144 bits per channel (ISO/IEC 14496-3 §4.5.3.2).
pub(super) const UNIT_BYTES_PER_CHANNEL: usize = 768;
/// Most samples of a decoded unit of AAC: eight channels, and 2048 samples of each with SBR, or 4096 with xHE-AAC.
const MOST_SAMPLES: usize = 8 * 4096;
/// A decoder of one stream.
pub(super) struct AudioDecoder {
    inner: AudioCodec,
    /// Of what was decoded last; at first what the format says.
    format: AudioFormat,
    /// Samples per channel that are decoded and not given yet.
    delay: usize,
    /// Samples per channel of silence that stand for a unit that cannot be decoded.
    length: usize,
    /// The samples decoded last, interleaved; full scale is 1.
    pcm: Vec<f32>,
}

enum AudioCodec {
    Aac {
        inner: fdk_aac::dec::Decoder,
        config: AudioSpecificConfig,
        raw: Vec<i16>,
    },
    Mp3(MpegDecoder),
    G711(G711Law),
    /// Takes any bytes for a frame of AAC-LC.
    #[cfg(any(test, feature = "testing"))]
    Blind,
}

impl AudioDecoder {
    /// A decoder for `format`, or the reason why there is none.
    pub(super) fn new(format: &TrackFormat) -> Result<Self, String> {
        let sound = format.sound().ok_or("it is not sound")?;
        if !RATES.contains(&sound.sample_rate) {
            return Err("its sample rate is out of range".to_owned());
        }
        let (inner, length) = match *format {
            TrackFormat::Aac(config) => {
                let scale = sound.sample_rate / config.sample_rate.max(1);
                // SBR doubles the rate, and xHE-AAC makes four of it.
                let length = config.frame_samples() * scale.clamp(1, 4);
                (AudioCodec::Aac { inner: open(config)?, config, raw: vec![0; MOST_SAMPLES] }, length)
            }
            TrackFormat::Mp3 { .. } => {
                let length = if sound.sample_rate >= 32_000 { 1152 } else { 576 };
                (AudioCodec::Mp3(MpegDecoder::layer_3()), length)
            }
            TrackFormat::G711 { law, channels: 1 | 2, .. } => (AudioCodec::G711(law), 0),
            TrackFormat::G711 { .. } => return Err("it is neither mono nor stereo".to_owned()),
            TrackFormat::H264(_) => return Err("it is not sound".to_owned()),
        };
        let format = AudioFormat { channels: sound.channels.min(2), ..sound };
        Ok(Self { inner, format, delay: 0, length: length as usize, pcm: Vec::new() })
    }

    /// A decoder that takes any bytes and gives zeros, for tests of where units go.
    #[cfg(any(test, feature = "testing"))]
    pub(super) const fn blind(format: AudioFormat) -> Self {
        Self { inner: AudioCodec::Blind, format, delay: 0, length: 1, pcm: Vec::new() }
    }

    /// Whether units are decoded at all.
    pub(super) const fn sees(&self) -> bool {
        #[cfg(any(test, feature = "testing"))]
        if matches!(self.inner, AudioCodec::Blind) {
            return false;
        }
        let _ = self;
        true
    }

    /// The format of what was decoded last.
    pub(super) const fn format(&self) -> AudioFormat {
        self.format
    }

    /// By how many samples per channel the decoder's output is later than its input.
    pub(super) const fn delay(&self) -> usize {
        self.delay
    }

    /// What was decoded last, interleaved, in as many channels as [`Self::format`] says.
    pub(super) fn pcm(&self) -> &[f32] {
        &self.pcm
    }

    /// What was decoded last, in `channels` channels, appended to `out`.
    pub(super) fn copy_to(&self, channels: u8, out: &mut Vec<f32>) {
        match (self.format.channels, channels) {
            (1, 2) => out.extend(self.pcm.iter().flat_map(|&sample| [sample, sample])),
            (2, 1) => {
                out.extend(self.pcm.as_chunks::<2>().0.iter().map(|[left, right]| (left + right) / 2.0));
            }
            _ => out.extend_from_slice(&self.pcm),
        }
    }

    /// Decodes one unit to [`Self::pcm`]. One that cannot be decoded is silence, and the error is returned.
    pub(super) fn decode(&mut self, unit: &[u8]) -> Result<(), String> {
        self.pcm.clear();
        let decoded = match &mut self.inner {
            AudioCodec::Aac { inner, config, raw } => {
                aac(inner, *config, raw, unit, &mut self.pcm).map(|(format, delay)| {
                    self.format = format;
                    self.delay = delay;
                })
            }
            AudioCodec::Mp3(inner) => inner.decode(unit, &mut self.pcm).map(|format| self.format = format),
            AudioCodec::G711(law) => {
                self.pcm.extend(unit.iter().map(|&byte| f32::from(g711(*law, byte)) / 32_768.0));
                Ok(())
            }
            #[cfg(any(test, feature = "testing"))]
            AudioCodec::Blind => {
                self.pcm.resize(self.length * usize::from(self.format.channels), 0.0);
                Ok(())
            }
        };
        if let Err(reason) = decoded {
            self.reopen();
            self.miss();
            return Err(reason);
        }
        self.length = self.pcm.len() / usize::from(self.format.channels.max(1));
        Ok(())
    }

    /// Puts silence in the place of a unit that is not, or cannot be, decoded.
    pub(super) fn miss(&mut self) {
        self.pcm.clear();
        self.pcm.resize(self.length * usize::from(self.format.channels), 0.0);
    }

    /// Replaces the decoder's state: what a broken unit says of channels and SBR would otherwise spoil the units after it.
    fn reopen(&mut self) {
        match &mut self.inner {
            AudioCodec::Aac { inner, config, .. } => {
                if let Ok(fresh) = open(*config) {
                    *inner = fresh;
                }
            }
            AudioCodec::Mp3(inner) => inner.reset(),
            AudioCodec::G711(_) => {}
            #[cfg(any(test, feature = "testing"))]
            AudioCodec::Blind => {}
        }
    }
}

impl fmt::Debug for AudioDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioDecoder").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Whether a unit has a size that its coding allows.
pub(super) fn size_is_legal(unit: &[u8], format: &TrackFormat) -> bool {
    let most = match *format {
        TrackFormat::H264(_) => 0,
        TrackFormat::Aac(config) => UNIT_BYTES_PER_CHANNEL * usize::from(config.channels.max(1)),
        TrackFormat::Mp3 { .. } => MOST_MP3_BYTES,
        // One second of sound.
        TrackFormat::G711 { sample_rate, channels, .. } => sample_rate as usize * usize::from(channels),
    };
    !unit.is_empty() && unit.len() <= most
}

fn open(config: AudioSpecificConfig) -> Result<fdk_aac::dec::Decoder, String> {
    let mut inner = fdk_aac::dec::Decoder::new(fdk_aac::dec::Transport::Raw);
    inner.config_raw(&config.to_bytes()).map_err(|error| error.to_string())?;
    inner.set_max_output_channels(2).map_err(|error| error.to_string())?;
    Ok(inner)
}

/// Decodes a unit of AAC to `out`: its format, and the decoder's delay in samples.
fn aac(
    inner: &mut fdk_aac::dec::Decoder,
    config: AudioSpecificConfig,
    raw: &mut [i16],
    unit: &[u8],
    out: &mut Vec<f32>,
) -> Result<(AudioFormat, usize), String> {
    let taken = inner.fill(unit).map_err(|error| error.to_string())?;
    if taken != unit.len() {
        return Err("it is longer than any access unit".to_owned());
    }
    inner.decode_frame(raw).map_err(|error| error.to_string())?;
    let info = inner.stream_info();
    if info.aacNumChannels != i32::from(config.channels) {
        return Err(format!(
            "it has {} channels, the configuration {}",
            info.aacNumChannels, config.channels
        ));
    }
    let (rate, channels) = (u32::try_from(info.sampleRate), u8::try_from(info.numChannels));
    let (Ok(sample_rate), Ok(channels @ (1 | 2))) = (rate, channels) else {
        return Err("the decoder gives neither mono nor stereo".to_owned());
    };
    let count = usize::try_from(info.frameSize).unwrap_or(0) * usize::from(channels);
    let samples = raw.get(..count).filter(|samples| !samples.is_empty()).ok_or("it has no samples")?;
    out.extend(samples.iter().map(|&sample| f32::from(sample) / 32_768.0));
    // The delay of SBR's filters does not count: players do not make up for it, and encoders count it as their own
    // (ISO/IEC 14496-3 §1.6.7.2: 962 samples, half of that at the core's own rate).
    let sbr = match (info.sampleRate > info.aacSampleRate, info.extAot) {
        (true, _) => 962,
        (false, 5) => 481,
        (false, _) => 0,
    };
    Ok((AudioFormat { sample_rate, channels }, (info.outputDelay as usize).saturating_sub(sbr)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{coded, tone};
    use super::*;
    use amphi_sound::LOUDEST;

    const STEREO: AudioFormat = AudioFormat { sample_rate: 48_000, channels: 2 };

    fn decoder() -> AudioDecoder {
        AudioDecoder::new(&TrackFormat::Aac(AudioSpecificConfig::lc(STEREO))).expect("a usual format")
    }

    #[test]
    fn a_broken_unit_does_not_deafen_the_decoder() {
        let good = coded(STEREO, 4, tone(440.0, 48_000));
        for first_byte in 0..=255 {
            let mut decoder = decoder();
            assert!(decoder.decode(&[first_byte, 0, 0, 0]).is_err(), "{first_byte:#04x}");
            assert!(decoder.pcm().iter().all(|&sample| sample == 0.0) && decoder.pcm().len() == 2048);
            for unit in &good {
                assert_eq!(decoder.decode(unit), Ok(()), "after {first_byte:#04x}");
                assert_eq!((decoder.format(), decoder.pcm().len()), (STEREO, 2048));
            }
        }
    }

    #[test]
    fn damaged_units_are_refused() {
        let good = coded(STEREO, 4, tone(440.0, 48_000));
        let mono = coded(AudioFormat { channels: 1, ..STEREO }, 4, tone(440.0, 48_000));
        let whole = &good[2];
        let mut bad: Vec<Vec<u8>> =
            vec![vec![0xff; whole.len()], vec![0; whole.len()], mono[2].to_vec(), vec![], vec![0xe0]];
        bad.extend((1..whole.len()).map(|length| whole[..length].to_vec()));
        bad.push([whole, &[0][..]].concat());
        bad.push([whole, &whole[..]].concat());
        let mut random = fastrand::Rng::with_seed(3);
        bad.extend((0..200).map(|_| (0..random.usize(1..1500)).map(|_| random.u8(..)).collect()));
        let mut decoder = decoder();
        for unit in &bad {
            assert!(decoder.decode(unit).is_err(), "{} bytes: {:02x?}", unit.len(), unit.get(..8));
            assert_eq!(decoder.decode(whole), Ok(()));
        }
    }

    #[test]
    #[ignore = "needs half a minute: tests/run"]
    fn no_bytes_make_the_decoder_panic() {
        let good = coded(STEREO, 16, |i| tone(440.0, 48_000)(i) * if i % 5000 < 900 { 1.0 } else { 0.05 });
        let mut decoder = decoder();
        let mut random = fastrand::Rng::with_seed(42);
        for _ in 0..200_000 {
            let mut unit = good[random.usize(..good.len())].to_vec();
            for _ in 0..random.usize(1..6) {
                let end = if random.bool() { unit.len().min(12) } else { unit.len() };
                let at = random.usize(..end);
                unit[at] = random.u8(..);
            }
            unit.truncate(random.usize(1..=unit.len()));
            let _ = decoder.decode(&unit);
            assert!(decoder.pcm().iter().all(|sample| sample.abs() <= LOUDEST));
        }
    }
}
