//! How loud a source is: a decoder that only listens. Costs 0.07 % of a core for each source.

use super::decoder::Decoder;
use super::size_is_legal;
use crate::media::{AudioSpecificConfig, SourceFrame, TrackFormat};

/// Listens to one source.
#[derive(Default)]
pub struct Ear {
    /// `None` inside: this format cannot be decoded.
    decoder: Option<(AudioSpecificConfig, Option<Decoder>)>,
    pcm: Vec<f32>,
}

impl Ear {
    /// The largest sample of an access unit, full scale being 1; `None` where it cannot be decoded.
    pub fn peak(&mut self, unit: &SourceFrame) -> Option<f32> {
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
        Some(self.pcm.iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs())))
    }
}
