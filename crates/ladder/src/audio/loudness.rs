//! Decodes what a source sends, and says how loud it is or why it cannot be decoded.

use std::sync::Arc;

use super::AudioError;
use super::decoder::{AudioDecoder, size_is_legal};
use amphi_media::{SourceFrame, TrackFormat};

/// How loud some samples are; full scale is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The largest absolute value of a sample.
    pub peak: f32,
    /// The mean of the samples' squares.
    pub power: f32,
}

impl Level {
    pub(super) fn of(pcm: &[f32]) -> Self {
        let peak = pcm.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
        let energy: f32 = pcm.iter().map(|sample| sample * sample).sum();
        Self { peak, power: energy / pcm.len().max(1) as f32 }
    }
}

/// Decodes one source's sound and measures how loud it is.
#[derive(Debug, Default)]
pub struct LoudnessMeter {
    /// The format of the last unit, and its decoder, or why it has none.
    hears: Option<(Arc<TrackFormat>, Result<AudioDecoder, String>)>,
}

impl LoudnessMeter {
    /// Decodes a unit and says how loud it is. A sound that cannot be decoded at all is an error at each of its units.
    pub fn level(&mut self, unit: &SourceFrame) -> Result<Level, AudioError> {
        self.hear(unit).map(|decoder| Level::of(decoder.pcm()))
    }

    /// Decodes a unit; afterwards [`Self::decoder`] has its sound, or silence instead of it.
    pub(super) fn hear(&mut self, unit: &SourceFrame) -> Result<&AudioDecoder, AudioError> {
        if unit.format.sound().is_none() {
            return Err(AudioError::NotSound { pts: unit.pts });
        }
        let known = self
            .hears
            .as_ref()
            .is_some_and(|(format, _)| Arc::ptr_eq(format, &unit.format) || **format == *unit.format);
        if !known {
            self.hears = Some((Arc::clone(&unit.format), AudioDecoder::new(&unit.format)));
        }
        let unsupported =
            |reason: &str| AudioError::Source { format: unit.format.describe(), reason: reason.to_owned() };
        let decoder = match &mut self.hears {
            Some((_, Ok(decoder))) => decoder,
            Some((_, Err(reason))) => return Err(unsupported(reason)),
            None => return Err(unsupported("it has no decoder")),
        };
        if !size_is_legal(&unit.data, &unit.format) {
            decoder.miss();
            return Err(AudioError::Size { pts: unit.pts, size: unit.data.len() });
        }
        match decoder.decode(&unit.data) {
            Ok(()) => Ok(decoder),
            Err(reason) => Err(AudioError::Decode { pts: unit.pts, size: unit.data.len(), reason }),
        }
    }

    /// The decoder of the last unit, if there is one for it.
    pub(super) fn decoder(&self) -> Option<&AudioDecoder> {
        self.hears.as_ref().and_then(|(_, decoder)| decoder.as_ref().ok())
    }

    /// Whether units are really decoded: always, except in some tests.
    pub(super) fn sees(&self) -> bool {
        self.decoder().is_none_or(AudioDecoder::sees)
    }

    /// A meter that accepts any bytes as sound in the format of `config`.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn blind(config: amphi_media::AudioSpecificConfig) -> Self {
        let format = TrackFormat::Aac(config);
        Self { hears: Some((Arc::new(format), Ok(AudioDecoder::blind(config.format())))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_wave_has_its_power_and_its_peak() {
        assert_eq!(Level::of(&[0.5, -0.5, 0.5, -0.5]), Level { peak: 0.5, power: 0.25 });
        assert_eq!(Level::of(&[]), Level::default());
    }
}
