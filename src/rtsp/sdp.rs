//! Session descriptions (RFC 8866, RFC 6184 §8.2.1, RFC 3640 §4.1).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::media::TrackFormat;

use super::hex::hex;

/// One stream of a description.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// How it is coded.
    pub format: &'a TrackFormat,
    /// RTP payload type.
    pub payload_type: u8,
    /// The name by which SETUP chooses it.
    pub control: &'a str,
}

/// The description of a live presentation.
pub fn describe(name: &str, streams: &[Described<'_>]) -> String {
    let mut sdp = format!(
        "v=0\r\no=- 0 1 IN IP4 127.0.0.1\r\ns={name}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n"
    );
    for stream in streams {
        let Described { format, payload_type: pt, control } = stream;
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
        };
    }
    sdp
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{AudioFormat, AudioSpecificConfig, ParameterSets};

    #[test]
    fn a_description_can_be_read_and_says_what_decoders_need() {
        let sets = ParameterSets {
            sps: Bytes::from_static(&[0x67, 0x64, 0, 0x29]),
            pps: Bytes::from_static(&[0x68]),
        };
        let video = TrackFormat::H264(sets);
        let audio =
            TrackFormat::Aac(AudioSpecificConfig::lc(AudioFormat { sample_rate: 44_100, channels: 1 }));
        let sdp = describe(
            "hall",
            &[
                Described { format: &video, payload_type: 96, control: "trackID=0" },
                Described { format: &audio, payload_type: 97, control: "trackID=1" },
            ],
        );
        let parsed = sdp_types::Session::parse(sdp.as_bytes()).expect("a valid description");
        assert_eq!(parsed.medias.len(), 2);
        assert!(sdp.contains("profile-level-id=640029;sprop-parameter-sets=Z2QAKQ==,aA=="));
        assert!(sdp.contains("mpeg4-generic/44100/1") && sdp.contains("config=1208"));
    }
}
