//! Which of a source's tracks are used, and how they are coded.

use super::described::describe_sound;
use super::fault::SourceFault;
use super::payload::{H264Payload, SoundPayload};
use amphi_control::matrix::SourceMedia;
use amphi_media::TrackFormat;
use amphi_protocol::rtsp::client::{Media, SessionDescription};

/// The tracks to set up, as indices into the description, each with what makes access units of its packets.
#[derive(Debug)]
pub(super) struct TrackChoice {
    pub(super) video: (usize, H264Payload),
    pub(super) audio: Option<(usize, SoundPayload)>,
    /// Tracks that are left out, each with the reason, for operators.
    pub(super) skipped: Vec<String>,
}

/// Takes the first H.264 track and the first track of sound that can be used.
pub(super) fn choose(description: &SessionDescription) -> Result<TrackChoice, SourceFault> {
    let (mut video, mut audio, mut skipped, mut other_video) = (None, None, Vec::new(), None);
    for (index, media) in description.media.iter().enumerate() {
        let why = match &*media.kind {
            "video" if is_h264(media) && video.is_none() => match H264Payload::new(media) {
                Ok(payload) => {
                    video = Some((index, payload));
                    continue;
                }
                Err(why) => printable(&why),
            },
            "audio" => match sound(media) {
                Ok(_) if audio.is_some() => format!("a second track, {}", codec_name(&media.encoding)),
                Ok(payload) => {
                    audio = Some((index, payload));
                    continue;
                }
                Err(why) => why,
            },
            _ => codec_name(&media.encoding),
        };
        if media.kind == "video" {
            other_video.get_or_insert_with(|| why.clone());
        }
        skipped.push(format!("{} ({why})", printable(&media.kind)));
    }
    match (video, other_video) {
        (Some(video), _) => Ok(TrackChoice { video, audio, skipped }),
        (None, Some(codec)) => Err(SourceFault::VideoCodec(codec)),
        (None, None) => Err(SourceFault::NoVideo),
    }
}

/// Some encoders leave `rtpmap` out; then `sprop-parameter-sets` (RFC 6184 §8.1) names H.264. H.265 has `sprop-vps` (RFC
/// 7798 §7.1).
fn is_h264(media: &Media) -> bool {
    let unnamed = media.encoding.is_empty() && media.parameter("sprop-parameter-sets").is_some();
    let hevc = media.parameter("sprop-vps").is_some();
    (media.encoding == "h264" || unnamed) && !hevc
}

/// What makes access units of a track of sound, or why it cannot be used.
fn sound(media: &Media) -> Result<SoundPayload, String> {
    let payload = SoundPayload::new(media).ok_or_else(|| codec_name(&media.encoding))?;
    payload.map_err(|why| printable(&why))
}

fn codec_name(encoding: &str) -> String {
    match encoding {
        "" => "a codec that its description does not name".to_owned(),
        "h265" => "H.265".to_owned(),
        "h264" => "a second H.264".to_owned(),
        "jpeg" => "Motion JPEG".to_owned(),
        "mpeg4-generic" | "mp4a-latm" => "AAC".to_owned(),
        "mpa" => "MP3".to_owned(),
        other => other.chars().filter(char::is_ascii_graphic).take(24).collect::<String>().to_uppercase(),
    }
}

/// Text of a source without control characters and not too long, as it may stand in a log line.
fn printable(text: &str) -> String {
    const LONGEST: usize = 120;
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// What the tracks are, for the matrix.
pub(super) fn media(video: &H264Payload, audio: Option<&TrackFormat>) -> SourceMedia {
    let mut media = SourceMedia::default();
    if let Some(known) = video.known() {
        media.video_codec = Some(known.codec.clone());
        media.width = Some(known.size.0);
        media.height = Some(known.size.1);
    }
    if let Some(format) = audio {
        describe_sound(&mut media, format);
    }
    media
}

#[cfg(test)]
mod tests {
    use super::*;

    const H264: &str = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n";
    const AAC: &str =
        "m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/48000/2\na=fmtp:97 mode=AAC-hbr;config=1190\n";

    fn chosen(sdp: &[&str]) -> Result<(usize, Option<usize>, Vec<String>), SourceFault> {
        let choice = choose(&SessionDescription::parse(sdp.concat().as_bytes()))?;
        Ok((choice.video.0, choice.audio.map(|(index, _)| index), choice.skipped))
    }

    #[test]
    fn h264_and_aac_are_taken_in_any_order() {
        let metadata = "m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\n";
        let other = "m=audio 0 RTP/AVP 99\na=rtpmap:99 opus/48000/2\n";
        let (video, audio, skipped) = chosen(&[metadata, other, AAC, H264, H264, AAC]).unwrap();
        assert_eq!((video, audio), (3, Some(2)));
        let wanted = [
            "application (VND.ONVIF.METADATA)",
            "audio (OPUS)",
            "video (a second H.264)",
            "audio (a second track, AAC)",
        ];
        assert_eq!(skipped, wanted);
    }

    #[test]
    fn unusable_sound_is_left_out_and_what_is_wrong_is_said() {
        let broken = AAC.replace("1190", "11zz");
        let (_, audio, skipped) = chosen(&[H264, &broken]).unwrap();
        assert_eq!((audio, &*skipped[0]), (None, "audio (AAC with a broken config: not hexadecimal)"));
    }

    #[test]
    fn without_h264_the_codec_is_named() {
        let fault = |text: &str| SourceFault::VideoCodec(text.to_owned());
        assert_eq!(chosen(&[&H264.replace("H264", "H265")]), Err(fault("H.265")));
        assert_eq!(
            chosen(&["m=video 0 RTP/AVP  \n"]),
            Err(fault("a codec that its description does not name"))
        );
        assert_eq!(chosen(&[AAC]), Err(SourceFault::NoVideo));
        assert_eq!(chosen(&["nonsense"]), Err(SourceFault::NoVideo));
    }

    #[test]
    fn parameter_sets_name_the_codec_where_nothing_else_does() {
        let sdp = "m=video 0 RTP/AVP 96\na=fmtp:96 sprop-parameter-sets=Z2QADKyyAoM/PgIgAAADACAAAAMDweKFSQ==,aOvDyyLA\n";
        let choice = choose(&SessionDescription::parse(sdp.as_bytes())).unwrap();
        let sound = TrackFormat::G711 { law: amphi_media::G711Law::A, sample_rate: 8000, channels: 1 };
        let media = media(&choice.video.1, Some(&sound));
        assert_eq!(media.audio_codec.as_deref(), Some("PCMA"), "as of publishers");
        assert_eq!((media.width, media.height), (Some(320), Some(180)));
    }
}
