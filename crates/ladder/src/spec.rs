//! What a ladder is to make: its rungs and its sound, in numbers.

use std::time::Duration;

use amphi_config as config;
use amphi_media::{AudioFormat, AudioTrack, Grid, PictureSize, RungTracks, VideoTrack};

use super::decoding::DecoderChoice;
use super::openh264::{CodecError, Encoder, EncoderSettings};

/// One rung with a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureRung {
    /// The rung's name, which is the suffix of its stream names.
    pub name: String,
    /// The fixed coded size; sources are letterboxed into it.
    pub size: PictureSize,
    /// Pictures per second, whatever the source sends.
    pub fps: u32,
    /// Target bit rate in bits per second.
    pub bitrate_bps: u32,
}

impl PictureRung {
    pub(super) const fn encoder_settings(&self) -> EncoderSettings {
        EncoderSettings { size: self.size, fps: self.fps, bitrate_bps: self.bitrate_bps }
    }
}

/// A ladder as its threads need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderSpec {
    /// The ladder's name in the configuration.
    pub name: String,
    /// The grid that its cells stand on.
    pub grid: Grid,
    /// Which decoder a source's pictures go to first.
    pub decoder: DecoderChoice,
    /// How long a slot waits for its picture before it repeats the one before.
    pub patience: Duration,
    /// Picture rungs in the ladder's order.
    pub pictures: Vec<PictureRung>,
    /// The names of rungs with sound alone.
    pub audio_only: Vec<String>,
    /// The sound, which is the same in all rungs.
    pub audio: AudioTrack,
}

impl LadderSpec {
    /// Takes a ladder of a checked configuration. `live_deadline` is how late a live cell may be: pictures get half of
    /// it, the encoders and the sound the rest.
    pub fn new(ladder: &config::Ladder, grid: Grid, live_deadline: Duration) -> Self {
        let (audio_only, pictures): (Vec<_>, Vec<_>) = ladder.rungs.iter().partition(|rung| rung.audio_only);
        Self {
            name: ladder.name.clone(),
            grid,
            decoder: DecoderChoice::default(),
            patience: live_deadline / 2,
            pictures: pictures
                .into_iter()
                .map(|rung| PictureRung {
                    name: rung.name.clone(),
                    size: PictureSize { width: rung.width, height: rung.height },
                    fps: rung.fps,
                    bitrate_bps: rung.bitrate,
                })
                .collect(),
            audio_only: audio_only.into_iter().map(|rung| rung.name.clone()).collect(),
            audio: AudioTrack {
                format: AudioFormat {
                    sample_rate: ladder.audio.sample_rate,
                    channels: ladder.audio.channels,
                },
                bitrate_bps: ladder.audio.bitrate,
            },
        }
    }

    /// The tracks of every rung, picture rungs first. Asks an encoder of each rung for its parameter sets.
    pub fn tracks(&self) -> Result<Vec<RungTracks>, CodecError> {
        let pictures = self.pictures.iter().enumerate().map(|(index, rung)| {
            let encoder = Encoder::new(rung.encoder_settings())?;
            Ok(RungTracks {
                name: rung.name.clone(),
                video: Some(VideoTrack {
                    size: rung.size,
                    fps: rung.fps,
                    bitrate_bps: rung.bitrate_bps,
                    parameter_sets: encoder.parameter_sets().clone(),
                }),
                video_index: Some(index),
                audio: self.audio,
            })
        });
        let sounds = self.audio_only.iter().map(|name| {
            Ok(RungTracks { name: name.clone(), video: None, video_index: None, audio: self.audio })
        });
        pictures.chain(sounds).collect()
    }
}
