//! Which of a source's tracks are used, and how they are coded.

use std::sync::Arc;

use bytes::Bytes;
use retina::client::Stream;
use retina::codec::{ParametersRef, VideoParametersCodec};

use super::fault::SourceFault;
use crate::matrix::SourceMedia;
use crate::media::{AudioSpecificConfig, ParameterSets, TrackFormat};

/// The tracks to set up, as indices into the description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) video: usize,
    pub(super) audio: Option<usize>,
    /// Tracks that are left out, for people.
    pub(super) skipped: Vec<String>,
}

/// What the choice needs to know of a track: `media`, encoding name in lower case, usable.
pub(super) struct Offer<'a> {
    media: &'a str,
    encoding: &'a str,
    /// For sound: AAC-LC, mono or stereo.
    usable: bool,
}

impl<'a> Offer<'a> {
    pub(super) fn of(stream: &'a Stream) -> Self {
        let usable = stream.media() != "audio" || aac(stream).is_some();
        Self { media: stream.media(), encoding: stream.encoding_name(), usable }
    }
}

/// Takes the first H.264 track and the first AAC-LC track.
pub(super) fn choose<'a>(offers: impl IntoIterator<Item = Offer<'a>>) -> Result<Choice, SourceFault> {
    let (mut video, mut audio, mut skipped, mut other_video) = (None, None, Vec::new(), None);
    for (index, offer) in offers.into_iter().enumerate() {
        match (offer.media, offer.encoding) {
            ("video", "h264") if video.is_none() => video = Some(index),
            ("audio", "mpeg4-generic") if audio.is_none() && offer.usable => audio = Some(index),
            (media, encoding) => {
                skipped.push(format!("{media} ({})", codec_name(encoding)));
                if media == "video" {
                    other_video.get_or_insert_with(|| codec_name(encoding));
                }
            }
        }
    }
    match (video, other_video) {
        (Some(video), _) => Ok(Choice { video, audio, skipped }),
        (None, Some(codec)) => Err(SourceFault::VideoCodec(codec)),
        (None, None) => Err(SourceFault::NoVideo),
    }
}

fn codec_name(encoding: &str) -> String {
    match encoding {
        "h265" => "H.265".to_owned(),
        "h264" => "a second H.264".to_owned(),
        "jpeg" => "Motion JPEG".to_owned(),
        "mpeg4-generic" => "AAC that is not plain mono or stereo AAC-LC, or a second track".to_owned(),
        other => other.chars().filter(char::is_ascii_graphic).take(24).collect::<String>().to_uppercase(),
    }
}

/// The configuration of an AAC-LC track, mono or stereo, 1024 samples per frame.
fn aac(stream: &Stream) -> Option<AudioSpecificConfig> {
    let Some(ParametersRef::Audio(parameters)) = stream.parameters() else { return None };
    let config = AudioSpecificConfig::parse(parameters.extra_data()).ok()?;
    let usable = matches!(config.channels, 1 | 2) && config.is_lc(config.format());
    usable.then_some(config)
}

/// How a track is coded, once it is known.
pub(super) fn format(stream: &Stream) -> Option<Arc<TrackFormat>> {
    let format = match stream.parameters()? {
        ParametersRef::Video(parameters) => match parameters.codec_params() {
            VideoParametersCodec::H264 { sps, pps } => {
                TrackFormat::H264(ParameterSets { sps: Bytes::clone(sps), pps: Bytes::clone(pps) })
            }
            _ => return None,
        },
        ParametersRef::Audio(_) => TrackFormat::Aac(aac(stream)?),
        ParametersRef::Message(_) => return None,
    };
    Some(Arc::new(format))
}

/// What the tracks are, for people.
pub(super) fn media(video: Option<&Stream>, audio: Option<&Stream>) -> SourceMedia {
    let mut media = SourceMedia::default();
    if let Some(ParametersRef::Video(parameters)) = video.and_then(Stream::parameters) {
        let (width, height) = parameters.pixel_dimensions();
        media.video_codec = Some(parameters.rfc6381_codec().to_owned());
        media.width = Some(width);
        media.height = Some(height);
    }
    if let Some(config) = audio.and_then(aac) {
        media.audio_codec = Some(format!("mp4a.40.{}", config.object_type));
        media.sample_rate = Some(config.sample_rate);
        media.channels = Some(config.channels);
    }
    media
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offers: &[(&str, &str, bool)]) -> Result<Choice, SourceFault> {
        choose(offers.iter().map(|&(media, encoding, usable)| Offer { media, encoding, usable }))
    }

    #[test]
    fn h264_and_aac_are_taken_in_any_order() {
        let choice = chosen(&[
            ("application", "vnd.onvif.metadata", true),
            ("audio", "pcma", false),
            ("audio", "mpeg4-generic", true),
            ("video", "h264", true),
        ]);
        let choice = choice.unwrap();
        assert_eq!((choice.video, choice.audio), (3, Some(2)));
        assert_eq!(choice.skipped, ["application (VND.ONVIF.METADATA)", "audio (PCMA)"]);
    }

    #[test]
    fn unusable_sound_is_left_out() {
        let choice = chosen(&[("video", "h264", true), ("audio", "mpeg4-generic", false)]).unwrap();
        assert_eq!((choice.video, choice.audio), (0, None));
    }

    #[test]
    fn without_h264_the_codec_is_named() {
        assert_eq!(chosen(&[("video", "h265", true)]), Err(SourceFault::VideoCodec("H.265".to_owned())));
        assert_eq!(chosen(&[("audio", "mpeg4-generic", true)]), Err(SourceFault::NoVideo));
    }
}
