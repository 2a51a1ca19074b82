//! The `Transport` header (RFC 2326 §12.39): reads a client's offers, and writes the answer.
//!
//! Tolerated: ports and channels without their second number (it is the next one), parameters in any order and case.
//! Not supported: multicast, secure RTP, recording. `destination` is ignored: media goes to the client that asks.

/// Lower UDP ports belong to the system; no client receives media there.
const FIRST_PORT: u16 = 1024;

/// How a stream is transported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Interleaved in the RTSP connection, on these channels (RFC 2326 §10.12).
    Interleaved {
        /// Channel of RTP packets.
        rtp: u8,
        /// Channel of RTCP packets.
        rtcp: u8,
    },
    /// Over UDP, to these ports of the client.
    Udp {
        /// Port that receives RTP.
        rtp: u16,
        /// Port that receives RTCP.
        rtcp: u16,
    },
}

/// What a client offers to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Interleaved(Option<(u8, u8)>),
    Udp(u16, u16),
}

/// The first offer that can be accepted.
pub(super) fn accept(header: &str) -> Option<Offer> {
    header.split(',').find_map(offer)
}

fn offer(text: &str) -> Option<Offer> {
    let mut parts = text.split(';').map(str::trim);
    let profile = parts.next()?;
    let is = |name: &str| profile.eq_ignore_ascii_case(name);
    let (mut channels, mut ports) = (None, None);
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "multicast" => return None,
            "mode" if !value.eq_ignore_ascii_case("play") => return None,
            "interleaved" => channels = Some(pair(value, |rtp: u8| rtp.checked_add(1))?),
            "client_port" => ports = Some(pair(value, |rtp: u16| rtp.checked_add(1))?),
            _ => {}
        }
    }
    if is("RTP/AVP/TCP") {
        return Some(Offer::Interleaved(channels.filter(|(rtp, rtcp)| rtp != rtcp)));
    }
    let (rtp, rtcp) = ports.filter(|_| is("RTP/AVP") || is("RTP/AVP/UDP"))?;
    (rtp >= FIRST_PORT && rtcp >= FIRST_PORT && rtp != rtcp).then_some(Offer::Udp(rtp, rtcp))
}

fn pair<T: std::str::FromStr + Copy>(text: &str, next: impl Fn(T) -> Option<T>) -> Option<(T, T)> {
    let (one, two) = text.split_once('-').map_or((text, None), |(one, two)| (one, Some(two)));
    let one = one.trim().parse().ok()?;
    let two = two.map_or_else(|| next(one), |two| two.trim().parse().ok())?;
    Some((one, two))
}

impl Transport {
    /// The value of the header for the answer; `server_ports` are our ports for RTP and RTCP over UDP.
    pub(super) fn answer(self, ssrc: u32, server_ports: (u16, u16)) -> String {
        match self {
            Self::Interleaved { rtp, rtcp } => {
                format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp};ssrc={ssrc:08X};mode=\"PLAY\"")
            }
            Self::Udp { rtp, rtcp } => {
                let (ours, ours_too) = server_ports;
                format!(
                    "RTP/AVP;unicast;client_port={rtp}-{rtcp};server_port={ours}-{ours_too};ssrc={ssrc:08X};\
                     mode=\"PLAY\""
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_offer() {
        for (header, accepted) in [
            ("RTP/AVP/TCP;unicast;interleaved=0-1", Some(Offer::Interleaved(Some((0, 1))))),
            ("RTP/AVP/TCP;interleaved=4", Some(Offer::Interleaved(Some((4, 5))))),
            ("RTP/AVP/TCP;unicast", Some(Offer::Interleaved(None))),
            ("RTP/AVP/UDP;unicast;client_port=21234-21235", Some(Offer::Udp(21_234, 21_235))),
            ("RTP/AVP;unicast;client_port=5000;mode=play", Some(Offer::Udp(5000, 5001))),
            (
                "RTP/AVP;multicast, RTP/SAVP;unicast;client_port=6000-6001, RTP/AVP/TCP;unicast;interleaved=2-3",
                Some(Offer::Interleaved(Some((2, 3)))),
            ),
            ("rtp/avp/tcp;Interleaved=2-2", Some(Offer::Interleaved(None))),
            ("RTP/AVP;unicast;client_port=53-54", None),
            ("RTP/AVP;unicast;client_port=65535", None),
            ("RTP/AVP;unicast;client_port=5000-5000", None),
            ("RTP/AVP;unicast", None),
            ("RTP/AVP/TCP;interleaved=0-1;mode=\"RECORD\"", None),
            ("RTP/AVP/TCP;interleaved=255", None),
            ("RTP/AVP/TCP;interleaved=x-y", None),
            ("", None),
        ] {
            assert_eq!(accept(header), accepted, "{header}");
        }
    }
}
