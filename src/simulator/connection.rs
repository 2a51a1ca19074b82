//! One RTSP connection of a simulated hall: answers requests, sends what is due.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rtsp_types::headers::{
    AUTHORIZATION, CONTENT_BASE, CONTENT_TYPE, CSEQ, PUBLIC, RTP_INFO, SESSION, TRANSPORT, WWW_AUTHENTICATE,
};
use rtsp_types::{Method, Request, Response, StatusCode, Version};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clip::ClipTrack;
use crate::media::MediaTime;
use crate::rtsp::{Described, Incoming, Packetizer, Requests, describe};

use super::Hall;
use super::fault::Fault;
use super::stream::{Carrier, Stream, udp_pair};

/// Told in the `Session` header and kept: a session without a request for so long ends.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A peer that takes nothing for so long is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// With [`Fault::Reports`], how long the device goes without RTCP receiver reports.
const REPORTS_WITHIN: Duration = Duration::from_secs(20);

pub(super) struct Connection {
    socket: TcpStream,
    peer: SocketAddr,
    hall: Arc<Hall>,
    requests: Requests,
    session: u32,
    streams: Vec<Stream>,
    out: BytesMut,
    fault: Option<Fault>,
    faults: watch::Receiver<Option<Fault>>,
    begun: MediaTime,
    playing: bool,
    /// When the peer last asked something, and when it last reported.
    heard: Instant,
    reported: Instant,
}

impl Connection {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, hall: Arc<Hall>) -> Self {
        let mut faults = hall.fault.clone();
        let fault = *faults.borrow_and_update();
        Self {
            fault,
            faults,
            begun: hall.clock.now(),
            playing: false,
            heard: Instant::now(),
            reported: Instant::now(),
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
        loop {
            if self.fault == Some(Fault::Freeze) {
                if self.faults.changed().await.is_err() {
                    return Ok(());
                }
                self.refit()?;
                continue;
            }
            let wait = self.next_due().saturating_since(self.now());
            let mut patience = self.heard + self.timeout();
            if self.playing && self.fault == Some(Fault::Reports) {
                patience = patience.min(self.reported + REPORTS_WITHIN);
            }
            tokio::select! {
                read = self.socket.read_buf(self.requests.feed()) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    if !self.answer_all().await? {
                        return self.flush().await;
                    }
                }
                () = tokio::time::sleep(wait) => self.play().await,
                changed = self.faults.changed() => if changed.is_ok() { self.refit()? },
                () = tokio::time::sleep_until(patience) => return Ok(()),
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
                    if self.fault == Some(Fault::Deaf)
                        && self.playing
                        && *request.method() != Method::Teardown
                    {
                        continue;
                    }
                    self.heard = Instant::now();
                    let response = self.answer(&request).await?;
                    response.write(&mut Writer(&mut self.out)).map_err(io::Error::other)?;
                    if *request.method() == Method::Teardown {
                        return Ok(false);
                    }
                }
                Some(Incoming::Packet { .. }) => self.reported = Instant::now(),
                None => return Ok(true),
            }
        }
    }

    async fn answer(&mut self, request: &Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        let cseq = request.header(&CSEQ).map_or("0", |value| value.as_str()).to_owned();
        let respond = |status| Response::builder(Version::V1_0, status).header(CSEQ, cseq.as_str());
        if self.fault == Some(Fault::Expire) && *request.method() != Method::Options {
            let challenge = "Digest realm=\"expired\", nonce=\"0\"";
            return Ok(respond(StatusCode::Unauthorized)
                .header(WWW_AUTHENTICATE, challenge)
                .build(Vec::new()));
        }
        if let Some(digest) = self.hall.digest.as_ref().filter(|_| *request.method() != Method::Options) {
            let method: &str = request.method().into();
            if !digest.allows(method, request.header(&AUTHORIZATION).map(rtsp_types::HeaderValue::as_str)) {
                let response = respond(StatusCode::Unauthorized).header(WWW_AUTHENTICATE, digest.challenge());
                return Ok(response.build(Vec::new()));
            }
        }
        let session = format!("{:08X};timeout={}", self.session, self.timeout().as_secs());
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
                self.streams.iter_mut().for_each(Stream::pause);
                respond(StatusCode::Ok).header(SESSION, session).build(Vec::new())
            }
            Method::GetParameter | Method::SetParameter | Method::Teardown => {
                respond(StatusCode::Ok).header(SESSION, session).build(Vec::new())
            }
            _ => respond(StatusCode::MethodNotAllowed).build(Vec::new()),
        })
    }

    fn tracks(&self) -> impl Iterator<Item = &ClipTrack> {
        let Hall { clip, spares, .. } = &*self.hall;
        let mono = Some(&spares.mono).filter(|_| self.fault == Some(Fault::Mono));
        clip.video.iter().chain(mono.or(clip.audio.as_ref()))
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
        self.streams.push(Stream::new(index, track, carrier, packetizer, self.fault));
        Ok(Some(answer))
    }

    /// Starts every stream; gives the value of `RTP-Info` (RFC 2326 §12.33).
    fn start(&mut self, uri: &str) -> String {
        let now = self.now();
        (self.playing, self.reported) = (true, Instant::now());
        let base = uri.trim_end_matches('/');
        // All streams' times are those of one instant: now.
        let info = self.streams.iter_mut().map(|stream| stream.start(base, now));
        info.collect::<Vec<_>>().join(",")
    }

    fn next_due(&self) -> MediaTime {
        let due = self.streams.iter().filter_map(Stream::due_at);
        due.min().unwrap_or_else(|| self.now() + TIMEOUT)
    }

    /// The device's own clock.
    fn now(&self) -> MediaTime {
        let now = self.hall.clock.now();
        match self.fault {
            Some(Fault::Skew(ppm)) => {
                let since = now.as_nanos() - self.begun.as_nanos();
                now.offset_nanos((i128::from(since) * i128::from(ppm) / 1_000_000) as i64)
            }
            _ => now,
        }
    }

    /// Sends everything that is due by now.
    async fn play(&mut self) {
        let now = self.now();
        for stream in &mut self.streams {
            stream.play(now, &mut self.out).await;
        }
    }

    /// The device begins or ceases to fail.
    fn refit(&mut self) -> io::Result<()> {
        let fault = *self.faults.borrow_and_update();
        if fault.is_some_and(Fault::ends_sessions) {
            if fault == Some(Fault::Reset) {
                SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))?;
            }
            return Err(io::Error::other("the device fails"));
        }
        self.fault = fault;
        let now = self.now();
        for stream in &mut self.streams {
            stream.refit(fault, &self.hall.spares, now);
        }
        Ok(())
    }

    fn timeout(&self) -> Duration {
        match self.fault {
            Some(Fault::Timeout(seconds)) => Duration::from_secs(seconds.into()),
            _ => TIMEOUT,
        }
    }
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
