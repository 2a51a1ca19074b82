//! The sockets of one RTSP connection: TCP, perhaps inside TLS, and a pair of UDP sockets for each medium that is not interleaved on it.
//!
//! # Contract
//! [`SourceTransport::wait`] sends what is to be sent and ends with the first thing that comes, or at its deadline; it may be
//! cancelled. Dropping a transport sends TEARDOWN in the background, so it must happen inside the runtime.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::Instant;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::fault::SourceFault;
use amphi_protocol::rtsp::client::{Client, Failure, Route};
use amphi_runtime::socket::{Socket, connect_tls};
use amphi_runtime::udp::RtpPair;
use amphi_tls::client_config;

/// Most bytes that are read at once.
const PIECE: usize = 32 * 1024;
/// Most routers that reports to a multicast group pass, unless the encoder says how many.
const TTL: u8 = 16;
/// How long an answer to TEARDOWN is awaited: a frozen peer does not send one.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(1);

pub(super) enum Came {
    /// Bytes on the TCP connection, which the client has been given; `false`: its end.
    Bytes(bool),
    /// A datagram of medium number `stream`.
    Datagram { stream: usize, rtcp: bool, data: Bytes },
    /// The deadline has passed.
    Nothing,
}

pub(super) struct SourceTransport {
    tcp: Arc<Socket>,
    pub(super) client: Client,
    /// For each medium, by its place in the list of those that are set up.
    ports: Vec<UdpPorts>,
    /// Where datagrams are read to; empty without UDP.
    datagram: Vec<u8>,
}

/// The hosts whose datagrams are taken.
#[derive(Debug, Default)]
struct Senders {
    /// If empty, everybody who sends to the group.
    known: Vec<IpAddr>,
    /// The most likely sender, if none is known: once it is heard, nobody else's datagrams are taken.
    likely: Option<IpAddr>,
}

impl Senders {
    fn admit(&mut self, from: IpAddr) -> bool {
        let from = plain(from);
        if self.known.is_empty() && self.likely == Some(from) {
            self.known.push(from);
        }
        self.known.is_empty() || self.known.contains(&from)
    }
}

struct UdpPorts {
    pair: RtpPair,
    senders: Senders,
    /// Where receiver reports are sent to.
    control: Option<SocketAddr>,
}

impl SourceTransport {
    pub(super) async fn connect(host: &str, port: u16, client: Client) -> io::Result<Self> {
        let host = host.trim_matches(['[', ']']);
        let tcp = TcpStream::connect((host, port)).await?;
        // Requests are small, and their answers are awaited.
        tcp.set_nodelay(true)?;
        Ok(Self::new(tcp.into(), client))
    }

    /// As [`SourceTransport::connect`], inside TLS, with a host that an authority in `ca_file` vouches for.
    pub(super) async fn connect_tls(
        host: &str,
        port: u16,
        ca_file: &Path,
        client: Client,
    ) -> Result<Self, SourceFault> {
        let host = host.trim_matches(['[', ']']).to_owned();
        let config = trust(ca_file).await.map_err(SourceFault::Tls)?;
        let name = ServerName::try_from(host.clone()).map_err(|error| SourceFault::Tls(error.to_string()))?;
        let tcp = TcpStream::connect((host, port)).await;
        let tcp = tcp.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
        let tcp = tcp.map_err(|error| SourceFault::Connect(error.to_string()))?;
        let socket = connect_tls(tcp, name, config).await;
        Ok(Self::new(socket.map_err(|error| SourceFault::Tls(error.to_string()))?, client))
    }

    fn new(socket: Socket, client: Client) -> Self {
        Self { tcp: Arc::new(socket), client, ports: Vec::new(), datagram: Vec::new() }
    }

    /// Binds a pair of sockets for the next medium; returns their ports.
    pub(super) async fn bind(&mut self) -> io::Result<(u16, u16)> {
        let pair = RtpPair::bind(self.tcp.local_addr()?.ip()).await?;
        let ports = pair.ports()?;
        self.add(pair, Senders::default(), None);
        Ok(ports)
    }

    fn add(&mut self, pair: RtpPair, senders: Senders, control: Option<SocketAddr>) {
        // A picture is a burst of packets. Without the larger buffer a busy machine may lose some, so a refusal is no error.
        let _ = socket2::SockRef::from(&pair.data).set_recv_buffer_size(1 << 20);
        self.datagram.resize(usize::from(u16::MAX), 0);
        self.ports.push(UdpPorts { pair, senders, control });
    }

    /// Takes the routes of all media: decides who may send, joins groups, and sends packets that open firewalls on the way
    /// for our ports.
    pub(super) fn route(&mut self, routes: &[Route], hello: &Bytes) -> io::Result<()> {
        let peer = self.tcp.peer_addr()?;
        for (index, route) in routes.iter().enumerate() {
            match *route {
                Route::Interleaved { .. } => {}
                Route::Udp { server, source } => {
                    let Some(ports) = self.ports.get_mut(index) else { continue };
                    let sender = source.map_or(peer, |ip| SocketAddr::new(ip, 0));
                    ports.senders.known = vec![plain(peer.ip()), plain(sender.ip())];
                    if let Some((rtp, rtcp)) = server {
                        let at = |port| {
                            let mut address = sender;
                            address.set_port(port);
                            address
                        };
                        ports.control = Some(at(rtcp));
                        // An RTP packet without payload (RFC 3550 §5.1). Whether it arrives does not matter here.
                        let _ =
                            ports.pair.data.try_send_to(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], at(rtp));
                        let _ = ports.pair.control.try_send_to(hello, at(rtcp));
                    }
                }
                Route::Multicast { group, ports, ttl, source } => {
                    let local = self.tcp.local_addr()?.ip();
                    let pair = RtpPair::join(group, ports, plain(local), ttl.unwrap_or(TTL))?;
                    let known = source.map(plain).into_iter().collect();
                    let senders = Senders { known, likely: Some(plain(peer.ip())) };
                    self.add(pair, senders, Some(SocketAddr::new(group, ports.1)));
                }
            }
        }
        Ok(())
    }

    /// Sends a report of a medium that comes over UDP.
    pub(super) fn report(&self, stream: usize, report: &Bytes) {
        if let Some(ports) = self.ports.get(stream)
            && let Some(to) = ports.control
        {
            // A lost report is not repeated; the next one comes soon.
            let _ = ports.pair.control.try_send_to(report, to);
        }
    }

    /// Whether media come over UDP.
    pub(super) fn is_udp(&self) -> bool {
        !self.ports.is_empty()
    }

    /// The next thing that comes, until `deadline`.
    pub(super) async fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Came> {
        let came = std::future::poll_fn(|cx| self.poll(cx));
        match deadline {
            None => came.await,
            Some(deadline) => tokio::time::timeout_at(deadline, came).await.unwrap_or(Ok(Came::Nothing)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Came>> {
        self.poll_write(cx)?;
        loop {
            match self.tcp.poll_read_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(ready) => ready?,
            }
            let buffer = self.client.feed();
            buffer.reserve(PIECE);
            match self.tcp.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|read| Came::Bytes(read > 0))),
            }
        }
        for (stream, ports) in self.ports.iter_mut().enumerate() {
            for (rtcp, socket) in [(false, &ports.pair.data), (true, &ports.pair.control)] {
                let mut buffer = ReadBuf::new(&mut self.datagram);
                while let Poll::Ready(received) = socket.poll_recv_from(cx, &mut buffer) {
                    // An error here is the ICMP answer to something that we sent.
                    if let Ok(from) = received
                        && ports.senders.admit(from.ip())
                    {
                        let data = Bytes::copy_from_slice(buffer.filled());
                        return Poll::Ready(Ok(Came::Datagram { stream, rtcp, data }));
                    }
                    buffer.clear();
                }
            }
        }
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let output = self.client.output();
        while !output.is_empty() {
            match self.tcp.poll_write_ready(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready?,
            }
            match self.tcp.try_write(output) {
                Ok(written) => output.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        match self.tcp.poll_flushed(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(flushed) => flushed,
        }
    }

    /// Sends TEARDOWN and waits for the answer, for [`CLOSE_WITHIN`] at most.
    pub(super) async fn close(mut self) {
        self.client.tear_down();
        // Whatever the outcome, the connection is given up.
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.until_over()).await;
        self.client.forget();
    }

    async fn until_over(&mut self) -> Result<(), Failure> {
        while !self.client.is_over() {
            match self.wait(None).await {
                Ok(Came::Bytes(true)) => self.client.handle(Duration::ZERO)?,
                Ok(Came::Bytes(false)) | Err(_) => break,
                Ok(_) => {}
            }
            while self.client.poll().is_some() {}
        }
        Ok(())
    }
}

impl Drop for SourceTransport {
    fn drop(&mut self) {
        self.client.tear_down();
        if self.client.is_over() || self.client.output().is_empty() {
            return;
        }
        let (tcp, farewell) = (Arc::clone(&self.tcp), self.client.output().split().freeze());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = tokio::time::timeout(CLOSE_WITHIN, say(&tcp, farewell)).await;
            });
        }
    }
}

/// Writes `words`, and reads whatever comes until the peer closes.
async fn say(tcp: &Socket, mut words: Bytes) -> io::Result<()> {
    while !words.is_empty() {
        tcp.writable().await?;
        match tcp.try_write(&words) {
            Ok(written) => words.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    tcp.flushed().await?;
    let mut scratch = vec![0; PIECE];
    loop {
        tcp.readable().await?;
        match tcp.try_read(&mut scratch) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

/// Whom to trust. The system's files, and perhaps a share, are read on a thread that may wait.
async fn trust(ca_file: &Path) -> Result<Arc<ClientConfig>, String> {
    let ca_file = ca_file.to_owned();
    let read = move || {
        if ca_file.as_os_str().is_empty() {
            return client_config(None).map_err(|error| error.to_string());
        }
        let why = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", ca_file.display());
        let pem = std::fs::read(&ca_file).map_err(|error| why(&error))?;
        client_config(Some(&pem)).map_err(|error| why(&error))
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
}

/// `ip`, as IPv4 if it is an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2).
fn plain(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoder_is_the_only_sender_once_it_is_heard() {
        let [encoder, stranger] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let mut senders = Senders { likely: Some(encoder), ..Senders::default() };
        assert!(senders.admit(stranger), "some encoders send from another address");
        let mapped = IpAddr::V6(std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        assert!(senders.admit(mapped) && senders.admit(encoder) && !senders.admit(stranger));
        let mut senders = Senders { known: vec![stranger], likely: Some(encoder) };
        assert!(senders.admit(stranger) && !senders.admit(encoder), "the encoder has said who");
    }
}
