//! Reads descriptions as encoders write them (SDP, RFC 8866; RFC 2326 appendix C), as far as needed.
//!
//! Only `m=`, `c=` and `a=` lines are read; nothing depends on the others. At
//! most [`MOST_MEDIA`] media are kept. Tolerated: line ends without CR, spaces in odd places, attribute names in any
//! case, payload types without `rtpmap` if RFC 3551 §6 assigns them, `fmtp` before `rtpmap`, a single `fmtp` with
//! a payload type that its medium does not have.

use core::net::IpAddr;

/// How many media are kept.
pub(super) const MOST_MEDIA: usize = 32;
/// Longest line in bytes that is read; lines with parameter sets in base64 are far shorter.
const LONGEST_LINE: usize = 16 * 1024;

/// What a presentation consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionDescription {
    /// The session's `a=control`, for requests about the whole presentation.
    pub control: Option<String>,
    /// Its media, in the order of the description.
    pub media: Vec<Media>,
}

/// One medium (an `m=` line and the lines after it).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// `video`, `audio` and so on, in lower case.
    pub kind: String,
    /// The port, which matters only for multicast.
    pub port: u16,
    /// For multicast: the group's address and the time to live.
    pub group: Option<(IpAddr, Option<u8>)>,
    /// The payload type to expect; `None` if there is none.
    pub payload_type: Option<u8>,
    /// Name of the encoding in lower case, from `rtpmap` or RFC 3551; empty if unknown.
    pub encoding: String,
    /// Ticks per second; 0 if unknown.
    pub clock_rate: u32,
    /// Number of channels of sound, if given.
    pub channels: Option<u8>,
    /// The parameters of the format (`a=fmtp`).
    pub fmtp: Option<String>,
    /// The medium's `a=control`, for its SETUP.
    pub control: Option<String>,
}

impl Media {
    /// The value of a format parameter, whose name is matched in any case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.as_deref()?.split(';').find_map(|pair| {
            let (known, value) = pair.split_once('=')?;
            known.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A medium whose lines are still being read.
#[derive(Default)]
struct MediaDraft {
    media: Media,
    payload_types: Vec<u8>,
    maps: Vec<(u8, String)>,
    fmtps: Vec<(Option<u8>, String)>,
}

impl SessionDescription {
    /// Reads a description. It never fails: what cannot be read is ignored.
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut description = Self::default();
        let mut common = None;
        let mut drafts: Vec<MediaDraft> = Vec::new();
        for line in text.split(['\n', '\r']).map(str::trim).filter(|line| line.len() <= LONGEST_LINE) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            let full = drafts.len() == MOST_MEDIA;
            match (key.trim(), drafts.last_mut()) {
                ("m" | "M", _) if full => break,
                ("m" | "M", _) => drafts.push(MediaDraft::new(value, common)),
                ("c" | "C", Some(draft)) => draft.media.group = connection(value).or(draft.media.group),
                ("c" | "C", None) => common = connection(value),
                ("a" | "A", Some(draft)) => draft.attribute(value),
                ("a" | "A", None) => {
                    if let Some(control) = attribute(value, "control") {
                        description.control = Some(control.to_owned());
                    }
                }
                _ => {}
            }
        }
        description.media = drafts.into_iter().map(MediaDraft::finish).collect();
        description
    }
}

impl MediaDraft {
    /// Reads the value of `m=`, such as `video 49170/2 RTP/AVP 96 97` (RFC 8866 §5.14).
    fn new(value: &str, group: Option<(IpAddr, Option<u8>)>) -> Self {
        let mut words = value.split_ascii_whitespace();
        let kind = words.next().unwrap_or_default().to_ascii_lowercase();
        let port = words.next().and_then(|port| port.split('/').next()?.parse().ok()).unwrap_or_default();
        let payload_types: Vec<u8> =
            words.skip(1).filter_map(|word| word.parse().ok()).filter(|pt| *pt < 128).take(32).collect();
        let media =
            Media { kind, port, group, payload_type: payload_types.first().copied(), ..Media::default() };
        Self { media, payload_types, ..Self::default() }
    }

    fn attribute(&mut self, value: &str) {
        const MOST: usize = 64;
        if let Some(control) = attribute(value, "control") {
            self.media.control = Some(control.to_owned());
        } else if let Some((number, map)) = attribute(value, "rtpmap").and_then(numbered)
            && self.maps.len() < MOST
        {
            self.maps.extend(number.map(|number| (number, map.to_owned())));
        } else if let Some((number, fmtp)) = attribute(value, "fmtp").and_then(numbered)
            && self.fmtps.len() < MOST
        {
            self.fmtps.push((number, fmtp.to_owned()));
        }
    }

    fn finish(self) -> Media {
        let Self { mut media, payload_types, maps, fmtps } = self;
        let map = |pt: u8| maps.iter().find(|(number, _)| *number == pt).map(|(_, map)| map.as_str());
        // The first payload type with an rtpmap counts. If the m= line has none, the first rtpmap does.
        let described = payload_types.iter().copied().find(|pt| map(*pt).is_some());
        media.payload_type =
            described.or(media.payload_type).or_else(|| maps.first().map(|(number, _)| *number));
        let Some(pt) = media.payload_type else { return media };
        if let Some(map) = map(pt) {
            let mut parts = map.split('/').map(str::trim);
            media.encoding = parts.next().unwrap_or_default().to_ascii_lowercase();
            media.clock_rate = parts.next().and_then(|rate| rate.parse().ok()).unwrap_or_default();
            media.channels = parts.next().and_then(|channels| channels.parse().ok());
        } else if let Some((encoding, clock_rate, channels)) = assigned(pt) {
            encoding.clone_into(&mut media.encoding);
            media.clock_rate = clock_rate;
            media.channels = channels;
        }
        // Some encoders give fmtp a wrong number. A single one can only mean this payload type.
        let own = fmtps.iter().find(|(number, _)| *number == Some(pt));
        let only = (fmtps.len() == 1).then(|| fmtps.first()).flatten();
        let strange = |number: Option<u8>| number.is_none_or(|number| !payload_types.contains(&number));
        let chosen = own.or_else(|| only.filter(|(number, _)| strange(*number)));
        media.fmtp = chosen.map(|(_, fmtp)| fmtp.clone());
        media
    }
}

/// The value of `name:value`, if the name is this one.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (known, value) = line.split_once(':')?;
    known.trim().eq_ignore_ascii_case(name).then_some(value.trim())
}

/// Splits the number from `96 H264/90000`.
fn numbered(value: &str) -> Option<(Option<u8>, &str)> {
    let (number, rest) = value.split_once([' ', '\t'])?;
    Some((number.trim().parse().ok(), rest.trim()))
}

/// Reads the value of `c=`, such as `IN IP4 239.1.2.3/16` (RFC 8866 §5.7); `None` unless it is multicast.
fn connection(value: &str) -> Option<(IpAddr, Option<u8>)> {
    let address = value.split_ascii_whitespace().nth(2)?;
    let mut parts = address.split('/');
    let ip: IpAddr = parts.next()?.parse().ok()?;
    ip.is_multicast().then(|| (ip, parts.next().and_then(|ttl| ttl.parse().ok())))
}

/// Payload types that RFC 3551 §6 assigns, if we can use them or should name them in an error.
const fn assigned(payload_type: u8) -> Option<(&'static str, u32, Option<u8>)> {
    Some(match payload_type {
        0 => ("pcmu", 8000, Some(1)),
        3 => ("gsm", 8000, Some(1)),
        4 => ("g723", 8000, Some(1)),
        8 => ("pcma", 8000, Some(1)),
        9 => ("g722", 8000, Some(1)),
        10 => ("l16", 44_100, Some(2)),
        11 => ("l16", 44_100, Some(1)),
        14 => ("mpa", 90_000, None),
        26 => ("jpeg", 90_000, None),
        32 => ("mpv", 90_000, None),
        33 => ("mp2t", 90_000, None),
        34 => ("h263", 90_000, None),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn media(lines: &str) -> Media {
        SessionDescription::parse(lines.as_bytes()).media.remove(0)
    }

    #[test]
    fn only_what_is_needed_is_read() {
        let usual = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1; Sprop-Parameter-Sets=Z0==,aA== \r\na=control:trackID=0";
        let wanted = media(usual);
        assert_eq!((&*wanted.kind, wanted.payload_type, &*wanted.encoding), ("video", Some(96), "h264"));
        assert_eq!((wanted.clock_rate, wanted.control.as_deref()), (90_000, Some("trackID=0")));
        assert_eq!(wanted.parameter("sprop-parameter-sets"), Some("Z0==,aA=="));
        for before in [
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n",
            "v=1\r\no=- 1001 1 IN\r\nc=IN\r\nt=now-\r\n",
            "c=IN IP4 192.0.2.1\r\nnonsense\r\n\0\u{ff}\r\n=\r\n",
            "",
        ] {
            assert_eq!(media(&format!("{before}{usual}")), wanted, "{before}");
        }
        let unix = usual.replace("\r\n", "\n").replace("m=", " m = ").replace("rtpmap:96 ", "RTPMAP: 96  ");
        assert_eq!(media(&unix), wanted);
        assert_eq!(media(&usual.replace("AVP 96", "AVP  96 97 ")), wanted);
        assert_eq!(media(&usual.replace("AVP 96", "AVP 98 96")), wanted, "the described one");
        assert_eq!(media(&usual.replace("AVP 96", "AVP ")), wanted, "no payload type at all");
        assert_eq!(media(&usual.replace("fmtp:96", "fmtp:97")), wanted, "numbered wrongly");
    }

    #[test]
    fn assigned_payload_types_need_no_map() {
        for (pt, encoding, rate) in [(0, "pcmu", 8000), (8, "pcma", 8000), (14, "mpa", 90_000), (96, "", 0)] {
            let media = media(&format!("m=audio 0 RTP/AVP {pt}\na=control:a"));
            assert_eq!((&*media.encoding, media.clock_rate), (encoding, rate));
        }
    }

    #[test]
    fn groups_are_multicast_addresses() {
        let text = "c=IN IP4 239.1.2.3/16\nm=video 5004/2 RTP/AVP 96\nm=audio 5006 RTP/AVP 97\nc=IN IP6 ff3e::1\n\
                    m=audio 5008 RTP/AVP 98\nc=IN IP4 0.0.0.0";
        let groups: Vec<_> =
            SessionDescription::parse(text.as_bytes()).media.into_iter().map(|m| (m.port, m.group)).collect();
        let v4 = Some(("239.1.2.3".parse().unwrap(), Some(16)));
        assert_eq!(groups, [(5004, v4), (5006, Some(("ff3e::1".parse().unwrap(), None))), (5008, v4)]);
    }

    #[test]
    fn media_are_bounded() {
        let text = "m=video 0 RTP/AVP 96\n".repeat(300);
        assert_eq!(SessionDescription::parse(text.as_bytes()).media.len(), MOST_MEDIA);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([mcav]=)?(video|rtpmap:|fmtp:|IN IP4 )?[a-z0-9/:;= \u{e4}\r\n]{0,60}") {
            let _ = SessionDescription::parse(text.as_bytes());
        }
    }
}
