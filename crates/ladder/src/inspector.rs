//! A short look at what a source sends, outside of any ladder: can it be decoded, is it black, is it silent?

use std::sync::Arc;

use super::LadderMeter;
use super::audio::LoudnessMeter;
use super::decoding::DecoderChoice;
use super::openh264::CodecError;
use super::pictures::PictureDecoder;
use super::vitals::SourceObserver;
use amphi_media::{MediaTime, SourceFrame, TrackFormat};

/// Looks at frames; its [`LadderMeter`] says what was seen.
pub struct Inspector {
    decoder: PictureDecoder,
    vitals: SourceObserver,
    loudness: LoudnessMeter,
    meter: Arc<LadderMeter>,
}

impl Inspector {
    /// An inspector that has seen nothing yet.
    pub fn new() -> Result<Self, CodecError> {
        let meter = Arc::new(LadderMeter::default());
        let decoder = PictureDecoder::new(DecoderChoice::default(), Arc::clone(&meter))?;
        Ok(Self {
            decoder,
            vitals: SourceObserver::new(Arc::clone(&meter)),
            loudness: LoudnessMeter::default(),
            meter,
        })
    }

    /// Looks at a frame, or listens to it.
    pub fn look(&mut self, frame: &SourceFrame, now: MediaTime) {
        match &*frame.format {
            TrackFormat::H264(_) => {
                let mut pictures = Vec::new();
                self.decoder.decode(frame, &mut pictures);
                for (_, shown) in &pictures {
                    self.vitals.see(&shown.picture, now);
                }
            }
            TrackFormat::Aac(_) | TrackFormat::Mp3 { .. } | TrackFormat::G711 { .. } => {
                let heard = self.loudness.level(frame);
                self.vitals.hear(heard.as_ref().map(|level| *level), &frame.format, now);
            }
        }
    }

    /// What was seen and heard so far.
    pub fn meter(&self) -> &LadderMeter {
        &self.meter
    }
}
