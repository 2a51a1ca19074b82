//! Writes session descriptions (RFC 8866, RFC 6184 §8.2.1, RFC 3640 §4.1).

use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use amphi_media::{G711Law, TrackFormat};

use super::hex::hex;
use super::packets::PAYLOAD_TYPE;
use super::span::seconds;

/// The description of a recording with this `duration`, or of a live channel. The first stream has
/// payload type 96 and the URL `trackID=0`, the second 97 and `trackID=1`, and so on.
///
/// `name` is written as it is and must be one line of text. Addresses are left unspecified, since `Transport` says where media
/// comes from.
pub fn describe(name: &str, duration: Option<Duration>, streams: &[&TrackFormat]) -> String {
    let range = duration.map_or_else(
        || "now-".to_owned(),
        |duration| format!("0-{}", seconds(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))),
    );
    let mut sdp = format!(
        "v=0\r\no=- 0 1 IN IP4 127.0.0.1\r\ns={name}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\na=range:npt={range}\r\n"
    );
    for (number, format) in streams.iter().enumerate() {
        let (pt, control) = (usize::from(PAYLOAD_TYPE) + number, format!("trackID={number}"));
        // Writing to a String does not fail.
        let _ = match format {
            TrackFormat::H264(sets) => write!(
                sdp,
                "m=video 0 RTP/AVP {pt}\r\na=rtpmap:{pt} H264/90000\r\n\
                 a=fmtp:{pt} packetization-mode=1;profile-level-id={};sprop-parameter-sets={},{}\r\n\
                 a=control:{control}\r\n",
                hex(sets.sps.get(1..4).unwrap_or_default()),
                STANDARD.encode(&sets.sps),
                STANDARD.encode(&sets.pps),
            ),
            TrackFormat::Aac(config) => write!(
                sdp,
                "m=audio 0 RTP/AVP {pt}\r\na=rtpmap:{pt} mpeg4-generic/{}/{}\r\n\
                 a=fmtp:{pt} streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
                 indexdeltalength=3;config={}\r\na=control:{control}\r\n",
                config.sample_rate,
                config.channels,
                hex(&config.to_bytes()),
            ),
            // RFC 3551 §4.5.13 and §4.5.14, RFC 2250 §3.
            TrackFormat::Mp3 { .. } => {
                write!(sdp, "m=audio 0 RTP/AVP {pt}\r\na=rtpmap:{pt} MPA/90000\r\na=control:{control}\r\n")
            }
            TrackFormat::G711 { law, sample_rate, channels } => write!(
                sdp,
                "m=audio 0 RTP/AVP {pt}\r\na=rtpmap:{pt} {}/{sample_rate}/{channels}\r\na=control:{control}\r\n",
                if *law == G711Law::Mu { "PCMU" } else { "PCMA" },
            ),
        };
    }
    sdp
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use amphi_media::{AudioFormat, AudioSpecificConfig, ParameterSets};

    #[test]
    fn a_description_can_be_read_and_says_what_decoders_need() {
        let sets = ParameterSets {
            sps: Bytes::from_static(&[0x67, 0x64, 0, 0x29]),
            pps: Bytes::from_static(&[0x68]),
        };
        let video = TrackFormat::H264(sets);
        let audio =
            TrackFormat::Aac(AudioSpecificConfig::lc(AudioFormat { sample_rate: 44_100, channels: 1 }));
        let sdp = describe("hall", None, &[&video, &audio]);
        assert!(sdp.contains("RTP/AVP 97\r\n") && sdp.contains("a=control:trackID=1\r\n"));
        let parsed = sdp_types::Session::parse(sdp.as_bytes()).expect("a valid description");
        assert_eq!(parsed.medias.len(), 2);
        assert!(sdp.contains("profile-level-id=640029;sprop-parameter-sets=Z2QAKQ==,aA=="));
        assert!(sdp.contains("mpeg4-generic/44100/1") && sdp.contains("config=1208"));
        assert!(sdp.contains("a=range:npt=now-\r\n"));
        let recorded = describe("lecture", Some(Duration::from_millis(61_500)), &[]);
        assert!(recorded.contains("a=range:npt=0-61.500\r\n"));
    }
}
