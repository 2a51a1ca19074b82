//! One stream of a player, and the transport of its packets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::outbox::Outbox;
use amphi_http::{Extra, Places};
use amphi_media::{MediaTime, Timescale};
use amphi_protocol::rtsp::{Due, Packet, Report, Transport, frame_head};
use amphi_runtime::udp::RtpPair;

/// How many errors about closed ports are ignored in a row.
const ERRORS: usize = 8;

#[derive(Debug)]
pub(super) struct RtspStream {
    /// Its number in the description.
    pub(super) track: usize,
    /// Ticks per second of its RTP clock.
    pub(super) rate: Timescale,
    pub(super) ssrc: u32,
    carrier: RtpCarrier,
    /// The sequence number of a recording's first packet.
    first: u16,
    packets: u32,
    octets: u32,
    /// Whether something was sent since it last began.
    has_begun: bool,
}

#[derive(Debug)]
enum RtpCarrier {
    Interleaved(u8, u8),
    Udp(RtpPair, #[expect(dead_code, reason = "its places are taken for as long")] Extra),
}

impl RtspStream {
    /// Opens the transport to the peer. Returns the server's ports, zero over TCP.
    pub(super) async fn open(
        (track, rate, ssrc): (usize, Timescale, u32),
        transport: Transport,
        local: IpAddr,
        peer: SocketAddr,
        places: &Places,
    ) -> io::Result<(Self, (u16, u16))> {
        let (carrier, ports) = match transport {
            Transport::Interleaved { rtp, rtcp } => (RtpCarrier::Interleaved(rtp, rtcp), (0, 0)),
            Transport::Udp { rtp, rtcp } => {
                let full = || io::Error::other("all places are taken");
                let extra = places.extra(2).ok_or_else(full)?;
                let pair = RtpPair::connect(local, peer, rtp, rtcp).await?;
                let ports = pair.ports()?;
                (RtpCarrier::Udp(pair, extra), ports)
            }
        };
        Ok((
            Self {
                track,
                rate,
                ssrc,
                carrier,
                first: fastrand::u16(..),
                packets: 0,
                octets: 0,
                has_begun: false,
            },
            ports,
        ))
    }

    /// The sequence number of a recording's next packet. It continues after a seek: receivers take a jump for an invalid
    /// packet (RFC 3550 appendix A.1).
    pub(super) const fn next_sequence(&self) -> u16 {
        self.first.wrapping_add(self.packets as u16)
    }

    /// Notes that it begins, perhaps again, at another time.
    pub(super) const fn begin(&mut self) {
        self.has_begun = false;
    }

    /// Whether something was sent since then.
    pub(super) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    pub(super) const fn is_udp(&self) -> bool {
        matches!(self.carrier, RtpCarrier::Udp(..))
    }

    /// Whether its packets go over the interleaved channel that shared packets are framed for (RFC 2326 §10.12).
    fn is_plain(&self) -> bool {
        matches!(self.carrier, RtpCarrier::Interleaved(rtp, _) if usize::from(rtp) == self.track * 2)
    }

    fn count(&mut self, packet: &Packet) {
        self.has_begun = true;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload_len());
    }

    async fn send(&self, packet: Bytes, outbox: &mut Outbox) {
        match &self.carrier {
            RtpCarrier::Interleaved(rtp, _) => framed(*rtp, packet, outbox),
            // A packet that the network refuses is lost; that a peer has left is noticed on its connection.
            RtpCarrier::Udp(pair, _) => drop(pair.data.send(&packet).await),
        }
    }

    /// Sends a sender report (RFC 3550 §6.4.1) which says that the media time `at` is sent now; `last` adds a BYE (§6.6).
    pub(super) async fn report(&self, at: MediaTime, cname: &str, last: bool, outbox: &mut Outbox) {
        let Self { ssrc, packets, octets, .. } = *self;
        let report = Report { ssrc, at, timestamp: self.timestamp(at), packets, octets };
        let packet = if last { report.goodbye(cname) } else { report.packet(cname) };
        match &self.carrier {
            RtpCarrier::Interleaved(_, rtcp) => framed(*rtcp, packet, outbox),
            RtpCarrier::Udp(pair, _) => drop(pair.control.send(&packet).await),
        }
    }

    /// RTP time is unix time in ticks of the stream's clock, its low 32 bits.
    pub(super) const fn timestamp(&self, at: MediaTime) -> u32 {
        at.to_ticks(self.rate) as u32
    }

    /// Reads what the peer sends over UDP: reports, and packets that open firewalls. Their content is not needed.
    pub(super) fn poll_heard(&self, context: &mut Context<'_>) -> Poll<()> {
        let RtpCarrier::Udp(pair, _) = &self.carrier else { return Poll::Pending };
        let mut buffer = [0; 64];
        for socket in [&pair.control, &pair.data] {
            // An error means that the peer has closed its port; there may be many of these.
            for _ in 0..ERRORS {
                match socket.poll_recv(context, &mut ReadBuf::new(&mut buffer)) {
                    Poll::Ready(Ok(())) => return Poll::Ready(()),
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }
}

/// Sends the packets that are due; returns how many bytes of payload they have.
pub(super) async fn send(streams: &mut [RtspStream], due: &Due, tracks: usize, outbox: &mut Outbox) -> usize {
    let packets = due.row.all().get(due.range.clone()).unwrap_or_default();
    let bytes = packets.iter().map(|packet| packet.payload_len() as usize).sum();
    let is_shared = streams.len() == tracks && streams.iter().all(RtspStream::is_plain);
    if is_shared {
        outbox.push(due.row.framed(due.range.clone()));
    }
    for packet in packets {
        let Some(stream) = streams.iter_mut().find(|stream| stream.track == usize::from(packet.track)) else {
            continue;
        };
        stream.count(packet);
        if !is_shared {
            stream.send(due.row.bytes_of(packet), outbox).await;
        }
    }
    bytes
}

/// Waits until a peer has sent something over UDP.
pub(super) async fn heard(streams: &[RtspStream]) {
    std::future::poll_fn(|context| {
        let any = streams.iter().any(|stream| stream.poll_heard(context).is_ready());
        if any { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn framed(channel: u8, packet: Bytes, outbox: &mut Outbox) {
    outbox.push(Bytes::copy_from_slice(&frame_head(channel, packet.len() as u16)));
    outbox.push(packet);
}
