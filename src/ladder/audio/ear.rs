//! How loud a source is: a decoder that only listens. Costs 0.07 % of a core for each source.

use super::decoder::Decoder;
use super::size_is_legal;
use crate::media::{AudioSpecificConfig, SourceFrame, TrackFormat};

/// How loud something is, full scale being 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The largest sample.
    pub peak: f32,
    /// The mean of the samples' squares.
    pub power: f32,
}

impl Level {
    fn of(pcm: &[f32]) -> Self {
        let peak = pcm.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
        let energy: f32 = pcm.iter().map(|sample| sample * sample).sum();
        Self { peak, power: energy / pcm.len().max(1) as f32 }
    }
}

/// Listens to one source.
#[derive(Default)]
pub struct Ear {
    /// `None` inside: this format cannot be decoded.
    decoder: Option<(AudioSpecificConfig, Option<Decoder>)>,
    pcm: Vec<f32>,
}

impl Ear {
    /// How loud an access unit is; `None` where it cannot be decoded.
    pub fn level(&mut self, unit: &SourceFrame) -> Option<Level> {
        let TrackFormat::Aac(config) = *unit.format else { return None };
        if !size_is_legal(&unit.data, config) {
            return None;
        }
        if self.decoder.as_ref().is_none_or(|(known, _)| *known != config) {
            self.decoder = Some((config, Decoder::new(config).ok()));
        }
        let (_, Some(decoder)) = self.decoder.as_mut()? else { return None };
        self.pcm.clear();
        decoder.decode(&unit.data, config.channels, &mut self.pcm).ok()?;
        Some(Level::of(&self.pcm))
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
