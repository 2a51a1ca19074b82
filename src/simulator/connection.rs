//! One RTSP connection of a simulated hall: answers requests, sends what is due.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rtsp_types::headers::{
    AUTHORIZATION, CONTENT_BASE, CONTENT_TYPE, CSEQ, PUBLIC, RTP_INFO, SESSION, TRANSPORT, WWW_AUTHENTICATE,
};
use rtsp_types::{Method, Request, Response, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::clip::ClipTrack;
use crate::media::{MediaTime, TrackFormat};
use crate::rtsp::{Described, Incoming, Packetizer, Requests, describe, interleaved, sender_report};

use super::Hall;
use super::playout::{Playout, loop_seconds};

/// Told in the `Session` header and kept: a session without a request for so long ends.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A peer that takes nothing for so long is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Where a stream's packets go.
enum Carrier {
    /// Channels of the connection, for RTP and RTCP.
    Interleaved(u8, u8),
    /// Sockets, connected to the peer's ports.
    Udp(UdpSocket, UdpSocket),
}

/// A stream that was set up.
struct Stream {
    track: ClipTrack,
    carrier: Carrier,
    packetizer: Packetizer,
    playout: Option<Playout>,
    report_at: MediaTime,
}

pub(super) struct Connection {
    socket: TcpStream,
    peer: SocketAddr,
    hall: Arc<Hall>,
    requests: Requests,
    session: u32,
    streams: Vec<Stream>,
    out: BytesMut,
}

impl Connection {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, hall: Arc<Hall>) -> Self {
        Self {
            socket,
            peer,
            hall,
            requests: Requests::default(),
            session: fastrand::u32(..),
            streams: Vec::new(),
            out: BytesMut::new(),
        }
    }

    /// Serves until the peer leaves, tears down, falls silent or breaks the rules.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.socket.set_nodelay(true)?;
        let mut heard = tokio::time::Instant::now();
        loop {
            let wait = self.next_due().saturating_since(self.hall.clock.now());
            tokio::select! {
                read = self.socket.read_buf(self.requests.feed()) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    heard = tokio::time::Instant::now();
                    if !self.answer_all().await? {
                        return self.flush().await;
                    }
                }
                () = tokio::time::sleep(wait) => self.play().await?,
                () = tokio::time::sleep_until(heard + TIMEOUT) => return Ok(()),
            }
            self.flush().await?;
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let out = self.out.split();
        tokio::time::timeout(WRITE_TIMEOUT, self.socket.write_all(&out)).await?
    }

    /// False when the session has ended.
    async fn answer_all(&mut self) -> io::Result<bool> {
        loop {
            let incoming =
                self.requests.take().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            match incoming {
                Some(Incoming::Request(request)) => {
                    let response = self.answer(&request).await?;
                    response.write(&mut Writer(&mut self.out)).map_err(io::Error::other)?;
                    if *request.method() == Method::Teardown {
                        return Ok(false);
                    }
                }
                Some(Incoming::Packet { .. }) => {}
                None => return Ok(true),
            }
        }
    }

    async fn answer(&mut self, request: &Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        let cseq = request.header(&CSEQ).map_or("0", |value| value.as_str()).to_owned();
        let respond = |status| Response::builder(Version::V1_0, status).header(CSEQ, cseq.as_str());
        if let Some(digest) = self.hall.digest.as_ref().filter(|_| *request.method() != Method::Options) {
            let method: &str = request.method().into();
            if !digest.allows(method, request.header(&AUTHORIZATION).map(rtsp_types::HeaderValue::as_str)) {
                let response = respond(StatusCode::Unauthorized).header(WWW_AUTHENTICATE, digest.challenge());
                return Ok(response.build(Vec::new()));
            }
        }
        let session = format!("{:08X};timeout={}", self.session, TIMEOUT.as_secs());
        let uri = request.request_uri().map(url::Url::as_str).unwrap_or_default();
        Ok(match request.method() {
            Method::Options => respond(StatusCode::Ok)
                .header(
                    PUBLIC,
                    "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN",
                )
                .build(Vec::new()),
            Method::Describe => respond(StatusCode::Ok)
                .header(CONTENT_TYPE, "application/sdp")
                .header(CONTENT_BASE, format!("{}/", uri.trim_end_matches('/')))
                .build(self.describe().into_bytes()),
            Method::Setup => match self.set_up(uri, request).await? {
                Some(transport) => respond(StatusCode::Ok)
                    .header(TRANSPORT, transport)
                    .header(SESSION, session)
                    .build(Vec::new()),
                None => respond(StatusCode::UnsupportedTransport).build(Vec::new()),
            },
            Method::Play => {
                let info = self.start(uri);
                respond(StatusCode::Ok).header(RTP_INFO, info).header(SESSION, session).build(Vec::new())
            }
            Method::Pause => {
                self.streams.iter_mut().for_each(|stream| stream.playout = None);
                respond(StatusCode::Ok).header(SESSION, session).build(Vec::new())
            }
            Method::GetParameter | Method::SetParameter | Method::Teardown => {
                respond(StatusCode::Ok).header(SESSION, session).build(Vec::new())
            }
            _ => respond(StatusCode::MethodNotAllowed).build(Vec::new()),
        })
    }

    fn tracks(&self) -> impl Iterator<Item = &ClipTrack> {
        self.hall.clip.video.iter().chain(&self.hall.clip.audio)
    }

    fn describe(&self) -> String {
        const CONTROLS: [&str; 2] = ["trackID=0", "trackID=1"];
        let streams: Vec<_> = self
            .tracks()
            .zip(CONTROLS)
            .enumerate()
            .map(|(index, (track, control))| Described {
                format: &track.format,
                payload_type: 96 + index as u8,
                control,
            })
            .collect();
        describe("SMP 351", &streams)
    }

    /// The value of `Transport` for the answer; `None` where the request's is not understood.
    async fn set_up(&mut self, uri: &str, request: &Request<Vec<u8>>) -> io::Result<Option<String>> {
        let index: usize = uri.rsplit_once("trackID=").and_then(|(_, index)| index.parse().ok()).unwrap_or(0);
        let Some(track) = self.tracks().nth(index).cloned() else { return Ok(None) };
        let asked = request.header(&TRANSPORT).map_or("", |value| value.as_str());
        let pair = |name: &str| -> Option<(u16, u16)> {
            let (_, rest) = asked.split_once(name)?;
            let (one, two) = rest.split([';', ',']).next()?.split_once('-')?;
            Some((one.parse().ok()?, two.parse().ok()?))
        };
        let packetizer = Packetizer::new(96 + index as u8, fastrand::u32(..), fastrand::u16(..));
        let ssrc = packetizer.ssrc();
        let (carrier, answer) = if let Some((rtp, rtcp)) = pair("interleaved=") {
            let answer = format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp};ssrc={ssrc:08X}");
            (Carrier::Interleaved(rtp as u8, rtcp as u8), answer)
        } else if let Some((rtp, rtcp)) = pair("client_port=") {
            let local = self.socket.local_addr()?.ip();
            let (data, control) = udp_pair(local).await?;
            data.connect((self.peer.ip(), rtp)).await?;
            control.connect((self.peer.ip(), rtcp)).await?;
            let (ours, theirs) = (data.local_addr()?.port(), control.local_addr()?.port());
            let answer = format!(
                "RTP/AVP;unicast;client_port={rtp}-{rtcp};server_port={ours}-{theirs};ssrc={ssrc:08X}"
            );
            (Carrier::Udp(data, control), answer)
        } else {
            return Ok(None);
        };
        let report_at = MediaTime::default();
        self.streams.push(Stream { track, carrier, packetizer, playout: None, report_at });
        Ok(Some(answer))
    }

    /// Starts every stream; gives the value of `RTP-Info` (RFC 2326 §12.33).
    fn start(&mut self, uri: &str) -> String {
        let now = self.hall.clock.now();
        let seconds = loop_seconds(&self.hall.clip);
        let base = uri.trim_end_matches('/').to_owned();
        let info = self.streams.iter_mut().map(|stream| {
            let playout = stream
                .playout
                .get_or_insert_with(|| Playout::new(&stream.track, seconds, now, fastrand::u32(..)));
            let control = u8::from(matches!(playout.format(), TrackFormat::Aac(_)));
            // Both streams' times are those of one instant: now.
            let (sequence, time) = (stream.packetizer.next_sequence(), playout.timestamp_at(now));
            format!("url={base}/trackID={control};seq={sequence};rtptime={time}")
        });
        info.collect::<Vec<_>>().join(",")
    }

    fn next_due(&self) -> MediaTime {
        let due = self.streams.iter().filter_map(|stream| stream.playout.as_ref().map(Playout::due_at));
        due.min().unwrap_or_else(|| self.hall.clock.now() + TIMEOUT)
    }

    /// Sends everything that is due by now.
    async fn play(&mut self) -> io::Result<()> {
        let now = self.hall.clock.now();
        let mut packets = Vec::new();
        for stream in &mut self.streams {
            let Some(playout) = &mut stream.playout else { continue };
            while playout.due_at() <= now {
                let Some(due) = playout.take() else { break };
                packets.clear();
                match playout.format() {
                    TrackFormat::H264(sets) => {
                        let unit = with_parameter_sets(sets, &due.data);
                        stream.packetizer.h264(due.timestamp, &unit, &mut packets);
                    }
                    TrackFormat::Aac(_) => stream.packetizer.aac(due.timestamp, &due.data, &mut packets),
                }
                for packet in &packets {
                    send(&stream.carrier, true, packet, &mut self.out).await;
                }
            }
            if now >= stream.report_at {
                stream.report_at = now + REPORT_EVERY;
                let report = sender_report(&stream.packetizer, now, playout.timestamp_at(now));
                send(&stream.carrier, false, &report, &mut self.out).await;
            }
        }
        Ok(())
    }
}

/// Encoders repeat SPS and PPS before each IDR picture; ours does so too.
fn with_parameter_sets(sets: &crate::media::ParameterSets, sample: &Bytes) -> Bytes {
    use crate::media::h264;
    if !h264::sample_nals(sample).any(|nal| h264::nal_type(nal) == h264::NAL_IDR) {
        return sample.clone();
    }
    let mut unit = BytesMut::with_capacity(sample.len() + 128);
    h264::push_sample_nal(&mut unit, &sets.sps);
    h264::push_sample_nal(&mut unit, &sets.pps);
    unit.extend_from_slice(sample);
    unit.freeze()
}

async fn send(carrier: &Carrier, media: bool, packet: &[u8], out: &mut BytesMut) {
    match carrier {
        Carrier::Interleaved(rtp, rtcp) => interleaved(if media { *rtp } else { *rtcp }, packet, out),
        Carrier::Udp(data, control) => {
            // A packet that the network refuses is a lost packet.
            let _ = if media { data.send(packet).await } else { control.send(packet).await };
        }
    }
}

/// Two sockets on neighbouring ports, the even one for RTP (RFC 3550 §11).
async fn udp_pair(local: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    const TRIES: usize = 50;
    for _ in 0..TRIES {
        let data = UdpSocket::bind((local, 0)).await?;
        let port = data.local_addr()?.port();
        if port.is_multiple_of(2) {
            // Taken by somebody else: another pair is tried.
            if let Ok(control) = UdpSocket::bind((local, port + 1)).await {
                return Ok((data, control));
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no two neighbouring UDP ports are free"))
}

/// Lets a message write itself into the output buffer.
struct Writer<'a>(&'a mut BytesMut);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
