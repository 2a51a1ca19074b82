//! Pairs of UDP sockets for RTP and RTCP (RFC 3550 §11).
//!
//! What does *not* belong here: packets and when they are sent (`rtsp`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Attempts to get a pair before [`RtpPair::bind`] fails.
const TRIES: usize = 50;

/// Two sockets: on neighbouring ports of the system's choice, the even one for RTP, or on the two ports of a group. Only
/// those of [`RtpPair::connect`] are limited to their peer; the others receive from anyone.
#[derive(Debug)]
pub struct RtpPair {
    /// The socket for RTP.
    pub data: UdpSocket,
    /// The socket for RTCP.
    pub control: UdpSocket,
}

impl RtpPair {
    /// Binds a pair to `local`, an address of this machine, and connects it to the ports `rtp` and `rtcp` of the host of
    /// `peer`.
    pub async fn connect(local: IpAddr, peer: SocketAddr, rtp: u16, rtcp: u16) -> io::Result<Self> {
        let pair = Self::bind(local).await?;
        // Keeps the rest of the address, such as the zone of a link-local one.
        let at = |port| {
            let mut address = peer;
            address.set_port(port);
            address
        };
        pair.data.connect(at(rtp)).await?;
        pair.control.connect(at(rtcp)).await?;
        Ok(pair)
    }

    /// Binds a pair to `local`, an address of this machine, without connecting it. Fails with `AddrInUse` if no
    /// neighbouring ports are found.
    pub async fn bind(local: IpAddr) -> io::Result<Self> {
        for _ in 0..TRIES {
            let data = UdpSocket::bind((local, 0)).await?;
            let port = data.local_addr()?.port();
            if port.is_multiple_of(2) {
                // If the odd port is taken, another pair is tried.
                if let Ok(control) = UdpSocket::bind((local, port + 1)).await {
                    return Ok(Self { data, control });
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no two neighbouring UDP ports are free"))
    }

    /// Joins the multicast `group` on its two ports, on the interface that has the address `local` (of IPv6, on one of the
    /// system's choice). What is sent gets `ttl` as time to live (hop limit).
    pub fn join(group: IpAddr, (rtp, rtcp): (u16, u16), local: IpAddr, ttl: u8) -> io::Result<Self> {
        let data = member(group, rtp, local, ttl)?;
        Ok(Self { data, control: member(group, rtcp, local, ttl)? })
    }

    /// Our own ports, of RTP and of RTCP.
    pub fn ports(&self) -> io::Result<(u16, u16)> {
        Ok((self.data.local_addr()?.port(), self.control.local_addr()?.port()))
    }
}

/// A socket that receives what is sent to `group` and `port`, and nothing else. Other sockets of this machine may receive
/// the same (`SO_REUSEADDR`).
fn member(group: IpAddr, port: u16, local: IpAddr, ttl: u8) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(group, port);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    match (group, local) {
        (IpAddr::V4(group), IpAddr::V4(local)) => {
            socket.join_multicast_v4(&group, &local)?;
            socket.set_multicast_if_v4(&local)?;
            socket.set_multicast_ttl_v4(u32::from(ttl))?;
        }
        // The interface is the system's choice.
        (IpAddr::V6(group), _) => {
            socket.join_multicast_v6(&group, 0)?;
            socket.set_multicast_hops_v6(u32::from(ttl))?;
        }
        (IpAddr::V4(group), IpAddr::V6(_)) => {
            socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
            socket.set_multicast_ttl_v4(u32::from(ttl))?;
        }
    }
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pair_is_even_and_odd_and_hears_its_peer_only() {
        for host in ["127.0.0.1", "::1"] {
            let host: IpAddr = host.parse().expect("an address");
            let peer = RtpPair::bind(host).await.expect("two ports");
            let (rtp, rtcp) = peer.ports().expect("bound");
            let pair = RtpPair::connect(host, (host, 9).into(), rtp, rtcp).await.expect("two ports");
            let (ours, ours_too) = pair.ports().expect("bound");
            assert!(ours.is_multiple_of(2) && ours_too == ours + 1);
            let stranger = UdpSocket::bind((host, 0)).await.expect("a port");
            stranger.send_to(b"stranger", (host, ours_too)).await.expect("sent");
            peer.control.send_to(b"peer", (host, ours_too)).await.expect("sent");
            let mut heard = [0; 20];
            let len = pair.control.recv(&mut heard).await.expect("heard");
            assert_eq!(&heard[..len], b"peer");
        }
    }
}
