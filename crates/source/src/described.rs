//! What a source sends, in the words of the matrix, from the formats of its frames.

use amphi_control::matrix::SourceMedia;
use amphi_media::{G711Law, TrackFormat, h264};

/// The media of a source whose last picture and sound have these formats.
pub(super) fn described(video: Option<&TrackFormat>, audio: Option<&TrackFormat>) -> SourceMedia {
    let mut media = SourceMedia::default();
    if let Some(TrackFormat::H264(sets)) = video {
        media.video_codec = Some(sets.codec_string());
        let shown = h264::describe(&sets.sps);
        media.width = shown.as_ref().map(|shown| shown.width);
        media.height = shown.as_ref().map(|shown| shown.height);
    }
    if let Some(format) = audio {
        describe_sound(&mut media, format);
    }
    media
}

/// Writes what `format` says of the sound into `media`; nothing else is changed.
pub(super) fn describe_sound(media: &mut SourceMedia, format: &TrackFormat) {
    media.audio_codec = match format {
        TrackFormat::Aac(config) => Some(format!("mp4a.40.{}", config.object_type)),
        TrackFormat::Mp3 { .. } => Some("mp4a.6B".to_owned()),
        TrackFormat::G711 { law: G711Law::A, .. } => Some("PCMA".to_owned()),
        TrackFormat::G711 { law: G711Law::Mu, .. } => Some("PCMU".to_owned()),
        TrackFormat::H264(_) => None,
    };
    let sound = format.sound();
    media.sample_rate = sound.map(|sound| sound.sample_rate);
    media.channels = sound.map(|sound| sound.channels);
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphi_media::{AudioFormat, AudioSpecificConfig, ParameterSets};

    #[test]
    fn codecs_sizes_and_rates_are_told() {
        // 640x360, Constrained Baseline.
        let sps = [0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70];
        let video =
            TrackFormat::H264(ParameterSets { sps: sps.to_vec().into(), pps: vec![0x68, 0xce].into() });
        let aac = AudioSpecificConfig::lc(AudioFormat { sample_rate: 44_100, channels: 1 });
        let media = described(Some(&video), Some(&TrackFormat::Aac(aac)));
        assert_eq!(media.video_codec.as_deref(), Some("avc1.42C01E"));
        assert_eq!(media.width.is_some(), media.height.is_some());
        assert_eq!(media.audio_codec.as_deref(), Some("mp4a.40.2"));
        assert_eq!((media.sample_rate, media.channels), (Some(44_100), Some(1)));
        let mp3 = described(None, Some(&TrackFormat::Mp3 { sample_rate: 48_000, channels: 2 }));
        assert_eq!((mp3.audio_codec.as_deref(), mp3.video_codec), (Some("mp4a.6B"), None));
    }
}
