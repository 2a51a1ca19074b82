//! The `Transport` header (RFC 2326 §12.39): writes the request, and reads the response.

use core::net::IpAddr;

/// How a medium is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedTransport {
    /// Interleaved in the RTSP connection: RTP on this channel, RTCP on the next.
    Interleaved(u8),
    /// Over UDP to these ports of ours.
    Udp {
        /// Port that receives RTP.
        rtp: u16,
        /// Port that receives RTCP.
        rtcp: u16,
    },
    /// Over multicast, to a group that the server names.
    Multicast,
}

/// How a medium is transported, after SETUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Interleaved on these channels.
    Interleaved {
        /// Channel of RTP packets.
        rtp: u8,
        /// Channel of RTCP packets.
        rtcp: u8,
    },
    /// Over UDP.
    Udp {
        /// The server's ports for RTP and RTCP, if it has named them.
        server: Option<(u16, u16)>,
        /// The address it comes from, if it is not that of the RTSP server.
        source: Option<IpAddr>,
    },
    /// Over multicast.
    Multicast {
        /// Address of the group.
        group: IpAddr,
        /// Ports for RTP and RTCP.
        ports: (u16, u16),
        /// Time to live of packets to the group.
        ttl: Option<u8>,
        /// The address that packets come from, if the server names it.
        source: Option<IpAddr>,
    },
}

impl RequestedTransport {
    /// The value of the request's header.
    pub(super) fn header(self) -> String {
        match self {
            Self::Interleaved(channel) => {
                format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel.saturating_add(1))
            }
            Self::Udp { rtp, rtcp } => format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}"),
            Self::Multicast => "RTP/AVP;multicast".to_owned(),
        }
    }
}

/// The multicast group and port from the description.
pub(super) type Described = (Option<(IpAddr, Option<u8>)>, u16);

/// The route that the response to `wish` means. What the header does not say is as it was asked for.
pub(super) fn route(
    wish: RequestedTransport,
    header: Option<&str>,
    described: Described,
) -> Result<Route, &'static str> {
    let reply = Reply::parse(header.unwrap_or_default());
    if header.is_some() && reply.says_nothing_of(wish) {
        return Err("answers SETUP with another transport than was asked for");
    }
    Ok(match wish {
        RequestedTransport::Interleaved(channel) => {
            let asked = (channel, channel.saturating_add(1));
            let (rtp, rtcp) = reply.channels.filter(|(rtp, rtcp)| rtp != rtcp).unwrap_or(asked);
            Route::Interleaved { rtp, rtcp }
        }
        RequestedTransport::Udp { .. } => Route::Udp { server: reply.server_ports, source: reply.source },
        RequestedTransport::Multicast => {
            let (group, port) = described;
            let said = reply.destination.map(|ip| (ip, None));
            let (group, ttl) =
                said.or(group).ok_or("names no multicast group, neither in SETUP nor in SDP")?;
            let fallback = || (port > 0).then(|| (port, port.saturating_add(1)));
            let ports = reply.ports.or_else(fallback).ok_or("names no port of its multicast group")?;
            Route::Multicast { group, ports, ttl: reply.ttl.or(ttl), source: reply.source }
        }
    })
}

#[derive(Default)]
struct Reply {
    tcp: bool,
    multicast: bool,
    unicast: bool,
    channels: Option<(u8, u8)>,
    server_ports: Option<(u16, u16)>,
    ports: Option<(u16, u16)>,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    ttl: Option<u8>,
}

impl Reply {
    /// Reads parameters in any order and case; those that cannot be read are ignored.
    fn parse(header: &str) -> Self {
        let mut reply = Self::default();
        for (index, part) in header.split([';', ',']).map(str::trim).take(32).enumerate() {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"');
            let ip = || value.trim_matches(['[', ']']).parse::<IpAddr>().ok();
            match name.trim().to_ascii_lowercase().as_str() {
                profile if index == 0 && profile.ends_with("/tcp") => reply.tcp = true,
                "multicast" => reply.multicast = true,
                "unicast" => reply.unicast = true,
                "interleaved" => reply.channels = pair(value, |rtp: u8| rtp.checked_add(1)),
                "server_port" => reply.server_ports = ports(value),
                "port" => reply.ports = ports(value),
                "source" => reply.source = ip().filter(|ip| !ip.is_unspecified() && !ip.is_multicast()),
                "destination" => reply.destination = ip().filter(IpAddr::is_multicast),
                "ttl" => reply.ttl = value.parse().ok(),
                _ => {}
            }
        }
        reply
    }

    fn says_nothing_of(&self, wish: RequestedTransport) -> bool {
        let tcp = self.tcp || self.channels.is_some();
        match wish {
            RequestedTransport::Interleaved(_) => !tcp && (self.server_ports.is_some() || self.multicast),
            RequestedTransport::Udp { .. } => tcp || self.multicast,
            RequestedTransport::Multicast => tcp || (self.unicast && !self.multicast),
        }
    }
}

fn ports(value: &str) -> Option<(u16, u16)> {
    pair(value, |rtp: u16| rtp.checked_add(1)).filter(|(rtp, rtcp)| *rtp > 0 && *rtcp > 0)
}

fn pair<T: std::str::FromStr + Copy>(text: &str, next: impl Fn(T) -> Option<T>) -> Option<(T, T)> {
    let (one, two) = text.split_once('-').map_or((text, None), |(one, two)| (one, Some(two)));
    let one = one.trim().parse().ok()?;
    Some((one, two.map_or_else(|| next(one), |two| two.trim().parse().ok())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: RequestedTransport = RequestedTransport::Interleaved(2);
    const UDP: RequestedTransport = RequestedTransport::Udp { rtp: 5000, rtcp: 5001 };

    #[test]
    fn wishes_are_worded() {
        assert_eq!(TCP.header(), "RTP/AVP/TCP;unicast;interleaved=2-3");
        assert_eq!(UDP.header(), "RTP/AVP;unicast;client_port=5000-5001");
        assert_eq!(RequestedTransport::Multicast.header(), "RTP/AVP;multicast");
    }

    #[test]
    fn a_servers_answer_counts_as_far_as_it_goes() {
        let none = (None, 0);
        let tcp = |rtp, rtcp| Ok(Route::Interleaved { rtp, rtcp });
        for (header, route_) in [
            (None, tcp(2, 3)),
            (Some(""), tcp(2, 3)),
            (Some("RTP/AVP/TCP"), tcp(2, 3)),
            (Some("rtp/avp/tcp;unicast;Interleaved=6-7;ssrc=1234ABCD;mode=\"PLAY\""), tcp(6, 7)),
            (Some("RTP/AVP/TCP;interleaved=6"), tcp(6, 7)),
            (Some("RTP/AVP/TCP;interleaved=x-y"), tcp(2, 3)),
            (Some("RTP/AVP;unicast;interleaved=0-1"), tcp(0, 1)),
        ] {
            assert_eq!(route(TCP, header, none), route_, "{header:?}");
        }
        assert!(route(TCP, Some("RTP/AVP;unicast;server_port=6000-6001"), none).is_err());
        let header =
            "RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=6000-6001;source=192.0.2.7;ssrc=0A";
        assert_eq!(
            route(UDP, Some(header), none),
            Ok(Route::Udp { server: Some((6000, 6001)), source: Some([192, 0, 2, 7].into()) })
        );
        assert_eq!(route(UDP, None, none), Ok(Route::Udp { server: None, source: None }));
        assert!(route(UDP, Some("RTP/AVP/TCP;interleaved=0-1"), none).is_err());
    }

    #[test]
    fn a_group_comes_from_the_answer_or_the_description() {
        let group = |last| IpAddr::from([239, 1, 2, last]);
        let header = "RTP/AVP;multicast;destination=239.1.2.3;port=5004-5005;ttl=16;source=192.0.2.7";
        let said = route(RequestedTransport::Multicast, Some(header), (Some((group(9), None)), 9));
        let source = Some([192, 0, 2, 7].into());
        assert_eq!(
            said,
            Ok(Route::Multicast { group: group(3), ports: (5004, 5005), ttl: Some(16), source })
        );
        let described = route(
            RequestedTransport::Multicast,
            Some("RTP/AVP;multicast"),
            (Some((group(9), Some(3))), 6000),
        );
        assert_eq!(
            described,
            Ok(Route::Multicast { group: group(9), ports: (6000, 6001), ttl: Some(3), source: None })
        );
        assert!(
            route(RequestedTransport::Multicast, Some("RTP/AVP;multicast;destination=192.0.2.1"), (None, 5))
                .is_err()
        );
        assert!(
            route(RequestedTransport::Multicast, Some("RTP/AVP;unicast;server_port=1-2"), (None, 5)).is_err()
        );
    }
}
