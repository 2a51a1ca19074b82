//! `onMetaData`: a stream's description of itself (FLV §E.5). Players show it and choose a window size by it. Nothing on this
//! server depends on what a publisher claims here.

use bytes::BytesMut;
use rml_amf0::Amf0Value;

use crate::rtmp::amf::{self, Value};
use crate::rtmp::flv::{AAC, AVC};
use amphi_media::{AudioFormat, PictureSize, RungTracks};

const NAME: &str = "onMetaData";
/// Asks a server to keep the message and to hand it to players.
const KEEP: &str = "@setDataFrame";
/// How many characters of an encoder's name are kept.
const ENCODER_MAX: usize = 120;

/// The description of a stream. Values that are missing or absurd are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Size of the pictures.
    pub size: Option<PictureSize>,
    /// Pictures per second.
    pub fps: Option<f64>,
    /// Format of the sound.
    pub audio: Option<AudioFormat>,
    /// Nominal bit rate of the sound, in bits per second.
    pub audio_bps: Option<u32>,
    /// Name of the encoder, as it gives it.
    pub encoder: Option<String>,
    /// Duration of a recording in seconds.
    pub duration_s: Option<f64>,
}

impl Metadata {
    /// The description of a rung.
    pub fn of(tracks: &RungTracks) -> Self {
        Self {
            size: tracks.video.as_ref().map(|video| video.size),
            fps: tracks.video.as_ref().map(|video| f64::from(video.fps)),
            audio: Some(tracks.audio.format),
            audio_bps: Some(tracks.audio.bitrate_bps),
            encoder: Some("amphi".to_owned()),
            duration_s: None,
        }
    }

    /// Reads the values of a data message; `None` if it is not `onMetaData`. What is missing or absurd is left out.
    pub(in crate::rtmp) fn from_values(values: &[Amf0Value]) -> Option<Self> {
        let properties = match values {
            [Amf0Value::Utf8String(keep), Amf0Value::Utf8String(name), Amf0Value::Object(properties), ..]
                if keep == KEEP && name == NAME =>
            {
                properties
            }
            [Amf0Value::Utf8String(name), Amf0Value::Object(properties), ..] if name == NAME => properties,
            _ => return None,
        };
        let number = |name: &str| match properties.get(name) {
            Some(Amf0Value::Number(number)) if *number > 0.0 && *number < 1e9 => Some(*number),
            _ => None,
        };
        let whole = |name: &str| number(name).map(|number| number.round() as u32);
        let channels = match (number("audiochannels"), properties.get("stereo")) {
            (Some(channels), _) => channels.min(255.0) as u8,
            (None, Some(Amf0Value::Boolean(false))) => 1,
            (None, _) => 2,
        };
        Some(Self {
            size: whole("width").zip(whole("height")).map(|(width, height)| PictureSize { width, height }),
            fps: number("framerate"),
            audio: whole("audiosamplerate").map(|sample_rate| AudioFormat { sample_rate, channels }),
            audio_bps: number("audiodatarate").map(|kilobits| (kilobits * 1000.0) as u32),
            encoder: match properties.get("encoder") {
                Some(Amf0Value::Utf8String(text)) => Some(text.chars().take(ENCODER_MAX).collect()),
                _ => None,
            },
            duration_s: number("duration"),
        })
    }

    /// The payload of the data message for a player.
    pub(in crate::rtmp) fn for_player(&self) -> BytesMut {
        self.encoded(&[Value::Text(NAME)])
    }

    /// The payload of the data message for a server that we publish to.
    pub(in crate::rtmp) fn for_server(&self) -> BytesMut {
        self.encoded(&[Value::Text(KEEP), Value::Text(NAME)])
    }

    fn encoded(&self, names: &[Value<'_>]) -> BytesMut {
        let mut properties = Vec::with_capacity(11);
        properties.extend(self.duration_s.map(|seconds| ("duration", Value::Number(seconds))));
        if let Some(size) = self.size {
            properties.push(("width", Value::Number(f64::from(size.width))));
            properties.push(("height", Value::Number(f64::from(size.height))));
            properties.push(("videocodecid", Value::Number(f64::from(AVC))));
        }
        properties.extend(self.fps.map(|fps| ("framerate", Value::Number(fps))));
        if let Some(format) = self.audio {
            properties.push(("audiosamplerate", Value::Number(f64::from(format.sample_rate))));
            properties.push(("audiochannels", Value::Number(f64::from(format.channels))));
            properties.push(("stereo", Value::Boolean(format.channels == 2)));
            properties.push(("audiocodecid", Value::Number(f64::from(AAC))));
        }
        properties
            .extend(self.audio_bps.map(|bps| ("audiodatarate", Value::Number(f64::from(bps) / 1000.0))));
        properties.extend(self.encoder.as_ref().map(|encoder| ("encoder", Value::Text(encoder))));
        let mut values = names.to_vec();
        values.push(Value::EcmaArray(&properties));
        amf::encode(&values)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(payload: &[u8]) -> Option<Metadata> {
        Metadata::from_values(&rml_amf0::deserialize(&mut Cursor::new(payload)).expect("AMF0"))
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let metadata = Metadata {
            size: Some(PictureSize { width: 1280, height: 720 }),
            fps: Some(15.0),
            audio: Some(AudioFormat { sample_rate: 44_100, channels: 1 }),
            audio_bps: Some(96_000),
            encoder: Some("amphi".to_owned()),
            duration_s: Some(90.5),
        };
        assert_eq!(read(&metadata.for_player()), Some(metadata.clone()));
        assert_eq!(read(&metadata.for_server()), Some(metadata));
        assert_eq!(read(&Metadata::default().for_player()), Some(Metadata::default()));
    }

    #[test]
    fn absurd_claims_are_left_out_and_other_data_is_not_metadata() {
        let claims = [
            ("width", Value::Number(f64::NAN)),
            ("height", Value::Number(-1.0)),
            ("framerate", Value::Text("many")),
            ("encoder", Value::Boolean(true)),
        ];
        let payload = amf::encode(&[Value::Text(NAME), Value::EcmaArray(&claims)]);
        assert_eq!(read(&payload), Some(Metadata::default()));
        assert_eq!(read(&amf::encode(&[Value::Text("onTextData"), Value::EcmaArray(&[])])), None);
        assert_eq!(read(&amf::encode(&[])), None);
    }
}
