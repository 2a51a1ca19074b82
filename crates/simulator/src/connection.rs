//! One RTSP connection of a simulated hall: a shell around [`RtspSession`] that also fails on demand.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rtsp_types::Method;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use amphi_container::clip::ClipTrack;
use amphi_media::MediaTime;
use amphi_protocol::rtsp::{
    Digest, Incoming, PAYLOAD_TYPE, Packetizer, Refusal, Requests, RtspEvent, RtspSession, Span, Transport,
    describe,
};
use amphi_runtime::udp::RtpPair;

use super::Hall;
use super::fault::SimulatedFault;
use super::stream::{Carrier, SimulatedStream};

/// Announced in the `Session` header (RFC 2326 §12.37): a session without a request for so long ends.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A peer that takes nothing for so long is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// With [`SimulatedFault::Reports`], how long the device goes without RTCP receiver reports.
const REPORTS_WITHIN: Duration = Duration::from_secs(20);

pub(super) struct SimulatorConnection {
    socket: TcpStream,
    peer: SocketAddr,
    hall: Arc<Hall>,
    requests: Requests,
    session: RtspSession,
    streams: Vec<SimulatedStream>,
    /// Media that is to be sent to the peer.
    out: BytesMut,
    fault: Option<SimulatedFault>,
    faults: watch::Receiver<Option<SimulatedFault>>,
    begun: MediaTime,
    /// When the peer last reported.
    reported: Instant,
}

impl SimulatorConnection {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, hall: Arc<Hall>) -> Self {
        let mut faults = hall.fault.clone();
        let fault = *faults.borrow_and_update();
        let mut session = RtspSession::new(fastrand::u64(..), Instant::now().into_std());
        session.set_digest(hall.digest.clone());
        let mut connection = Self {
            fault: None,
            faults,
            begun: hall.clock.now(),
            reported: Instant::now(),
            socket,
            peer,
            hall,
            requests: Requests::default(),
            session,
            streams: Vec::new(),
            out: BytesMut::new(),
        };
        connection.set_fault(fault);
        connection
    }

    /// Serves until the peer leaves, sends TEARDOWN, is silent for too long or does not follow the protocol.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.socket.set_nodelay(true)?;
        loop {
            if self.fault == Some(SimulatedFault::Freeze) {
                if self.faults.changed().await.is_err() {
                    return Ok(());
                }
                self.refit()?;
                continue;
            }
            let wait = self.next_due().saturating_since(self.now());
            let mut patience = Instant::from_std(self.session.ends_at());
            if self.session.is_playing() && self.fault == Some(SimulatedFault::Reports) {
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
                changed = self.faults.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.refit()?;
                }
                () = tokio::time::sleep_until(patience) => return Ok(()),
            }
            self.flush().await?;
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        // Answers go first: media comes after the answer to PLAY.
        let mut out = self.session.output().split();
        out.unsplit(self.out.split());
        tokio::time::timeout(WRITE_TIMEOUT, self.socket.write_all(&out)).await?
    }

    /// `false` when the session has ended.
    async fn answer_all(&mut self) -> io::Result<bool> {
        loop {
            let incoming =
                self.requests.take().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            match incoming {
                Some(Incoming::Request(request)) => {
                    let is_deaf = self.fault == Some(SimulatedFault::Deaf) && self.session.is_playing();
                    if is_deaf && *request.method() != Method::Teardown {
                        continue;
                    }
                    match self.session.handle(&request, Instant::now().into_std()) {
                        Some(RtspEvent::TearDown) => return Ok(false),
                        Some(event) => self.answer(event).await?,
                        None => {}
                    }
                }
                Some(Incoming::Packet { .. }) => self.reported = Instant::now(),
                None => return Ok(true),
            }
        }
    }

    async fn answer(&mut self, event: RtspEvent) -> io::Result<()> {
        match event {
            RtspEvent::Describe(_) => {
                let description = self.describe();
                self.session.described(&description);
            }
            RtspEvent::SetUp { track, transport, .. } => self.set_up(track, transport).await?,
            RtspEvent::Play(_) => {
                self.reported = Instant::now();
                // All streams' times are those of one instant: now.
                let now = self.now();
                let starts: Vec<_> = self.streams.iter_mut().map(|stream| stream.start(now)).collect();
                self.session.playing(Span::default(), &starts);
            }
            RtspEvent::Pause => {
                self.streams.iter_mut().for_each(SimulatedStream::pause);
                self.session.paused();
            }
            RtspEvent::TearDown => {}
        }
        Ok(())
    }

    fn tracks(&self) -> impl Iterator<Item = &ClipTrack> {
        let Hall { clip, spares, .. } = &*self.hall;
        let mono = Some(&spares.mono).filter(|_| self.fault == Some(SimulatedFault::Mono));
        clip.video.iter().chain(mono.or(clip.audio.as_ref()))
    }

    fn describe(&self) -> String {
        let streams: Vec<_> = self.tracks().map(|track| &*track.format).collect();
        describe("SMP 351", None, &streams)
    }

    async fn set_up(&mut self, number: usize, transport: Transport) -> io::Result<()> {
        let Some(track) = self.tracks().nth(number).cloned() else {
            self.session.refuse(Refusal::NotFound);
            return Ok(());
        };
        let payload_type = PAYLOAD_TYPE + number as u8;
        let packetizer = Packetizer::new(payload_type, fastrand::u32(..), fastrand::u16(..));
        let ssrc = packetizer.ssrc();
        let (carrier, ports) = match transport {
            Transport::Interleaved { rtp, rtcp } => (Carrier::Interleaved(rtp, rtcp), (0, 0)),
            Transport::Udp { rtp, rtcp } => {
                let local = self.socket.local_addr()?.ip();
                let pair = RtpPair::connect(local, self.peer, rtp, rtcp).await?;
                let ports = pair.ports()?;
                (Carrier::Udp(pair), ports)
            }
        };
        self.streams.retain(|stream| stream.number() != number);
        self.streams.push(SimulatedStream::new(number, track, carrier, packetizer, self.fault));
        self.session.set_up(ssrc, ports);
        Ok(())
    }

    fn next_due(&self) -> MediaTime {
        let due = self.streams.iter().filter_map(SimulatedStream::due_at);
        due.min().unwrap_or_else(|| self.now() + TIMEOUT)
    }

    /// The time by the device's own clock.
    fn now(&self) -> MediaTime {
        let now = self.hall.clock.now();
        match self.fault {
            Some(SimulatedFault::Skew(ppm)) => {
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
            stream.play(now, self.session.cname(), &mut self.out).await;
        }
    }

    /// The device has begun or ceased to fail.
    fn refit(&mut self) -> io::Result<()> {
        let fault = *self.faults.borrow_and_update();
        if fault.is_some_and(SimulatedFault::ends_sessions) {
            if fault == Some(SimulatedFault::Reset) {
                SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))?;
            }
            return Err(io::Error::other("the device fails"));
        }
        self.set_fault(fault);
        let now = self.now();
        for stream in &mut self.streams {
            stream.refit(fault, &self.hall.spares, now);
        }
        Ok(())
    }

    fn set_fault(&mut self, fault: Option<SimulatedFault>) {
        self.fault = fault;
        self.session.set_timeout(match fault {
            Some(SimulatedFault::Timeout(seconds)) => Duration::from_secs(seconds.into()),
            _ => TIMEOUT,
        });
        if fault == Some(SimulatedFault::Expire) {
            // A password that nobody knows.
            let password = format!("{:032x}", fastrand::u128(..));
            self.session.set_digest(Some(Digest::new("expired", "0", "nobody", &password)));
        }
    }
}
